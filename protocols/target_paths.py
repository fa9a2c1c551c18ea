"""Where a moving target is: a function of the parameters in its marker and of time alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

SMOOTH = ("sinus", "ramp", "circle")
"""Paths that move; the others jump."""


@dataclass(frozen=True)
class TargetPath:
    """A smooth path that returns to where it began.

    Attributes
    ----------
    path : {"sinus", "ramp", "circle"}
    axis : {"horizontal", "vertical"}
        Of all but the circle.
    amplitude_deg : float
        Largest distance from the middle, per axis.
    speed_deg_s : float
        Highest speed of the sine, speed of the others.
    cycles : int
        Number of periods.

    Examples
    --------
    >>> path = TargetPath("ramp", "horizontal", 10.0, 20.0, 1)
    >>> path.duration_s, path.position_deg([0.0, 0.5, 1.0])[0].tolist()
    (2.0, [0.0, 10.0, 0.0])
    """

    path: str
    axis: str
    amplitude_deg: float
    speed_deg_s: float
    cycles: int

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> TargetPath:
        """Read the parameters from a marker or a step; other fields do not matter.

        Raises
        ------
        KeyError, TypeError, ValueError
            They are not those of a smooth path.
        """
        if fields["path"] not in SMOOTH:
            raise ValueError(f"not a smooth path: {fields['path']}")
        amplitude, speed = float(fields["amplitude_deg"]), float(fields["speed_deg_s"])
        if not (amplitude > 0 and speed > 0):
            raise ValueError("amplitude and speed must be above 0")
        return cls(fields["path"], str(fields["axis"]), amplitude, speed, int(fields["cycles"]))

    def to_fields(self) -> dict[str, Any]:
        """Return the parameters for a marker."""
        return asdict(self)

    @property
    def period_s(self) -> float:
        """Length of a cycle in seconds."""
        way = 4.0 if self.path == "ramp" else 2 * np.pi
        return float(way * self.amplitude_deg / self.speed_deg_s)

    @property
    def duration_s(self) -> float:
        """Length of all cycles in seconds."""
        return self.cycles * self.period_s

    def position_deg(self, since_s: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return where the target is, degrees from the middle per axis, x to the right, y up.

        Parameters
        ----------
        since_s : array_like
            Seconds since it began to move: marker ``target_path`` plus its ``hold_s``. It rests where it
            begins before and afterwards.
        """
        phase = np.clip(np.asarray(since_s, dtype=np.float64), 0.0, self.duration_s) / self.period_s
        if self.path == "circle":
            angle = 2 * np.pi * phase
            return self.amplitude_deg * np.cos(angle), self.amplitude_deg * np.sin(angle)
        if self.path == "sinus":
            along = np.sin(2 * np.pi * phase)
        else:
            along = np.abs((4.0 * phase + 3.0) % 4.0 - 2.0) - 1.0
        along = self.amplitude_deg * along
        still = np.zeros_like(along)
        return (along, still) if self.axis == "horizontal" else (still, along)
