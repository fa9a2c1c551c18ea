"""From labels to tables: one row per event, then the measures of fixations, saccades and blinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.blinks import Lids, find_losses, lids_during, loss_duration_s
from duchenne.analysis.gaze.labels import PEAK_VELOCITY_MIN_HZ, Label
from duchenne.analysis.gaze.signal import event_groups, gap_starts, rate_segments, sampling_rate_hz
from duchenne.analysis.gaze.velocity import PEAK_WINDOW_S, speed_deg_s, window_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

EYES = ("unknown", "left", "right", "both")
"""Names of the eye codes 0–3 of :func:`~duchenne.analysis.gaze.signal.eye_of_samples`."""
LANDING_WINDOW_S = 0.006
"""A saccade starts and ends at the mean position over this time before its onset and after its end."""
FIXATION_COLUMNS = ("onset", "duration", "eye", "x_px", "y_px", "x_deg", "y_deg", "dispersion_deg")
SACCADE_COLUMNS = (
    "onset",
    "duration",
    "eye",
    "amplitude_deg",
    "peak_velocity_deg_s",
    "direction_deg",
)


def event_table(labels: ArrayLike, t_s: ArrayLike) -> pd.DataFrame:
    """Return one row per run of equal labels; a gap in the stream ends a run.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Codes of :class:`~duchenne.analysis.gaze.labels.Label`.
    t_s : array_like, shape (n,)
        Seconds, ascending.

    Returns
    -------
    DataFrame
        ``onset`` and ``duration`` (seconds; from the first sample to the one after the last),
        ``label``, ``event`` (its name), ``start`` and ``stop`` (sample indices, stop exclusive) and
        ``clipped``: the event begins or ends at loss, at a gap or at an end of the recording, so that
        its true duration is unknown.
    """
    codes = np.asarray(labels).astype(np.int8)
    times = np.asarray(t_s, dtype=np.float64)
    n = codes.size
    if n == 0:
        start = stop = np.empty(0, dtype=np.intp)
        gaps, rate_hz = start, float("nan")
    else:
        rate_hz = sampling_rate_hz(times)
        gaps = gap_starts(times, rate_hz)
        breaks = codes[1:] != codes[:-1]
        breaks[gaps] = True
        edges = np.flatnonzero(breaks) + 1
        start, stop = np.concatenate(([0], edges)), np.concatenate((edges, [n]))
    unseen = np.isin(codes, (Label.BLINK, Label.UNDEFINED))
    left = _unseen_at(unseen, start - 1) | np.isin(start - 1, gaps)
    right = _unseen_at(unseen, stop) | np.isin(stop - 1, gaps)
    label = codes[start]
    return pd.DataFrame(
        {
            "onset": times[start],
            "duration": _durations(times, start, stop, gaps, rate_hz),
            "label": label.astype(np.int64),
            "event": np.array([item.name.lower() for item in Label], dtype=object)[label],
            "start": start,
            "stop": stop,
            "clipped": left | right,
        }
    )


def fixation_table(events: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Measure the fixations.

    Parameters
    ----------
    events : DataFrame
        From :func:`event_table`.
    samples : DataFrame
        Columns ``x_px y_px x_deg y_deg`` and ``eye_code``; NaN where lost.

    Returns
    -------
    DataFrame
        ``onset duration eye x_px y_px x_deg y_deg dispersion_deg clipped``: positions are means over
        the fixation's samples, dispersion the root mean square distance from that mean.
    """
    chosen = events[events["label"] == Label.FIXATION]
    start, stop = _bounds(chosen)
    parts = [_fixation_means(samples, start[g], stop[g]) for g in event_groups(start, stop)]
    measured = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0)
        for name in ("x_px", "y_px", "x_deg", "y_deg", "dispersion_deg")
    }
    return pd.DataFrame(
        {
            "onset": chosen["onset"].to_numpy(),
            "duration": chosen["duration"].to_numpy(),
            "eye": _usual_eyes(samples, start, stop),
            **measured,
            "clipped": chosen["clipped"].to_numpy(),
        }
    )


def _fixation_means(samples: pd.DataFrame, start: Ints, stop: Ints) -> dict[str, Floats]:
    """Return the mean place and the dispersion of some fixations, in double precision."""
    rows, index = _member_samples(start, stop)
    means = {
        name: _mean_per_event(samples[name].to_numpy()[index], rows, start.size)
        for name in ("x_px", "y_px", "x_deg", "y_deg")
    }
    square = (samples["x_deg"].to_numpy()[index] - means["x_deg"][rows]) ** 2
    square = square + (samples["y_deg"].to_numpy()[index] - means["y_deg"][rows]) ** 2
    return means | {"dispersion_deg": np.sqrt(_mean_per_event(square, rows, start.size))}


