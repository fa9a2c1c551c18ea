"""One stimulus: what it is, its norms and where its file is."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["image", "video", "audio", "text"]
KINDS: tuple[Kind, ...] = ("image", "video", "audio", "text")
EXPRESSIONS = (
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "neutral",
)
NORMS = ("valence", "arousal", "dominance")
OWN_MEASURES = ("luminance", "duration_s", "width_px", "height_px")


@dataclass(frozen=True)
class Stimulus:
    """One thing that can be shown or played.

    Attributes
    ----------
    id : str
        Unique within its set.
    file : str
        Path relative to the folder of the manifest, with forward slashes, as in the manifest.
    path : Path
        The same file, absolute.
    kind : {"image", "video", "audio", "text"}
        How it is presented; a text is a vignette to be read, a UTF-8 file.
    category : str
        The cell of the design it belongs to, e.g. ``HVHA``.
    sha256 : str
        Hexadecimal digest of the file.
    valence, arousal, dominance : float or None
        Norms on their original scale; None where there is no norm.
    norm_min, norm_max : float or None
        The two ends of that scale, e.g. 1 and 9.
    duration_s : float or None
        Length of a film or sound; None for images and texts.
    width_px, height_px : int or None
        Size of an image or film; None for sounds and texts.
    luminance : float or None
        Mean relative luminance, 0 to 1, of the linearised sRGB pixels; of a film, over its frames.
    target_expression : str or None
        What a simulated participant shows in response: one of `EXPRESSIONS`.
    media_type : str or None
        MIME type of the file.
    licence : str or None
        SPDX identifier or a short name.
    redistributable : bool
        Where False, exports and shareable reports show a placeholder.
    description : str or None
        What is to be seen or heard, in words.
    measures : mapping of str to float
        Whatever other numbers the manifest has of it, by column.
    """

    id: str
    file: str
    path: Path
    kind: Kind
    category: str
    sha256: str
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    norm_min: float | None = None
    norm_max: float | None = None
    duration_s: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    luminance: float | None = None
    target_expression: str | None = None
    media_type: str | None = None
    licence: str | None = None
    redistributable: bool = True
    description: str | None = None
    measures: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def valence_scaled(self) -> float | None:
        """Valence in [-1, 1], the middle of its scale being 0; None without a norm."""
        return self._scaled(self.valence)

    @property
    def arousal_scaled(self) -> float | None:
        """Arousal in [-1, 1], the middle of its scale being 0; None without a norm."""
        return self._scaled(self.arousal)

    @property
    def dominance_scaled(self) -> float | None:
        """Dominance in [-1, 1], the middle of its scale being 0; None without a norm."""
        return self._scaled(self.dominance)

    def measure(self, name: str) -> float | None:
        """Return a number by its name, for selecting and matching.

        Parameters
        ----------
        name : str
            ``valence``, ``arousal`` or ``dominance`` (the norm, scaled to [-1, 1]); ``luminance``,
            ``duration_s``, ``width_px``, ``height_px``; or a column of `measures`.

        Returns
        -------
        float or None
            None where this stimulus has no such number.
        """
        if name in NORMS:
            scaled: float | None = getattr(self, f"{name}_scaled")
            return scaled
        if name in OWN_MEASURES:
            value = getattr(self, name)
            return None if value is None else float(value)
        return self.measures.get(name)

    def _scaled(self, value: float | None) -> float | None:
        if value is None or self.norm_min is None or self.norm_max is None:
            return None
        return 2.0 * (value - self.norm_min) / (self.norm_max - self.norm_min) - 1.0


COLUMNS: tuple[str, ...] = tuple(
    f.name for f in fields(Stimulus) if f.name not in ("path", "measures")
)
REQUIRED_COLUMNS: tuple[str, ...] = ("id", "file", "kind", "category", "sha256")
