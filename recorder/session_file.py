"""Write what a journal holds into the groups of a session file (docs/session-format.md).

The raw streams come first and must succeed. Everything derived from them (times, events, certificate, facts)
is guarded: whatever odd content makes a derivation fail, the streams are kept and ``/log`` says what failed.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne import __version__
from duchenne.protocols.markers import decode
from duchenne.recorder.certifying import END_ATTRIBUTE, START_ATTRIBUTE, certify_stream
from duchenne.recorder.derivation import BLOCK_SAMPLES, Derivation
from duchenne.recorder.journal_format import Segment
from duchenne.recorder.sample_writers import (
    TEXT,
    Checksum,
    extend,
    growing,
    storable,
    store,
    store_texts,
    writer_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import h5py
    import numpy.typing as npt

    from duchenne.recorder.journal_format import Chunk, StoredStream
    from duchenne.recorder.journal_reader import JournalReader

FORMAT = "duchenne-session"
FORMAT_VERSION = 1
ROW_BLOCK_BYTES = 4 << 20
TEXT_OVERHEAD_BYTES = 100
"""Memory that a short text needs beside its own bytes."""
EVENT_COLUMNS = ("event", "trial", "block", "stimulus", "presentation_id", "phase")
MAX_EVENTS = 2_000_000
"""Of one stream; decoded they take a kilobyte of memory each."""
MAX_TRIAL = 2**31
MAX_TRIAL_DIGITS = 20
ROOT_FACTS = ("participant", "session", "task", "run")


def write_session(
    file: h5py.File,
    reader: JournalReader,
    *,
    recovered: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[int, int]:
    """Write a whole session file.

    Parameters
    ----------
    file : h5py.File
        New and empty.
    reader : JournalReader
    recovered : bool
        Whether the recorder crashed.
    progress : callable, optional
        Called with samples written and samples in all.

    Returns
    -------
    dict of int to int
        Samples written of each stream, by its number in the journal.
    """
    meta = reader.meta
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    for key in ROOT_FACTS:
        file.attrs[key] = storable(str(meta.get(key, "")))
    file.attrs["created_utc"] = storable(str(meta.get("created_utc", "")))
    file.attrs["software_version"] = storable(str(meta.get("software_version", __version__)))
    file.attrs["pilot"] = bool(meta.get("pilot", False))
    file.attrs["sealed"] = False
    file.attrs["recovered"] = recovered
    total = sum(reader.counts().values())
    failures: list[str] = []
    written: dict[int, int] = {}
    group = file.create_group("streams")
    for stream in reader.streams:
        node = group.create_group(stream.group_name)
        written[stream.id] = 0
        for n in _write_stream(node, stream, reader):
            written[stream.id] += n
            if progress is not None:
                progress(sum(written.values()), total)
    certificate = file.create_group("certificate")
    file.attrs[START_ATTRIBUTE], file.attrs[END_ATTRIBUTE] = _interval(meta, group)
    for stream in reader.streams:
        node = group[stream.group_name]
        n_failures = len(failures)
        _guard(failures, f"times of {stream.group_name}", _derive_times, node, stream)
        if len(failures) > n_failures:
            _keep_stamps(node)
    rows = _guard(failures, "events", _event_rows, group, reader) or []
    n_failures = len(failures)
    _guard(failures, "event columns", _write_events, file, rows)
    if len(failures) > n_failures:
        _start_again(file, "events")
        _write_events(file, [])
    n_failures = len(failures)
    _guard(failures, "protocol, stimuli and answers", _write_facts, file, meta)
    if len(failures) > n_failures:
        for name in ("protocol", "stimuli", "participant"):
            _start_again(file, name)
        _write_facts(file, {})
    file.create_group("calibration")
    for stream in reader.streams:
        what = f"certificate of {stream.group_name}"
        _guard(failures, what, _certify, file, certificate, stream)
    _write_log(file, reader, failures, _odd_trials(rows))
    file.attrs["sealed"] = True
    return written


def _guard(failures: list[str], what: str, derive: Callable[..., Any], *arguments: Any) -> Any:
    """Derive something; note a failure and return None instead of losing the recording over it."""
    try:
        return derive(*arguments)
    except Exception as error:  # noqa: BLE001 -- whatever a foreign stream holds, the raw data are kept
        failures.append(f"{what}: {type(error).__name__}: {error}")
        return None


def _start_again(file: h5py.Group, name: str) -> None:
    if name in file:
        del file[name]


def _interval(meta: Mapping[str, Any], group: h5py.Group) -> tuple[float, float]:
    """Return when the recording began and ended, on the recorder's clock; NaN if unknown."""
    begun = float(meta.get("recording_since_lsl_s", math.nan))
    last = [float(node["received"][-1, 1]) for node in group.values() if len(node["received"])]
    ended = float(meta.get("stopped_lsl_s", max(last, default=math.nan)))
    return begun, ended


