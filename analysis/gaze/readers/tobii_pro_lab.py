"""Tobii Pro Lab data exports: one TSV with all participants, recordings and stimuli.

Column names vary with the version: ``Recording timestamp``, ``Recording timestamp [ms]`` or ``[μs]``;
``Gaze point left X``, ``… [DACS px]`` or ``… (DACSpx)``. Positions are read in pixels of the display
(DACS: display area coordinate system, origin top left). Rows of other sensors and of events carry no
gaze; ``Validity`` is ``Valid`` or ``Invalid`` (older programs: 0 to 4, of which 0 and 1 are usable).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
)
from duchenne.analysis.gaze.readers.text import split_header, usual
from duchenne.analysis.gaze.readers.tobii_columns import TobiiColumns
from duchenne.analysis.gaze.signal import run_ends
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_TIME_FACTORS = {"ms": 1e-3, "us": 1e-6, "s": 1.0}
_PIXELS = ("", "dacspx", "px", "adcspx")
_MM = ("dacsmm", "adcsmm")
_NOT_STIMULI = re.compile(r"^eye ?tracker (calibration|validation)", re.IGNORECASE)
_GLASSES = ("Gyroscope", "Accelerometer", "Magnetometer")
"""Sensors that only glasses have."""
_SLOWEST_MS_STEP = 100.0
"""Stamps further apart than this number are microseconds: no tracker is slower than 10 Hz."""


def recognise(head: Head) -> str | None:
    """Tell a Tobii Pro Lab export by its column names."""
    names = {split_header(column)[0] for column in head.columns}
    if "recording timestamp" in names and names & {"gaze point x", "gaze point left x", "sensor"}:
        return "columns Recording timestamp, Gaze point …"
    return None


def read(path: Path, options: ReadOptions) -> list[GazeRecording]:
    """Read all recordings of an export.

    Raises
    ------
    DuchenneError
        When there is no gaze on the display, such as an export of media coordinates only.
    """
    table = TobiiColumns(path)
    names = [f"gaze point {eye}{axis}" for eye in ("left ", "right ", "") for axis in "xy"]
    if not any({f"{eye}x", f"{eye}y"} <= table.with_unit(_PIXELS, names) for eye in _EYES):
        raise DuchenneError(
            f"{path}: no gaze point in display pixels (Gaze point left X [DACS px] and so on). In Tobii "
            "Pro Lab's Data export, tick Gaze point left X, left Y, right X and right Y and export again."
        )
    time = table.numbers("recording timestamp")
    assert time is not None  # checked with the header
    sensor = table.text("sensor")
    is_gaze = np.ones(time.size, bool) if sensor is None else (sensor == "Eye Tracker").to_numpy()
    if sensor is not None and sensor.isin(_GLASSES).any():
        raise DuchenneError(
            f"{path} is of eye-tracking glasses: its gaze is in the scene video, not on a display, so that "
            "degrees cannot be had."
        )
    if not is_gaze.any():
        raise DuchenneError(f"{path}: no row of the sensor Eye Tracker.")
    factor, said = _time_factor(table, time[is_gaze], options.time_unit)
    groups = _groups(table, time.size)
    found = [
        _recording(table, rows, time * factor, is_gaze, said=said, options=options)
        for rows in groups
    ]
    recordings = [recording for recording in found if recording is not None]
    if not recordings:
        raise DuchenneError(f"{path}: no recording with gaze samples.")
    return recordings


READER = Reader("tobii-pro-lab", "a Tobii Pro Lab export", recognise, read)
_EYES = ("gaze point left ", "gaze point right ", "gaze point ")


@dataclass(frozen=True)
class _Clock:
    times_s: Floats
    note: str | None


def _time_factor(
    table: TobiiColumns, stamps: Floats, time_unit: str | None
) -> tuple[float, str | None]:
    unit = time_unit or table.unit("recording timestamp")
    if unit in _TIME_FACTORS:
        return _TIME_FACTORS[unit], None
    steps = np.diff(stamps)
    unit = "us" if usual(steps[steps > 0]) > _SLOWEST_MS_STEP else "ms"
    return _TIME_FACTORS[unit], (
        f"Recording timestamp has no unit; taken as {unit} from the steps (else give --time-unit)."
    )


def _groups(table: TobiiColumns, n: int) -> list[NDArray[np.intp]]:
    labels = [table.text("participant name"), table.text("recording name")]
    keys = [np.zeros(n, int) if x is None else pd.factorize(x)[0] for x in labels]
    code = keys[0] * (int(keys[1].max()) + 2) + keys[1]
    order = pd.unique(code)
    return [np.flatnonzero(code == one) for one in order]


def _recording(
    table: TobiiColumns,
    rows: NDArray[np.intp],
    stamps_s: Floats,
    is_gaze: NDArray[np.bool_],
    *,
    said: str | None,
    options: ReadOptions,
) -> GazeRecording | None:
    rows = rows[np.isfinite(stamps_s[rows])]
    rows = rows[np.argsort(stamps_s[rows], kind="stable")]
    columns = {name: values[rows] for name, values in _gaze(table).items()}
    event = table.text("event")
    has_event = np.zeros(rows.size, bool) if event is None else event.iloc[rows].notna().to_numpy()
    empty = ~np.any([np.isfinite(values) for values in columns.values()], axis=0)
    chosen = is_gaze[rows] & ~(has_event & empty)
    if np.count_nonzero(chosen) < 2:
        return None
    clock = _fine_clock(table, rows[chosen], stamps_s[rows[chosen]])
    screen = _screen(table, rows, columns)
    notes = [note for note in (said, clock.note) if note]
    shown = _presentations(table, rows, stamps_s[rows], options)
    return GazeRecording(
        clock.times_s,
        {name: values[chosen] for name, values in columns.items()},
        "px",
        _first(table.text("participant name"), rows),
        _first(table.text("recording name"), rows),
        screen,
        shown,
        "mm"
        if table.header("pupil diameter left") or table.header("pupil diameter right")
        else None,
        "diameter",
        notes=tuple(notes),
    )


def _gaze(table: TobiiColumns) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for eye in ("left", "right"):
        x = table.numbers(f"gaze point {eye} x", _PIXELS)
        y = table.numbers(f"gaze point {eye} y", _PIXELS)
        if x is None or y is None:
            continue
        found |= {f"{eye}_x": x, f"{eye}_y": y}
        pupil = table.numbers(f"pupil diameter {eye}")
        if pupil is not None:
            found[f"{eye}_pupil"] = pupil
        validity = table.text(f"validity {eye}")
        if validity is not None:
            found[f"{eye}_valid"] = _valid(validity)
    if not found:
        x = table.numbers("gaze point x", _PIXELS)
        y = table.numbers("gaze point y", _PIXELS)
        if x is not None and y is not None:
            found = {"x": x, "y": y}
    return found


def _valid(validity: pd.Series[str]) -> Floats:
    text = validity.str.strip().str.lower()
    code = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    good = (text == "valid").to_numpy() | (code <= 1)
    known = text.notna().to_numpy()
    return np.where(known, good.astype(np.float64), np.nan)


def _fine_clock(table: TobiiColumns, rows: NDArray[np.intp], stamps_s: Floats) -> _Clock:
    """Take the tracker's own microseconds where the recording's stamps are whole milliseconds."""
    steps_ms = np.diff(stamps_s) * 1e3
    whole = np.allclose(steps_ms, np.rint(steps_ms), atol=1e-6)
    device = table.numbers("eyetracker timestamp")
    if not whole or device is None:
        return _Clock(stamps_s, None)
    device_s = device[rows] * 1e-6
    offset = usual(stamps_s - device_s)
    fine = device_s + offset
    if not np.isfinite(fine).all() or (np.diff(fine) < 0).any():
        return _Clock(stamps_s, None)
    if np.max(np.abs(fine - stamps_s)) > 0.005:
        return _Clock(stamps_s, None)
    return _Clock(
        fine, "Sample times are from Eyetracker timestamp (Recording timestamp is in whole ms)."
    )


def _screen(
    table: TobiiColumns, rows: NDArray[np.intp], columns: dict[str, Floats]
) -> dict[str, float]:
    """Return what the export tells: resolution, size (pixels against millimetres), distance."""
    screen: dict[str, float] = {}
    for side, axis in (("width", "x"), ("height", "y")):
        resolution = table.numbers(f"recording resolution {side}")
        pixels = float("nan") if resolution is None else usual(resolution[rows])
        if np.isfinite(pixels):
            screen[f"{side}_px"] = pixels
            size = _millimetres_per_pixel(table, rows, columns, axis) * pixels / 10
            if np.isfinite(size):
                screen[f"{side}_cm"] = size
    depth = [table.numbers(f"eye position {eye} z", _MM) for eye in ("left", "right")]
    known = [usual(values[rows]) for values in depth if values is not None]
    distance = usual(np.asarray(known, dtype=np.float64)) / 10
    if np.isfinite(distance) and distance > 0:
        screen["distance_cm"] = distance
    return screen


def _millimetres_per_pixel(
    table: TobiiColumns, rows: NDArray[np.intp], columns: dict[str, Floats], axis: str
) -> float:
    for eye in ("left", "right"):
        pixels = columns.get(f"{eye}_{axis}")
        mm = table.numbers(f"gaze point {eye} {axis}", _MM)
        if pixels is None or mm is None:
            continue
        both = np.isfinite(pixels) & np.isfinite(mm[rows])
        if np.count_nonzero(both) > 10 and np.ptp(pixels[both]) > 20:
            return abs(float(np.polyfit(pixels[both], mm[rows][both], 1)[0]))
    return float("nan")


def _presentations(
    table: TobiiColumns, rows: NDArray[np.intp], times_s: Floats, options: ReadOptions
) -> tuple[Presentation, ...]:
    event, value = table.text("event"), table.text("event value")
    if event is not None:
        text = event.iloc[rows].fillna("")
        detail = text if value is None else value.iloc[rows].fillna("")
        if options.stimulus_start is not None:
            messages = [f"{a} {b}".strip() for a, b in zip(text, detail, strict=True)]
            said = [i for i, message in enumerate(messages) if message]
            return presentations_from_messages(
                [float(times_s[i]) for i in said],
                [messages[i] for i in said],
                float(times_s[-1]),
                options.stimulus_start,
                options.stimulus_end,
            )
        found = _from_events(text.tolist(), detail.tolist(), times_s)
        if found:
            return tuple(_with_place(table, rows, times_s, one) for one in found)
    name = table.text("presented stimulus name")
    name = table.text("presented media name") if name is None else name
    if name is None:
        return ()
    return tuple(
        _with_place(table, rows, times_s, one)
        for one in _from_names(name.iloc[rows].fillna("").tolist(), times_s)
    )


def _from_events(events: list[str], values: list[str], times_s: Floats) -> list[Presentation]:
    """Pair ``ImageStimulusStart`` with the next ``ImageStimulusEnd`` of the same name, and so on."""
    open_: dict[tuple[str, str], float] = {}
    found = []
    for event, value, time in zip(events, values, times_s.tolist(), strict=True):
        match = re.fullmatch(r"(\w*)Stimulus(Start|End)", event)
        if match is None:
            continue
        kind = match[1]
        if match[2] == "Start":
            open_[kind, value] = time
        elif (kind, value) in open_:
            onset = open_.pop((kind, value))
            known = {"Image": "image", "Video": "video"}.get(kind)
            found.append(Presentation(value, onset, time, kind=known))
    end = float(times_s[-1])
    found += [Presentation(value, onset, end) for (_, value), onset in open_.items() if end > onset]
    return sorted(
        (
            one
            for one in found
            if one.offset_s > one.onset_s and not _NOT_STIMULI.match(one.stimulus)
        ),
        key=lambda one: one.onset_s,
    )


def _from_names(names: list[str], times_s: Floats) -> list[Presentation]:
    if not names:
        return []
    starts = [i for i in range(len(names)) if i == 0 or names[i] != names[i - 1]]
    ends = run_ends(times_s, [*starts[1:], len(names)]).tolist()
    found = []
    for first, end in zip(starts, ends, strict=True):
        if names[first] and end > times_s[first] and not _NOT_STIMULI.match(names[first]):
            found.append(Presentation(names[first], float(times_s[first]), end))
    return found


def _with_place(
    table: TobiiColumns, rows: NDArray[np.intp], times_s: Floats, one: Presentation
) -> Presentation:
    """Add where on the screen the stimulus was, where the export says so."""
    inside = rows[(times_s >= one.onset_s) & (times_s < one.offset_s)]
    place = []
    for part in ("position x", "position y", "width", "height"):
        values = table.numbers(f"presented stimulus {part}")
        values = table.numbers(f"presented media {part}") if values is None else values
        place.append(float("nan") if values is None else usual(values[inside]))
    left, top, width, height = place
    if not (np.isfinite(place).all() and width > 0 and height > 0):
        return one
    rect = (left, top, left + width, top + height)
    return Presentation(one.stimulus, one.onset_s, one.offset_s, rect, one.kind)


def _first(labels: pd.Series[str] | None, rows: NDArray[np.intp]) -> str | None:
    if labels is None:
        return None
    known = labels.iloc[rows].dropna()
    return str(known.iloc[0]) if len(known) else None
