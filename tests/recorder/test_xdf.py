"""XDF files of others, read byte for byte: stamps left out, damage, packing; pyxdf says what is right."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from support.xdf_files import chunk, header

from duchenne.recorder.convert import convert
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo
from duchenne.recorder.xdf_chunks import BOUNDARY_MARK, Block, SampleDecoder, pack_samples
from duchenne.recorder.xdf_reader import XdfFile
from duchenne.stimuli.errors import DuchenneError

LABRECORDER = Path(__file__).parents[1] / "data" / "labrecorder.xdf"
BOUNDARY = chunk(5, BOUNDARY_MARK)


def _samples(stream: int, stamps: list[float | None], rows: list[bytes]) -> bytes:
    parts = [struct.pack("<IBI", stream, 4, len(rows))]
    for stamp, row in zip(stamps, rows, strict=True):
        parts += (b"\0" if stamp is None else struct.pack("<Bd", 8, stamp), row)
    return chunk(3, b"".join(parts))


def _read(path: Path) -> tuple[dict[str, list[Block]], list[str]]:
    with XdfFile.open(path, path.parent) as xdf:
        found = {s.info.name: [b for _, b in xdf.samples(s.id)] for s in xdf.streams.values()}
        return found, xdf.damaged


def _stamps(blocks: list[Block]) -> list[float]:
    return [stamp for block in blocks for stamp in block.stamps.tolist()]


@pytest.mark.parametrize("n", [1, 4095, 4096, 4097, 9000])
def test_samples_come_back_whatever_their_number(n: int) -> None:
    info = StreamInfo("A", "T", channel_format="int16", channel_count=2)
    values = np.arange(2 * n).astype(np.int16).reshape(n, 2)
    content = memoryview(pack_samples(Block(np.arange(float(n)), values)))
    got = list(SampleDecoder(info).decode(content))
    np.testing.assert_array_equal(np.concatenate([b.values for b in got]), values)
    assert _stamps(got) == list(range(n))


def test_stamps_left_out_follow_the_rate_as_in_pyxdf(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    rows = [struct.pack("<hh", i, -i) for i in range(40)]
    stamps = [100.0 if i == 0 else 107.3 if i == 25 else None for i in range(40)]
    text = [struct.pack("<BB", 1, 2) + b"%02d" % i for i in range(4)]
    path.write_bytes(
        b"XDF:"
        + chunk(1, b"<info><version>1.0</version></info>")
        + header(7, "A", "int16", 2, 37.0)
        + header(9, "S", "string", 1, 10.0)
        + _samples(7, stamps[:20], rows[:20])
        + chunk(77, b"a kind of chunk that nobody knows")
        + _samples(7, stamps[20:], rows[20:])
        + _samples(9, [5.0, None, None, 9.0], text)
    )
    theirs, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    ours, damaged = _read(path)
    assert not damaged
    assert _stamps(ours["A"]) == theirs[0]["time_stamps"].tolist()
    assert _stamps(ours["S"]) == theirs[1]["time_stamps"].tolist()
    values = np.concatenate([np.asarray(block.values) for block in ours["A"]])
    np.testing.assert_array_equal(values, theirs[0]["time_series"])
    assert [row[0] for block in ours["S"] for row in block.values] == [b"00", b"01", b"02", b"03"]


def test_a_real_recording_reads_as_in_pyxdf(tmp_path: Path) -> None:
    ours, damaged = _read(LABRECORDER)
    theirs, _ = pyxdf.load_xdf(LABRECORDER, synchronize_clocks=False, dejitter_timestamps=False)
    assert not damaged
    for stream in theirs:
        blocks = ours[stream["info"]["name"][0]]
        assert _stamps(blocks) == stream["time_stamps"].tolist()
        if stream["info"]["channel_format"][0] == "string":
            rows = [[text.decode() for text in row] for block in blocks for row in block.values]
            assert rows == stream["time_series"]
        else:
            values = np.concatenate([np.asarray(block.values) for block in blocks])
            assert values.tobytes() == stream["time_series"].tobytes()


def test_cut_anywhere_what_is_intact_is_read(tmp_path: Path) -> None:
    whole = LABRECORDER.read_bytes()
    expected, _ = _read(LABRECORDER)
    stamps = _stamps(expected["Gaze"])
    rng = np.random.default_rng(3)
    last = -1
    for cut in sorted(rng.integers(5, len(whole), 40).tolist()):
        path = tmp_path / "cut.xdf"
        path.write_bytes(whole[:cut])
        found, damaged = _read(path)
        got = _stamps(found.get("Gaze", []))
        assert got == stamps[: len(got)]
        assert len(got) >= last, "a longer file holds less"
        last = len(got)
        boundaries_of_chunks = not damaged
        assert boundaries_of_chunks or "breaks off" in damaged[0] or "samples" in damaged[0]
    assert last > 700


def test_damage_in_the_middle_costs_up_to_the_next_boundary(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    rows = [struct.pack("<d", i) for i in range(10)]
    good = [_samples(1, [float(10 * k + i) for i in range(10)], rows) for k in range(4)]
    broken = bytearray(good[1])
    broken[0] = 99
    path.write_bytes(
        b"XDF:" + header(1, "A", "double64", 1, 0) + good[0] + bytes(broken) + BOUNDARY
        + good[2] + _samples(5, [1.0], rows[:1]) + good[3]
    )  # fmt: skip
    found, damaged = _read(path)
    assert _stamps(found["A"]) == [*range(10), *range(20, 40)]
    assert any("bytes" in text for text in damaged)
    assert any("1 chunks of stream 5, whose header is missing" in text for text in damaged)


def test_a_chunk_with_wrong_samples_in_it_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    rows = [struct.pack("<d", i) for i in range(10)]
    first = bytearray(_samples(1, [float(i) for i in range(10)], rows))
    first[len(first) - 5 * 17] = 3  # neither with a stamp nor without
    path.write_bytes(
        b"XDF:" + header(1, "A", "double64", 1, 0) + bytes(first) + _samples(1, [50.0], rows[:1])
    )
    found, damaged = _read(path)
    assert _stamps(found["A"]) == [0, 1, 2, 3, 4, 50]
    assert "5 of 10 samples could be read" in damaged[0]


def test_a_malformed_header_still_names_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    xml = (
        "<info><name>Bad &amp; worse</name><type>T</type><channel_count>1</channel_count>"
        "<nominal_srate>10</nominal_srate><channel_format>int8</channel_format><desc><open></info>"
    )
    hopeless = chunk(2, struct.pack("<I", 2) + b"<info><name>no channels</name></info>")
    path.write_bytes(
        b"XDF:" + chunk(2, struct.pack("<I", 1) + xml.encode())
        + _samples(1, [1.0, 2.0], [b"\x01", b"\x02"]) + hopeless + BOUNDARY
        + _samples(1, [3.0], [b"\x03"])
    )  # fmt: skip
    found, damaged = _read(path)
    assert _stamps(found["Bad & worse"]) == [1, 2, 3]
    assert "names no channels" in damaged[0]


def test_packed_files_are_read_also_when_they_break_off(tmp_path: Path) -> None:
    packed = tmp_path / "sub-07_ses-2_task-rest_run-3_eeg.xdfz"
    packed.write_bytes(gzip.compress(LABRECORDER.read_bytes()))
    assert convert(packed, tmp_path / "a.h5").damaged == ()
    with Recording.open(tmp_path / "a.h5") as recording:
        assert recording.streams["Gaze"].n == 750
        labels = (recording.participant, recording.session, recording.task, recording.run)
        assert labels == ("07", "2", "rest", "3")
    torn = tmp_path / "torn.xdf.gz"
    torn.write_bytes(packed.read_bytes()[:-9000])
    assert any("breaks off" in text for text in convert(torn, tmp_path / "b.h5").damaged)
    with Recording.open(tmp_path / "b.h5") as recording:
        assert 300 < recording.streams["Gaze"].n < 750


@pytest.mark.parametrize("content", [b"", b"XDF", b"ELF: no"])
def test_other_files_are_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(content)
    with pytest.raises(DuchenneError, match="is no XDF file"):
        convert(path, tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == [path]
