"""Pupil size: cleaning, both eyes into one, and the response to a stimulus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.signal import as_floats, combine_eyes, fill_runs, pieces, runs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

LOSS_MIN_S = 0.020
"""Loss this long is padded: lids distort the pupil before they hide it."""
PAD_S = 0.100
BRIDGE_MAX_S = 0.075
"""Gaps up to this long are interpolated; blinks, at least 220 ms with their pads, never are."""
SPEED_MADS = 16.0
"""Pupil speed above the median by this many median absolute deviations is an artefact."""
BASELINE_S = 0.500
BASELINE_MIN_VALID = 0.5
CHANGE_MIN_VALID = 0.5
LATENCY_S = 0.220
"""Pupils cannot answer a stimulus sooner; earlier change is not the stimulus's."""
PEAK_SMOOTHING_S = 0.100
BASELINE_MIN_SHARE = 0.5
"""A baseline below this share of the recording's median diameter is implausibly small."""


@dataclass(frozen=True)
class PupilResponse:
    """The pupil's answer to one stimulus, in the unit of the trace.

    Parameters
    ----------
    baseline : float
        Median of the last 500 ms before onset. NaN where less than half of it is valid, or where it
        is implausibly small.
    change_mean, change_peak : float
        Mean and largest (signed) pupil size minus baseline, from 220 ms after onset to the end; the
        peak after smoothing over 100 ms. NaN without baseline or with less than half valid.
    early_change : float
        Mean change in the first 220 ms, which the stimulus cannot have caused: a large value flags a
        baseline that was not at rest. NaN where not measured.
    baseline_valid_fraction, valid_fraction : float
        Valid shares of the baseline and of the window after the latency, 0–1.
    """

    baseline: float
    change_mean: float
    change_peak: float
    early_change: float
    baseline_valid_fraction: float
    valid_fraction: float


def clean_eye(size: ArrayLike, valid: ArrayLike, rate_hz: float) -> Floats:
    """Return one eye's pupil with loss, its surroundings and sudden jumps removed.

    Parameters
    ----------
    size : array_like, shape (n,)
        Diameter or area, any unit.
    valid : array_like of bool, shape (n,)
        Where the eye was measured.
    rate_hz : float
        True sampling rate.

    Returns
    -------
    ndarray, shape (n,)
        NaN where removed: sizes that are not above 0; 100 ms on either side of loss of 20 ms and
        more; samples faster than the median speed by 16 median absolute deviations.

    References
    ----------
    Kret & Sjak-Shie 2019, Behavior Research Methods 51, 1336–1342 (speed filter, n = 16);
    Mathôt & Vilotijević 2023, Behavior Research Methods 55, 3055–3077 (padding of blinks).
    """
    cleaned: Floats = as_floats(size).copy()
    usable = np.asarray(valid, dtype=bool) & np.isfinite(cleaned)
    usable &= np.where(usable, cleaned, 0.0) > 0
    if not usable.any() or not np.isfinite(rate_hz):
        cleaned[:] = np.nan
        return cleaned
    usable &= ~_too_fast(cleaned, usable, rate_hz)
    starts, stops = runs(~usable)
    long = stops - starts >= max(1, round(LOSS_MIN_S * rate_hz))
    pad = round(PAD_S * rate_hz)
    usable &= ~fill_runs(starts[long] - pad, stops[long] + pad, cleaned.size)
    cleaned[~usable] = np.nan
    return cleaned


def combine_pupils(left: ArrayLike, right: ArrayLike, rate_hz: float) -> Floats:
    """Combine two cleaned pupils into one and interpolate gaps of at most 75 ms.

    Parameters
    ----------
    left, right : array_like, shape (n,)
        From :func:`clean_eye`; NaN where missing.
    rate_hz : float
        True sampling rate.

    Returns
    -------
    ndarray, shape (n,)
        Mean of both; one eye alone is moved by half the eyes' median difference. NaN in blinks.
    """
    trace = combine_eyes(left, right)
    known = np.isfinite(trace)
    if not known.any() or not np.isfinite(rate_hz):
        return trace
    starts, stops = runs(~known)
    inside = (starts > 0) & (stops < trace.size)
    short = inside & (stops - starts <= round(BRIDGE_MAX_S * rate_hz))
    bridged = np.flatnonzero(fill_runs(starts[short], stops[short], trace.size))
    if bridged.size:
        at = np.flatnonzero(known)
        trace[bridged] = np.interp(bridged, at, trace[at])
    return trace


