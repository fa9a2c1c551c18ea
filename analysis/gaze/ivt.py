"""Velocity-threshold detector with an adaptive threshold, local onset and offset, and PSO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import gap_starts, runs, sampling_rate_hz
from duchenne.analysis.gaze.trace import (
    Oscillation,
    Trace,
    drop_short_fixations,
    mark_oscillation,
    one_saccade,
)
from duchenne.analysis.gaze.velocity import (
    DETECTION_WINDOW_S,
    noise_speed,
    speed_deg_s,
    window_samples,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int8]

TROUGH = 0.2
"""The first trough of the speed below this share of the peak ends a saccade."""
PSO_REST_S = 0.010
"""Slower than the edge for longer than this, and the oscillation is over."""
PSO_OWN_SHARE = 0.5
"""At least half as fast as the saccade before: a saccade of its own."""


@dataclass(frozen=True)
class IvtSettings:
    """Constants of the velocity-threshold detector.

    Parameters
    ----------
    peak_floor_deg_s, peak_noise : float
        A saccade has a peak above the larger of the floor and ``peak_noise`` times the local noise
        of the speed, and never needs more than ``peak_ceiling_deg_s``.
    peak_ceiling_deg_s : float
        Upper bound of the adaptive threshold.
    edge_floor_deg_s, edge_noise, edge_share : float
        A saccade begins and ends where the speed falls to the largest of the floor, ``edge_noise``
        times the local noise and ``edge_share`` of its own peak.
    saccade_min_s, fixation_min_s : float
        Shorter events are dropped (the saccade as filtered, which lengthens it).
    cut_fixation_min_s : float
        The same for a fixation beside blanked samples, of which the blanking took a part.
    pso_max_s, pso_min_s, pso_min_hz : float
        A post-saccadic oscillation lasts from the end of its saccade to the last time the speed
        falls below the edge within ``pso_max_s``; it is looked for at ``pso_min_hz`` and above.
    speed_max_deg_s : float
        Faster movements are no eye movements (label UNDEFINED).
    """

    peak_floor_deg_s: float = 30.0
    peak_noise: float = 6.0
    peak_ceiling_deg_s: float = 100.0
    edge_floor_deg_s: float = 20.0
    edge_noise: float = 4.0
    edge_share: float = 0.15
    saccade_min_s: float = 0.010
    fixation_min_s: float = 0.050
    cut_fixation_min_s: float = 0.020
    pso_max_s: float = 0.080
    pso_min_s: float = 0.008
    pso_min_hz: float = 100.0
    speed_max_deg_s: float = 1200.0


DEFAULT = IvtSettings()


def detect_ivt(
    x_deg: Floats,
    y_deg: Floats,
    t_s: Floats,
    *,
    stimulus: str | None = None,
    settings: IvtSettings = DEFAULT,
) -> Labels:
    """Label every sample as fixation, saccade or post-saccadic oscillation by its speed.

    Parameters
    ----------
    x_deg, y_deg : ndarray, shape (n,)
        Degrees of visual angle; NaN where lost or blanked.
    t_s : ndarray, shape (n,)
        Seconds, ascending.
    stimulus : {"image", "dots", "video"}, optional
        Not used: this detector has no pursuit, which it calls fixation.
    settings : IvtSettings
        Constants.

    Returns
    -------
    ndarray of int8, shape (n,)
        Codes of :class:`~duchenne.analysis.gaze.labels.Label`; NONE where lost and in pieces between
        events that are too short for a fixation.

    References
    ----------
    Salvucci & Goldberg 2000 (I-VT); the adaptive threshold, the search for onset and offset and the
    glissade after Nyström & Holmqvist 2010, Behavior Research Methods 42(1), 188–204.
    """
    del stimulus
    rate_hz = sampling_rate_hz(t_s)
    if not np.isfinite(rate_hz):
        return np.zeros(x_deg.size, dtype=np.int8)
    # A gap in the stream becomes lost samples, so that no filter or event runs across it.
    length = window_samples(DETECTION_WINDOW_S, rate_hz)
    gaps = gap_starts(t_s, rate_hz)
    index = np.arange(t_s.size)
    index += length * np.searchsorted(gaps, index, side="left")
    x, y = np.full((2, t_s.size + length * gaps.size), np.nan)
    x[index], y[index] = x_deg, y_deg
    labels: Labels = _label_even(x, y, rate_hz, settings)[index]
    return labels


def _label_even(x: Floats, y: Floats, rate_hz: float, settings: IvtSettings) -> Labels:
    labels: Labels = np.zeros(x.size, dtype=np.int8)
    speed = speed_deg_s(x, y, rate_hz)
    valid = np.isfinite(speed)
    if not valid.any():
        return labels
    noise = noise_speed(speed, rate_hz)
    peak = np.clip(
        settings.peak_noise * noise, settings.peak_floor_deg_s, settings.peak_ceiling_deg_s
    )
    edge = np.minimum(np.maximum(settings.edge_noise * noise, settings.edge_floor_deg_s), peak)
    trace = Trace(np.where(valid, speed, 0.0), valid, peak, edge, rate_hz)
    labels[valid] = Label.FIXATION
    _mark_saccades(labels, trace, settings)
    drop_short_fixations(
        labels, trace,
        least_s=settings.fixation_min_s, least_cut_s=settings.cut_fixation_min_s,
    )  # fmt: skip
    return labels


def _mark_saccades(labels: Labels, trace: Trace, settings: IvtSettings) -> None:
    """Write saccades and their oscillations into ``labels``."""
    starts, stops = runs((trace.speed > trace.edge) & trace.valid)
    above = np.concatenate(([0], np.cumsum(trace.speed > trace.peak)))
    moving = above[stops] > above[starts]
    shortest = max(1, int(settings.saccade_min_s * trace.rate_hz))
    oscillation = Oscillation(settings.pso_max_s, settings.pso_min_s, PSO_REST_S, PSO_OWN_SHARE)
    with_pso = trace.rate_hz >= settings.pso_min_hz
    done = 0
    for first, last in zip(starts[moving].tolist(), stops[moving].tolist(), strict=True):
        begin = max(first, done)
        while begin < last:
            onset, offset, top = one_saccade(
                trace, begin, last, edge_share=settings.edge_share, trough=TROUGH
            )
            if top <= trace.peak[onset]:
                break
            if offset - onset >= shortest:
                too_fast = top > settings.speed_max_deg_s
                labels[onset:offset] = Label.UNDEFINED if too_fast else Label.SACCADE
            begin = done = offset
            if with_pso:
                begin = done = mark_oscillation(labels, trace, offset, top, oscillation)
