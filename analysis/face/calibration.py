"""What the person's neutral face looks like, so that intensities are measured from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.frames import BoolArray, FloatArray

# Fewer usable frames than this are no neutral phase; fewer seconds are no habitual face.
MIN_NEUTRAL_FRAMES = 10
MIN_HABITUAL_FRAMES = 25
# An Action Unit occurs above this percentile of the person's neutral phase, and from intensity 2.
NEUTRAL_PERCENTILE = 97.5
MIN_OCCURRENCE = 2.0
# A neutral percentile above this comes from blinks (AU45) and is not used.
MAX_THRESHOLD = 4.0


@dataclass(frozen=True)
class Calibration:
    """The reference that intensities and occurrences are measured from.

    Parameters
    ----------
    source : {"neutral phase", "habitual face", "typical face"}
        The person's own neutral phase; the person's median for what is anatomy and a typical
        neutral face for the rest; or a typical neutral face alone.
    neutral : (n_features,) float64
        Features of the neutral face.
    n_frames : int
        Usable frames that the reference was taken from.
    windows_s : tuple of (start, end)
        The neutral phase, in the caller's seconds.
    threshold : (n_aus,) float64
        Intensity above which an Action Unit occurs, besides being at least 2.
    """

    source: str
    neutral: FloatArray
    n_frames: int
    windows_s: tuple[tuple[float, float], ...] = ()
    threshold: FloatArray = field(default_factory=lambda: np.zeros(0))

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return {
            "source": self.source,
            "n_frames": self.n_frames,
            "windows_s": [list(window) for window in self.windows_s],
        }


def calibrate(
    backend: AUBackend,
    features: FloatArray,
    times_s: FloatArray,
    usable: BoolArray,
    windows_s: Sequence[tuple[float, float]] = (),
    *,
    still: bool = False,
) -> Calibration:
    """Find the reference for one person's frames.

    The neutral level of each feature is its median over the usable frames of the neutral phase,
    which blinks (less than half of the time) do not move. Without a neutral phase of at least 10
    usable frames, features that differ between persons at rest are compared with their median over
    the whole recording (the habitual face; at least 25 usable frames), the others with a typical
    neutral face. The habitual face is wrong where one expression is held most of the time.

    Parameters
    ----------
    backend : AUBackend
    features : (n, n_features) float64
    times_s : (n,) float64
    usable : (n,) bool
    windows_s : sequence of (start, end)
        The neutral phase, in the seconds of ``times_s``; ends excluded.
    still : bool, default False
        The frames are pictures of different persons: compare with the typical face only.
    """
    measured = usable & np.isfinite(features).all(axis=1)
    neutral = np.zeros(len(times_s), np.bool_)
    for start, end in windows_s:
        neutral |= (times_s >= start) & (times_s < end)
    windows = tuple((float(start), float(end)) for start, end in windows_s)
    phase = neutral & measured
    n_aus = len(backend.au_names)
    if phase.sum() >= MIN_NEUTRAL_FRAMES:
        level = np.median(features[phase], axis=0)
        at_rest = backend.intensities(features[phase], level)
        threshold = np.nanpercentile(at_rest, NEUTRAL_PERCENTILE, axis=0)
        return Calibration("neutral phase", level, int(phase.sum()), windows, threshold)
    if not still and measured.sum() >= MIN_HABITUAL_FRAMES:
        habitual = np.median(features[measured], axis=0)
        level = np.where(backend.personal, habitual, backend.typical_neutral)
        return Calibration("habitual face", level, int(measured.sum()), (), np.zeros(n_aus))
    return Calibration("typical face", backend.typical_neutral, 0, (), np.zeros(n_aus))


def occurrence(intensities: FloatArray, calibration: Calibration) -> FloatArray:
    """Return 1 where an Action Unit occurs, 0 where not, NaN where not measured.

    It occurs from intensity 2 and above the 97.5th percentile of the person's neutral phase;
    without a neutral phase from intensity 2. A percentile near the maximum (blinks, for AU45) is
    not used: an action that fills the neutral phase's tail counts from intensity 2 too.

    Returns
    -------
    (n, n_aus) float64
    """
    limit = np.where(calibration.threshold > MAX_THRESHOLD, 0.0, calibration.threshold)
    occurs = (intensities >= MIN_OCCURRENCE) & (intensities > limit)
    return np.where(np.isfinite(intensities), occurs.astype(np.float64), np.nan)
