"""Make a session file of an XDF file: restored where it came from one, built anew otherwise."""

from __future__ import annotations

import math
import re
import shutil
from contextlib import nullcontext, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from duchenne import __version__
from duchenne.recorder.archive import seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.xdf_image import (
    LEFT_OUT,
    LIBVER,
    NAME,
    SessionImage,
    read_image,
    restore_attributes,
)
from duchenne.recorder.xdf_payload import (
    blocks,
    digest_of,
    write_odd_frames,
    write_payload,
)
from duchenne.recorder.xdf_reader import XdfFile, XdfStream
from duchenne.recorder.xdf_to_journal import Bar, Placed, StreamCopier
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from duchenne.recorder.xdf_chunks import Block

DERIVED = frozenset({"streams", "events", "certificate", "log", "xdf", LEFT_OUT})
"""Groups of a session file that are made anew where its XDF file is not whole any more."""
_LABEL_IN_NAME = {
    "participant": re.compile(r"(?:^|_)sub-([A-Za-z0-9]+)"),
    "session": re.compile(r"(?:^|_)ses-([A-Za-z0-9]+)"),
    "task": re.compile(r"(?:^|_)task-([A-Za-z0-9]+)"),
    "run": re.compile(r"(?:^|_)run-([A-Za-z0-9]+)"),
}


