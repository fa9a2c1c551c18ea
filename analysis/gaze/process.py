"""One gaze stream, from raw columns to samples, events and quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.blinks import (
    Lids,
    closed_from_openness,
    find_losses,
    guard_samples,
    lids_during,
)
from duchenne.analysis.gaze.events import DEFAULT_DETECTOR, label_samples
from duchenne.analysis.gaze.geometry import ScreenGeometry, check_normalized
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.pupil import clean_eye, combine_pupils
from duchenne.analysis.gaze.quality import gaze_quality
from duchenne.analysis.gaze.signal import (
    as_floats,
    combine_eyes,
    eye_of_samples,
    eye_shift,
    eye_valid,
    fill_runs,
    interpolate_nan,
    pieces,
    sampling_rate_hz,
)
from duchenne.analysis.gaze.tabulate import blink_table, event_table, fixation_table, saccade_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MIN_CM, MAX_CM = 20.0, 150.0
"""Viewing distances that are believed when measured."""
SAMPLE_COLUMNS = (
    "time", "left_x", "left_y", "right_x", "right_y", "x_px", "y_px", "x_deg", "y_deg",
    "left_pupil", "right_pupil", "pupil", "valid", "label",
)  # fmt: skip


@dataclass(frozen=True)
class GazeResult:
    """What was measured in one gaze stream. Times are in the caller's seconds.

    Parameters
    ----------
    samples : DataFrame
        One row per sample, in single precision but for ``time``: ``time``; ``left_x left_y right_x
        right_y`` (normalized, NaN where that
        eye is invalid); ``x_px y_px`` and ``x_deg y_deg`` (both eyes combined; degrees from the
        screen centre, y up); ``left_pupil right_pupil`` (as the device gives them, NaN where
        invalid); ``pupil`` (cleaned and combined, NaN in blinks); ``valid``; ``label`` (0–6).
    fixations, saccades, blinks : DataFrame
        One row per event; see :mod:`duchenne.analysis.gaze.tabulate`.
    quality : dict
        See :func:`~duchenne.analysis.gaze.quality.gaze_quality`.
    sampling_rate_hz : float
        From the stamps; NaN for fewer than two samples.
    screen : ScreenGeometry
        The geometry that made degrees.
    detector : str
        Name of the event detector.
    pupil_unit, pupil_measure : str or None
        As the device gives them (mm or arbitrary; diameter or area); None where unknown.
    usual_pupil : float
        Median of the cleaned pupil over the recording; NaN without a pupil.
    eye : str
        What positions rest on: ``both``, ``left``, ``right``, or ``unknown`` (no eye was named).
    distance_source : str
        ``declared`` (one distance) or ``measured`` (the tracker's, at each sample).
    """

    samples: pd.DataFrame
    fixations: pd.DataFrame
    saccades: pd.DataFrame
    blinks: pd.DataFrame
    quality: dict[str, Any] = field(default_factory=dict)
    sampling_rate_hz: float = float("nan")
    screen: ScreenGeometry | None = None
    detector: str = DEFAULT_DETECTOR
    pupil_unit: str | None = None
    pupil_measure: str | None = None
    usual_pupil: float = float("nan")
    eye: str = "both"
    distance_source: str = "declared"


def analyse_gaze(
    times_s: ArrayLike,
    columns: Mapping[str, ArrayLike],
    screen: ScreenGeometry | Mapping[str, object] | None,
    nominal_srate_hz: float | None = None,
    *,
    detector: str = DEFAULT_DETECTOR,
    stimulus: str | None = None,
    pupil_unit: str | None = None,
    pupil_measure: str | None = None,
    shown: Sequence[tuple[float, float, str]] = (),
    eye: str = "both",
    distance: str = "declared",
    lid: tuple[ArrayLike, ArrayLike] | None = None,
) -> GazeResult:
    """Analyse one gaze stream.

    Parameters
    ----------
    times_s : array_like, shape (n,)
        Seconds. Stamps that run backwards are sorted together with their samples and counted in
        ``quality["n_backward_stamps"]``; samples without a stamp are dropped.
    columns : Mapping of str to array_like, each of shape (n,)
        ``left_x left_y right_x right_y`` (normalized, origin top left, y down), ``left_pupil
        right_pupil``, ``left_valid right_valid`` (1 valid, 0 not); one eye is enough. A tracker that
        reports no eye in particular gives ``x y pupil valid`` instead. Others are ignored.
    screen : ScreenGeometry or Mapping
        The screen; a mapping needs the fields of :class:`ScreenGeometry`.
    nominal_srate_hz : float, optional
        What the device declared; stored, not used.
    detector : str
        Name of a registered event detector.
    stimulus : {"image", "dots", "video"}, optional
        Told to the detector, for all of the recording.
    shown : sequence of (onset_s, offset_s, stimulus), optional
        What was on the screen when, for a recording with several kinds: told to the detector for the
        events that begin in each window.
    pupil_unit, pupil_measure : str, optional
        As the device gives them; stored.
    eye : {"both", "cyclopean", "left", "right"}
        What positions and events rest on: the mean of both eyes (cyclopean; where one is lost, the
        other), or one eye alone. The other eye's columns are kept in the samples.
    distance : {"declared", "measured"}
        Turn positions into degrees with the screen's distance, or at each sample with the distance
        that the tracker measured (``left_distance right_distance``, mm; running median of 1 s,
        bridged where missing). Refused where less than half of the samples have one.
    lid : (times_s, closed), optional
        Seconds and how far the lids are closed, 0 to 1, such as from a film of the face: a loss is a
        blink only where nothing shows that the lids were open. Without it ``left_openness
        right_openness`` of the columns serve, where they are.

    Returns
    -------
    GazeResult

    Raises
    ------
    DuchenneError
        When there is no screen geometry, no gaze column, positions are pixels, or the eye or the
        measured distance asked for is not there.
    ValueError
        When columns and times differ in length.
    """
    eye = "both" if eye == "cyclopean" else eye
    if not isinstance(screen, ScreenGeometry):
        screen = ScreenGeometry.from_mapping(screen)
    times = np.asarray(times_s, dtype=np.float64)
    given = {name: as_floats(values) for name, values in columns.items()}
    for name, values in given.items():
        if values.shape != times.shape:
            raise ValueError(f"column {name} has shape {values.shape}, times {times.shape}")
    stamped = np.isfinite(times)
    known = times if stamped.all() else times[stamped]
    n_backward = int(np.count_nonzero(known[1:] < known[:-1]))
    if n_backward or known is not times:
        order = np.argsort(times, kind="stable")
        order = order[np.isfinite(times[order])]
        times = times[order]
        given = {name: values[order] for name, values in given.items()}
    rate_hz = sampling_rate_hz(times)
    measured_cm = _distance_cm(given, rate_hz) if distance == "measured" else None
    samples = _samples(times, given, screen, rate_hz, eye_choice=eye, distance_cm=measured_cm)
    used_eye = eye if {"left_x", "right_x"} & given.keys() else "unknown"
    x_deg, y_deg = samples["x_deg"].to_numpy(), samples["y_deg"].to_numpy()
    untold = label_samples(x_deg, y_deg, times, stimulus=stimulus, detector=detector)
    labels = untold
    for kind in sorted({window[2] for window in shown}):
        during = [(onset, offset) for onset, offset, what in shown if what == kind]
        known = label_samples(x_deg, y_deg, times, stimulus=kind, detector=detector)
        labels = np.where(_begun_during(untold, times, during), known, labels)
    if lid is None and (closed := closed_from_openness(given)) is not None:
        lid = times, closed
    samples["label"] = _without_open_lids(labels, samples["valid"].to_numpy(), times, rate_hz, lid)
    events = event_table(samples["label"], times)
    pupil = samples["pupil"].to_numpy()
    pupil = pupil[np.isfinite(pupil)]
    fixations = fixation_table(events, samples)
    saccades = saccade_table(events, samples, rate_hz)
    del samples["eye_code"]
    return GazeResult(
        samples=samples,
        fixations=fixations,
        saccades=saccades,
        blinks=blink_table(samples["valid"], times, rate_hz, has_pupil=pupil.size > 0, lid=lid),
        quality=gaze_quality(
            samples,
            events,
            rate_hz,
            nominal_srate_hz=nominal_srate_hz,
            n_backward_stamps=n_backward,
        )
        | {
            "eye": used_eye,
            "distance_source": distance,
            "distance_cm": screen.distance_cm
            if measured_cm is None
            else float(np.median(measured_cm)),
        },
        sampling_rate_hz=rate_hz,
        screen=screen,
        detector=detector,
        pupil_unit=pupil_unit,
        pupil_measure=pupil_measure,
        usual_pupil=float(np.median(pupil)) if pupil.size else float("nan"),
        eye=used_eye,
        distance_source=distance,
    )


def _begun_during(
    labels: NDArray[np.int8], times: Floats, windows: Sequence[tuple[float, float]]
) -> NDArray[np.bool_]:
    """Return the samples whose run of equal labels begins in one of the windows."""
    change = np.flatnonzero(np.diff(labels)) + 1
    first = np.zeros(labels.size, dtype=np.intp)
    first[change] = change
    begun = times[np.maximum.accumulate(first)] if times.size else times
    inside: NDArray[np.bool_] = np.zeros(labels.size, dtype=bool)
    for onset, offset in windows:
        inside |= (begun >= onset) & (begun < offset)
    return inside


def _without_open_lids(
    labels: NDArray[np.int8],
    valid: NDArray[np.bool_],
    times: Floats,
    rate_hz: float,
    lid: tuple[ArrayLike, ArrayLike] | None,
) -> NDArray[np.int8]:
    """Return labels in which loss while the lids were seen to be open is undefined, not a blink."""
    if lid is None:
        return labels
    losses = find_losses(valid, times, rate_hz)
    is_open = lids_during(losses, times, lid) == Lids.OPEN
    before, after = guard_samples(rate_hz)
    wrong = fill_runs(losses.starts[is_open] - before, losses.stops[is_open] + after, labels.size)
    right = fill_runs(losses.starts[~is_open] - before, losses.stops[~is_open] + after, labels.size)
    return np.where(wrong & ~right & (labels == Label.BLINK), Label.UNDEFINED, labels)


def _distance_cm(given: Mapping[str, Floats], rate_hz: float) -> Floats:
    """Return the measured distance at each sample: mean of the eyes, running median, bridged."""
    found = [given[name] / 10 for name in ("left_distance", "right_distance") if name in given]
    if not found:
        raise DuchenneError("The viewing distance was not measured: no left_ or right_distance.")
    eyes = np.array([np.where((d >= MIN_CM) & (d <= MAX_CM), d, np.nan) for d in found])
    known = np.isfinite(eyes)
    count = known.sum(axis=0)
    if np.count_nonzero(count) < 0.5 * count.size or not count.any():
        raise DuchenneError(
            f"The viewing distance was measured in {np.count_nonzero(count)} of {count.size} samples, "
            f"less than half ({MIN_CM:.0f}-{MAX_CM:.0f} cm are believed): use the declared one."
        )
    mean = np.where(known, eyes, 0).sum(axis=0) / np.maximum(count, 1)
    bridged = interpolate_nan(mean, count > 0)
    length = 1 if not np.isfinite(rate_hz) else max(1, round(rate_hz))
    smooth = pd.Series(bridged).rolling(length, center=True, min_periods=1).median()
    return smooth.to_numpy(dtype=np.float64)


def _check_eye(eye: str, named: list[str], unnamed: bool) -> None:
    if eye not in {"both", "left", "right"}:
        raise DuchenneError(f"The eye is {eye}, not one of both, cyclopean, left, right.")
    if eye != "both" and (unnamed or eye not in named):
        there = "no eye in particular" if unnamed else f"the {' and '.join(named)} eye"
        raise DuchenneError(f"There is no gaze of the {eye} eye; found that of {there}.")


def _samples(
    times: Floats,
    given: Mapping[str, Floats],
    screen: ScreenGeometry,
    rate_hz: float,
    *,
    eye_choice: str,
    distance_cm: Floats | None,
) -> pd.DataFrame:
    """Return all columns of the samples but ``label``, and ``eye_code`` (0 unknown … 3 both)."""
    eyes = [eye for eye in ("left", "right") if {f"{eye}_x", f"{eye}_y"} <= given.keys()]
    one_unnamed = not eyes and {"x", "y"} <= given.keys()
    if not eyes and not one_unnamed:
        raise DuchenneError(
            "No gaze columns: need left_x and left_y, right_x and right_y, or x and y; found "
            f"{', '.join(given) or 'none'}."
        )
    _check_eye(eye_choice, eyes, one_unnamed)
    prefixes = (
        {"left": "", "right": None} if one_unnamed else {e: f"{e}_" for e in ("left", "right")}
    )
    nothing: Floats = np.full(times.shape, np.nan, dtype="float32")
    x, y, pupil, cleaned, valid = {}, {}, {}, {}, {}
    for eye, prefix in prefixes.items():
        raw = {
            part: nothing if prefix is None else given.get(f"{prefix}{part}", nothing)
            for part in ("x", "y", "pupil", "valid")
        }
        check_normalized({f"{prefix}{axis}": raw[axis] for axis in ("x", "y")})
        valid[eye] = eye_valid(raw["x"], raw["y"], raw["valid"], raw["pupil"])
        x[eye], y[eye], pupil[eye] = (_kept(raw[part], valid[eye]) for part in ("x", "y", "pupil"))
        cleaned[eye] = clean_eye(pupil[eye], valid[eye], rate_hz)
    combined = combine_pupils(cleaned["left"], cleaned["right"], rate_hz)
    del cleaned, raw
    kept = {e for e in ("left", "right") if eye_choice in {"both", e}}
    nowhere = np.zeros(times.shape, dtype=bool)
    used = {e: valid[e] if e in kept else nowhere for e in ("left", "right")}
    places = _places(
        [tuple(axis[e] if e in kept else nothing for e in ("left", "right")) for axis in (x, y)],
        screen,
        distance_cm,
    )
    code = eye_of_samples(used["left"], used["right"])
    # Columns stay the arrays they are (copy=False): a long recording has hundreds of megabytes.
    return pd.DataFrame(
        {
            "time": times.copy(),
            "left_x": nothing if one_unnamed else x["left"],
            "left_y": nothing.copy() if one_unnamed else y["left"],
            "right_x": x["right"],
            "right_y": y["right"],
            **places,
            "left_pupil": nothing.copy() if one_unnamed else pupil["left"],
            "right_pupil": pupil["right"],
            "pupil": combined,
            "valid": used["left"] | used["right"],
            "eye_code": np.zeros_like(code) if one_unnamed else code,
        },
        copy=False,
    )


def _kept(values: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Return a copy in single precision, NaN where not valid."""
    kept: Floats = values.astype("float32")
    kept[~valid] = np.nan
    return kept


def _places(
    eyes: Sequence[tuple[Floats, ...]], screen: ScreenGeometry, distance_cm: Floats | None
) -> dict[str, Floats]:
    """Return both eyes' place in pixels and degrees: computed in double, kept in single precision."""
    n = eyes[0][0].size
    places: dict[str, Floats] = {
        name: np.empty(n, dtype="float32") for name in ("x_px", "y_px", "x_deg", "y_deg")
    }
    shifts = [eye_shift(*axis) for axis in eyes]
    for part in pieces(n):
        x, y = (
            combine_eyes(axis[0][part].astype(np.float64), axis[1][part].astype(np.float64), shift)
            for axis, shift in zip(eyes, shifts, strict=True)
        )
        x_px, y_px = screen.to_px(x, y)
        far = None if distance_cm is None else distance_cm[part]
        for name, values in zip(places, (x_px, y_px, *screen.to_deg(x_px, y_px, far)), strict=True):
            places[name][part] = values
    return places
