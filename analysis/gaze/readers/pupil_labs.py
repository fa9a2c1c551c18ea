"""Pupil Labs exports: Pupil Core, and Neon and Invisible (Pupil Cloud, Neon Player).

==================================  =====================================================  ============
File                                Gaze                                                   Degrees from
==================================  =====================================================  ============
``gaze_positions_on_surface_*.csv``  Core: ``x_norm y_norm``, origin bottom left            the surface
``gaze.csv`` of a Marker Mapper      ``gaze position on surface x [normalized]``, top left  the surface
``gaze.csv`` of Neon                 ``azimuth [deg]``, ``elevation [deg]``                 the camera
``gaze_positions.csv`` of Core       ``gaze_point_3d_x y z``, mm in the scene camera        the camera
==================================  =====================================================  ============

A surface, such as a screen with markers, needs its size and distance from the user. Gaze in the scene
camera has degrees of its own, but they are of the eye in the head: turning the head is a movement too.
They are put on a plane at 100 cm before the camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.readers.base import (
    GazeRecording,
    Head,
    Presentation,
    Reader,
    ReadOptions,
    presentations_from_messages,
    read_head,
)
from duchenne.analysis.gaze.readers.text import numbers, read_text_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

PLANE = {
    "width_px": 4000.0,
    "height_px": 4000.0,
    "width_cm": 400.0,
    "height_cm": 400.0,
    "distance_cm": 100.0,
}
"""The plane before the scene camera: 10 px per cm, ±63° wide."""
_NS = "timestamp [ns]"
_SURFACE = "gaze position on surface {} [normalized]"
_NEAR_S = 0.05
"""A pupil size is taken from a measurement at most so far away in time."""
_HEAD_NOTE = (
    "Gaze is relative to the scene camera: degrees are of the eye in the head, head movements count as "
    "eye movements, and px are of a plane 100 cm before the camera. For gaze on a screen, export the "
    "gaze on a surface with markers."
)


def recognise(head: Head) -> str | None:
    """Tell an export by its columns, or a folder by the file in it."""
    if head.path.is_dir():
        return next((f"{name} in the folder" for name in _in_folder(head.path)), None)
    names = set(head.columns)
    if _NS in names and names & {"gaze x [px]", _SURFACE.format("x")}:
        return f"columns {_NS}, gaze …"
    if "gaze_timestamp" in names and names & {"norm_pos_x", "x_norm"}:
        return "columns gaze_timestamp, " + ("x_norm" if "x_norm" in names else "norm_pos_x")
    return None


def read(path: Path, options: ReadOptions) -> list[GazeRecording]:
    """Read an export, with pupils and events from the files beside it.

    Raises
    ------
    DuchenneError
        When it holds no gaze that can be stated in degrees.
    """
    if path.is_dir():
        names = _in_folder(path)
        if not names:
            raise DuchenneError(f"{path} has no gaze.csv and no gaze_positions.csv.")
        path = path / names[0]
    columns = set(read_head(path).columns)
    frame = read_text_table(
        path, ",", lambda name: not name.startswith(("eye_center", "gaze_normal"))
    )
    if frame.empty:
        raise DuchenneError(f"{path} has a header but no rows: there is no gaze to analyse.")
    if _NS in columns:
        return _read_neon(path, frame, options)
    if "gaze_timestamp" in columns:
        return [_read_core(path, frame, options)]
    raise DuchenneError(
        f"{path}: no column {_NS} or gaze_timestamp; found {', '.join(sorted(columns))}."
    )


READER = Reader("pupil-labs", "a Pupil Labs export", recognise, read)


def _in_folder(folder: Path) -> list[str]:
    surfaces = sorted(folder.glob("surfaces/gaze_positions_on_surface_*.csv"))
    known = [f"surfaces/{file.name}" for file in surfaces]
    known += ["gaze.csv", "gaze_positions.csv"]
    return [name for name in known if (folder / name).is_file()]


def _read_neon(path: Path, frame: pd.DataFrame, options: ReadOptions) -> list[GazeRecording]:
    ids = frame["recording id"] if "recording id" in frame else pd.Series([""] * len(frame))
    found = []
    for name in ids.dropna().unique():
        part = frame[(ids == name).to_numpy()]
        found.append(_neon_recording(path, part, str(name) or path.parent.name, options))
    return found


def _neon_recording(
    path: Path, frame: pd.DataFrame, name: str, options: ReadOptions
) -> GazeRecording:
    stamps = _nanoseconds(path, frame[_NS])
    order = np.argsort(stamps, kind="stable")
    stamps = stamps[order]
    lost = np.zeros(len(frame), dtype=bool)
    if "worn" in frame:
        lost |= frame["worn"].str.lower().isin(["false", "0", "0.0"]).to_numpy()
    if "blink id" in frame:
        lost |= frame["blink id"].notna().to_numpy()
    screen: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    if _SURFACE.format("x") in frame:
        x, y = (numbers(path, frame[_SURFACE.format(axis)]) for axis in "xy")
    elif {"azimuth [deg]", "elevation [deg]"} <= set(frame):
        azimuth, elevation = (
            np.radians(numbers(path, frame[f"{angle} [deg]"])) for angle in ("azimuth", "elevation")
        )
        x, y = _on_plane(np.tan(azimuth), np.tan(elevation) / np.cos(azimuth))
        screen, notes = dict(PLANE), (_HEAD_NOTE,)
    else:
        raise DuchenneError(
            f"{path}: gaze in pixels of the scene camera only, without azimuth [deg] and elevation [deg]: "
            "degrees cannot be had. Download the time series from Pupil Cloud, or export the gaze on a "
            "surface."
        )
    times_s = (stamps - stamps[0]) * 1e-9
    columns = {axis: np.where(lost, np.nan, values)[order] for axis, values in (("x", x), ("y", y))}
    columns |= _neon_pupils(path, stamps, lost[order], "x" in columns)
    return GazeRecording(
        times_s,
        columns,
        "normalized",
        recording=name,
        screen=screen,
        presentations=_neon_events(path, stamps, options),
        pupil_unit="mm" if "pupil" in columns else None,
        pupil_measure="diameter" if "pupil" in columns else None,
        head_referenced=bool(screen),
        notes=(*notes, "Time is in seconds from the first sample."),
    )


def _nanoseconds(path: Path, text: pd.Series[str]) -> NDArray[np.int64]:
    try:
        return np.asarray(text.astype("int64"), dtype=np.int64)
    except (ValueError, TypeError):
        raise DuchenneError(f"{path}: column {text.name} is not in whole nanoseconds.") from None


def _neon_pupils(
    path: Path, stamps: NDArray[np.int64], lost: Bools, wanted: bool
) -> dict[str, Floats]:
    """Return the mean pupil of both eyes: gaze is of both, so that it names no eye."""
    beside = path.parent / "3d_eye_states.csv"
    if not wanted or not beside.is_file():
        return {}
    frame = read_text_table(beside, ",")
    names = [name for name in map(str, frame.columns) if name.startswith("pupil diameter")]
    if _NS not in frame or not names:
        return {}
    sizes = np.vstack([numbers(beside, frame[name]) for name in names])
    known = np.isfinite(sizes).any(axis=0)
    mean = np.where(
        known, np.nansum(sizes, axis=0) / np.maximum(np.isfinite(sizes).sum(axis=0), 1), np.nan
    )
    start = int(stamps[0])  # floats of seconds since 1970 would lose the last digits
    when, times = (
        np.asarray((part - start) * 1e-9, dtype=np.float64)
        for part in (_nanoseconds(beside, frame[_NS]), stamps)
    )
    taken = _nearest(when, mean, times)
    return {"pupil": np.where(lost, np.nan, taken)}


def _neon_events(
    path: Path, stamps: NDArray[np.int64], options: ReadOptions
) -> tuple[Presentation, ...]:
    beside = path.parent / "events.csv"
    if options.stimulus_start is None or not beside.is_file():
        return ()
    frame = read_text_table(beside, ",")
    if _NS not in frame or "name" not in frame:
        return ()
    when = (_nanoseconds(beside, frame[_NS]) - stamps[0]) * 1e-9
    return _events(when, frame["name"], (stamps[-1] - stamps[0]) * 1e-9, options)


def _events(
    when: Floats, names: pd.Series[str], end_s: float, options: ReadOptions
) -> tuple[Presentation, ...]:
    if options.stimulus_start is None:
        return ()
    order = np.argsort(when, kind="stable")
    texts = names.fillna("").to_numpy()[order].tolist()
    return presentations_from_messages(
        when[order].tolist(), texts, end_s, options.stimulus_start, options.stimulus_end
    )


def _read_core(path: Path, frame: pd.DataFrame, options: ReadOptions) -> GazeRecording:
    times = numbers(path, frame["gaze_timestamp"])
    order = np.argsort(times, kind="stable")
    order = order[np.isfinite(times[order])]
    confidence = (
        numbers(path, frame["confidence"]) if "confidence" in frame else np.ones(len(frame))
    )
    lost = ~(confidence >= options.min_confidence)
    screen: dict[str, float] = {}
    notes = [f"Samples with confidence below {options.min_confidence:g} are lost."]
    if "x_norm" in frame:
        x, y = numbers(path, frame["x_norm"]), 1 - numbers(path, frame["y_norm"])
    elif {"gaze_point_3d_x", "gaze_point_3d_y", "gaze_point_3d_z"} <= set(frame):
        gx, gy, gz = (numbers(path, frame[f"gaze_point_3d_{axis}"]) for axis in "xyz")
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = np.where(gz > 0, gz, np.nan)
            x, y = _on_plane(gx / ahead, -gy / ahead)
        screen = dict(PLANE)
        notes.append(_HEAD_NOTE)
    else:
        raise DuchenneError(
            f"{path}: 2-D gaze in the scene camera, without gaze_point_3d: degrees cannot be had. Use the "
            "3-D gaze mapping, or export the gaze on a surface."
        )
    columns = {axis: np.where(lost, np.nan, values)[order] for axis, values in (("x", x), ("y", y))}
    folder = path.parent.parent if path.parent.name == "surfaces" else path.parent
    pupil = _core_pupil(folder / "pupil_positions.csv", times[order], options)
    if pupil is not None:
        columns["pupil"] = np.where(lost[order], np.nan, pupil)
    return GazeRecording(
        times[order],
        columns,
        "normalized",
        recording=folder.name or None,
        screen=screen,
        presentations=_core_annotations(
            folder / "annotations.csv", float(times[order][-1]), options
        ),
        pupil_unit=None if pupil is None else "mm",
        pupil_measure=None if pupil is None else "diameter",
        head_referenced=bool(screen),
        notes=tuple(notes),
    )


def _core_pupil(beside: Path, times_s: Floats, options: ReadOptions) -> Floats | None:
    if not beside.is_file():
        return None
    frame = read_text_table(beside, ",")
    if not {"pupil_timestamp", "eye_id", "confidence", "diameter_3d"} <= set(frame):
        return None
    when, size, sure = (
        numbers(beside, frame[name]) for name in ("pupil_timestamp", "diameter_3d", "confidence")
    )
    good = np.isfinite(size) & (size > 0) & (sure >= options.min_confidence)
    eyes = []
    for eye in ("0", "1"):
        chosen = good & (frame["eye_id"] == eye).to_numpy()
        if chosen.any():
            eyes.append(_nearest(when[chosen], size[chosen], times_s))
    if not eyes:
        return None
    sizes = np.vstack(eyes)
    count = np.isfinite(sizes).sum(axis=0)
    return np.where(count > 0, np.nansum(sizes, axis=0) / np.maximum(count, 1), np.nan)


def _core_annotations(beside: Path, end_s: float, options: ReadOptions) -> tuple[Presentation, ...]:
    if options.stimulus_start is None or not beside.is_file():
        return ()
    frame = read_text_table(beside, ",")
    if not {"timestamp", "label"} <= set(frame):
        return ()
    return _events(numbers(beside, frame["timestamp"]), frame["label"], end_s, options)


def _on_plane(right: Floats, up: Floats) -> tuple[Floats, Floats]:
    """Turn tangents of the angles into 0–1 across the plane before the camera."""
    reach_x = PLANE["width_cm"] / PLANE["distance_cm"]
    reach_y = PLANE["height_cm"] / PLANE["distance_cm"]
    return 0.5 + right / reach_x, 0.5 - up / reach_y


def _nearest(when_s: Floats, values: Floats, times_s: Floats) -> Floats:
    """Return the value nearest in time, NaN where none is near."""
    order = np.argsort(when_s, kind="stable")
    when, known = when_s[order], values[order]
    after = np.clip(np.searchsorted(when, times_s), 1, max(1, when.size - 1))
    before = after - 1
    after = np.minimum(after, when.size - 1)
    index = np.where(np.abs(when[after] - times_s) < np.abs(times_s - when[before]), after, before)
    return np.where(np.abs(when[index] - times_s) <= _NEAR_S, known[index], np.nan)