def _write_stream(node: h5py.Group, stream: StoredStream, reader: JournalReader) -> Iterator[int]:
    info = stream.info
    for key in ("name", "type", "source_id", "uid", "hostname", "channel_format", "info_xml"):
        node.attrs[key] = storable(getattr(info, key))
    node.attrs["nominal_srate_hz"] = info.nominal_srate_hz
    node.attrs["channels"] = json.dumps([channel.__dict__ for channel in info.channels])
    stamps = growing(node, "timestamps", np.float64)
    received = growing(node, "received", np.float64, 2)
    writer = writer_for(node, info)
    checksum, arrivals = Checksum(), Checksum()
    n_written = 0
    for chunks in _blocks(reader.chunks(stream)):
        block = np.concatenate([chunk.timestamps for chunk in chunks])
        checksum.add(block)
        extend(stamps, block)
        writer.write([chunk.samples for chunk in chunks])
        starts = n_written + np.cumsum([0, *(len(chunk.timestamps) for chunk in chunks[:-1])])
        came = np.column_stack([starts, [chunk.received_s for chunk in chunks]])
        arrivals.add(came)
        extend(received, came)
        n_written += len(block)
        yield len(block)
    checksum.store(stamps)
    arrivals.store(received)
    writer.finish()
    _write_clock(node, stream, reader)


def _write_clock(node: h5py.Group, stream: StoredStream, reader: JournalReader) -> None:
    offsets = reader.clock_offsets(stream.id)
    store(node, "clock_offsets", offsets[:, :2])
    store(node, "clock_offset_uncertainty", offsets[:, 2])
    segments = [_shifted(s, reader.dropped.get(stream.id, ())) for s in reader.segments(stream.id)]
    compound = np.array(
        [(s.start_index, storable(s.uid), s.opened_s) for s in segments],
        dtype=[("start_index", np.uint64), ("uid", TEXT), ("time", np.float64)],
    )
    store(node, "segments", compound)


def _shifted(segment: Segment, dropped: Sequence[tuple[int, int]]) -> Segment:
    """Return a segment whose start counts only the samples that could be read."""
    gone = sum(
        min(n, segment.start_index - before)
        for before, n in dropped
        if before < segment.start_index
    )
    return Segment(segment.start_index - gone, segment.uid, segment.opened_s)


def _derive_times(node: h5py.Group, stream: StoredStream) -> None:
    stamps = node["timestamps"]
    derivation = Derivation(
        len(stamps),
        np.column_stack([node["clock_offsets"][:], node["clock_offset_uncertainty"][:]]),
        nominal_srate_hz=stream.info.nominal_srate_hz,
        can_drop_samples=stream.info.can_drop_samples,
        received=node["received"][:],
        starts=[int(row["start_index"]) for row in node["segments"][:]],
    )
    blocks = (derivation.times(stamps[start:stop]) for start, stop in derivation.blocks)
    _write_times(node, blocks)
    node["times"].attrs["method"] = derivation.method


def _keep_stamps(node: h5py.Group) -> None:
    """Put the stamps where times could not be derived."""
    _start_again(node, "times")
    stamps = node["timestamps"]
    edges = range(0, len(stamps), BLOCK_SAMPLES)
    _write_times(node, (stamps[start : start + BLOCK_SAMPLES] for start in edges))
    node["times"].attrs["method"] = "stamps as received: times could not be derived"


def _write_times(node: h5py.Group, blocks: Iterable[npt.NDArray[np.float64]]) -> None:
    times, checksum = growing(node, "times", np.float64), Checksum()
    for block in blocks:
        checksum.add(block)
        extend(times, block)
    checksum.store(times)


def _certify(file: h5py.File, certificate: h5py.Group, stream: StoredStream) -> None:
    result = certify_stream(file, stream.group_name, stream.info)
    certificate.attrs[stream.group_name] = json.dumps(result.to_json())