def xdf_to_session(
    source: Path,
    target: Path,
    scratch: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[str, ...]:
    """Make a session file of an XDF file and compare what was written.

    Parameters
    ----------
    source : Path
        XDF file of any writer, plain or packed with gzip.
    target : Path
        Session file; must not exist.
    scratch : Path
        Folder for intermediate files.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    tuple of str
        What could not be read; empty for an intact file.

    Raises
    ------
    DuchenneError
        If `source` is no XDF file, or `target` does not hold the same.
    """
    with XdfFile.open(source, scratch) as xdf:
        bar = Bar(progress, xdf.size_bytes)
        image = _image_of(xdf, scratch)
        if image is not None and not xdf.damaged and _restore(xdf, image, target, bar):
            with h5py.File(target, "r+", libver=LIBVER) as file:
                file.attrs["converted_from"] = source.name
            return ()
        bar.done = 0
        return _build(xdf, target, image, bar)


def _is_image(stream: XdfStream) -> bool:
    return stream.info.name == stream.info.type == NAME and stream.info.is_string


def _image_of(xdf: XdfFile, scratch: Path) -> SessionImage | None:
    """Unpack the session that an XDF file carries; None where it carries none that is whole."""
    for stream in xdf.streams.values():
        if _is_image(stream):
            rows = (row for _, block in xdf.samples(stream.id) for row in block.values)
            found = read_image((bytes(row[0]) for row in rows), scratch / "session-image.h5")
            if found is not None:
                return found
    return None


def _blocks(xdf: XdfFile, stream: XdfStream, bar: Bar) -> Iterator[Block]:
    return (block for _, block in xdf.samples(stream.id, tell=bar.add))


def _restore(xdf: XdfFile, image: SessionImage, target: Path, bar: Bar) -> bool:
    """Put the samples back into the session they came from; False where they are not the same any more."""
    streams = {s.id: s for s in xdf.streams.values() if not _is_image(s)}
    if image.streams.keys() != streams.keys() or set(image.digests) != set(image.streams.values()):
        return False
    shutil.copyfile(image.path, target)
    with h5py.File(target, "r+", libver=LIBVER) as file:
        for number, key in image.streams.items():
            stream, node = streams[number], file["streams"][key]
            texts = file.get(f"xdf/streams/{key}")
            write_payload(node, stream.info, _blocks(xdf, stream, bar))
            if digest_of(blocks(node, stream.info, texts=texts)) != image.digests[key]:
                break
        else:
            restore_attributes(file)
            return True
    target.unlink()
    return False


def _build(xdf: XdfFile, target: Path, image: SessionImage | None, bar: Bar) -> tuple[str, ...]:
    """Record the streams of an XDF file as if they came now, seal, and add what came with them."""
    journal_path = target.with_suffix(".journal")
    meta = _meta(xdf)
    with (
        Journal.create(journal_path, meta) as journal,
        _opened(None if image is None else image.path) as session,
    ):
        keys = {} if image is None else image.streams
        copier = StreamCopier(journal, xdf, bar)
        placed = [
            copier.copy(stream, _old_group(session, keys.get(stream.id)))
            for stream in xdf.streams.values()
            if not _is_image(stream)
        ]
        for row in _log_of(session):
            journal.log(*row)
        journal.set_meta(**_interval(placed))
        journal.log(0.0, "converted", f"from {xdf.path.name}")
        for problem in xdf.damaged:
            journal.log(0.0, "damaged", problem)
    _seal(journal_path, target)
    with (
        h5py.File(target, "r+", libver=LIBVER) as file,
        _opened(None if image is None else image.path) as session,
    ):
        file.attrs["converted_from"] = xdf.path.name
        if session is not None:
            _keep_facts(session, file)
        _add_origin(file, xdf, placed)
        _verify(file, placed)
    return tuple(xdf.damaged)


def _opened(path: Path | None) -> AbstractContextManager[Any]:
    return nullcontext() if path is None else h5py.File(path, "r")


def _old_group(session: h5py.File | None, key: str | None) -> h5py.Group | None:
    return None if session is None or key is None else session["streams"].get(key)


def _meta(xdf: XdfFile) -> dict[str, Any]:
    """Return what an XDF file says of its session, by its header and by its name."""
    found = {key: pattern.search(xdf.path.name) for key, pattern in _LABEL_IN_NAME.items()}
    labels = {key: match.group(1) for key, match in found.items() if match}
    return {"created_utc": _created(xdf.header), "software_version": __version__, **labels}


def _created(header: bytes) -> str:
    """Return when an XDF file was begun, ISO 8601 in UTC; as it stands there if it is written otherwise."""
    match = re.search(rb"<datetime>([^<]*)</datetime>", header)
    text = match.group(1).decode("utf-8", "replace").strip() if match else ""
    with suppress(ValueError):
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
        return moment.astimezone(timezone.utc).isoformat(timespec="seconds")
    return text


def _interval(placed: Sequence[Placed]) -> dict[str, float]:
    """Return from when to when samples were recorded, for the certificate; nothing without samples."""
    firsts = [stream.first_s for stream in placed if math.isfinite(stream.first_s)]
    lasts = [stream.last_s for stream in placed if math.isfinite(stream.last_s)]
    if not firsts:
        return {}
    return {"recording_since_lsl_s": min(firsts), "stopped_lsl_s": max(lasts)}


def _seal(journal: Path, target: Path) -> None:
    try:
        seal(journal, target)
    except DuchenneError as error:
        if isinstance(error.__cause__, OSError):
            raise DuchenneError(f"cannot write the session file: {error.__cause__}.") from error
        raise


def _log_of(session: h5py.File | None) -> list[tuple[float, str, str]]:
    if session is None:
        return []
    group = session["log"]
    rows = zip(group["time"][:], group["kind"].asstr()[:], group["detail"].asstr()[:], strict=True)
    return [(float(np.nan_to_num(time_s)), str(kind), str(detail)) for time_s, kind, detail in rows]


def _keep_facts(session: h5py.File, file: h5py.File) -> None:
    """Put back what a session file holds beside its streams and what is derived from them."""
    for key in ("participant", "session", "task", "run", "created_utc", "recovered"):
        file.attrs[key] = session.attrs[key]
    for name, item in session.items():
        if name not in DERIVED:
            if name in file:
                del file[name]
            session.copy(item, file, name)


def _add_origin(file: h5py.File, xdf: XdfFile, placed: Sequence[Placed]) -> None:
    """Keep what an XDF file holds and a session file has no place for."""
    if "xdf" in file:
        del file["xdf"]
    origin = file.create_group("xdf")
    origin.create_dataset("file_header", data=np.frombuffer(xdf.header, dtype=np.uint8))
    streams = origin.create_group("streams")
    for item in placed:
        node = streams.create_group(item.key)
        node.attrs["stream_id"] = item.stream.id
        node.create_dataset("header", data=np.frombuffer(item.stream.header, dtype=np.uint8))
        if item.stream.footer is not None:
            node.create_dataset("footer", data=np.frombuffer(item.stream.footer, dtype=np.uint8))
        offsets = np.array(item.stream.clock_offsets, dtype=np.float64).reshape(-1, 2)
        node.create_dataset("clock_offsets", data=offsets)
        if item.stream.info.is_video:
            write_odd_frames(node, (block for _, block in xdf.samples(item.stream.id)))


def _verify(file: h5py.File, placed: Sequence[Placed]) -> None:
    """Compare what lies in the session file with what the XDF file held."""
    for item in placed:
        node, origin = file["streams"][item.key], file["xdf/streams"][item.key]
        if digest_of(blocks(node, item.stream.info, texts=origin)) != item.digest:
            raise DuchenneError(
                f"stream {item.key} did not come out the same; nothing was written."
            )
