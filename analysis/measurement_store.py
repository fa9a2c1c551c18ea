"""The measurement of a session on the disk, exact to the last bit, so that summaries can be made again.

Parquet files in ``.measured/STEM/`` beside the tables; the samples of gaze are those of the table
``…_gaze.parquet``, which holds them exactly.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.calibration import Calibration
from duchenne.analysis.face.dynamics import DEFAULT_OPTIONS, Dynamics
from duchenne.analysis.measurement import Measurement

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.face.process import FaceResult
    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.pupil_session import SessionPupil
    from duchenne.analysis.paths import AnalysisPaths

FORMAT = 1
ABOUT = "measured.json"
_GAZE_EVENTS = ("fixations", "saccades", "blinks")
_FACE_EVENTS = ("events", "blinks", "microexpressions")
_PER_FRAME = ("eye_closure", "head_speed_deg_s")
_PUPIL_ARRAYS = (
    "times_s", "size", "measured", "light", "light_local", "by_geometry", "by_regression",
    "luminance", "luminance_local", "fit_mask",
)  # fmt: skip
_LIGHT = ("source", "gain", "gain_se", "reference_mm", "range_mm", "reason")


def write_measurement(measured: Measurement, paths: AnalysisPaths, key: str) -> None:
    """Write a measurement; the description with its key comes last.

    Parameters
    ----------
    measured : Measurement
    paths : AnalysisPaths
        Its table of gaze samples is written already.
    key : str
        What it was made from; only a reader with the same key gets it back.
    """
    folder = paths.measured
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {
        "format": FORMAT,
        "key": key,
        "pupil_unit": measured.pupil_unit,
        "pupil_measure": measured.pupil_measure,
        "crossmodal": list(measured.crossmodal),
        "configuration": measured.configuration,
        "notes": list(measured.notes),
        "gaze": _write_gaze(measured.gaze, paths) if measured.gaze else None,
        "pupil": _write_pupil(measured.pupil, folder) if measured.pupil else None,
        "face": _write_face(measured.face, folder) if measured.face else None,
    }
    text = json.dumps(about, default=_plain_number)
    (folder / ABOUT).write_text(text, encoding="utf-8")


def read_measurement(paths: AnalysisPaths, key: str) -> Measurement | None:
    """Return the measurement that was made from the same; None where there is none.

    Parameters
    ----------
    paths : AnalysisPaths
    key : str
        As given to `write_measurement`.
    """
    folder = paths.measured
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about.get("format") != FORMAT or about.get("key") != key:
            return None
        return Measurement(
            gaze=_read_gaze(about["gaze"], paths) if about["gaze"] else None,
            pupil=_read_pupil(about["pupil"], folder) if about["pupil"] else None,
            face=_read_face(about["face"], folder) if about["face"] else None,
            pupil_unit=about["pupil_unit"],
            pupil_measure=about["pupil_measure"],
            crossmodal=tuple(about["crossmodal"]),
            configuration=about["configuration"],
            notes=tuple(about["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def has_measurement(paths: AnalysisPaths, key: str) -> bool:
    """Return whether `read_measurement` would find something; only the description is read."""
    try:
        about = json.loads((paths.measured / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(about.get("format") == FORMAT and about.get("key") == key)


def _write_gaze(result: GazeResult, paths: AnalysisPaths) -> dict[str, Any]:
    for name in _GAZE_EVENTS:
        _write(getattr(result, name), paths.measured / f"gaze_{name}.parquet")
    kept = {f.name for f in fields(result)} - {"samples", "screen", *_GAZE_EVENTS}
    return {name: getattr(result, name) for name in sorted(kept)} | {
        "screen": asdict(result.screen) if result.screen else None,
        "samples": {name: str(kind) for name, kind in result.samples.dtypes.items()},
        "n_samples": len(result.samples),
    }


def _read_gaze(about: dict[str, Any], paths: AnalysisPaths) -> GazeResult:
    from duchenne.analysis.gaze.geometry import ScreenGeometry  # noqa: PLC0415 (scipy)
    from duchenne.analysis.gaze.process import GazeResult  # noqa: PLC0415 (scipy)

    kinds, n = about.pop("samples"), about.pop("n_samples")
    samples = pd.read_parquet(paths.gaze, columns=list(kinds))
    if len(samples) != n:
        raise ValueError("the samples are not those of the measurement")
    screen = about.pop("screen")
    events: dict[str, Any] = {
        name: _read(paths.measured / f"gaze_{name}.parquet") for name in _GAZE_EVENTS
    }
    return GazeResult(
        samples=samples.astype(kinds),
        **events,
        screen=ScreenGeometry(**screen) if screen else None,
        **about,
    )


def _write_pupil(pupil: SessionPupil, folder: Path) -> dict[str, Any]:
    _write(
        pd.DataFrame({name: getattr(pupil, name) for name in _PUPIL_ARRAYS}),
        folder / "pupil.parquet",
    )
    return {
        "model": {name: getattr(pupil.model, name) for name in _LIGHT},
        "model_local": {name: getattr(pupil.model_local, name) for name in _LIGHT},
        **{n: getattr(pupil, n) for n in ("position_reason", "eyes", "unit", "measure")},
        "notes": list(pupil.notes),
    }


def _read_pupil(about: dict[str, Any], folder: Path) -> SessionPupil:
    from duchenne.analysis.gaze.pupil_light import LightModel  # noqa: PLC0415 (scipy)
    from duchenne.analysis.gaze.pupil_session import SessionPupil  # noqa: PLC0415 (scipy)

    table = _read(folder / "pupil.parquet")
    models: dict[str, Any] = {}
    for name in ("model", "model_local"):
        given = about.pop(name)
        models[name] = LightModel(**(given | {"range_mm": tuple(given["range_mm"])}))
    notes = tuple(about.pop("notes"))
    arrays: dict[str, Any] = {name: table[name].to_numpy() for name in _PUPIL_ARRAYS}
    return SessionPupil(**arrays, **models, notes=notes, **about)


def _write_face(face: FaceResult, folder: Path) -> dict[str, Any]:
    frames = face.table
    dynamics = face.dynamics
    if dynamics is not None:
        series = {f"dynamics_{name}": getattr(dynamics, name) for name in _PER_FRAME}
        frames = frames.assign(**series)
        for name in _FACE_EVENTS:
            _write(getattr(dynamics, name), folder / f"face_{name}.parquet")
    _write(frames, folder / "face.parquet")
    calibration = face.calibration
    return {
        "calibration": {
            "source": calibration.source,
            "n_frames": calibration.n_frames,
            "windows_s": calibration.windows_s,
            "threshold": calibration.threshold.tolist(),
            "au_names": calibration.au_names,
            "in_order": calibration.in_order,
            "neutral": np.asarray(calibration.neutral).tolist(),
        },
        "quality": face.quality,
        "dynamics": None
        if dynamics is None
        else {
            "not_measured": dynamics.not_measured,
            "report": dynamics.report,
            "leave_out_speech": dynamics.options.leave_out_speech,
        },
        "dtypes": {str(name): str(kind) for name, kind in face.table.dtypes.items()},
    }


def _read_face(about: dict[str, Any], folder: Path) -> FaceResult:
    from duchenne.analysis.face.process import FaceResult  # noqa: PLC0415 (mediapipe, cv2)

    frames = _read(folder / "face.parquet")
    table = frames[list(about["dtypes"])].astype(about["dtypes"])
    told = about["dynamics"]
    dynamics = None
    if told is not None:
        found: dict[str, Any] = {n: _read(folder / f"face_{n}.parquet") for n in _FACE_EVENTS}
        found |= {n: frames[f"dynamics_{n}"].to_numpy(np.float64) for n in _PER_FRAME}
        dynamics = Dynamics(
            speaking=table["speaking"].to_numpy(np.float64),
            **found,
            not_measured=told["not_measured"],
            report=told["report"],
            options=replace(DEFAULT_OPTIONS, leave_out_speech=told["leave_out_speech"]),
        )
    given = about["calibration"]
    calibration = Calibration(
        given["source"],
        np.array(given["neutral"], dtype=np.float64),
        given["n_frames"],
        tuple((start, stop) for start, stop in given["windows_s"]),
        np.array(given["threshold"], dtype=np.float64),
        tuple(given["au_names"]),
        given["in_order"],
    )
    return FaceResult(table, calibration, about["quality"], dynamics)


def _write(table: pd.DataFrame, path: Path) -> None:
    table.reset_index(drop=True).to_parquet(path, compression="zstd")


def _read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def _plain_number(value: Any) -> Any:
    """Return a number or array of numpy as JSON can hold it, NaN included."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be kept")
