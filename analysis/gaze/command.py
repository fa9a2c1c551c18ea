"""``duchenne gaze``: from a file of gaze samples to tables of eye movements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console

from duchenne.analysis.gaze import codebook
from duchenne.analysis.gaze.events import DEFAULT_DETECTOR, STIMULUS_KINDS, get_detector
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.import_tables import (
    SUMMARY,
    WHAT,
    WHO,
    label_events,
    label_samples_table,
    summary_rows,
)
from duchenne.analysis.gaze.process import GazeResult, analyse_gaze
from duchenne.analysis.gaze.quality import rate_range_hz
from duchenne.analysis.gaze.readers import GazeRecording, ReadOptions, read_gaze_file
from duchenne.analysis.gaze.signal import RATE_CHANGE, pieces
from duchenne.analysis.tables import SAMPLES_AT_ONCE, write_parquet, write_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

POSITION_UNITS = ("normalized", "px")
OUTPUTS = (
    "summary.tsv",
    "fixations.tsv",
    "saccades.tsv",
    "blinks.tsv",
    "quality.tsv",
    "gaze.parquet",
)
_NORMALIZED_MEDIAN = 2.0


def run_gaze_command(
    table: Path,
    out: Path,
    *,
    file_format: str = "auto",
    columns: Mapping[str, str] | None = None,
    width_px: float | None = None,
    height_px: float | None = None,
    width_cm: float | None = None,
    height_cm: float | None = None,
    distance_cm: float | None = None,
    time_unit: str | None = None,
    position_unit: str | None = None,
    stimulus_start: str | None = None,
    stimulus_end: str | None = None,
    stimulus_kind: str | None = None,
    min_confidence: float | None = None,
    detector: str = DEFAULT_DETECTOR,
    eye: str = "both",
    pupil_unit: str | None = None,
    pupil_measure: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
    note: Callable[[str], None] = lambda _line: None,
) -> list[Path]:
    """Analyse a file of gaze samples and write what was found.

    Parameters
    ----------
    table : Path
        A plain table (CSV, TSV or Parquet, one row per sample) or another program's export.
    out : Path
        Folder for ``summary.tsv`` (one row per stimulus presentation), ``fixations.tsv``,
        ``saccades.tsv``, ``blinks.tsv``, ``quality.tsv`` (one row per recording) and
        ``gaze.parquet``, each with a JSON codebook; made where missing.
    file_format : str
        ``auto`` or the name of a reader (:func:`~duchenne.analysis.gaze.readers.reader_names`).
    columns : Mapping of str to str, optional
        Our column names (``time left_x left_y …``, or ``x y pupil valid``, and ``participant recording
        stimulus``) to those of a plain table.
    width_px, height_px, width_cm, height_cm, distance_cm : float, optional
        The screen and how far it was; they override what the file says, and all are needed.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of time; seconds for plain tables, and what the format has for others.
    position_unit : {"normalized", "px"}, optional
        0–1 across the screen (plain tables), or screen pixels; the origin is top left in both.
    stimulus_start, stimulus_end : str, optional
        Regular expressions for the messages that begin and end a stimulus.
    stimulus_kind : {"image", "dots", "video"}, optional
        Told to the detector; taken from the file where all its stimuli are of one kind.
    min_confidence : float, optional
        Samples with less are lost, where the format has a confidence (0.6 if not given).
    detector : str
        Name of a registered event detector.
    eye : {"both", "cyclopean", "left", "right"}
        What positions and events rest on.
    pupil_unit, pupil_measure : str, optional
        Stored with the results; override what the file says.
    say, note : callable
        Told in one line each how the file was read, and what was taken for granted.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    DuchenneError
        In one line, for anything wrong with the file or the geometry.
    """
    if position_unit is not None and position_unit not in POSITION_UNITS:
        raise UsageError(f"--unit {position_unit} is none of {', '.join(POSITION_UNITS)}.")
    if stimulus_kind is not None and stimulus_kind not in STIMULUS_KINDS:
        raise UsageError(f"--stimulus-kind {stimulus_kind} is none of {', '.join(STIMULUS_KINDS)}.")
    get_detector(detector)
    if any((out / name).resolve() == table.resolve() for name in OUTPUTS):
        raise DuchenneError(f"{table} would be overwritten by the result; choose another --out.")
    options = ReadOptions(columns or {}, time_unit, position_unit, stimulus_start, stimulus_end)
    if min_confidence is not None:
        options = replace(options, min_confidence=min_confidence)
    given = {
        "width_px": width_px,
        "height_px": height_px,
        "width_cm": width_cm,
        "height_cm": height_cm,
        "distance_cm": distance_cm,
    }
    with Console(stderr=True).status(f"Reading {table.name}") as status:
        recordings, read_as = read_gaze_file(table, options, file_format=file_format)
        say(read_as)
        if stimulus_start is not None and not any(r.presentations for r in recordings):
            raise DuchenneError(f"{table}: no message matches --stimulus-start {stimulus_start}.")
        screens = [_geometry(table, recording, given) for recording in recordings]
        for line in _notes(recordings, screens, given):
            note(line)
        results = []
        for number, (recording, screen) in enumerate(zip(recordings, screens, strict=True), 1):
            status.update(f"Finding eye movements in recording {number} of {len(recordings)}")
            results.append(
                analyse_gaze(
                    recording.times_s,
                    _normalized(table, recording, screen),
                    screen,
                    detector=detector,
                    eye=eye,
                    stimulus=stimulus_kind or _kind(recording),
                    pupil_unit=pupil_unit or recording.pupil_unit,
                    pupil_measure=pupil_measure or recording.pupil_measure,
                )
            )
        status.update(f"Writing {out}")
        return write_results(recordings, results, out)


def write_results(
    recordings: Sequence[GazeRecording], results: Sequence[GazeResult], out: Path
) -> list[Path]:
    """Write the tables of analysed recordings, each with its codebook, into a folder."""
    pairs = list(zip(recordings, results, strict=True))
    written = []
    for name, frames, book in (
        ("summary.tsv", [summary_rows(*pair) for pair in pairs], SUMMARY),
        (
            "fixations.tsv",
            [label_events(result.fixations, one, with_place=True) for one, result in pairs],
            WHO | codebook.FIXATIONS | WHAT,
        ),
        (
            "saccades.tsv",
            [label_events(result.saccades, one) for one, result in pairs],
            WHO | codebook.SACCADES | WHAT,
        ),
        (
            "blinks.tsv",
            [label_events(result.blinks, one) for one, result in pairs],
            WHO | codebook.BLINKS | WHAT,
        ),
        ("quality.tsv", [_quality(*pair) for pair in pairs], WHO | codebook.QUALITY),
    ):
        written.append(write_table(_stacked(frames), out / name, book))
    parts = (part for pair in pairs for part in _sample_parts(*pair))
    write_parquet(parts, out / "gaze.parquet", WHO | codebook.SAMPLES | WHAT)
    return [*written, out / "gaze.parquet"]


def _sample_parts(recording: GazeRecording, result: GazeResult) -> Iterator[pd.DataFrame]:
    """Yield the samples with who and what was shown, some rows at a time."""
    for part in pieces(max(1, len(result.samples)), SAMPLES_AT_ONCE):
        yield label_samples_table(result.samples.iloc[part], recording)


def quality_row(result: GazeResult) -> pd.DataFrame:
    """Return the quality of a recording as a table of one row."""
    row = {name: value for name, value in result.quality.items() if name in codebook.QUALITY}
    row |= {
        "n_fixations": len(result.fixations),
        "n_saccades": len(result.saccades),
        "n_blinks": len(result.blinks),
        "detector": result.detector,
        "pupil_unit": result.pupil_unit,
        "pupil_measure": result.pupil_measure,
    }
    return pd.DataFrame([row])


def _quality(recording: GazeRecording, result: GazeResult) -> pd.DataFrame:
    frame = quality_row(result)
    frame.insert(0, "participant", recording.participant)
    frame.insert(1, "recording", recording.recording)
    return frame


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables below each other; an empty one does not change the types of the others."""
    full = [frame for frame in frames if len(frame)]
    if len(full) <= 1:
        return full[0] if full else frames[0]
    columns = dict.fromkeys(name for frame in full for name in frame.columns)
    return pd.DataFrame({name: _stacked_column(full, str(name)) for name in columns})


