"""Every other numeric stream in BIDS: skin conductance, heart, respiration, levels of a sensor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.export.bids_files import label, write_json, write_tsv_gz
from duchenne.analysis.export.bids_gaze import ROWS_AT_ONCE, TIMESTAMP, measured_rate_hz

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.export.bids_files import BidsName
    from duchenne.recorder.recorded_stream import Stream
    from duchenne.recorder.recording import Recording

OWN = {"Gaze", "StimulusFrames", "Markers"}
VOICES = {"Audio"}


def write_streams(recording: Recording, folder: Path, name: BidsName) -> list[str]:
    """Write each regular numeric stream as ``_recording-NAME_physio``; sound stays."""
    notes: list[str] = []
    taken = {"eye1", "eye2"}
    for key, stream in recording.streams.items():
        info = stream.info
        if info.is_string or info.type in OWN or not stream.n:
            continue
        if info.type in VOICES:
            notes.append(f"{name.stem}: the sound of {key} is not exported, it may hold a voice.")
            continue
        if info.nominal_srate_hz <= 0:
            notes.append(f"{name.stem}: the irregular stream {key} is not exported.")
            continue
        recording_label = _free(label(info.name), taken)
        stem = f"{name.stem}_recording-{recording_label}_physio"
        columns = _columns(stream)
        write_json({"TaskName": name.task} | _sidecar(stream, columns), folder / f"{stem}.json")
        write_tsv_gz(_samples(stream, columns), folder / f"{stem}.tsv.gz")
    return notes


def _columns(stream: Stream) -> list[str]:
    columns = ["timestamp"]
    for channel in stream.info.channels:
        plain = re.sub(r"\W+", "_", channel.label).strip("_").lower() or "channel"
        columns.append(_free(plain, set(columns), "_"))
    return columns


def _sidecar(stream: Stream, columns: list[str]) -> dict[str, Any]:
    times = stream.times_s
    finite = times[np.isfinite(times)]
    sidecar: dict[str, Any] = {
        "PhysioType": "generic",
        "SamplingFrequency": measured_rate_hz(times),
        "StartTime": round(float(finite[0]), 6) if len(finite) else 0.0,
        "Columns": columns,
        "timestamp": TIMESTAMP,
        "Manufacturer": stream.info.described("acquisition/manufacturer"),
        "ManufacturersModelName": stream.info.described("acquisition/model"),
    }
    for name, channel in zip(columns[1:], stream.info.channels, strict=True):
        sidecar[name] = {
            "LongName": channel.label,
            "Description": f"Channel {channel.label} ({channel.type or stream.info.type}), as recorded.",
            "Units": channel.unit or "arbitrary",
        }
    return sidecar


def _samples(stream: Stream, columns: list[str]) -> Iterator[pd.DataFrame]:
    times = stream.times_s
    for at in range(0, stream.n, ROWS_AT_ONCE):
        frame = pd.DataFrame(stream.samples(at, at + ROWS_AT_ONCE), columns=columns[1:])
        frame.insert(0, "timestamp", np.round(times[at : at + ROWS_AT_ONCE], 6))
        yield frame[np.isfinite(frame["timestamp"])]


def _free(wanted: str, taken: set[str], between: str = "") -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{between}{number}", number + 1
    taken.add(name)
    return name