def saccade_table(events: pd.DataFrame, samples: pd.DataFrame, rate_hz: float) -> pd.DataFrame:
    """Measure the saccades.

    Parameters
    ----------
    events : DataFrame
        From :func:`event_table`.
    samples : DataFrame
        Columns ``time x_deg y_deg`` and ``eye_code``; NaN where lost.
    rate_hz : float
        True sampling rate.

    Returns
    -------
    DataFrame
        ``onset duration eye amplitude_deg peak_velocity_deg_s direction_deg start_x_deg start_y_deg
        end_x_deg end_y_deg clipped``. Amplitude is the straight distance from start to end, each a
        mean over 6 ms outside the saccade (at least one sample); direction is in (−180, 180], 0 right,
        90 up; peak velocity is NaN below 250 Hz, where too few samples fall on the peak to carry it.

    References
    ----------
    Mack, Belfanti & Schwarz 2017, Behavior Research Methods 49, 2146–2162 (sampling rate and peaks).
    """
    chosen = events[events["label"] == Label.SACCADE]
    start, stop = _bounds(chosen)
    x, y = samples["x_deg"].to_numpy(), samples["y_deg"].to_numpy()
    size = 1 if not np.isfinite(rate_hz) else max(1, round(LANDING_WINDOW_S * rate_hz))
    x0, y0 = (_mean_beside(axis, start - size, start, start) for axis in (x, y))
    x1, y1 = (_mean_beside(axis, stop, stop + size, stop - 1) for axis in (x, y))
    return pd.DataFrame(
        {
            "onset": chosen["onset"].to_numpy(),
            "duration": chosen["duration"].to_numpy(),
            "eye": _usual_eyes(samples, start, stop),
            "amplitude_deg": np.hypot(x1 - x0, y1 - y0),
            "peak_velocity_deg_s": _peak_velocities(samples, start, stop, rate_hz),
            "direction_deg": np.degrees(np.arctan2(y1 - y0, x1 - x0)),
            "start_x_deg": x0,
            "start_y_deg": y0,
            "end_x_deg": x1,
            "end_y_deg": y1,
            "clipped": chosen["clipped"].to_numpy(),
        }
    )


def blink_table(
    valid: ArrayLike,
    t_s: ArrayLike,
    rate_hz: float,
    *,
    has_pupil: bool,
    lid: tuple[ArrayLike, ArrayLike] | None = None,
) -> pd.DataFrame:
    """Return the blinks: losses of both eyes of 50–500 ms.

    Parameters
    ----------
    valid : array_like of bool, shape (n,)
        Where gaze was measured by either eye.
    t_s : array_like, shape (n,)
        Seconds, ascending.
    rate_hz : float
        True sampling rate.
    has_pupil : bool
        Whether the tracker reports pupils, so that the loss is one of the pupil.
    lid : (times_s, closed), optional
        What is known of the lids; see :func:`~duchenne.analysis.gaze.blinks.lids_during`.

    Returns
    -------
    DataFrame
        ``onset duration source``: onset and duration of the loss itself, as measured, without the
        guard around it; ``source`` is ``lid`` where the lids were seen to close, and where nothing is
        known of them ``pupil_loss`` or, without a pupil channel, ``gaze_loss``. Loss while the lids were
        seen to be open is no blink.
    """
    times = np.asarray(t_s, dtype=np.float64)
    losses = find_losses(valid, times, rate_hz)
    evidence = lids_during(losses, times, lid)
    blink = losses.is_blink & (evidence != Lids.OPEN)
    starts, stops = losses.starts[blink], losses.stops[blink]
    source = np.where(
        evidence[blink] == Lids.CLOSED, "lid", "pupil_loss" if has_pupil else "gaze_loss"
    )
    return pd.DataFrame(
        {
            "onset": times[starts] if starts.size else np.empty(0),
            "duration": loss_duration_s(times, starts, stops, rate_hz)
            if starts.size
            else np.empty(0),
            "source": source.astype(object),
        }
    )


