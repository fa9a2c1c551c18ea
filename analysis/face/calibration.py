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
# Once it occurs, it goes on until it is this much below, so that what trembles about the limit is one
# action; not the eyelids, whose closures are short.
HYSTERESIS = 0.5
# People blink in their neutral phase: blinks and closed eyes occur from intensity 2.
EYELIDS = ("AU43", "AU45")


@dataclass(frozen=True)
class OccurrenceRule:
    """When an Action Unit occurs.

    Parameters
    ----------
    least : float
        From this intensity, 0 to 5, at the least.
    percentile : float
        And above this percentile of the person's neutral phase, 0 to 100.
    """

    least: float = MIN_OCCURRENCE
    percentile: float = NEUTRAL_PERCENTILE

    def __post_init__(self) -> None:
        if not 0 < self.least <= 5 or not 0 <= self.percentile <= 100:
            raise ValueError(
                f"an intensity of {self.least:g} or a percentile of {self.percentile:g} cannot be"
            )


DEFAULT_RULE = OccurrenceRule()


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
        Intensity above which an Action Unit occurs, besides being at least `least`: a percentile (97.5)
        of the neutral phase, 0 for blinks and closed eyes; compared with a typical face, what the
        backend found in other persons at rest; 0 compared with a habitual face.
    au_names : tuple of str
        What the thresholds belong to.
    in_order : bool
        The frames follow one another; otherwise they are pictures that have nothing to do with each
        other.
    least : float
        Intensity below which no Action Unit begins.
    """

    source: str
    neutral: FloatArray
    n_frames: int
    windows_s: tuple[tuple[float, float], ...] = ()
    threshold: FloatArray = field(default_factory=lambda: np.zeros(0))
    au_names: tuple[str, ...] = ()
    in_order: bool = True
    least: float = MIN_OCCURRENCE

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results.

        Returns
        -------
        dict
            ``source``, ``n_frames``, ``windows_s`` and ``occurrence_threshold``: for each Action Unit
            the intensity from which (the least one, 2) or above which (more than that) it occurs;
            ``occurrence_hysteresis``: how far below it goes on, eyelids excepted.
        """
        limits = np.maximum(self.threshold, self.least)
        return {
            "source": self.source,
            "n_frames": self.n_frames,
            "windows_s": [list(window) for window in self.windows_s],
            "occurrence_hysteresis": HYSTERESIS if self.in_order else 0.0,
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
    rule: OccurrenceRule = DEFAULT_RULE,
) -> Calibration:
    """Find the reference for one person's frames.

    The neutral level of each feature is its median over the usable frames of the neutral phase,
    which blinks (less than half of the time) do not move. Without a neutral phase of at least 10
    usable frames, features that differ between persons at rest are compared with their median over
    the whole recording (the habitual face; at least 25 usable frames), the others with a typical
    neutral face. The habitual face is wrong where one expression is held most of the time. Where the
    backend is ``partial`` (True: features may be missing one by one, and no other depends on them), a frame
    counts in which any is there. Where the
    backend has a ``resting_threshold`` ((n_aus,), highest intensity of resting faces of persons it was
    not told about), units occur above it in pictures and films too short for a habitual face.

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
    rule : OccurrenceRule
        When an Action Unit occurs.
    """
    finite = np.isfinite(features)
    partial = bool(getattr(backend, "partial", False))
    measured = usable & (finite.any(axis=1) if partial else finite.all(axis=1))
    neutral = np.zeros(len(times_s), np.bool_)
    for start, end in windows_s:
        neutral |= (times_s >= start) & (times_s < end)
    windows = tuple((float(start), float(end)) for start, end in windows_s)
    phase = neutral & measured
    names = backend.au_names
    if phase.sum() >= MIN_NEUTRAL_FRAMES:
        level = _medians(features[phase])
        at_rest = backend.intensities(features[phase], level)
        threshold = _thresholds(names, at_rest, rule.percentile)
        return Calibration(
            "neutral phase", level, int(phase.sum()), windows, threshold, names, least=rule.least
        )
    none = np.zeros(len(names))
    if not still and measured.sum() >= MIN_HABITUAL_FRAMES:
        habitual = _medians(features[measured])
        level = np.where(backend.personal, habitual, backend.typical_neutral)
        return Calibration(
            "habitual face", level, int(measured.sum()), (), none, names, least=rule.least
        )
    others = np.asarray(getattr(backend, "resting_threshold", none), np.float64)
    return Calibration(
        "typical face", backend.typical_neutral, 0, (), others, names,
        in_order=not still, least=rule.least,
    )  # fmt: skip


def _medians(features: FloatArray) -> FloatArray:
    """Return the median of what is known of each feature; NaN where nothing is."""
    known = np.isfinite(features).any(axis=0)
    levels = np.full(features.shape[1], np.nan)
    levels[known] = np.nanmedian(features[:, known], axis=0)
    return levels


def _thresholds(names: tuple[str, ...], at_rest: FloatArray, percentile: float) -> FloatArray:
    """Return the percentile of each Action Unit in the neutral phase; 0 where there is none."""
    thresholds = np.zeros(len(names))
    for i, name in enumerate(names):
        known = at_rest[np.isfinite(at_rest[:, i]), i]
        if len(known) and not name.startswith(EYELIDS):
            thresholds[i] = np.percentile(known, percentile)
    return thresholds


def occurrence(
    intensities: FloatArray, calibration: Calibration, before: FloatArray | None = None
) -> FloatArray:
    """Return 1 where an Action Unit occurs, 0 where not, NaN where not measured.

    It begins at intensity 2 (`Calibration.least`) and above the threshold of the calibration, and goes on
    until it is 0.5 below or not measured. Blinks and closed eyes (AU45, AU43) end at once.

    Parameters
    ----------
    intensities : (n, n_aus) float64
        In the order of time.
    calibration : Calibration
    before : (n_aus,) float64, optional
        What occurred in the frame before the first; nothing where absent.

    Returns
    -------
    (n, n_aus) float64
    """
    known = np.isfinite(intensities)
    begins = (intensities >= calibration.least) & (intensities > calibration.threshold)
    occurs = begins
    if calibration.in_order and len(intensities):
        limit = np.maximum(calibration.threshold, calibration.least)
        room = [0.0 if name.startswith(EYELIDS) else HYSTERESIS for name in calibration.au_names]
        lasts = intensities >= limit - (np.array(room) if room else HYSTERESIS)
        first = np.zeros(intensities.shape[1]) if before is None else np.nan_to_num(before)
        occurs = _going_on(begins, known & lasts, first > 0)
    return np.where(known, occurs.astype(np.float64), np.nan)


def _going_on(begins: BoolArray, lasts: BoolArray, before: BoolArray) -> BoolArray:
    """Return where something has begun and lasted since: (n, m) bool.

    The last frame that decided (begun, or not lasting) counts.
    """
    rows = np.arange(1, len(begins) + 1)[:, None]
    decided = np.maximum.accumulate(np.where(begins | ~lasts, rows, 0), axis=0)
    states = np.vstack([before, begins])
    return np.asarray(np.take_along_axis(states, decided, axis=0), np.bool_)
