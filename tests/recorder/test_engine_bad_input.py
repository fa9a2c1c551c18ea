"""Whatever a stream sends is kept as it was sent, over real LSL."""

from __future__ import annotations

import base64
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pylsl
import pytest
from support.engines import recording, wait_until

from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_S = 20.0
NUMBERS: dict[str, tuple[int, Any]] = {
    "float32": (pylsl.cf_float32, np.array([[0.1, -3e38], [np.nan, np.inf]], np.float32)),
    "double64": (pylsl.cf_double64, np.array([[1 / 3, -np.inf], [5e-324, 1.7e308]])),
    "int8": (pylsl.cf_int8, np.array([[-128, 127], [0, -1]], np.int8)),
    "int16": (pylsl.cf_int16, np.array([[-32768, 32767], [0, -1]], np.int16)),
    "int32": (pylsl.cf_int32, np.array([[-(2**31), 2**31 - 1], [0, -1]], np.int32)),
    "int64": (pylsl.cf_int64, np.array([[-(2**63), 2**63 - 1], [2**53 + 1, -1]], np.int64)),
}
TEXTS = [
    b"plain",
    "dünn ☃".encode(),
    b"",
    b"nul\0inside\0",
    b"\xff\xfe no utf-8",
    b"\0",
    b"<xml>&amp;",
    "\ufffd".encode(),
]


def outlet_of(
    name: str, kind: str, n_channels: int, rate_hz: float, channel_format: int
) -> pylsl.StreamOutlet:
    return pylsl.StreamOutlet(
        pylsl.StreamInfo(name, kind, n_channels, rate_hz, channel_format, f"source-{name}")
    )


