"""Session files and XDF files with everything odd in them, and comparing two session files whole."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from duchenne.recorder.archive import seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.streams import Channel, StreamInfo

if TYPE_CHECKING:
    from pathlib import Path

START_S = 70000.0
MALFORMED = "<info><name>Bad & worse</name><desc><open></info>"
TEXTS = [b"plain", b"", "Häkchen ✓ \N{SYMBOL FOR NULL}".encode(), b"a\0b", b"\xff\xfe", b"\0"]
FRAMES = [b"\xff\xd8one", b"", bytes(range(256)), b"\xff\xd8" + b"x" * 70000]


def odd_floats(dtype: Any) -> np.ndarray:
    """Return numbers whose bits a careless copy changes: NaN with payload, -0, infinities, tiny ones."""
    bits = {
        np.float32: np.array([0x7FC00001, 0xFFC12345, 0x80000000, 1, 0x7F800000], np.uint32),
        np.float64: np.array(
            [0x7FF8000000000001, 0xFFF8DEADBEEF0001, 1 << 63, 1, 0xFFF0000000000000], np.uint64
        ),
    }
    return bits[dtype].view(dtype)


def write_odd_session(path: Path) -> Path:
    """Write a session file with every channel format, odd strings, odd stamps and all facts."""
    meta = {
        "participant": "P01",
        "session": "02",
        "task": "odd",
        "run": "01",
        "created_utc": "2026-01-01T00:00:00+00:00",
        "protocol_name": "odd",
        "protocol_yaml": "name: odd # Häkchen\n",
        "schedule_json": '{"steps": [{"kind": "trial"}]}',
        "screen": None,
        "stimuli": {"id": ["a", "b"], "valence": [1.5, None]},
        "participant_answers": {"age": 30, "note": "“quoted”"},
    }
    journal_path = path.with_suffix(".journal")
    rng = np.random.default_rng(7)
    with Journal.create(journal_path, meta) as journal:
        for number, (kind, dtype) in enumerate(
            [
                ("float32", np.float32),
                ("double64", np.float64),
                ("int8", np.int8),
                ("int16", np.int16),
                ("int32", np.int32),
                ("int64", np.int64),
            ]
        ):
            info = StreamInfo("Num", kind, f"id-{kind}", f"u-{kind}", "host", kind, 100.0, 3)
            stream = _begin(journal, info)
            values = rng.integers(0, 256, (500, 3 * np.dtype(dtype).itemsize), np.uint8)
            table = values.view(dtype).copy()
            if dtype in {np.float32, np.float64}:
                table[0, :2], table[1:4, 2] = odd_floats(dtype)[:2], odd_floats(dtype)[2:]
            _fill(journal, stream, START_S + number + np.arange(500) / 100, table)
        odd = START_S + np.array([0.5, 0.25, np.nan, np.inf, -np.inf, 3.0])
        texts = _begin(journal, StreamInfo("Notes", "Notes", channel_format="string"))
        _fill(journal, texts, odd, [[text] for text in TEXTS])
        wide = StreamInfo("Wide/√", "Pairs", channel_format="string", channel_count=2)
        _fill(journal, _begin(journal, wide), odd[:3], [TEXTS[:2], TEXTS[2:4], TEXTS[4:]])
        marks = _begin(journal, StreamInfo("Markers", "Markers", "m", channel_format="string"))
        rows = [b'{"event": "session_start"}', b'{"event": "note", "trial": 4}', b"trigger 7"]
        _fill(journal, marks, START_S + np.array([0.0, 1.0, 25.0]), [[row] for row in rows])
        video = StreamInfo("Face", "VideoCompressed", "v", "u9", "h", "string", 30.0)
        coded = [[base64.b64encode(frame)] for frame in FRAMES] + [[b"!no base64!"]]
        _fill(journal, _begin(journal, video), START_S + np.arange(5) / 30, coded)
        _begin(journal, StreamInfo("Silent", "EEG", nominal_srate_hz=250.0, channel_count=8))
        _begin(journal, StreamInfo("Silent", "Notes", channel_format="string"))
        bad = StreamInfo(
            "Bad\x01name", "X", channels=(Channel("a & <b>", unit="µV"),), info_xml=MALFORMED
        )
        again = _begin(journal, bad)
        _fill(journal, again, START_S + np.arange(40.0), np.arange(40, dtype=np.float32)[:, None])
        journal.add_segment(again, "second-uid", START_S + 45)
        _fill(journal, again, START_S + 50 + np.arange(3.0), np.zeros((3, 1), np.float32))
        journal.log(START_S, "found", "Num")
    return seal(journal_path, path)


def _begin(journal: Journal, info: StreamInfo) -> int:
    stream = journal.add_stream(info)
    journal.add_segment(stream, info.uid, START_S)
    for step, bound in ((0.0, 1e-4), (5.1, float("nan")), (10.3, 2e-4)):
        journal.add_clock_offset(stream, START_S + step, -1234.567 + step * 1e-6, bound)
    return stream


def _fill(journal: Journal, stream: int, stamps: Any, samples: Any) -> None:
    for first in range(0, len(stamps), 7):
        piece = slice(first, first + 7)
        received_s = START_S + first / 100
        journal.append(stream, np.asarray(stamps[piece]), samples[piece], received_s=received_s)
    journal.commit()


def differences(one: Path, other: Path) -> list[str]:
    """Return every group, dataset and attribute that two HDF5 files do not share, bit for bit."""
    with h5py.File(one, "r") as first, h5py.File(other, "r") as second:
        a, b = _content(first), _content(second)
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


def _content(file: h5py.File) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        found[name] = None
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item[()])
            texts = value.dtype == object or value.dtype.hasobject
            plain = repr(value.tolist()) if texts else value.tobytes()
            found[name] = (value.shape, str(value.dtype), plain)
        for key, attribute in item.attrs.items():
            found[f"{name}@{key}"] = repr(attribute)

    visit("", file)
    file.visititems(visit)
    return found


def chunk(tag: int, content: bytes) -> bytes:
    """Return an XDF chunk, its length always in four bytes."""
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def header(stream: int, name: str, kind: str, channels: int, rate_hz: float) -> bytes:
    """Return a StreamHeader chunk."""
    xml = (
        f'<?xml version="1.0"?><info><name>{name}</name><type>T</type><channel_count>{channels}'
        f"</channel_count><nominal_srate>{rate_hz}</nominal_srate><channel_format>{kind}"
        f"</channel_format></info>"
    )
    return chunk(2, struct.pack("<I", stream) + xml.encode())