def _stacked_column(frames: Sequence[pd.DataFrame], name: str) -> pd.Series[Any]:
    parts = [frame[name] for frame in frames if name in frame]
    if len(parts) == len(frames) and len({str(part.dtype) for part in parts}) == 1:
        return pd.concat(parts, ignore_index=True)
    cells: list[Any] = []
    for frame in frames:
        cells += frame[name].tolist() if name in frame else [None] * len(frame)
    return pd.Series(cells, name=name)


def _geometry(
    table: Path, recording: GazeRecording, given: Mapping[str, float | None]
) -> ScreenGeometry:
    told = sorted(_told(given))
    if recording.head_referenced and told:
        raise UsageError(
            f"{table}: gaze is relative to the scene camera and has degrees of its own; --"
            f"{told[0].replace('_', '-')} is for gaze on a screen. Leave it out, or give an export of the "
            "gaze on a surface."
        )
    said = recording.screen | {name: value for name, value in given.items() if value is not None}
    missing = [name for name in given if name not in said]
    if missing:
        flags = " ".join(f"--{name.replace('_', '-')} …" for name in missing)
        raise DuchenneError(
            f"{table}: {', '.join(missing)} missing; gaze cannot be stated in degrees without the screen's "
            f"size in pixels and centimetres and the distance. Add {flags}"
        )
    return ScreenGeometry.from_mapping(said)