def _blocks(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    block: list[Chunk] = []
    size = 0
    for chunk in chunks:
        block.append(chunk)
        samples = chunk.samples
        size += (
            samples.nbytes
            if isinstance(samples, np.ndarray)
            else sum(len(value) + TEXT_OVERHEAD_BYTES for row in samples for value in row)
        )
        if size >= ROW_BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _event_rows(
    group: h5py.Group, reader: JournalReader
) -> list[tuple[float, str, str, dict[str, Any]]]:
    """Return the decoded markers of all marker streams in order of time, those without a time last."""
    rows: list[tuple[float, str, str, dict[str, Any]]] = []
    for stream in reader.streams:
        if stream.info.type != "Markers" or not stream.info.is_string:
            continue
        node = group[stream.group_name]
        if len(node["samples"]) > MAX_EVENTS:
            raise ValueError(
                f"{len(node['samples'])} markers of {stream.group_name} are too many to decode; they are "
                "in its samples"
            )
        texts = node["samples"].asstr()[:]
        first = texts[:, 0] if texts.ndim == 2 else texts
        for time_s, text in zip(node["times"][:], first, strict=True):
            rows.append((float(time_s), stream.group_name, str(text), decode(str(text))))
    return sorted(rows, key=lambda row: (math.isnan(row[0]), row[0]))


def _write_events(file: h5py.File, rows: Sequence[tuple[float, str, str, dict[str, Any]]]) -> None:
    group = file.create_group("events")
    store(group, "time", np.array([row[0] for row in rows], dtype=np.float64))
    for column in EVENT_COLUMNS:
        values = [row[3].get(column) for row in rows]
        if column == "trial":
            store(group, column, np.array([_whole_number(value) for value in values], np.int64))
        else:
            store_texts(group, column, ["" if value is None else str(value) for value in values])
    store_texts(group, "stream", [row[1] for row in rows])
    store_texts(group, "json", [row[2] for row in rows])


def _whole_number(value: Any) -> int:
    """Return a trial number, also where its sender writes 3.0 or "3"; -1 for anything else."""
    if isinstance(value, str) and len(value) <= MAX_TRIAL_DIGITS:
        with suppress(ValueError):
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return -1
    if not 0 <= value < MAX_TRIAL:  # also NaN
        return -1
    return int(value) if value == int(value) else -1


def _odd_trials(rows: Sequence[tuple[float, str, str, dict[str, Any]]]) -> list[str]:
    """Return, for each stream, how many trials of its markers cannot be read as numbers, and one of them."""
    odd: dict[str, list[Any]] = {}
    for _, stream, _, fields in rows:
        trial = fields.get("trial")
        if trial is not None and _whole_number(trial) < 0:
            odd.setdefault(stream, []).append(trial)
    return [
        f"{stream}: {len(trials)} markers, such as {str(trials[0])[:40]!r}"
        for stream, trials in odd.items()
    ]


def _write_facts(file: h5py.File, meta: Mapping[str, Any]) -> None:
    protocol = file.create_group("protocol")
    protocol.attrs["name"] = str(meta.get("protocol_name", ""))
    protocol.attrs["hash"] = str(meta.get("protocol_hash", ""))
    protocol.attrs["screen"] = json.dumps(meta.get("screen"))
    for name, key in (("yaml", "protocol_yaml"), ("schedule", "schedule_json")):
        protocol.create_dataset(name, data=storable(str(meta.get(key, ""))), dtype=TEXT)
    stimuli = file.create_group("stimuli")
    stimuli.attrs["source"] = str(meta.get("stimuli_source", ""))
    for column, values in (meta.get("stimuli") or {}).items():
        if all(isinstance(value, (int, float)) for value in values if value is not None):
            numbers = [np.nan if value is None else value for value in values]
            stimuli.create_dataset(column, data=np.array(numbers, dtype=np.float64))
        else:
            store_texts(stimuli, column, ["" if value is None else str(value) for value in values])
    participant = file.create_group("participant")
    participant.attrs["answers"] = json.dumps(meta.get("participant_answers") or {})


def _write_log(
    file: h5py.File, reader: JournalReader, failures: Sequence[str], odd_trials: Sequence[str]
) -> None:
    rows = reader.log()
    rows += [(0.0, "trial unread", text) for text in odd_trials]
    rows += [(0.0, "derive failed", text) for text in failures]
    rows += [(0.0, "damaged", text) for text in reader.damaged]
    group = file.create_group("log")
    group.create_dataset("time", data=np.array([row[0] for row in rows], dtype=np.float64))
    store_texts(group, "kind", [row[1] for row in rows])
    store_texts(group, "detail", [row[2] for row in rows])
