"""The default detector: thresholds from the noise around each moment, an explicit PSO state, pursuit."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.detectors.pursuit import DEFAULT as DEFAULT_PURSUIT
from duchenne.analysis.gaze.detectors.pursuit import PursuitSettings, mark_pursuit
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import (
    gap_starts,
    runs,
    sampling_rate_hz,
)
from duchenne.analysis.gaze.trace import (
    Oscillation,
    Trace,
    drop_short_fixations,
    mark_oscillation,
    one_saccade,
)
from duchenne.analysis.gaze.velocity import (
    DETECTION_WINDOW_S,
    burst_noise_speed,
    noise_speed,
    slow_velocity,
    velocity_deg_s,
    window_samples,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]
    Labels = NDArray[np.int8]


PIECE_SAMPLES = 300_000
"""About so many samples (interpolated ones counted) are worked on at a time."""
MARGIN_S = 10.0
"""Overlap of the pieces at each end."""


@dataclass(frozen=True)
class AdaptiveSettings:
    """Constants of the adaptive detector. Speeds are relative to the slow movement of the eye.

    Parameters
    ----------
    upsample_to_hz : float
        Slower recordings are interpolated linearly to the next multiple of their rate at or above.
    peak_floor_deg_s, peak_noise, burst_noise, peak_ceiling_deg_s : float
        A saccade has a peak above the largest of the floor, ``peak_noise`` times the noise of the
        speed over seconds and ``burst_noise`` times that over 350 ms, but never needs more than the
        ceiling.
    edge_floor_deg_s, edge_noise, edge_share : float
        It begins and ends where the speed falls to the largest of the floor, ``edge_noise`` times
        the noise over seconds and ``edge_share`` of its own peak.
    trough : float
        The first trough of the speed below this share of the peak ends it, too.
    refractory_s, refractory_share : float
        Within this time after a saccade only a peak of at least this share of the last one is
        another saccade: the eye needs longer to prepare one, the lens wobbles meanwhile.
    saccade_min_s, fixation_min_s, cut_fixation_min_s : float
        Shorter events are dropped (a saccade as filtered, which lengthens it); the last holds for
        fixations beside blanked samples, of which the blanking took a part.
    pso_max_s, pso_min_s, pso_rest_s, pso_min_hz : float
        A post-saccadic oscillation begins where its saccade ends and lasts while the speed comes
        back above the edge at least every ``pso_rest_s``, up to ``pso_max_s``; shorter than
        ``pso_min_s`` is none. Looked for at ``pso_min_hz`` (of the recording) and above.
    speed_max_deg_s : float
        Faster movements are no eye movements (label UNDEFINED).
    pursuit : PursuitSettings
        Constants of the pursuit rule.
    """

    upsample_to_hz: float = 500.0
    peak_floor_deg_s: float = 25.0
    peak_noise: float = 7.0
    burst_noise: float = 5.0
    peak_ceiling_deg_s: float = 100.0
    edge_floor_deg_s: float = 15.0
    edge_noise: float = 5.0
    edge_share: float = 0.15
    trough: float = 0.3
    refractory_s: float = 0.050
    refractory_share: float = 1.0
    saccade_min_s: float = 0.010
    fixation_min_s: float = 0.050
    cut_fixation_min_s: float = 0.020
    pso_max_s: float = 0.080
    pso_min_s: float = 0.008
    pso_rest_s: float = 0.010
    pso_min_hz: float = 100.0
    speed_max_deg_s: float = 1200.0
    pursuit: PursuitSettings = DEFAULT_PURSUIT


DEFAULT = AdaptiveSettings()


def detect_adaptive(
    x_deg: Floats,
    y_deg: Floats,
    t_s: Floats,
    *,
    stimulus: str | None = None,
    settings: AdaptiveSettings = DEFAULT,
) -> Labels:
    """Label every sample as fixation, saccade, post-saccadic oscillation or pursuit.

    Parameters
    ----------
    x_deg, y_deg : ndarray, shape (n,)
        Degrees of visual angle; NaN where lost or blanked.
    t_s : ndarray, shape (n,)
        Seconds, ascending.
    stimulus : {"image", "dots", "video"}, optional
        ``image`` has no pursuit; None lets the recording decide, stretch by stretch.
    settings : AdaptiveSettings
        Constants.

    Returns
    -------
    ndarray of int8, shape (n,)
        Codes of :class:`~duchenne.analysis.gaze.labels.Label`; NONE where lost and in pieces between
        events that are too short for a fixation.

    References
    ----------
    Nyström & Holmqvist 2010, Behavior Research Methods 42(1), 188–204 (adaptive threshold, onset and
    offset, glissades); Dar, Wagner & Hanke 2021, Behavior Research Methods 53, 399–414 (noise by
    stretches); Larsson et al. 2015 (pursuit).
    """
    rate_hz = sampling_rate_hz(t_s)
    if not np.isfinite(rate_hz):
        return np.zeros(x_deg.size, dtype=np.int8)
    # A gap in the stream becomes lost samples, so that no filter or event runs across it.
    gaps = gap_starts(t_s, rate_hz)
    if gaps.size == 0:
        labels = _label_long(x_deg, y_deg, rate_hz, settings)
    else:
        labels = _label_with_gaps(x_deg, y_deg, gaps, rate_hz, settings)
    return mark_pursuit(labels, x_deg, y_deg, rate_hz, stimulus=stimulus, settings=settings.pursuit)


def _label_with_gaps(
    x_deg: Floats, y_deg: Floats, gaps: Ints, rate_hz: float, settings: AdaptiveSettings
) -> Labels:
    """Label with one filter length of lost samples put in at each gap."""
    length = window_samples(DETECTION_WINDOW_S, rate_hz)
    edges = [0, *(gaps + 1).tolist(), x_deg.size]
    spans = [
        (slice(first, last), slice(first + number * length, last + number * length))
        for number, (first, last) in enumerate(itertools.pairwise(edges))
    ]
    x, y = np.full((2, x_deg.size + gaps.size * length), np.nan, dtype=x_deg.dtype)
    for source, place in spans:
        x[place], y[place] = x_deg[source], y_deg[source]
    spread = _label_long(x, y, rate_hz, settings)
    labels: Labels = np.empty(x_deg.size, dtype=np.int8)
    for source, place in spans:
        labels[source] = spread[place]
    return labels


def _label_long(x: Floats, y: Floats, rate_hz: float, settings: AdaptiveSettings) -> Labels:
    """Label piece by piece, so that memory stays small.

    Pieces overlap by more than the widest noise window and begin at whole blocks of it, so the result
    is that of one piece.
    """
    factor = _upsampling(rate_hz, settings.upsample_to_hz)
    fine_hz = rate_hz * factor
    # The blocks of the noise over seconds and of that over fractions of a second.
    block = math.lcm(max(8, round(fine_hz)), max(3, round(0.05 * fine_hz)), factor) // factor
    margin = -(-round(MARGIN_S * rate_hz) // block) * block
    length = -(-PIECE_SAMPLES // (factor * block)) * block
    labels: Labels = np.zeros(x.size, dtype=np.int8)
    for start in range(0, x.size, length):
        first = max(0, start - margin)
        stop = min(x.size, start + length)
        piece = slice(first, min(x.size, stop + margin))
        fine_x, fine_y = (_interpolated(axis[piece].astype(np.float64), factor) for axis in (x, y))
        fine = _label_even(fine_x, fine_y, rate_hz * factor, rate_hz, settings)
        labels[start:stop] = fine[::factor][start - first : stop - first]
    return labels


def _upsampling(rate_hz: float, wanted_hz: float) -> int:
    """Return the smallest whole factor that brings a rate to the wanted one (1 % short will do)."""
    return max(1, int(np.ceil(0.99 * wanted_hz / rate_hz)))


def _interpolated(values: Floats, factor: int) -> Floats:
    """Return values with ``factor - 1`` points on each line between neighbours; NaN beside NaN."""
    if factor == 1:
        return values
    share = np.arange(factor) / factor
    lines = values[:-1, None] + np.diff(values)[:, None] * share
    lines[:, 0] = values[:-1]
    fine: Floats = np.concatenate((lines.ravel(), values[-1:]))
    return fine


def _label_even(
    x: Floats, y: Floats, rate_hz: float, true_rate_hz: float, settings: AdaptiveSettings
) -> Labels:
    labels: Labels = np.zeros(x.size, dtype=np.int8)
    window_s = max(DETECTION_WINDOW_S, 2 / true_rate_hz)
    vx, vy = velocity_deg_s(x, y, rate_hz, window_s)
    valid = np.isfinite(vx)
    if not valid.any():
        return labels
    speed = np.hypot(vx - slow_velocity(vx, rate_hz), vy - slow_velocity(vy, rate_hz))
    noise = noise_speed(speed, rate_hz)
    peak = np.clip(
        np.maximum(
            settings.peak_noise * noise, settings.burst_noise * burst_noise_speed(speed, rate_hz)
        ),
        settings.peak_floor_deg_s,
        settings.peak_ceiling_deg_s,
    )
    edge = np.minimum(np.maximum(settings.edge_noise * noise, settings.edge_floor_deg_s), peak)
    trace = Trace(np.where(valid, speed, 0.0), valid, peak, edge, rate_hz)
    labels[valid] = Label.FIXATION
    _mark_saccades(labels, trace, settings, with_pso=true_rate_hz >= settings.pso_min_hz)
    drop_short_fixations(
        labels, trace,
        least_s=settings.fixation_min_s, least_cut_s=settings.cut_fixation_min_s,
    )  # fmt: skip
    return labels


def _mark_saccades(
    labels: Labels, trace: Trace, settings: AdaptiveSettings, *, with_pso: bool
) -> None:
    """Write saccades and their oscillations into ``labels``."""
    starts, stops = runs((trace.speed > trace.edge) & trace.valid)
    above = np.concatenate(([0], np.cumsum(trace.speed > trace.peak)))
    moving = above[stops] > above[starts]
    shortest = max(1, int(settings.saccade_min_s * trace.rate_hz))
    refractory = trace.samples(settings.refractory_s)
    oscillation = Oscillation(
        settings.pso_max_s, settings.pso_min_s, settings.pso_rest_s, settings.refractory_share
    )
    pso_least = max(2, trace.samples(settings.pso_min_s))
    done, last_end, last_top = 0, -refractory, 0.0
    for first, last in zip(starts[moving].tolist(), stops[moving].tolist(), strict=True):
        begin = max(first, done)
        while begin < last:
            onset, offset, top = one_saccade(
                trace, begin, last, edge_share=settings.edge_share, trough=settings.trough
            )
            if top <= trace.peak[onset]:
                break
            begin = done = offset
            if onset - last_end < refractory and top < settings.refractory_share * last_top:
                piece = slice(onset, offset)
                if with_pso and _goes_on(labels, last_end, piece, pso_least):
                    labels[piece] = Label.PSO
                continue
            if offset - onset >= shortest:
                too_fast = top > settings.speed_max_deg_s
                labels[onset:offset] = Label.UNDEFINED if too_fast else Label.SACCADE
                last_end, last_top = offset, top
            if with_pso:
                begin = done = mark_oscillation(labels, trace, offset, top, oscillation)


def _goes_on(labels: Labels, last_end: int, piece: slice, least: int) -> bool:
    """Return whether a movement goes on with an oscillation, or is a whole one itself."""
    if piece.start == last_end:
        return bool(piece.stop - piece.start >= least)
    return bool((labels[last_end : piece.start] == Label.PSO).all())
