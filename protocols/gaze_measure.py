"""How far off the gaze is on targets of known place, and how steady."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from duchenne.protocols.sight import Sight

    FloatArray = npt.NDArray[np.float64]

LEAST_VALID = 0.5
"""With less of its samples, an eye counts as lost on a target."""
LEAST_SAMPLES = 10
EYES = ("left", "right")


@dataclass(frozen=True, eq=False)
class GazeSamples:
    """Gaze of both eyes on the screen.

    Attributes
    ----------
    times_s : (n,) array
        On the LSL clock of this machine.
    left_px, right_px : (n, 2) arrays
        Pixels from the top left; NaN where the eye is lost.
    """

    times_s: FloatArray
    left_px: FloatArray
    right_px: FloatArray

    @property
    def mean_px(self) -> FloatArray:
        """Mean of the eyes, or the one that is there."""
        both = np.stack([self.left_px, self.right_px])
        known = np.isfinite(both)
        n = known.sum(axis=0)
        total = np.where(known, both, 0.0).sum(axis=0)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)


@dataclass(frozen=True)
class EyeOnTarget:
    """One eye on one target.

    Attributes
    ----------
    error_deg : float
        Angle between the target and the median of the samples; NaN where the eye was lost.
    x_px, y_px : float
        That median.
    rms_s2s_deg, sd_deg : float
        Precision: root mean square of the angle from sample to sample; standard deviation, both axes
        together.
    n_samples : int
        Samples with this eye.
    """

    error_deg: float = math.nan
    x_px: float = math.nan
    y_px: float = math.nan
    rms_s2s_deg: float = math.nan
    sd_deg: float = math.nan
    n_samples: int = 0


@dataclass(frozen=True)
class OnTarget:
    """Gaze on one target.

    Attributes
    ----------
    position_px : (float, float)
        The target.
    left, right : EyeOnTarget
    error_deg : float
        Of the mean of the eyes.
    """

    position_px: tuple[float, float]
    left: EyeOnTarget
    right: EyeOnTarget
    error_deg: float

    def to_json(self) -> dict[str, Any]:
        """Return what a marker says of it; None where unknown."""
        found: dict[str, Any] = {"position_px": [round(v, 1) for v in self.position_px]}
        for name in EYES:
            eye: EyeOnTarget = getattr(self, name)
            known = math.isfinite(eye.error_deg)
            found[f"gaze_{name}_px"] = [round(eye.x_px, 1), round(eye.y_px, 1)] if known else None
            found[f"error_{name}_deg"] = rounded(eye.error_deg)
            found[f"n_{name}"] = eye.n_samples
        return found | {"error_deg": rounded(self.error_deg)}


@dataclass(frozen=True)
class Accuracy:
    """The result of a validation: means over its targets, NaN for an eye that is not tracked.

    Attributes
    ----------
    targets : tuple of OnTarget
    """

    targets: tuple[OnTarget, ...]

    def mean(self, eye: str, measure: str) -> float:
        """Return the mean of a measure of one eye."""
        return _mean([getattr(getattr(target, eye), measure) for target in self.targets])

    @property
    def worst_deg(self) -> float:
        """Mean error of the worse eye; NaN where neither was tracked."""
        found = [v for eye in EYES if math.isfinite(v := self.mean(eye, "error_deg"))]
        return max(found, default=math.nan)

    @property
    def n_missed(self) -> int:
        """Targets on which no eye was tracked."""
        return sum(not math.isfinite(target.error_deg) for target in self.targets)

    def is_within(self, max_error_deg: float) -> bool:
        """Tell whether both eyes are good, and at most a quarter of the targets was missed."""
        return self.worst_deg <= max_error_deg and self.n_missed <= len(self.targets) / 4

    def to_fields(self) -> dict[str, Any]:
        """Return the fields of a ``calibration_end`` marker; None where unknown."""
        fields: dict[str, Any] = {}
        for eye in EYES:
            fields[f"accuracy_deg_{eye}"] = rounded(self.mean(eye, "error_deg"))
            fields[f"precision_rms_deg_{eye}"] = rounded(self.mean(eye, "rms_s2s_deg"))
            fields[f"precision_sd_deg_{eye}"] = rounded(self.mean(eye, "sd_deg"))
        fields["accuracy_deg"] = rounded(_mean([t.error_deg for t in self.targets]))
        fields["n_missed"] = self.n_missed
        fields["targets"] = [target.to_json() for target in self.targets]
        return fields


def on_target(samples: GazeSamples, position_px: tuple[float, float], sight: Sight) -> OnTarget:
    """Measure the gaze on a target.

    Parameters
    ----------
    samples : GazeSamples
        While the participant looked at it.
    position_px : (float, float)
        The target.
    sight : Sight

    References
    ----------
    Holmqvist et al. 2023, Behavior Research Methods 55, 364-416; Niehorster et al. 2020 (precision).
    """
    left, right = (_eye(getattr(samples, f"{eye}_px"), position_px, sight) for eye in EYES)
    both = np.array([(eye.x_px, eye.y_px) for eye in (left, right) if math.isfinite(eye.error_deg)])
    error = sight.angle_deg(both.mean(axis=0), position_px) if len(both) else math.nan
    return OnTarget(position_px, left, right, float(error))


def _eye(points_px: FloatArray, position_px: tuple[float, float], sight: Sight) -> EyeOnTarget:
    known = np.isfinite(points_px).all(axis=1)
    n = int(known.sum())
    if n < max(LEAST_SAMPLES, LEAST_VALID * len(points_px)):
        return EyeOnTarget(n_samples=n)
    x, y = np.median(points_px[known], axis=0)
    steps = sight.angle_deg(points_px[1:], points_px[:-1])
    steps = steps[np.isfinite(steps)]
    spread = sight.deg(points_px[known]).std(axis=0)
    return EyeOnTarget(
        error_deg=float(sight.angle_deg((x, y), position_px)),
        x_px=float(x),
        y_px=float(y),
        rms_s2s_deg=float(np.sqrt(np.mean(steps**2))) if len(steps) else math.nan,
        sd_deg=float(np.hypot(*spread)),
        n_samples=n,
    )


def rounded(value: float, digits: int = 3) -> float | None:
    """Return a number as a marker holds it; None for one that is not finite."""
    return round(value, digits) if math.isfinite(value) else None


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
