"""Write a session file as XDF: streams as XDF knows them, everything else in a stream of its own."""

from __future__ import annotations

import heapq
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from duchenne import __version__
from duchenne.recorder.recording import Recording
from duchenne.recorder.xdf_image import (
    NAME,
    end_block,
    image_blocks,
    image_info,
    write_image,
)
from duchenne.recorder.xdf_payload import Digest, blocks
from duchenne.recorder.xdf_reader import XdfFile
from duchenne.recorder.xdf_writer import XdfWriter, file_header_xml, stream_header_xml
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo
    from duchenne.recorder.xdf_chunks import Block

BOUNDARY_INTERVAL_S = 10.0


@dataclass
class _Part:
    """A stream on its way into the XDF file."""

    key: str
    number: int
    info: StreamInfo
    node: h5py.Group
    origin: h5py.Group | None
    digest: Digest = field(default_factory=Digest)

    @property
    def header(self) -> bytes:
        """Its StreamHeader: that of the XDF file it came from, if it did."""
        if self.origin is not None:
            return bytes(self.origin["header"][:].tobytes())
        return stream_header_xml(self.info)

    @property
    def footer(self) -> bytes | None:
        """Its StreamFooter in the XDF file it came from; None to make one."""
        if self.origin is None or "footer" not in self.origin:
            return None
        return bytes(self.origin["footer"][:].tobytes())

    @property
    def clock_offsets(self) -> npt.NDArray[np.float64]:
        """Collection time on the sender's clock and offset, shape (m, 2)."""
        if self.origin is not None:
            return np.asarray(self.origin["clock_offsets"][:], dtype=np.float64)
        table = np.array(self.node["clock_offsets"][:], dtype=np.float64).reshape(-1, 2)
        table[:, 0] -= table[:, 1]
        return table

    def steps(self) -> Iterator[tuple[float, int, Block]]:
        """Yield the samples with their time on the recorder's clock, which never goes back."""
        time_s, done = -math.inf, 0
        for block in blocks(self.node, self.info, texts=self.origin):
            here = float(self.node["times"][done])
            time_s = max(time_s, here) if math.isfinite(here) else time_s
            yield time_s, self.number, block
            done += len(block.stamps)

    def measurements(self) -> Iterator[tuple[float, int, tuple[float, float]]]:
        """Yield the clock measurements with their time on the recorder's clock, which never goes back."""
        latest_s = -math.inf
        for time_s, offset_s in self.clock_offsets.tolist():
            here = time_s + offset_s
            latest_s = max(latest_s, here) if math.isfinite(here) else latest_s
            yield latest_s, self.number, (time_s, offset_s)


def session_to_xdf(
    session: Path,
    target: Path,
    scratch: Path,
    *,
    plain: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a session file as XDF and compare what was written.

    Parameters
    ----------
    session : Path
        Session file.
    target : Path
        XDF file; replaced if it exists.
    scratch : Path
        Folder for intermediate files.
    plain : bool
        Leave out the stream that carries everything but the samples.
    progress : callable, optional
        Called with samples written and samples in all.

    Raises
    ------
    DuchenneError
        If `session` cannot be read, or the XDF file does not hold the same.
    """
    with Recording.open(session) as recording, h5py.File(session, "r") as file:
        parts = _parts(recording, file)
        image = scratch / "image.h5"
        if not plain:
            write_image(file, image)
        with target.open("wb") as out:
            writer = XdfWriter(out)
            writer.file_header(_file_header(recording, file))
            for part in parts:
                writer.stream_header(part.number, part.header)
            number = max((part.number for part in parts), default=0) + 1
            stamp_s = recording.start_lsl_s if math.isfinite(recording.start_lsl_s) else 0.0
            if not plain:
                writer.stream_header(number, stream_header_xml(image_info(_identity(recording))))
                facts = _facts(recording)
                keys = {part.number: part.key for part in parts}
                for block in image_blocks(image, facts, keys, stamp_s):
                    writer.samples(number, block)
                writer.clock_offset(number, stamp_s, 0.0)
            _write_streams(writer, parts, progress)
            for part in parts:
                writer.stream_footer(part.number, part.footer)
            if not plain:
                writer.samples(number, end_block({p.key: p.digest.text for p in parts}, stamp_s))
                writer.stream_footer(number)
        _verify(target, scratch, parts)


def _parts(recording: Recording, file: h5py.File) -> list[_Part]:
    """Return the streams, numbered from 1, or as in the XDF file they came from."""
    origins = file.get("xdf/streams", {})
    parts: list[_Part] = []
    for number, (key, stream) in enumerate(recording.streams.items(), start=1):
        origin = origins.get(key)
        chosen = number if origin is None else int(origin.attrs["stream_id"])
        node = file["streams"][key]
        parts.append(_Part(key, chosen, stream.info, node, origin))
    return sorted(parts, key=lambda part: part.number)


def _file_header(recording: Recording, file: h5py.File) -> bytes:
    if "xdf" in file and file["xdf/file_header"].size:
        return bytes(file["xdf/file_header"][:].tobytes())
    return file_header_xml(str(recording.attrs["created_utc"]), f"Duchenne {__version__}")


def _identity(recording: Recording) -> str:
    labels = (recording.participant, recording.session, recording.task, recording.run)
    return "-".join((NAME, *(label for label in labels if label)))


def _facts(recording: Recording) -> dict[str, Any]:
    """Return what people want of a session without unpacking the image."""
    return {
        "attributes": {key: _plain(value) for key, value in recording.attrs.items()},
        "protocol_name": recording.protocol_name,
        "protocol_yaml": recording.protocol_yaml,
        "schedule": recording.schedule,
        "screen": recording.screen,
        "participant_answers": recording.participant_answers,
        "log": json.loads(recording.log.to_json(orient="records")),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def _write_streams(
    writer: XdfWriter, parts: list[_Part], progress: Callable[[int, int], None] | None
) -> None:
    """Write samples and clock offsets in order of time, with a boundary every 10 s."""
    by_number = {part.number: part for part in parts}
    total = sum(len(part.node["timestamps"]) for part in parts)
    done, boundary_s = 0, -math.inf
    writer.boundary()
    sources: list[Iterator[tuple[float, int, Any]]] = []
    for part in parts:
        sources += (part.measurements(), part.steps())
    for time_s, number, item in heapq.merge(*sources, key=lambda step: step[0]):
        if time_s - boundary_s >= BOUNDARY_INTERVAL_S:
            if math.isfinite(boundary_s):
                writer.boundary()
            boundary_s = time_s
        if isinstance(item, tuple):
            writer.clock_offset(number, *item)
            continue
        writer.samples(number, item)
        by_number[number].digest.add(item)
        done += len(item.stamps)
        if progress is not None:
            progress(done, total)
    writer.boundary()


def _verify(path: Path, scratch: Path, parts: list[_Part]) -> None:
    """Compare the XDF file on the disk with what went into it."""
    with XdfFile.open(path, scratch) as xdf:
        for part in parts:
            found = xdf.streams[part.number]
            digest = Digest()
            for _, block in xdf.samples(part.number):
                digest.add(block)
            offsets = np.array(found.clock_offsets, dtype=np.float64).reshape(-1, 2)
            same = np.array_equal(offsets, part.clock_offsets, equal_nan=True)
            if digest.text != part.digest.text or not same or found.header != part.header:
                raise DuchenneError(f"stream {part.key} did not come out the same in {path}.")
        if xdf.damaged:
            raise DuchenneError(f"{path} cannot be read back: {xdf.damaged[0]}.")
