"""What an analysis is asked for, as one value that goes to every worker and into every hash."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND


@dataclass(frozen=True)
class AnalysisSettings:
    """How sessions are measured.

    Attributes
    ----------
    au_backend : str
        Which backend measures Action Units.
    aois : str or None
        File of areas of interest, or ``auto``; None: the one beside the stimulus manifest.
    eye : str
        What gaze rests on: ``both``, ``cyclopean``, ``left``, ``right``.
    leave_out_speech : bool
        Whether the mouth's Action Units are left out of the summary while the participant speaks.
    affect_backend : str
        What tells valence and arousal: ``rule``, or ``checkpoint:FILE``.
    """

    au_backend: str = DEFAULT_BACKEND
    aois: str | None = None
    eye: str = "both"
    leave_out_speech: bool = True
    affect_backend: str = DEFAULT_AFFECT_BACKEND

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> AnalysisSettings:
        """Return the settings that `to_dict` gave; what is not known is passed over."""
        return cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})


DEFAULT_SETTINGS = AnalysisSettings()
