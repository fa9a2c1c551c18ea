"""Seal a journal into ``session.h5``, and recover one that a crash left behind.

The session file is written beside its final name, verified against the journal, and renamed only then;
the journal is removed last. Killed at any moment, sealing can be repeated from the journal.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from duchenne import __version__
from duchenne.protocols.markers import decode
from duchenne.recorder.certificate import certify
from duchenne.recorder.clock import correct, dejitter, fit_offsets
from duchenne.recorder.journal import HEARTBEAT_INTERVAL_S, JournalReader, StoredStream
from duchenne.recorder.sample_writers import TEXT, extend, growing, writer_for
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from duchenne.recorder.journal import Chunk

FORMAT = "duchenne-session"
FORMAT_VERSION = 1
ROW_BLOCK_BYTES = 4 << 20
EVENT_COLUMNS = ("event", "trial", "block", "stimulus", "presentation_id", "phase")
MAX_TRIAL = 2**31
ROOT_FACTS = ("participant", "session", "task", "run")


def session_path_for(journal: Path) -> Path:
    """Return the session file that a journal seals into: ``x.journal`` gives ``x.h5``."""
    return journal.with_suffix(".h5")


def journal_path_for(session_file: Path) -> Path:
    """Return the journal of a session file: ``x.h5`` journals to ``x.journal``."""
    return session_file.with_suffix(".journal")


def recover(
    journal: Path, *, keep_journal: bool = False, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Seal a journal that a crash left behind.

    Parameters
    ----------
    journal : Path
        The ``.journal`` file.
    keep_journal : bool
        Keep it after the session file was verified.
    progress : callable, optional
        Called with samples written and samples in all.

    Returns
    -------
    Path
        The session file.

    Raises
    ------
    DuchenneError
        If the journal is missing, still being written, or the session file exists already.
    """
    _refuse_ifgrowing(journal)
    return seal(journal, keep_journal=keep_journal, recovered=True, progress=progress)


