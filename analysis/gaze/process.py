"""One gaze stream, from raw columns to samples, events and quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.events import DEFAULT_DETECTOR, label_samples
from duchenne.analysis.gaze.geometry import ScreenGeometry, check_normalized
from duchenne.analysis.gaze.pupil import clean_eye, combine_pupils
from duchenne.analysis.gaze.quality import gaze_quality
from duchenne.analysis.gaze.signal import combine_eyes, eye_of_samples, eye_valid, sampling_rate_hz
from duchenne.analysis.gaze.tabulate import blink_table, event_table, fixation_table, saccade_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

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
        One row per sample: ``time``; ``left_x left_y right_x right_y`` (normalized, NaN where that
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
        Told to the detector.
    pupil_unit, pupil_measure : str, optional
        As the device gives them; stored.

    Returns
    -------
    GazeResult

    Raises
    ------
    DuchenneError
        When there is no screen geometry, no gaze column, or positions are pixels.
    ValueError
        When columns and times differ in length.
    """
    if not isinstance(screen, ScreenGeometry):
        screen = ScreenGeometry.from_mapping(screen)
    times = np.asarray(times_s, dtype=np.float64)
    given = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    for name, values in given.items():
        if values.shape != times.shape:
            raise ValueError(f"column {name} has shape {values.shape}, times {times.shape}")
    n_backward = int(np.count_nonzero(np.diff(times[np.isfinite(times)]) < 0))
    if n_backward or not np.isfinite(times).all():
        order = np.argsort(times, kind="stable")
        order = order[np.isfinite(times[order])]
        times = times[order]
        given = {name: values[order] for name, values in given.items()}
    rate_hz = sampling_rate_hz(times)
    samples = _samples(times, given, screen, rate_hz)
    x_deg, y_deg = samples["x_deg"].to_numpy(), samples["y_deg"].to_numpy()
    samples["label"] = label_samples(x_deg, y_deg, times, stimulus=stimulus, detector=detector)
    events = event_table(samples["label"], times)
    pupil = samples["pupil"].to_numpy()
    pupil = pupil[np.isfinite(pupil)]
    return GazeResult(
        samples=samples[list(SAMPLE_COLUMNS)],
        fixations=fixation_table(events, samples),
        saccades=saccade_table(events, samples, rate_hz),
        blinks=blink_table(samples["valid"], times, rate_hz, has_pupil=pupil.size > 0),
        quality=gaze_quality(
            samples,
            events,
            rate_hz,
            nominal_srate_hz=nominal_srate_hz,
            n_backward_stamps=n_backward,
        ),
        sampling_rate_hz=rate_hz,
        screen=screen,
        detector=detector,
        pupil_unit=pupil_unit,
        pupil_measure=pupil_measure,
        usual_pupil=float(np.median(pupil)) if pupil.size else float("nan"),
    )


def _samples(
    times: Floats, given: Mapping[str, Floats], screen: ScreenGeometry, rate_hz: float
) -> pd.DataFrame:
    """Return all columns of the samples but ``label``, and ``eye_code`` (0 unknown … 3 both)."""
    eyes = [eye for eye in ("left", "right") if {f"{eye}_x", f"{eye}_y"} <= given.keys()]
    one_unnamed = not eyes and {"x", "y"} <= given.keys()
    if not eyes and not one_unnamed:
        raise DuchenneError(
            "No gaze columns: need left_x and left_y, right_x and right_y, or x and y; found "
            f"{', '.join(given) or 'none'}."
        )
    prefixes = (
        {"left": "", "right": None} if one_unnamed else {e: f"{e}_" for e in ("left", "right")}
    )
    nothing = np.full(times.shape, np.nan)
    x, y, pupil, cleaned, valid = {}, {}, {}, {}, {}
    for eye, prefix in prefixes.items():
        raw = {
            part: nothing if prefix is None else given.get(f"{prefix}{part}", nothing)
            for part in ("x", "y", "pupil", "valid")
        }
        check_normalized({f"{prefix}{axis}": raw[axis] for axis in ("x", "y")})
        valid[eye] = eye_valid(raw["x"], raw["y"], raw["valid"], raw["pupil"])
        x[eye], y[eye], pupil[eye] = (
            np.where(valid[eye], raw[part], np.nan) for part in ("x", "y", "pupil")
        )
        cleaned[eye] = clean_eye(pupil[eye], valid[eye], rate_hz)
    x_px, y_px = screen.to_px(
        combine_eyes(x["left"], x["right"]), combine_eyes(y["left"], y["right"])
    )
    x_deg, y_deg = screen.to_deg(x_px, y_px)
    code = eye_of_samples(valid["left"], valid["right"])
    hidden = nothing if one_unnamed else None
    return pd.DataFrame(
        {
            "time": times,
            "left_x": x["left"] if hidden is None else hidden,
            "left_y": y["left"] if hidden is None else hidden,
            "right_x": x["right"],
            "right_y": y["right"],
            "x_px": x_px,
            "y_px": y_px,
            "x_deg": x_deg,
            "y_deg": y_deg,
            "left_pupil": pupil["left"] if hidden is None else hidden,
            "right_pupil": pupil["right"],
            "pupil": combine_pupils(cleaned["left"], cleaned["right"], rate_hz),
            "valid": valid["left"] | valid["right"],
            "eye_code": np.zeros_like(code) if one_unnamed else code,
        }
    )