def _normalized(
    table: Path, recording: GazeRecording, screen: ScreenGeometry
) -> dict[str, NDArray[np.float64]]:
    if recording.position_unit != "px":
        return recording.columns
    size = {"x": screen.width_px, "y": screen.height_px}
    positions = {n: v for n, v in recording.columns.items() if n in size or n[-2:] in {"_x", "_y"}}
    known = {n: np.abs(v[np.isfinite(v)]) for n, v in positions.items()}
    n_known = sum(v.size for v in known.values())
    n_small = sum(int(np.count_nonzero(v <= _NORMALIZED_MEDIAN)) for v in known.values())
    if n_known and n_small >= 0.95 * n_known:
        usual = float(np.quantile(np.concatenate(list(known.values())), 0.95))
        raise DuchenneError(
            f"{table}: positions are given as px, but nearly all lie within 0 to "
            f"{usual:.3g}, which looks like normalized units; use --unit "
            "normalized."
        )
    del known
    return {
        name: values / size[name[-1]] if name in positions else values
        for name, values in recording.columns.items()
    }


def _kind(recording: GazeRecording) -> str | None:
    kinds = {one.kind for one in recording.presentations}
    return kinds.pop() if len(kinds) == 1 else None


def _notes(
    recordings: Sequence[GazeRecording],
    screens: Sequence[ScreenGeometry],
    given: Mapping[str, float | None],
) -> list[str]:
    lines = [
        f"Screen ({', '.join(sorted(set(one.screen) - _told(given)))} from the file): "
        f"{screen.width_px:.0f} × {screen.height_px:.0f} px, {screen.width_cm:.1f} × "
        f"{screen.height_cm:.1f} cm, {screen.distance_cm:.1f} cm away."
        for one, screen in zip(recordings, screens, strict=True)
        if set(one.screen) - _told(given) and not one.head_referenced
    ]
    for recording in recordings:
        lines += recording.notes
        lines += _rate_change(recording)
    return list(dict.fromkeys(lines))


def _told(given: Mapping[str, float | None]) -> set[str]:
    return {name for name, value in given.items() if value is not None}


def _rate_change(recording: GazeRecording) -> list[str]:
    """Say that the sampling rate changes within a recording."""
    slowest, fastest = rate_range_hz(recording.times_s)
    if not fastest > RATE_CHANGE * slowest:
        return []
    name = f"Recording {recording.recording}: the" if recording.recording else "The"
    change = f"between {slowest:.0f} and {fastest:.0f} Hz"
    return [f"{name} sampling rate changes {change}; events are found in each part by itself."]