def _unseen_at(unseen: NDArray[np.bool_], index: Ints) -> NDArray[np.bool_]:
    """Return whether the neighbour was not seen; beyond the ends of the recording nothing was."""
    padded = np.concatenate(([True], unseen, [True]))
    return padded[index + 1]


def _durations(times: Floats, start: Ints, stop: Ints, gaps: Ints, rate_hz: float) -> Floats:
    if start.size == 0:
        return np.empty(0)
    period = 1 / rate_hz if np.isfinite(rate_hz) else 0.0
    following = times[np.minimum(stop, times.size - 1)]
    open_end = (stop == times.size) | np.isin(stop - 1, gaps)
    ends = np.where(open_end, times[stop - 1] + period, following)
    duration: Floats = ends - times[start]
    return duration


def _bounds(events: pd.DataFrame) -> tuple[Ints, Ints]:
    return events["start"].to_numpy(dtype=np.intp), events["stop"].to_numpy(dtype=np.intp)


def _member_samples(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Return, for all samples of all events, the event's row and the sample's index."""
    length = stop - start
    rows = np.repeat(np.arange(start.size), length)
    first = np.cumsum(length) - length
    return rows, np.arange(rows.size) - np.repeat(first - start, length)


def _mean_per_event(values: Floats, rows: Ints, n: int) -> Floats:
    known = np.isfinite(values)
    count = np.bincount(rows[known], minlength=n).astype(np.float64)
    total = np.bincount(rows[known], weights=values[known], minlength=n)
    count[count == 0] = np.nan
    mean: Floats = total / count
    return mean


def _usual_eyes(samples: pd.DataFrame, start: Ints, stop: Ints) -> NDArray[np.object_]:
    """Return the eye that most samples of each event rest on, ``unknown`` where none is named."""
    code = samples["eye_code"].to_numpy()
    counts = np.zeros((start.size, len(EYES)), dtype=np.intp)
    for group in event_groups(start, stop):
        rows, index = _member_samples(start[group], stop[group])
        n = group.stop - group.start
        found = np.bincount(rows * len(EYES) + code[index], minlength=n * len(EYES))
        counts[group] = found.reshape(n, len(EYES))
    counts[:, 0] *= counts[:, 1:].sum(axis=1) == 0
    eyes: NDArray[np.object_] = np.array(EYES, dtype=object)[np.argmax(counts, axis=1)]
    return eyes


def _mean_beside(values: Floats, first: Ints, last: Ints, fallback: Ints) -> Floats:
    """Return the mean over [first, last) of each event, ignoring NaN; else the fallback sample."""
    if first.size == 0:
        return np.empty(0)
    index = first[:, None] + np.arange(int(last[0] - first[0]))[None, :]
    inside = (index >= 0) & (index < values.size)
    picked = np.where(inside, values[np.clip(index, 0, values.size - 1)].astype(np.float64), np.nan)
    known = np.isfinite(picked)
    count = known.sum(axis=1)
    total = np.where(known, picked, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), values[fallback])


def _peak_velocities(samples: pd.DataFrame, start: Ints, stop: Ints, rate_hz: float) -> Floats:
    """Return the peak velocity of each saccade, in each stretch with its own sampling rate."""
    x, y = samples["x_deg"].to_numpy(), samples["y_deg"].to_numpy()
    peaks = np.full(start.size, np.nan)
    for one in rate_segments(samples["time"].to_numpy(), rate_hz):
        mine = slice(*np.searchsorted(start, [one.start, one.stop]))
        part = slice(one.start, one.stop)
        within = np.minimum(stop[mine], one.stop) - one.start
        peaks[mine] = _peak_velocity(x[part], y[part], start[mine] - one.start, within, one.rate_hz)
    return peaks


def _peak_velocity(x: Floats, y: Floats, start: Ints, stop: Ints, rate_hz: float) -> Floats:
    peaks = np.full(start.size, np.nan)
    # A tracker of nominally 250 Hz measures a little below it.
    if not rate_hz >= 0.99 * PEAK_VELOCITY_MIN_HZ:
        return peaks
    margin = 8 * window_samples(PEAK_WINDOW_S, rate_hz)
    for group in event_groups(start, stop):
        first = max(0, int(start[group][0]) - margin)
        around = slice(first, min(x.size, int(stop[group][-1]) + margin))
        speed = speed_deg_s(x[around], y[around], rate_hz, PEAK_WINDOW_S)
        rows, index = _member_samples(start[group], stop[group])
        np.fmax.at(peaks[group], rows, speed[index - first])
    return peaks
