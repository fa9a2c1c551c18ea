"""Eye tracking in BIDS (1.11): ``*_recording-eye1_physio.tsv.gz`` and its JSON.

The table has no header; the sidecar, which may be inherited from folders above, names ``Columns``
(``timestamp x_coordinate y_coordinate pupil_size``), their units and the recorded eye. The screen is
``StimulusPresentation`` of the ``*_events.json``; the stimuli are the rows of ``*_events.tsv``. A file of
the other eye (``eye2``) beside it is read together with it.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.readers.base import (
    GazeRecording,
    Head,
    Presentation,
    Reader,
    ReadOptions,
    presentations_from_messages,
)
from duchenne.analysis.gaze.readers.text import numbers, read_text_table, usual
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NAME = re.compile(
    r"^(?P<stem>.*?)_recording-(?P<recording>[A-Za-z0-9]+)_physio\.tsv(\.gz)?$|^(?P<alone>.*)_physio\.tsv(\.gz)?$"
)
_TIME_UNITS = {
    "s": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "sec": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}
_LEVELS_UP = 6
_METRES_AT_MOST = 5.0
"""A screen size or distance above is not in metres, as BIDS has it; it is taken as centimetres."""


@dataclass(frozen=True)
class _Eye:
    """One eye's file."""

    name: str
    stamps_s: Floats
    x: Floats
    y: Floats
    pupil: Floats | None
    sidecar: dict[str, Any]


def recognise(head: Head) -> str | None:
    """Tell a BIDS recording by its file name."""
    if head.path.is_dir() or _NAME.match(head.path.name) is None:
        return None
    return "file name …_physio.tsv.gz"


def read(path: Path, options: ReadOptions) -> list[GazeRecording]:
    """Read a recording, both eyes where there are two.

    Raises
    ------
    DuchenneError
        When the sidecar is missing, says that this is no gaze on a screen, or units are not known.
    """
    eyes = [_eye(file, options) for file in _both_eyes(path)]
    first = eyes[0].sidecar
    stem = _stem(path)
    times, columns = _together(eyes)
    start_s = _number(first.get("StartTime")) or 0.0
    origin = float(eyes[0].stamps_s[0]) - start_s
    events_json = _inherited(path.parent, f"{stem}_events.json")
    screen, notes = _screen(events_json)
    shown = _presentations(path, stem, events_json, origin, options)
    if not shown:
        shown = _from_messages(path, eyes[0], origin, float(times[-1]) - origin, options)
    entities = dict(part.split("-", 1) for part in stem.split("_") if "-" in part)
    has_pupil = any("pupil" in name for name in columns)
    return [
        GazeRecording(
            times - origin,
            columns,
            _position_unit(path, first),
            participant=f"sub-{entities['sub']}" if "sub" in entities else None,
            recording="_".join(part for part in stem.split("_") if not part.startswith("sub-"))
            or None,
            screen=screen,
            presentations=shown,
            pupil_unit=_pupil_unit(first) if has_pupil else None,
            pupil_measure=_pupil_measure(first) if has_pupil else None,
            notes=tuple(notes),
        )
    ]


READER = Reader("bids-physio", "a BIDS eye-tracking recording", recognise, read)


def _stem(path: Path) -> str:
    match = _NAME.match(path.name)
    if match is None:
        raise DuchenneError(f"{path} is not named …_recording-eye1_physio.tsv.gz.")
    return match["stem"] or match["alone"]


def _both_eyes(path: Path) -> list[Path]:
    """Return the file and that of the other eye beside it."""
    match = _NAME.match(path.name)
    if match is None or match["recording"] not in {"eye1", "eye2"}:
        return [path]
    pair = [
        path.with_name(path.name.replace(f"_recording-{match['recording']}_", f"_recording-{eye}_"))
        for eye in ("eye1", "eye2")
    ]
    return [file for file in pair if file.is_file()]


def _eye(path: Path, options: ReadOptions) -> _Eye:
    name = re.sub(r"\.tsv(\.gz)?$", ".json", path.name)
    sidecar = _inherited(path.parent, name)
    columns = sidecar.get("Columns")
    if not isinstance(columns, list) or not {"x_coordinate", "y_coordinate"} <= set(columns):
        raise DuchenneError(
            f"{path}: its JSON (or one inherited) names no Columns with x_coordinate and y_coordinate."
        )
    system = sidecar.get("SampleCoordinateSystem", "gaze-on-screen")
    if system != "gaze-on-screen":
        raise DuchenneError(f"{path} holds {system}, not gaze-on-screen: degrees cannot be had.")
    frame = _read_rows(path, columns)
    x, y = (numbers(path, frame[f"{axis}_coordinate"]) for axis in "xy")
    pupil = numbers(path, frame["pupil_size"]) if "pupil_size" in frame else None
    return _Eye(_eye_name(sidecar), _stamps(path, frame, sidecar, options), x, y, pupil, sidecar)