def seal(
    journal: Path,
    out: Path | None = None,
    *,
    keep_journal: bool = False,
    recovered: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the session file of a journal, verify it, then remove the journal.

    Parameters
    ----------
    journal : Path
        Of a recorder that has ended.
    out : Path, optional
        Session file; by default the journal's name with ``.h5``.
    keep_journal, recovered : bool
        Keep the journal; mark the file as recovered after a crash.
    progress : callable, optional
        Called with samples written and samples in all.

    Returns
    -------
    Path
        The session file.

    Raises
    ------
    DuchenneError
        If `out` exists, cannot be written, or does not hold what the journal holds. The journal stays.
    """
    target = out or session_path_for(journal)
    if target.exists():
        raise DuchenneError(
            f"{target} already exists and is not overwritten: move it away, then run "
            f"`duchenne recover {journal}` again."
        )
    part = target.with_name(target.name + ".part")
    with JournalReader(journal, read_only=False) as reader:
        try:
            with h5py.File(part, "w", libver=("earliest", "v110")) as file:
                _write_session(file, reader, recovered=recovered, progress=progress)
            _verify(part, reader)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise DuchenneError(
                f"cannot write {target}: {error}. The recording is safe in {journal}; make room, "
                f"then run `duchenne recover {journal}`."
            ) from error
        _sync(part)
        part.rename(target)
        damaged = bool(reader.damaged)
    if not keep_journal and not damaged:
        remove_journal(journal)
    return target


def remove_journal(journal: Path) -> None:
    """Delete a journal with its write-ahead log."""
    for suffix in ("-wal", "-shm", ""):
        Path(f"{journal}{suffix}").unlink(missing_ok=True)


def _refuse_ifgrowing(journal: Path) -> None:
    with JournalReader(journal) as reader:
        meta = reader.meta
        first = float(meta.get("heartbeat_unix_s", 0.0))
        if meta.get("closed") or time.time() - first > 3 * HEARTBEAT_INTERVAL_S:
            return
        time.sleep(1.5 * HEARTBEAT_INTERVAL_S)
        if float(reader.meta.get("heartbeat_unix_s", 0.0)) > first:
            raise DuchenneError(
                f"{journal} is still being recorded: stop the recorder first, it seals the file itself."
            )


def _write_session(
    file: h5py.File,
    reader: JournalReader,
    *,
    recovered: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    meta = reader.meta
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    for key in ROOT_FACTS:
        file.attrs[key] = str(meta.get(key, ""))
    file.attrs["created_utc"] = str(meta.get("created_utc", ""))
    file.attrs["software_version"] = str(meta.get("software_version", __version__))
    file.attrs["sealed"] = False
    file.attrs["recovered"] = recovered
    counts = reader.counts()
    total, written = sum(counts.values()), 0
    group = file.create_group("streams")
    certificate = file.create_group("certificate")
    for stream in reader.streams:
        node = group.create_group(stream.group_name)
        for n in _write_stream(node, stream, reader):
            written += n
            if progress is not None:
                progress(written, total)
        _write_certificate(certificate, node, stream)
    _write_events(file, reader)
    _write_facts(file, meta)
    _write_log(file, reader)
    file.attrs["sealed"] = True


def _write_stream(node: h5py.Group, stream: StoredStream, reader: JournalReader) -> Iterator[int]:
    info = stream.info
    for key in ("name", "type", "source_id", "uid", "hostname", "channel_format", "info_xml"):
        node.attrs[key] = getattr(info, key)
    node.attrs["nominal_srate_hz"] = info.nominal_srate_hz
    node.attrs["channels"] = json.dumps([channel.__dict__ for channel in info.channels])
    stamps = growing(node, "timestamps", np.float64)
    writer = writer_for(node, info)
    for chunks in _blocks(reader.chunks(stream)):
        block = np.concatenate([chunk.timestamps for chunk in chunks])
        extend(stamps, block)
        writer.write([chunk.samples for chunk in chunks])
        yield len(block)
    writer.finish()
    _write_times(node, stream, reader, stamps[:])


def _write_times(
    node: h5py.Group, stream: StoredStream, reader: JournalReader, stamps: npt.NDArray[np.float64]
) -> None:
    offsets = reader.clock_offsets(stream.id)
    node.create_dataset("clock_offsets", data=offsets[:, :2])
    node.create_dataset("clock_offset_uncertainty", data=offsets[:, 2])
    segments = reader.segments(stream.id)
    compound = np.array(
        [(s.start_index, s.uid, s.opened_s) for s in segments],
        dtype=[("start_index", np.uint64), ("uid", TEXT), ("time", np.float64)],
    )
    node.create_dataset("segments", data=compound)
    times = correct(stamps, fit_offsets(offsets))
    smooth = not stream.info.can_drop_samples
    if smooth:
        starts = tuple(s.start_index for s in segments)
        times = dejitter(times, stream.info.nominal_srate_hz, boundaries=starts)
    dataset = node.create_dataset("times", data=times, chunks=True if len(times) else None)
    dataset.attrs["method"] = "clock offsets, dejittered" if smooth else "clock offsets"


def _write_certificate(certificate: h5py.Group, node: h5py.Group, stream: StoredStream) -> None:
    offsets = np.column_stack([node["clock_offsets"][:], node["clock_offset_uncertainty"][:]])
    result = certify(
        stream.info, node["timestamps"][:], offsets, n_segments=max(len(node["segments"]), 1)
    )
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
            else sum(len(value) for row in samples for value in row)
        )
        if size >= ROW_BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _write_events(file: h5py.File, reader: JournalReader) -> None:
    rows: list[tuple[float, str, str, dict[str, Any]]] = []
    for stream in reader.streams:
        if stream.info.type != "Markers" or not stream.info.is_string:
            continue
        node = file["streams"][stream.group_name]
        texts = node["samples"].asstr()[:]
        first = texts[:, 0] if texts.ndim == 2 else texts
        for time_s, text in zip(node["times"][:], first, strict=True):
            rows.append((float(time_s), stream.group_name, str(text), decode(str(text))))
    rows.sort(key=lambda row: row[0])
    group = file.create_group("events")
    group.create_dataset("time", data=np.array([row[0] for row in rows], dtype=np.float64))
    for column in EVENT_COLUMNS:
        values = [row[3].get(column) for row in rows]
        if column == "trial":
            numbers = [_whole_number(value) for value in values]
            group.create_dataset(column, data=np.array(numbers, dtype=np.int64))
        else:
            _text_dataset(group, column, ["" if value is None else str(value) for value in values])
    _text_dataset(group, "stream", [row[1] for row in rows])
    _text_dataset(group, "json", [row[2] for row in rows])


def _whole_number(value: Any) -> int:
    """Return a trial number, also where its sender writes 3.0; -1 for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return -1
    if not 0 <= value < MAX_TRIAL:  # also NaN
        return -1
    return int(value) if value == int(value) else -1


def _write_facts(file: h5py.File, meta: Mapping[str, Any]) -> None:
    protocol = file.create_group("protocol")
    protocol.attrs["name"] = str(meta.get("protocol_name", ""))
    protocol.attrs["hash"] = str(meta.get("protocol_hash", ""))
    protocol.attrs["screen"] = json.dumps(meta.get("screen"))
    protocol.create_dataset("yaml", data=str(meta.get("protocol_yaml", "")), dtype=TEXT)
    protocol.create_dataset("schedule", data=str(meta.get("schedule_json", "")), dtype=TEXT)
    stimuli = file.create_group("stimuli")
    stimuli.attrs["source"] = str(meta.get("stimuli_source", ""))
    for column, values in (meta.get("stimuli") or {}).items():
        if all(isinstance(value, (int, float)) for value in values if value is not None):
            numbers = [np.nan if value is None else value for value in values]
            stimuli.create_dataset(column, data=np.array(numbers, dtype=np.float64))
        else:
            _text_dataset(
                stimuli, column, ["" if value is None else str(value) for value in values]
            )
    participant = file.create_group("participant")
    participant.attrs["answers"] = json.dumps(meta.get("participant_answers") or {})
    file.create_group("calibration")


def _write_log(file: h5py.File, reader: JournalReader) -> None:
    rows = reader.log()
    rows += [(0.0, "damaged", text) for text in reader.damaged]
    group = file.create_group("log")
    group.create_dataset("time", data=np.array([row[0] for row in rows], dtype=np.float64))
    _text_dataset(group, "kind", [row[1] for row in rows])
    _text_dataset(group, "detail", [row[2] for row in rows])


def _text_dataset(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    # HDF5 text can hold neither NUL nor the lone surrogates that JSON escapes may spell.
    whole = (value.encode("utf-8", "replace").decode("utf-8") for value in values)
    safe = [value.replace("\0", "\N{SYMBOL FOR NULL}") for value in whole]
    group.create_dataset(name, data=np.array(safe, dtype=object), dtype=TEXT)


def _verify(path: Path, reader: JournalReader) -> None:
    """Compare the written file with the journal, sample count by sample count."""
    counts = reader.counts()
    with h5py.File(path, "r") as file:
        for stream in reader.streams:
            node = file["streams"][stream.group_name]
            expected = counts.get(stream.id, 0)
            found = len(node["timestamps"])
            payload = (
                len(node["packet_offsets"]) - 1 if stream.info.is_video else len(node["samples"])
            )
            if not reader.damaged and not found == payload == len(node["times"]) == expected:
                raise DuchenneError(
                    f"{path}: stream {stream.info.name} holds {found} of {expected} samples. "
                    f"The recording is safe in {reader.path}; run `duchenne recover {reader.path}`."
                )


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
