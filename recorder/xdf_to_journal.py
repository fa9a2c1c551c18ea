"""Put the streams of an XDF file into a journal, as if they were recorded now."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.journal_format import Segment, group_name_for
from duchenne.recorder.streams import Channel
from duchenne.recorder.xdf_chunks import Block
from duchenne.recorder.xdf_payload import Digest
from duchenne.recorder.xdf_reader import XdfFile, XdfStream, footer_offsets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import h5py
    import numpy.typing as npt

    from duchenne.recorder.journal import Journal
    from duchenne.recorder.streams import StreamInfo

COMMIT_BYTES = 8 << 20


@dataclass
class Bar:
    """Progress in bytes of the XDF file."""

    progress: Callable[[int, int], None] | None
    total: int
    done: int = 0

    def add(self, n_bytes: int) -> None:
        """Tell that so many more bytes were read."""
        self.done += n_bytes
        if self.progress is not None:
            self.progress(self.done, self.total)


@dataclass(frozen=True)
class Placed:
    """A stream of the XDF file, its group in the session file and what its samples were.

    Attributes
    ----------
    first_s, last_s : float
        First and last stamp, about on the recorder's clock; NaN without samples.
    """

    stream: XdfStream
    key: str
    digest: str
    first_s: float
    last_s: float


@dataclass
class StreamCopier:
    """Copies streams of an XDF file into a journal.

    Parameters
    ----------
    journal : Journal
    xdf : XdfFile
    bar : Bar
    """

    journal: Journal
    xdf: XdfFile
    bar: Bar
    _taken: set[str] = field(default_factory=set)

    def copy(self, stream: XdfStream, old: h5py.Group | None) -> Placed:
        """Put one stream into the journal.

        Parameters
        ----------
        stream : XdfStream
        old : h5py.Group, optional
            Of the session file that the XDF file was written from: its appearances and the bounds of its
            clock measurements are taken over.
        """
        journal, bar = self.journal, self.bar
        if old is not None:
            stream.info = _described_as(stream.info, old)
        key = group_name_for(stream.info.name, self._taken)
        self._taken.add(key)
        number = journal.add_stream(stream.info)
        offsets = _offsets(stream, old)
        for time_s, offset_s, bound_s in offsets.tolist():
            journal.add_clock_offset(number, time_s, offset_s, bound_s)
        waiting = [] if old is None else _segments_of(old)
        arrival = _arrival(self.xdf, stream)
        digest, committed = Digest(), bar.done
        first_s, last_s = math.nan, math.nan
        for place, whole in self.xdf.samples(stream.id, tell=bar.add):
            finite = whole.stamps[np.isfinite(whole.stamps)]
            if finite.size:
                first_s = float(finite[0]) if math.isnan(first_s) else first_s
                last_s = float(finite[-1])
            if old is None and not digest.n:
                opened_s = float(whole.stamps[0]) + _first_offset(offsets)
                waiting = [
                    Segment(0, stream.info.uid, opened_s if math.isfinite(opened_s) else 0.0)
                ]
            for block in _cut(whole, [segment.start_index - digest.n for segment in waiting]):
                while waiting and waiting[0].start_index <= digest.n:
                    journal.add_segment(number, waiting[0].uid, waiting[0].opened_s)
                    del waiting[0]
                journal.append(number, block.stamps, block.values, received_s=arrival(place))
                digest.add(block)
            if bar.done - committed >= COMMIT_BYTES:
                journal.commit()
                committed = bar.done
        journal.commit()
        edge_s = float(offsets[-1, 1]) if len(offsets) else 0.0
        return Placed(stream, key, digest.text, first_s + _first_offset(offsets), last_s + edge_s)


def _described_as(info: StreamInfo, old: h5py.Group) -> StreamInfo:
    """Return a description with the words of the session file, which XML may not be able to hold."""
    words = {key: old.attrs[key] for key in ("name", "source_id", "uid", "hostname", "info_xml")}
    channels = tuple(Channel(**channel) for channel in json.loads(old.attrs["channels"]))
    return replace(info, **words, channels=channels)


def _offsets(stream: XdfStream, old: h5py.Group | None) -> npt.NDArray[np.float64]:
    """Return recorder time, offset and uncertainty of the clock measurements that are numbers, (m, 3)."""
    table = np.array(stream.clock_offsets, dtype=np.float64).reshape(-1, 2)
    if not len(table) and stream.footer is not None:
        table = footer_offsets(stream.footer)
    bounds = np.full(len(table), np.nan)
    if old is not None:
        known = old["clock_offset_uncertainty"][: len(table)]
        bounds[: len(known)] = known
    full = np.column_stack([table.sum(axis=1), table[:, 1], bounds])
    return np.asarray(full[np.isfinite(full[:, :2]).all(axis=1)])


def _first_offset(offsets: npt.NDArray[np.float64]) -> float:
    return float(offsets[0, 1]) if len(offsets) else 0.0


def _segments_of(node: h5py.Group) -> list[Segment]:
    return [
        Segment(int(row["start_index"]), _text(row["uid"]), float(row["time"]))
        for row in node["segments"][:]
    ]


def _cut(block: Block, places: list[int]) -> Iterator[Block]:
    """Yield a block in pieces that end at the places within it."""
    inner = [place for place in places if 0 < place < len(block.stamps)]
    for start, stop in pairwise([0, *inner, len(block.stamps)]):
        yield Block(block.stamps[start:stop], block.values[start:stop])


def _arrival(xdf: XdfFile, stream: XdfStream) -> Callable[[int], float]:
    """Return a function that estimates when the chunk at a place was recorded, in the recorder's time.

    Between two clock measurements the place in the file tells; 0, which is unknown, where a writer did not
    put the measurements between the samples.
    """
    known = [(place, time_s) for place, time_s in xdf.offset_places if math.isfinite(time_s)]
    places = np.array([place for place, _ in known], dtype=np.float64)
    times_s = np.maximum.accumulate(np.array([time_s for _, time_s in known], dtype=np.float64))
    starts = stream.starts
    if not len(starts) or not ((places > starts[0]) & (places < starts[-1])).any():
        return lambda _place: 0.0
    return lambda place: float(np.interp(place, places, times_s))


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