def _read_rows(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            path,
            sep="\t",
            header=None,
            dtype=str,
            na_values=["n/a", "", ".", "NaN", "nan"],
            keep_default_na=False,
        )
    except pd.errors.EmptyDataError:
        raise DuchenneError(f"{path} is empty.") from None
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise DuchenneError(f"{path} cannot be read as a table ({error}).") from error
    if frame.shape[1] != len(columns):
        raise DuchenneError(
            f"{path} has {frame.shape[1]} columns, its JSON names {len(columns)}: {', '.join(columns)}."
        )
    frame.columns = pd.Index(columns)
    return frame


def _stamps(
    path: Path, frame: pd.DataFrame, sidecar: dict[str, Any], options: ReadOptions
) -> Floats:
    if "timestamp" in frame:
        unit = options.time_unit or _units(sidecar, "timestamp") or "ms"
        factor = _TIME_UNITS.get(unit.replace("µ", "u").replace("μ", "u").lower())
        if factor is None:
            raise DuchenneError(
                f"{path}: the unit of timestamp, {unit}, is not known; give --time-unit."
            )
        return numbers(path, frame["timestamp"]) * factor
    rate_hz = _number(sidecar.get("SamplingFrequency"))
    if not rate_hz:
        raise DuchenneError(f"{path} has neither a timestamp column nor a SamplingFrequency.")
    return np.arange(len(frame)) / rate_hz


def _together(eyes: list[_Eye]) -> tuple[Floats, dict[str, Floats]]:
    """Put the eyes on one time axis; a sample that one of them lacks is NaN."""
    names = [eye.name for eye in eyes]
    if len(eyes) == 2 and sorted(names) != ["left", "right"]:
        names = ["left", "right"]  # two files that do not say which eye: eye1 is the left one
    times = np.unique(np.concatenate([eye.stamps_s[np.isfinite(eye.stamps_s)] for eye in eyes]))
    columns: dict[str, Floats] = {}
    for name, eye in zip(names, eyes, strict=True):
        prefix = f"{name}_" if name in {"left", "right"} else ""
        known = np.isfinite(eye.stamps_s)
        place = np.searchsorted(times, eye.stamps_s[known])
        parts = {"x": eye.x, "y": eye.y} | ({} if eye.pupil is None else {"pupil": eye.pupil})
        for part, values in parts.items():
            column = np.full(times.size, np.nan)
            column[place] = values[known]
            columns[prefix + part] = column
    return times, columns


def _eye_name(sidecar: dict[str, Any]) -> str:
    said = str(sidecar.get("RecordedEye", "")).lower()
    return said if said in {"left", "right"} else ""


def _inherited(folder: Path, name: str) -> dict[str, Any]:
    """Return the metadata of a file, merged from all sidecars above that apply (BIDS inheritance)."""
    parts = name.removesuffix(".json").split("_")
    suffix, entities = parts[-1], set(parts[:-1])
    folders = [folder]
    for above in list(folder.parents)[:_LEVELS_UP]:
        if (folders[-1] / "dataset_description.json").is_file():
            break
        folders.append(above)
    merged: dict[str, Any] = {}
    for place in reversed(folders):
        candidates = [
            file
            for file in place.glob(f"*{suffix}.json")
            if file.stem.split("_")[-1] == suffix and set(file.stem.split("_")[:-1]) <= entities
        ]
        for file in sorted(candidates, key=lambda one: one.stem.count("_")):
            merged |= _json(file)
    return merged


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{file} is not JSON ({error}).") from error
    return content if isinstance(content, dict) else {}


def _units(sidecar: dict[str, Any], column: str) -> str | None:
    entry = sidecar.get(column)
    units = entry.get("Units") if isinstance(entry, dict) else None
    return None if units is None else str(units)


def _position_unit(path: Path, sidecar: dict[str, Any]) -> str:
    unit = _units(sidecar, "x_coordinate") or str(sidecar.get("SampleCoordinateUnits", "pixel"))
    if unit.lower() in {"pixel", "pixels", "px"}:
        return "px"
    if unit.lower() in {"1", "normalized", "arbitrary", "ratio"}:
        return "normalized"
    raise DuchenneError(f"{path}: positions in {unit} are not read; pixel or normalized are.")


