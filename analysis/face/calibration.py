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
# People blink in their neutral phase: blinks and closed eyes occur from intensity 2.
EYELIDS = ("AU43", "AU45")


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
        Intensity above which an Action Unit occurs, besides being at least 2: the 97.5th percentile
        of the neutral phase; 0 for blinks and closed eyes, and without a neutral phase.
    au_names : tuple of str
        What the thresholds belong to.
    """

    source: str
    neutral: FloatArray
    n_frames: int
    windows_s: tuple[tuple[float, float], ...] = ()
    threshold: FloatArray = field(default_factory=lambda: np.zeros(0))
    au_names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results.

        Returns
        -------
        dict
            ``source``, ``n_frames``, ``windows_s`` and ``occurrence_threshold``: for each Action Unit
            the intensity, at least 2, from which (2) or above which (more than 2) it occurs.
        """
        limits = np.maximum(self.threshold, MIN_OCCURRENCE)
        return {
            "source": self.source,
            "n_frames": self.n_frames,
            "windows_s": [list(window) for window in self.windows_s],
            "occurrence_threshold": {
                name: round(float(limit), 4)
                for name, limit in zip(self.au_names, limits, strict=False)
            },
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
    names = backend.au_names
    if phase.sum() >= MIN_NEUTRAL_FRAMES:
        level = np.median(features[phase], axis=0)
        threshold = _thresholds(names, backend.intensities(features[phase], level))
        return Calibration("neutral phase", level, int(phase.sum()), windows, threshold, names)
    none = np.zeros(len(names))
    if not still and measured.sum() >= MIN_HABITUAL_FRAMES:
        habitual = np.median(features[measured], axis=0)
        level = np.where(backend.personal, habitual, backend.typical_neutral)
        return Calibration("habitual face", level, int(measured.sum()), (), none, names)
    return Calibration("typical face", backend.typical_neutral, 0, (), none, names)


def _thresholds(names: tuple[str, ...], at_rest: FloatArray) -> FloatArray:
    """Return the percentile of each Action Unit in the neutral phase; 0 where there is none."""
    thresholds = np.zeros(len(names))
    for i, name in enumerate(names):
        known = at_rest[np.isfinite(at_rest[:, i]), i]
        if len(known) and not name.startswith(EYELIDS):
            thresholds[i] = np.percentile(known, NEUTRAL_PERCENTILE)
    return thresholds


def occurrence(intensities: FloatArray, calibration: Calibration) -> FloatArray:
    """Return 1 where an Action Unit occurs, 0 where not, NaN where not measured.

    It occurs from intensity 2 and above the 97.5th percentile of the person's neutral phase. Blinks
    and closed eyes (AU45, AU43), and everything without a neutral phase, occur from intensity 2.

    Returns
    -------
    (n, n_aus) float64
    """
    occurs = (intensities >= MIN_OCCURRENCE) & (intensities > calibration.threshold)
    return np.where(np.isfinite(intensities), occurs.astype(np.float64), np.nan)