def test_numbers_of_every_format_come_back_bit_for_bit(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    outlets = {
        key: outlet_of(f"{unique_name}-{key}", "X", 2, 0, channel_format)
        for key, (channel_format, _) in NUMBERS.items()
    }
    with recording(out, f"starts-with(name,'{unique_name}')") as running:
        for key, outlet in outlets.items():
            assert outlet.wait_for_consumers(CONNECT_S)
            outlet.push_chunk(NUMBERS[key][1])
        wait_until(lambda: running.count() == 2 * len(outlets), "the samples")
    with h5py.File(out) as file:
        for key, (_, sent) in NUMBERS.items():
            kept = file[f"streams/{unique_name}-{key}/samples"][:]
            assert kept.dtype == sent.dtype
            assert kept.tobytes() == sent.tobytes()


@pytest.mark.parametrize("n_channels", [1, 2])
def test_strings_keep_every_byte(tmp_path: Path, unique_name: str, n_channels: int) -> None:
    out = tmp_path / "x.h5"
    outlet = outlet_of(unique_name, "Notes", n_channels, 0, pylsl.cf_string)
    with recording(out, f"name='{unique_name}'") as running:
        assert outlet.wait_for_consumers(CONNECT_S)
        for first in range(0, len(TEXTS), n_channels):
            outlet.push_sample(TEXTS[first : first + n_channels])
        wait_until(lambda: running.count() == len(TEXTS) // n_channels, "the samples")
    with h5py.File(out) as file:
        node = file[f"streams/{unique_name}"]
        kept = [text.encode() for text in np.ravel(node["samples"].asstr()[:])]
        raw = node["raw_bytes"][:].tobytes()
        odd = [raw[a:b] for a, b in pairwise(node["raw_offsets"][:])]
        for index, value in zip(node["raw_index"][:], odd, strict=True):
            kept[int(index)] = value
    assert kept == TEXTS


def test_odd_stamps_are_kept_and_flagged(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    stamps = [10.0, 11.0, 5.0, 12.0, 12.0, 13.0]
    outlet = outlet_of(unique_name, "X", 1, 1.0, pylsl.cf_float32)
    with recording(out, f"name='{unique_name}'") as running:
        assert outlet.wait_for_consumers(CONNECT_S)
        for number, stamp in enumerate(stamps):
            outlet.push_sample([float(number)], stamp)
        wait_until(lambda: running.count() == len(stamps), "the samples")
    with Recording.open(out) as file:
        assert file.streams[unique_name].timestamps.tolist() == stamps
        assert any("back" in reason for reason in file.certificate[unique_name].reasons)


def test_an_irregular_stream_of_thousands_a_second_is_complete(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    outlet = outlet_of(unique_name, "X", 1, 0, pylsl.cf_int64)
    n_bursts, n_each = 50, 200
    with recording(out, f"name='{unique_name}'") as running:
        assert outlet.wait_for_consumers(CONNECT_S)
        for burst in range(n_bursts):
            outlet.push_chunk(np.arange(n_each, dtype=np.int64)[:, None] + burst * n_each)
            time.sleep(0.02)
        wait_until(lambda: running.count() == n_bursts * n_each, "the samples")
    with Recording.open(out) as file:
        numbers = file.streams[unique_name].samples()[:, 0]
        assert numbers.tolist() == list(range(n_bursts * n_each))


def test_frames_that_are_not_base64_are_kept_and_listed(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    frames = [base64.b64encode(b"one"), b"not base64!", base64.b64encode(b"three"), b"\0\xff"]
    outlet = outlet_of(unique_name, "VideoCompressed", 1, 30.0, pylsl.cf_string)
    with recording(out, f"name='{unique_name}'") as running:
        assert outlet.wait_for_consumers(CONNECT_S)
        for frame in frames:
            outlet.push_sample([frame])
        wait_until(lambda: running.count() == len(frames), "the frames")
    with h5py.File(out) as file:
        node = file[f"streams/{unique_name}"]
        assert node.attrs["n_not_base64"] == 2
        assert node["not_base64"][:].tolist() == [1, 3]
    with Recording.open(out) as recorded:
        kept = list(recorded.streams[unique_name].packets())
    assert kept == [b"one", b"not base64!", b"three", b"\0\xff"]


def test_odd_names_collisions_and_silent_streams_all_have_their_group(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    names = ["Gaze", "Gaze", "Gaze-2", "a/b", "größe 100%", "..", "Gaze-2"]
    outlets = []
    for number, name in enumerate(names):
        info = pylsl.StreamInfo(name, unique_name, 1, 0, pylsl.cf_int16, f"{unique_name}-{number}")
        outlets.append(pylsl.StreamOutlet(info))
    with recording(out, f"type='{unique_name}'") as running:
        for number, outlet in enumerate(outlets):
            assert outlet.wait_for_consumers(CONNECT_S)
            if number:  # the first stays silent
                outlet.push_sample([number])
        wait_until(lambda: running.count() == len(names) - 1, "the samples")
    with h5py.File(out) as file:
        groups = file["streams"]
        assert len(groups) == len(names)
        assert sorted(node.attrs["name"] for node in groups.values()) == sorted(names)
        assert {"a%2Fb", "größe 100%25", "%2E%2E"} <= set(groups)
        for node in groups.values():
            number = int(node.attrs["source_id"].rsplit("-", 1)[1])
            assert node["samples"][:].ravel().tolist() == ([number] if number else [])


def test_a_description_that_is_no_xml_does_not_stop_a_stream(
    tmp_path: Path, unique_name: str
) -> None:
    """liblsl escapes what it can; a control character in the description makes the XML unreadable."""
    out = tmp_path / "x.h5"
    info = pylsl.StreamInfo(unique_name, "X", 2, 0, pylsl.cf_float32, f"source-{unique_name}")
    info.desc().append_child("channels").append_child_value("bad", "\x01\x02 <&>")
    info.desc().append_child_value("no name<&", "value")
    outlet = pylsl.StreamOutlet(info)
    with recording(out, f"name='{unique_name}'") as running:
        assert outlet.wait_for_consumers(CONNECT_S)
        outlet.push_sample([1.0, 2.0])
        wait_until(lambda: running.count() == 1, "the sample")
    with Recording.open(out) as file:
        stream = file.streams[unique_name]
        assert stream.samples().tolist() == [[1.0, 2.0]]
        assert [channel.label for channel in stream.info.channels] == ["channel_1", "channel_2"]


def test_a_malformed_description_has_numbered_channels_and_defaults() -> None:
    info = StreamInfo("A", "X", channel_count=2, info_xml="<info><desc>")
    assert [channel.label for channel in info.channels] == ["channel_1", "channel_2"]
    assert not info.can_drop_samples