def _pupil_unit(sidecar: dict[str, Any]) -> str:
    unit = _units(sidecar, "pupil_size") or "arbitrary"
    return "arbitrary" if unit.lower() in {"a.u.", "au", "arbitrary"} else unit


def _pupil_measure(sidecar: dict[str, Any]) -> str | None:
    entry = sidecar.get("pupil_size")
    text = str(entry.get("Description", "")).lower() if isinstance(entry, dict) else ""
    return next((word for word in ("area", "diameter") if word in text), None)


def _screen(events_json: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    shown = events_json.get("StimulusPresentation")
    if not isinstance(shown, dict):
        return {}, []
    screen: dict[str, float] = {}
    notes = []
    size, resolution = shown.get("ScreenSize"), shown.get("ScreenResolution")
    if isinstance(resolution, list) and len(resolution) == 2:
        screen |= {"width_px": float(resolution[0]), "height_px": float(resolution[1])}
    if isinstance(size, list) and len(size) == 2:
        factor = 100.0 if max(size) <= _METRES_AT_MOST else 1.0
        screen |= {"width_cm": factor * float(size[0]), "height_cm": factor * float(size[1])}
        if factor == 1.0:
            notes.append(
                f"ScreenSize {size} cannot be metres, as BIDS has it; taken as centimetres."
            )
    distance = _number(shown.get("ScreenDistance"))
    if distance:
        in_metres = distance <= _METRES_AT_MOST
        screen["distance_cm"] = distance * (100.0 if in_metres else 1.0)
        if not in_metres:
            notes.append(
                f"ScreenDistance {distance:g} cannot be metres, as BIDS has it; taken as centimetres."
            )
    return screen, notes


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _presentations(
    path: Path, stem: str, events_json: dict[str, Any], origin: float, options: ReadOptions
) -> tuple[Presentation, ...]:
    """Return the rows of the events table that last."""
    table = path.parent / f"{stem}_events.tsv"
    if options.stimulus_start is not None or not table.is_file():
        return ()
    frame = read_text_table(table, "\t")
    if not {"onset", "duration"} <= set(frame):
        return ()
    onset, duration = (numbers(table, frame[name]) for name in ("onset", "duration"))
    if events_json.get("OnsetSource") == "timestamp":
        onset = onset - origin
    found = []
    for row in np.flatnonzero(np.isfinite(onset) & (duration > 0)):
        said = [frame[label].iloc[row] for label in ("stim_file", "trial_type") if label in frame]
        name = next((str(cell) for cell in said if not pd.isna(cell)), f"event {row + 1}")
        found.append(Presentation(name, float(onset[row]), float(onset[row] + duration[row])))
    return tuple(sorted(found, key=lambda one: one.onset_s))


def _from_messages(
    path: Path, eye: _Eye, origin: float, end_s: float, options: ReadOptions
) -> tuple[Presentation, ...]:
    """Return presentations from the tracker's messages, where the user says which mark them."""
    name = re.sub(r"_physio\.tsv(\.gz)?$", "_physioevents", path.name)
    tables = [path.with_name(f"{name}.tsv{end}") for end in (".gz", "")]
    table = next((file for file in tables if file.is_file()), None)
    if options.stimulus_start is None or table is None:
        return ()
    sidecar = _inherited(path.parent, f"{name}.json")
    columns = sidecar.get("Columns") or ["onset", "duration", "trial_type", "blink", "message"]
    frame = _read_rows(table, columns)
    if "message" not in frame:
        return ()
    onset = numbers(table, frame["onset"])
    if sidecar.get("ForeignIndexColumn", sidecar.get("OnsetSource")) == "timestamp":
        unit = options.time_unit or _units(eye.sidecar, "timestamp") or "ms"
        when = onset * _TIME_UNITS.get(unit, 1e-3) - origin
    else:  # one-based row numbers
        period = usual(np.diff(eye.stamps_s))
        when = eye.stamps_s[0] + (onset - 1) * period - origin
    said = frame["message"].notna().to_numpy() & np.isfinite(when)
    order = np.flatnonzero(said)[np.argsort(when[said], kind="stable")]
    texts = [str(text).strip('"') for text in frame["message"].to_numpy()[order]]
    return presentations_from_messages(
        when[order].tolist(), texts, end_s, options.stimulus_start, options.stimulus_end
    )