def pupil_response(
    times_s: Floats,
    pupil: Floats,
    onset_s: float,
    offset_s: float,
    *,
    usual_size: float = float("nan"),
    measure: str | None = None,
    rate_hz: float = float("nan"),
) -> PupilResponse:
    """Measure the pupil's answer to a stimulus against the baseline just before it.

    Parameters
    ----------
    times_s, pupil : ndarray, shape (n,)
        Seconds ascending, and the cleaned trace (NaN in blinks).
    onset_s, offset_s : float
        When the stimulus was shown.
    usual_size : float
        Median pupil of the recording, to judge the baseline by; NaN: not judged.
    measure : str, optional
        ``"area"`` squares the limit of a plausible baseline, which is one on the diameter.
    rate_hz : float
        True sampling rate: samples that were due and did not arrive are not valid. NaN: those that
        arrived are all that there should be.

    Notes
    -----
    Subtractive correction, median baseline, implausibly small baselines refused and a latency of
    about 220 ms: Mathôt, Fabius, Van Heusden & Van der Stigchel 2018, Behavior Research Methods 50,
    94–106. Luminance is not accounted for here: a darker picture also widens pupils.
    """
    before = _window(times_s, onset_s - BASELINE_S, onset_s)
    early = _window(times_s, onset_s, min(onset_s + LATENCY_S, offset_s))
    after = _window(times_s, onset_s + LATENCY_S, offset_s)
    resting, answer = (pupil[part].astype(np.float64) for part in (before, after))
    resting_valid = _valid_share(resting, BASELINE_S * rate_hz)
    answer_valid = _valid_share(answer, (offset_s - onset_s - LATENCY_S) * rate_hz)
    baseline = float("nan")
    if resting_valid >= BASELINE_MIN_VALID:
        baseline = float(np.nanmedian(resting))
    limit = BASELINE_MIN_SHARE**2 if measure == "area" else BASELINE_MIN_SHARE
    if baseline < limit * usual_size:
        baseline = float("nan")
    mean = peak = float("nan")
    if answer_valid >= CHANGE_MIN_VALID:
        mean = float(np.nanmean(answer)) - baseline
        peak = _peak(times_s[after], answer) - baseline
    first = pupil[early].astype(np.float64)
    early_change = float(np.nanmean(first)) - baseline if _valid_share(first) > 0 else float("nan")
    return PupilResponse(baseline, mean, peak, early_change, resting_valid, answer_valid)


def _too_fast(size: Floats, usable: Bools, rate_hz: float) -> Bools:
    steps = np.abs(np.diff(size)) * rate_hz
    steps[~(usable[1:] & usable[:-1])] = np.nan
    known = steps[np.isfinite(steps)]
    fast: Bools = np.zeros(size.size, dtype=bool)
    if known.size == 0:
        return fast
    median = float(np.median(known, overwrite_input=True))
    known -= median
    spread = float(np.median(np.abs(known, out=known), overwrite_input=True))
    if spread > 0:
        jump = steps > median + SPEED_MADS * spread
        fast[1:] |= jump
        fast[:-1] |= jump
    return fast


def _window(times_s: Floats, first_s: float, last_s: float) -> slice:
    first, last = np.searchsorted(times_s, [first_s, last_s], side="left")
    return slice(int(first), int(max(first, last)))


def _valid_share(values: Floats, n_due: float = 0.0) -> float:
    """Return the share of valid samples of those due, at least of those that arrived."""
    n_due = float(np.fmax(values.size, n_due))
    return float(np.count_nonzero(np.isfinite(values)) / n_due) if values.size else 0.0


def _peak(times_s: Floats, values: Floats) -> float:
    """Return the largest running mean over 100 ms, ignoring NaN, of which half is valid.

    Where nothing is valid for so long, the largest value.
    """
    if values.size < 2 or times_s[-1] <= times_s[0]:
        return float(np.nanmax(values))
    rate_hz = (values.size - 1) / (times_s[-1] - times_s[0])
    size = min(values.size, max(1, round(PEAK_SMOOTHING_S * rate_hz)))
    kernel = np.ones(size)
    highest = float("-inf")
    for part in pieces(values.size):
        near = slice(max(0, part.start - size), min(values.size, part.stop + size))
        known = np.isfinite(values[near])
        count = np.convolve(known, kernel, mode="same")
        total = np.convolve(np.where(known, values[near], 0.0), kernel, mode="same")
        inside = slice(part.start - near.start, part.stop - near.start)
        enough = count[inside] >= size / 2
        if enough.any():
            highest = max(highest, float((total[inside][enough] / count[inside][enough]).max()))
    return highest if np.isfinite(highest) else float(np.nanmax(values))
