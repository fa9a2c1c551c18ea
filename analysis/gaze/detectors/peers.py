"""Detectors of others, for comparison: I-DT, Engbert–Kliegl, REMoDNaV and I2MC.

I-DT and Engbert–Kliegl call pymovements, the other two their authors' programs (extra ``peers``). Each
is imported when it is called. None knows blinks: those are blanked before.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import runs, sampling_rate_hz
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int8]

IDT_DISPERSION_DEG = 1.0
IDT_MIN_S = 0.100
MICROSACCADE_FACTOR = 6.0
MICROSACCADE_MIN_S = 0.006
FIXATION_MIN_S = 0.050
REMODNAV_MIN_S = 0.1
_REMODNAV_LABELS = {
    "FIXA": Label.FIXATION,
    "SACC": Label.SACCADE,
    "ISAC": Label.SACCADE,
    "HPSO": Label.PSO,
    "IHPS": Label.PSO,
    "LPSO": Label.PSO,
    "ILPS": Label.PSO,
    "PURS": Label.PURSUIT,
}


def _missing(package: str, extra: str) -> DuchenneError:
    return DuchenneError(
        f"This gaze event detector needs {package}: install it with pip install duchenne[{extra}]."
    )


def _ticks(n: int, rate_hz: float) -> tuple[NDArray[np.int64], int]:
    """Return even time steps in whole microseconds, which pymovements wants, and the step."""
    step = max(1, round(1e6 / rate_hz))
    return np.arange(n, dtype=np.int64) * step, step


def _written(
    labels: Labels, events: Any, step: int, code: Label
) -> Labels:  # Any: a pymovements Events table
    for onset, offset in zip(
        events.frame["onset"].to_list(), events.frame["offset"].to_list(), strict=True
    ):
        labels[int(onset) // step : int(offset) // step + 1] = code
    return labels


def detect_idt(x_deg: Floats, y_deg: Floats, t_s: Floats, *, stimulus: str | None = None) -> Labels:
    """Label fixations by dispersion (1°, 100 ms); the rest of 10 ms and more is saccade.

    Parameters and result as in
    :func:`~duchenne.analysis.gaze.detectors.adaptive.detect_adaptive`; ``stimulus`` is not used.

    Raises
    ------
    DuchenneError
        Without pymovements.

    References
    ----------
    Salvucci & Goldberg 2000, ETRA, 71–78.
    """
    del stimulus
    try:
        from pymovements.events import idt  # noqa: PLC0415 - slow to import
    except ImportError as error:
        raise _missing("pymovements", "analysis") from error
    labels: Labels = np.zeros(x_deg.size, dtype=np.int8)
    rate_hz = sampling_rate_hz(t_s)
    seen = np.isfinite(x_deg) & np.isfinite(y_deg)
    if not np.isfinite(rate_hz) or not seen.any():
        return labels
    ticks, step = _ticks(x_deg.size, rate_hz)
    least = max(2, round(IDT_MIN_S * rate_hz))
    for start, stop in zip(*(edges.tolist() for edges in runs(seen)), strict=True):
        if stop - start > least:
            positions = np.column_stack((x_deg[start:stop], y_deg[start:stop]))
            found = idt(
                positions=positions,
                timesteps=ticks[: stop - start],
                minimum_duration=least * step,
                dispersion_threshold=IDT_DISPERSION_DEG,
            )
            _written(labels[start:stop], found, step, Label.FIXATION)
    return _rest(labels, seen, rate_hz, 0.010, Label.SACCADE)


def detect_engbert(
    x_deg: Floats, y_deg: Floats, t_s: Floats, *, stimulus: str | None = None
) -> Labels:
    """Label saccades and microsaccades by an elliptic velocity threshold; the rest is fixation.

    Parameters and result as in
    :func:`~duchenne.analysis.gaze.detectors.adaptive.detect_adaptive`; ``stimulus`` is not used.
    With both eyes apart, use :func:`binocular_microsaccades`.

    Raises
    ------
    DuchenneError
        Without pymovements.

    References
    ----------
    Engbert & Kliegl 2003, Vision Research 43, 1035–1045; Engbert & Mergenthaler 2006, PNAS 103,
    7192–7197 (λ = 6).
    """
    del stimulus
    labels: Labels = np.zeros(x_deg.size, dtype=np.int8)
    rate_hz = sampling_rate_hz(t_s)
    seen = np.isfinite(x_deg) & np.isfinite(y_deg)
    if not np.isfinite(rate_hz):
        return labels
    labels[_microsaccades(x_deg, y_deg, rate_hz)] = Label.SACCADE
    return _rest(labels, seen, rate_hz, FIXATION_MIN_S, Label.FIXATION)


def binocular_microsaccades(
    left_deg: tuple[ArrayLike, ArrayLike],
    right_deg: tuple[ArrayLike, ArrayLike],
    t_s: ArrayLike,
) -> NDArray[np.bool_]:
    """Return where both eyes make a saccade: what only one eye shows is taken for noise.

    Parameters
    ----------
    left_deg, right_deg : tuple of two array_like, each of shape (n,)
        Horizontal and vertical position of each eye in degrees; NaN where lost.
    t_s : array_like, shape (n,)
        Seconds, ascending.

    Returns
    -------
    ndarray of bool, shape (n,)
        True from the earlier onset to the later end of saccades that overlap in the two eyes.

    Raises
    ------
    DuchenneError
        Without pymovements.

    References
    ----------
    Engbert & Kliegl 2003, Vision Research 43, 1035–1045.
    """
    times = np.asarray(t_s, dtype=np.float64)
    rate_hz = sampling_rate_hz(times)
    if not np.isfinite(rate_hz):
        return np.zeros(times.size, dtype=bool)
    left, right = (
        _microsaccades(
            np.asarray(eye[0], dtype=np.float64), np.asarray(eye[1], dtype=np.float64), rate_hz
        )
        for eye in (left_deg, right_deg)
    )
    starts, stops = runs(left | right)
    both = np.concatenate(([0], np.cumsum(left & right)))
    found = np.zeros(times.size, dtype=bool)
    shared = both[stops] > both[starts]
    for start, stop in zip(starts[shared].tolist(), stops[shared].tolist(), strict=True):
        found[start:stop] = True
    return found


def _microsaccades(x_deg: Floats, y_deg: Floats, rate_hz: float) -> NDArray[np.bool_]:
    try:
        from pymovements.events import microsaccades  # noqa: PLC0415 - slow to import
        from pymovements.transforms.numpy import pos2vel  # noqa: PLC0415 - slow to import
    except ImportError as error:
        raise _missing("pymovements", "analysis") from error
    found: Labels = np.zeros(x_deg.size, dtype=np.int8)
    if x_deg.size < 6:
        return found.astype(bool)
    velocity = pos2vel(np.column_stack((x_deg, y_deg)), sampling_rate=rate_hz, method="smooth")
    known = np.isfinite(velocity).all(axis=1)
    # Frozen gaze has no threshold.
    if np.count_nonzero(known) < 5 or not (np.nanmedian(velocity[known] ** 2, axis=0) > 0).all():
        return found.astype(bool)
    ticks, step = _ticks(x_deg.size, rate_hz)
    least = max(1, round(MICROSACCADE_MIN_S * rate_hz))
    events = microsaccades(
        velocities=velocity,
        timesteps=ticks,
        minimum_duration=least * step,
        threshold_factor=MICROSACCADE_FACTOR,
    )
    marked: NDArray[np.bool_] = _written(found, events, step, Label.SACCADE).astype(bool)
    return marked


def _rest(
    labels: Labels, seen: NDArray[np.bool_], rate_hz: float, least_s: float, code: Label
) -> Labels:
    """Write a code on unlabelled seen samples, where they last long enough."""
    labels[~seen] = Label.NONE
    starts, stops = runs((labels == Label.NONE) & seen)
    enough = stops - starts >= max(1, round(least_s * rate_hz))
    for start, stop in zip(starts[enough].tolist(), stops[enough].tolist(), strict=True):
        labels[start:stop] = code
    return labels


def detect_remodnav(
    x_deg: Floats, y_deg: Floats, t_s: Floats, *, stimulus: str | None = None
) -> Labels:
    """Label samples with REMoDNaV and its own defaults; without pursuit for ``stimulus="image"``.

    Parameters and result as in
    :func:`~duchenne.analysis.gaze.detectors.adaptive.detect_adaptive`.

    Raises
    ------
    DuchenneError
        Without remodnav.

    Notes
    -----
    REMoDNaV 1.1.2 fails with SciPy ≥ 1.17 when a recording begins or ends in loss: those ends are cut
    off before, and stay unlabelled.

    References
    ----------
    Dar, Wagner & Hanke 2021, Behavior Research Methods 53, 399–414.
    """
    try:
        import remodnav  # noqa: PLC0415 - an optional peer
    except ImportError as error:
        raise _missing("remodnav", "peers") from error
    logging.getLogger("remodnav").setLevel(logging.ERROR)
    labels: Labels = np.zeros(x_deg.size, dtype=np.int8)
    rate_hz = sampling_rate_hz(t_s)
    known = np.isfinite(x_deg) & np.isfinite(y_deg)
    where = np.flatnonzero(known)
    if not np.isfinite(rate_hz) or where.size < REMODNAV_MIN_S * rate_hz:
        return labels
    length = max(3, 2 * int(0.019 * rate_hz / 2) + 1)
    first, last = _inner(known, length)
    if last - first < max(REMODNAV_MIN_S * rate_hz, 2 * length):
        return labels
    options = {"pursuit_velthresh": 500.0} if stimulus == "image" else {}
    data = np.empty(last - first, dtype=[("x", np.float64), ("y", np.float64)])
    data["x"], data["y"] = x_deg[first:last], y_deg[first:last]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        classifier = remodnav.EyegazeClassifier(px2deg=1.0, sampling_rate=rate_hz, **options)
        prepared = classifier.preproc(data, savgol_length=(length + 0.5) / rate_hz)
        events = classifier(prepared)
    for event in events:
        begin, end = (first + round(event[edge] * rate_hz) for edge in ("start_time", "end_time"))
        labels[begin:end] = _REMODNAV_LABELS[event["label"]]
    return labels


def _inner(known: NDArray[np.bool_], length: int) -> tuple[int, int]:
    """Return the range whose first and last ``length`` samples are all known."""
    starts, stops = runs(known)
    long = stops - starts >= length
    if not long.any():
        return 0, 0
    return int(starts[long][0]), int(stops[long][-1])


def detect_i2mc(
    x_deg: Floats, y_deg: Floats, t_s: Floats, *, stimulus: str | None = None
) -> Labels:
    """Label fixations with I2MC and its own defaults; it knows nothing else.

    Parameters and result as in
    :func:`~duchenne.analysis.gaze.detectors.adaptive.detect_adaptive`; ``stimulus`` is not used.

    Raises
    ------
    DuchenneError
        Without I2MC.

    References
    ----------
    Hessels, Niehorster, Kemner & Hooge 2017, Behavior Research Methods 49, 1802–1823.
    """
    del stimulus
    try:
        import I2MC  # noqa: PLC0415 - an optional peer
        import pandas as pd  # noqa: PLC0415 - only here
    except ImportError as error:
        raise _missing("I2MC", "peers") from error
    labels: Labels = np.zeros(x_deg.size, dtype=np.int8)
    rate_hz = sampling_rate_hz(t_s)
    known = np.isfinite(x_deg) & np.isfinite(y_deg)
    if not np.isfinite(rate_hz) or np.count_nonzero(known) < 0.25 * rate_hz:
        return labels
    # Degrees back to a flat screen at 60 cm of 100 px/cm, wide enough for all of them.
    distance_cm, px_per_cm, missing = 60.0, 100.0, -1e6
    x, y = (
        np.where(known, np.tan(np.radians(axis)) * distance_cm * px_per_cm, 0.0)
        for axis in (x_deg, y_deg)
    )
    side_px = 2 * max(float(np.abs(x).max()), float(np.abs(y).max()), 1.0)
    frame = pd.DataFrame(
        {
            "time": np.arange(x.size) * 1000.0 / rate_hz,
            "average_X": np.where(known, x + side_px / 2, missing),
            "average_Y": np.where(known, y + side_px / 2, missing),
        }
    )
    options = {
        "xres": side_px,
        "yres": side_px,
        "freq": rate_hz,
        "missingx": missing,
        "missingy": missing,
        "scrSz": [side_px / px_per_cm, side_px / px_per_cm],
        "disttoscreen": distance_cm,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = I2MC.I2MC(frame, options, logging=False)
    if result is False:
        return labels
    fixations = result[0]
    for start, stop in zip(fixations["start"], fixations["end"], strict=True):
        labels[int(start) : int(stop) + 1] = Label.FIXATION
    return labels


PEERS: dict[str, Callable[..., Labels]] = {
    "engbert": detect_engbert,
    "i2mc": detect_i2mc,
    "idt": detect_idt,
    "remodnav": detect_remodnav,
}
