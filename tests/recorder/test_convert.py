"""Session files to XDF and back, bit for bit; what pyxdf makes of ours; what is not whole."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import pyxdf
from support.xdf_files import FRAMES, TEXTS, chunk, differences, header, write_odd_session
from typer.testing import CliRunner

from duchenne.recorder import cli
from duchenne.recorder.audit import audit
from duchenne.recorder.convert import convert
from duchenne.recorder.recording import Recording
from duchenne.recorder.xdf_chunks import BOUNDARY_MARK
from duchenne.recorder.xdf_image import FORMAT, read_image
from duchenne.recorder.xdf_reader import XdfFile
from duchenne.stimuli.errors import DuchenneError, UsageError

LABRECORDER = Path(__file__).parents[1] / "data" / "labrecorder.xdf"
ORIGIN = ["@converted_from"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_odd_session(tmp_path_factory.mktemp("odd") / "odd.h5")


@pytest.fixture(scope="module")
def exported(session: Path) -> Path:
    return convert(session, session.with_suffix(".xdf")).path


def test_a_session_comes_back_bit_for_bit(session: Path, exported: Path, tmp_path: Path) -> None:
    result = convert(exported, tmp_path / "back.h5")
    assert result.damaged == ()
    assert differences(session, tmp_path / "back.h5") == ORIGIN
    with Recording.open(tmp_path / "back.h5") as recording:
        assert recording.attrs["converted_from"] == "odd.xdf"
        assert recording.protocol_yaml == "name: odd # Häkchen\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.h5"]


def test_pyxdf_reads_ours_as_they_are(session: Path, exported: Path) -> None:
    theirs, head = pyxdf.load_xdf(exported, synchronize_clocks=False, dejitter_timestamps=False)
    assert head["info"]["version"] == ["1.0"]
    *streams, image = theirs
    assert image["info"]["name"] == ["DuchenneSession"]
    with h5py.File(session, "r") as file:
        assert len(streams) == len(file["streams"])
        for key, stream in zip(sorted(file["streams"]), streams, strict=True):
            node = file["streams"][key]
            assert stream["time_stamps"].tobytes() == node["timestamps"][:].tobytes(), key
            assert int(stream["footer"]["info"]["sample_count"][0]) == len(node["timestamps"])
            offsets = np.column_stack([stream["clock_times"], stream["clock_values"]])
            clock = node["clock_offsets"][:]
            np.testing.assert_array_equal(offsets[:, 1], clock[:, 1])
            np.testing.assert_allclose(offsets.sum(axis=1), clock[:, 0], atol=1e-9)
            if node.attrs["channel_format"] != "string" and len(node["timestamps"]):
                series = stream["time_series"]
                assert series.tobytes() == node["samples"][:].tobytes(), key
                assert series.dtype == node["samples"].dtype
    by_name = {stream["info"]["name"][0]: stream for stream in streams}
    *frames, bare = [row[0] for row in by_name["Face"]["time_series"]]
    assert [base64.b64decode(frame) for frame in frames] == FRAMES
    assert bare == "!no base64!"
    notes = [row[0] for row in by_name["Notes"]["time_series"]]
    assert notes == [text.decode(errors="replace") for text in TEXTS]


def test_pyxdf_with_its_usual_settings_puts_ours_where_we_do(
    exported: Path, tmp_path: Path
) -> None:
    theirs, _ = pyxdf.load_xdf(exported, dejitter_timestamps=False)
    convert(exported, tmp_path / "back.h5")
    with Recording.open(tmp_path / "back.h5") as recording:
        ours = recording.streams["Markers"].lsl_times_s
    markers = next(s for s in theirs if s["info"]["name"] == ["Markers"])
    np.testing.assert_allclose(markers["time_stamps"], ours, atol=1e-4)


def test_an_xdf_file_comes_back_chunk_for_chunk(tmp_path: Path) -> None:
    convert(LABRECORDER, tmp_path / "a.h5")
    convert(tmp_path / "a.h5", tmp_path / "b.xdf")
    convert(tmp_path / "b.xdf", tmp_path / "c.h5")
    convert(tmp_path / "c.h5", tmp_path / "d.xdf", plain=True)
    assert differences(tmp_path / "a.h5", tmp_path / "c.h5") == ORIGIN
    whole = _chunks(LABRECORDER)
    assert whole == {k: v for k, v in _chunks(tmp_path / "b.xdf").items() if v[0] != IMAGE}
    assert whole == _chunks(tmp_path / "d.xdf")
    default, _ = pyxdf.load_xdf(LABRECORDER)
    ours, _ = pyxdf.load_xdf(tmp_path / "b.xdf")
    for theirs, mine in zip(default, ours[:-1], strict=True):
        np.testing.assert_array_equal(theirs["time_stamps"], mine["time_stamps"])


IMAGE = "DuchenneSession"


def _chunks(path: Path) -> dict[int, tuple[object, ...]]:
    """Return all that an XDF file holds of each stream."""
    with XdfFile.open(path, path.parent) as xdf:
        assert not xdf.damaged
        found: dict[int, tuple[object, ...]] = {}
        for stream in xdf.streams.values():
            blocks = [block for _, block in xdf.samples(stream.id)]
            stamps = b"".join(block.stamps.tobytes() for block in blocks)
            values = [repr(np.asarray(row).tolist()) for block in blocks for row in block.values]
            meta = (stream.header, stream.footer, stream.clock_offsets, xdf.header)
            name = stream.info.name
            found[stream.id] = (name, stamps, values, *(meta if name != IMAGE else ()))
        return found


def test_frames_that_are_no_plain_base64_come_back_too(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    texts = [b"QUJD", b"!no!", b"QR==", b"", b"QUJD\n"]
    xml = header(3, "Cam", "string", 1, 30.0).replace(
        b"<type>T</type>", b"<type>VideoCompressed</type>"
    )
    rows = b"".join(struct.pack("<BdBB", 8, i, 1, len(t)) + t for i, t in enumerate(texts))
    size = len(xml) - 5
    xml = struct.pack("<BI", 4, size) + xml[5:]
    path.write_bytes(b"XDF:" + xml + chunk(3, struct.pack("<IBB", 3, 1, 5) + rows))
    convert(path, tmp_path / "a.h5")
    convert(tmp_path / "a.h5", tmp_path / "b.xdf")
    with XdfFile.open(tmp_path / "b.xdf", tmp_path) as xdf:
        assert [row[0] for _, b in xdf.samples(3) for row in b.values] == texts
    with Recording.open(tmp_path / "a.h5") as recording:
        assert recording.streams["Cam"].packet(0) == b"ABC"


def test_markers_and_certificate_of_a_foreign_file(tmp_path: Path) -> None:
    convert(LABRECORDER, tmp_path / "a.h5")
    with Recording.open(tmp_path / "a.h5") as recording:
        assert recording.events["event"].unique().tolist() == ["note"]
        assert recording.events["fields"][0]["text"] == "Häkchen ✓"
        certificate = recording.certificate["Gaze"]
        assert certificate.n_samples == 750
        assert certificate.n_offsets == 3
        assert certificate.verdict == "pass"
        assert recording.streams["Gaze"].info.channels[0].eye == "left"
        assert recording.attrs["created_utc"].startswith("2026-")
        assert "converted" in set(recording.log["kind"])


def test_a_step_of_a_senders_clock_is_seen_in_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    parts = [b"XDF:", header(1, "A", "int8", 1, 10.0)]
    for second in range(100):
        offset = 5000.0 if second < 50 else 20.0
        here = 10000.0 + second - offset
        rows = b"".join(struct.pack("<Bdb", 8, here + i / 10, i) for i in range(10))
        parts.append(chunk(3, struct.pack("<IBB", 1, 1, 10) + rows))
        if second % 5 == 4:
            parts.append(chunk(4, struct.pack("<Idd", 1, here, offset)))
    path.write_bytes(b"".join(parts))
    convert(path, tmp_path / "a.h5")
    with Recording.open(tmp_path / "a.h5") as recording:
        times = recording.streams["A"].lsl_times_s
    np.testing.assert_allclose(times, 10000 + np.arange(1000) / 10, atol=0.02)


def test_a_session_cut_off_keeps_its_protocol_and_what_is_intact(
    session: Path, exported: Path, tmp_path: Path
) -> None:
    whole = exported.read_bytes()
    cut = tmp_path / "cut.xdf"
    for keep in (0.97, 0.8, 0.6):
        cut.write_bytes(whole[: int(keep * len(whole))])
        out = tmp_path / f"{keep}.h5"
        assert convert(cut, out).damaged
        with Recording.open(out) as recording, Recording.open(session) as original:
            assert recording.protocol_yaml == original.protocol_yaml
            assert recording.participant_answers == original.participant_answers
            assert set(recording.streams) == set(original.streams)
            for key, stream in recording.streams.items():
                full = original.streams[key].timestamps[: stream.n]
                np.testing.assert_array_equal(stream.timestamps, full)
            assert "damaged" in set(recording.log["kind"])
    cut.write_bytes(whole[:3000])
    convert(cut, tmp_path / "little.h5")


def test_an_edited_file_is_not_taken_for_the_session_it_was(
    exported: Path, session: Path, tmp_path: Path
) -> None:
    with XdfFile.open(exported, tmp_path) as xdf:
        stream = next(s for s in xdf.streams.values() if s.info.name == "Markers")
        place = stream.starts[-1] + 5 + 1
    raw = bytearray(exported.read_bytes())
    (stamp,) = struct.unpack_from("<d", raw, place)
    struct.pack_into("<d", raw, place, stamp - 0.5)
    edited = tmp_path / "edited.xdf"
    edited.write_bytes(raw)
    convert(edited, tmp_path / "edited.h5")
    with Recording.open(tmp_path / "edited.h5") as new, Recording.open(session) as old:
        moved = old.streams["Markers"].lsl_times_s - new.streams["Markers"].lsl_times_s
        assert moved.max() == pytest.approx(0.5)
        assert new.protocol_yaml == old.protocol_yaml
        assert new.attrs["converted_from"] == "edited.xdf"


def test_boundaries_are_where_labrecorder_puts_them(exported: Path) -> None:
    assert exported.read_bytes().count(BOUNDARY_MARK) == 4  # first, after 10 s and 20 s, last


def test_nothing_is_overwritten_and_nothing_half_done_stays(exported: Path, tmp_path: Path) -> None:
    precious = tmp_path / "a.h5"
    precious.write_text("precious")
    with pytest.raises(DuchenneError, match="never overwritten"):
        convert(exported, precious)
    assert precious.read_text() == "precious"
    with pytest.raises(UsageError, match="cannot convert"):
        convert(exported, tmp_path / "b.xdf")
    with pytest.raises(DuchenneError, match="does not exist"):
        convert(tmp_path / "no.xdf", tmp_path / "b.h5")
    with pytest.raises(DuchenneError, match="not a readable HDF5"):
        convert(precious, tmp_path / "c.xdf")
    assert list(tmp_path.iterdir()) == [precious]


def test_the_command_says_what_it_wrote_and_what_it_could_not_read(tmp_path: Path) -> None:
    cut = tmp_path / "cut.xdf"
    cut.write_bytes(LABRECORDER.read_bytes()[:40000])
    result = CliRunner().invoke(cli.app, ["convert", str(cut), str(tmp_path / "a.h5")])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"Converted {cut} to {tmp_path / 'a.h5'}"
    assert "not read: the file breaks off at byte" in result.stderr
    with Recording.open(tmp_path / "a.h5") as recording:
        told = [finding.what for finding in audit(recording) if finding.level == "fail"]
    assert any("breaks off" in what for what in told)


def test_a_wrong_number_of_pieces_ends_the_reading(tmp_path: Path) -> None:
    head = {"format": FORMAT, "version": 1, "pieces": 10**12, "sha256": "", "streams": {}}
    assert read_image(iter([json.dumps(head).encode()]), tmp_path / "image.h5") is None
