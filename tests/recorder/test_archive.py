"""Sealing, recovering and reading session files; read with plain h5py as a stranger would."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from itertools import pairwise
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from support.sessions import START_LSL_S, write_session

from duchenne.recorder import session_file
from duchenne.recorder.archive import recover, seal
from duchenne.recorder.audit import audit
from duchenne.recorder.chunk_search import ChunkSearch
from duchenne.recorder.journal import Journal
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path


def _session(path: Path) -> Path:
    times = np.arange(1200) / 600
    return write_session(
        path,
        markers=[
            (
                0.5,
                "stimulus_onset",
                {"trial": 1, "stimulus": "sun", "presentation_id": "P01-01-01-001"},
            ),
            (
                1.5,
                "stimulus_offset",
                {"trial": 1, "stimulus": "sun", "presentation_id": "P01-01-01-001"},
            ),
        ],
        gaze=(times, {"left_x": np.linspace(0, 1, 1200), "left_valid": np.ones(1200)}),
        frames=(np.arange(3) / 30, [b"\xff\xd8one", b"\xff\xd8second", b"\xff\xd83"]),
        stimuli={"id": ["sun"], "valence": [7.5], "dominance": [None], "file": ["sun.jpg"]},
    )


def test_a_stranger_reads_the_file_with_h5py_alone(tmp_path: Path) -> None:
    with h5py.File(_session(tmp_path / "s.h5"), "r") as file:
        assert file.attrs["format"] == "duchenne-session"
        assert file.attrs["format_version"] == 1
        assert file.attrs["sealed"]
        assert not file.attrs["recovered"]
        assert file.attrs["participant"] == "P01"
        gaze = file["streams/Gaze"]
        assert gaze["samples"].shape == (1200, 11)
        assert [c["label"] for c in json.loads(gaze.attrs["channels"])][:2] == ["left_x", "left_y"]
        np.testing.assert_allclose(gaze["times"][:], gaze["timestamps"][:], atol=1e-6)
        video = file["streams/FaceVideo"]
        start, stop = video["packet_offsets"][1:3]
        assert video["packets"][start:stop].tobytes() == b"\xff\xd8second"
        assert len(video["packet_offsets"]) == 4
        assert list(file["events/event"].asstr()) == [
            "session_start",
            "stimulus_onset",
            "stimulus_offset",
        ]
        assert file["events/trial"][:].tolist() == [-1, 1, 1]
        assert file["stimuli/valence"][0] == 7.5
        assert np.isnan(file["stimuli/dominance"][0])


def test_the_reader_puts_everything_on_one_clock(tmp_path: Path) -> None:
    with Recording.open(_session(tmp_path / "s.h5")) as recording:
        assert recording.start_lsl_s == pytest.approx(START_LSL_S)
        gaze = recording.streams["Gaze"]
        assert gaze.times_s[600] == pytest.approx(1.0, abs=1e-6)
        np.testing.assert_allclose(
            gaze.derive_times_s(smooth=False), np.arange(1200) / 600, atol=1e-6
        )
        assert gaze.column("left_x")[-1] == 1.0
        assert list(recording.streams["FaceVideo"].packets())[2] == b"\xff\xd83"
        events = recording.events
        assert events["time_s"].tolist() == pytest.approx([0, 0.5, 1.5])
        assert events["stimulus"].tolist() == [None, "sun", "sun"]
        assert events["trial"].isna().tolist() == [True, False, False]
        assert recording.certificate["Gaze"].verdict == "pass"
        assert recording.stimuli["id"].tolist() == ["sun"]
        with pytest.raises(DuchenneError, match="has no channel nose"):
            gaze.column("nose")
        assert {finding.level for finding in audit(recording)} >= {"ok"}


def test_sealing_never_overwrites_and_keeps_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    Journal.create(journal, {}).close()
    (tmp_path / "x.h5").write_text("precious")
    with pytest.raises(DuchenneError, match="already exists"):
        seal(journal)
    assert (tmp_path / "x.h5").read_text() == "precious"
    assert journal.exists()


def test_recovering_marks_the_file_and_removes_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {"participant": "P07"}) as writer:
        stream = writer.add_stream(StreamInfo("A", "X", channel_format="int16", channel_count=2))
        writer.append(stream, np.arange(4.0), np.arange(8, dtype=np.int16).reshape(4, 2))
    out = recover(journal)
    with Recording.open(out) as recording:
        assert recording.attrs["recovered"]
        assert recording.streams["A"].samples().tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert recording.streams["A"].samples().dtype == np.int16
    assert list(tmp_path.iterdir()) == [out]


def test_a_journal_in_use_is_neither_recovered_nor_touched(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {}) as writer:
        writer.add_stream(StreamInfo("A", "X"))
        writer.commit()
        with pytest.raises(DuchenneError, match="still being recorded"):
            recover(journal)
    assert Recording.open(recover(journal)).streams["A"].n == 0


def test_a_crash_between_sealing_and_clearing_away_is_mended(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("A", "X", uid="u"))
        writer.append(stream, np.arange(3.0), np.zeros((3, 1), np.float32))
    out = seal(journal, keep_journal=True)
    before = out.read_bytes()
    assert recover(journal) == out
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_damage_costs_only_what_is_damaged(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    rng = np.random.default_rng(5)
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("A", "X", channel_format="double64"))
        writer.add_segment(stream, "u1", 0.0)
        for first in range(0, 4000, 20):
            stamps = np.arange(first, first + 20, dtype=float)
            writer.append(stream, stamps, rng.normal(size=(20, 1)), received_s=first + 20.0)
        writer.add_segment(stream, "u2", 4000.0)
    raw = bytearray(journal.read_bytes())
    page = int.from_bytes(raw[16:18], "big")
    middle = raw.find(np.arange(2000.0, 2020.0).tobytes()) // page * page
    raw[middle : middle + page] = b"\xaa" * page
    journal.write_bytes(bytes(raw))
    out = recover(journal)
    assert journal.exists()  # a damaged journal is kept
    with Recording.open(out) as recording:
        kept = recording.streams["A"].timestamps
        assert 3000 < len(kept) < 4000
        assert np.all(np.diff(kept) > 0)
        assert "damaged" in set(recording.log["kind"])


def _journal_of_40_commits(journal: Path) -> Journal:
    writer = Journal.create(journal, {})
    stream = writer.add_stream(StreamInfo("A", "X", uid="u", channel_format="double64"))
    for first in range(0, 800, 20):
        stamps = np.arange(first, first + 20, dtype=float)
        writer.append(stream, stamps, np.random.default_rng(first).normal(size=(20, 1)))
        writer.commit()
    return writer


def test_a_damaged_log_is_kept_however_often_it_is_recovered(tmp_path: Path) -> None:
    writer = _journal_of_40_commits(tmp_path / "a.journal")
    journal, log = tmp_path / "x.journal", tmp_path / "x.journal-wal"
    journal.write_bytes((tmp_path / "a.journal").read_bytes())
    content = bytearray((tmp_path / "a.journal-wal").read_bytes())
    writer.close()
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    for _ in range(2):
        recover(journal)
        assert log.read_bytes() == content
        assert journal.exists()


def _with_pages_lost(journal: Path, tables: tuple[str, ...], *, all_after: str = "") -> bytes:
    """Return a journal with the first pages of some tables overwritten, or all pages from one table's on."""
    with contextlib.closing(sqlite3.connect(journal)) as database:
        roots = dict(database.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    raw = bytearray(journal.read_bytes())
    page = int.from_bytes(raw[16:18], "big")
    for name in tables:
        raw[(roots[name] - 1) * page : roots[name] * page] = b"\xaa" * page
    if all_after:
        start = (roots[all_after] - 1) * page
        raw[start:] = b"\xaa" * (len(raw) - start)
    return bytes(raw)


def test_chunks_are_found_without_the_tree_that_leads_to_them(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {}) as writer:
        numbers = writer.add_stream(StreamInfo("A", "X", "a", "u1", channel_format="int64"))
        texts = writer.add_stream(StreamInfo("B", "X", "b", "u2", channel_format="string"))
        for start in range(0, 4000, 100):  # the texts are longer than a page
            block = np.arange(start, start + 100)
            writer.append(numbers, block / 100.0, block[:, None], received_s=float(start))
            writer.append(texts, np.array([start / 100]), [[b"%d" % start * 9000]])
            writer.commit()
    journal.write_bytes(_with_pages_lost(journal, ("chunks", "chunks_by_stream")))
    with Recording.open(recover(journal)) as recording:
        np.testing.assert_array_equal(recording.streams["A"].samples()[:, 0], np.arange(4000))
        found = recording.streams["B"].samples().tolist()
        assert found == [str(start) * 9000 for start in range(0, 4000, 100)]
        told = [detail for detail in recording.log["detail"] if "were found whole" in detail]
        assert [text.split(" ")[3] for text in told] == ["A", "B"]
    assert journal.exists()


@pytest.mark.parametrize("place", [3, 16, 69, 104, 7300, 8176])
def test_a_damaged_first_page_is_put_back(tmp_path: Path, place: int) -> None:
    journal = tmp_path / "x.journal"
    _journal_of_40_commits(journal).close()
    raw = bytearray(journal.read_bytes())
    raw[place] ^= 0xA5
    journal.write_bytes(raw)
    with Recording.open(recover(journal)) as recording:
        assert recording.streams["A"].n == 800
        assert "first page" in str(recording.log["detail"].tolist())


def test_a_first_page_that_is_lost_is_put_back(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    _journal_of_40_commits(journal).close()
    journal.write_bytes(b"\xaa" * 8192 + journal.read_bytes()[8192:])
    with Recording.open(recover(journal)) as recording:
        assert recording.streams["A"].n == 800


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    _journal_of_40_commits(journal).close()
    with contextlib.closing(sqlite3.connect(journal)) as database:
        database.executescript("PRAGMA user_version=2; CREATE TABLE newer(a);")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = journal.read_bytes()
    with pytest.raises(DuchenneError, match="newer Duchenne"):
        recover(journal)
    assert journal.read_bytes() == raw


def test_the_first_page_of_another_program_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "x.journal"
    with contextlib.closing(sqlite3.connect(foreign)) as database:
        database.executescript("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; CREATE TABLE t(a);")
    raw = foreign.read_bytes()
    with pytest.raises(DuchenneError, match="not a Duchenne journal"):
        recover(foreign)
    assert foreign.read_bytes() == raw


def test_what_is_only_in_the_log_is_found_as_well(tmp_path: Path) -> None:
    journal, copy = tmp_path / "x.journal", tmp_path / "y.journal"
    with _journal_of_40_commits(journal):
        log = journal.with_name("x.journal-wal").read_bytes()
        raw = _with_pages_lost(journal, ())
    with contextlib.closing(sqlite3.connect(journal)) as database:
        (n,) = database.execute("SELECT SUM(n) FROM chunks").fetchone()
    copy.write_bytes(raw)
    copy.with_name("y.journal-wal").write_bytes(log)
    found = sum(row[1] for row in ChunkSearch(copy).rows(1))
    assert found == n


def test_a_journal_of_which_nothing_can_be_read_is_kept(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    _journal_of_40_commits(journal).close()
    raw = _with_pages_lost(journal, (), all_after="chunks")
    journal.write_bytes(raw)
    with h5py.File(recover(journal)) as file:
        assert len(file["streams/A/samples"]) == 0
        assert "damaged" in list(file["log/kind"].asstr())
    with pytest.raises(DuchenneError, match="not overwritten"):
        recover(journal)
    assert journal.read_bytes() == raw


@pytest.mark.parametrize("layout", ["other", "folder", "itself"])
def test_what_is_no_session_of_the_journal_is_left_alone(tmp_path: Path, layout: str) -> None:
    journal = tmp_path / "x.journal"
    _journal_of_40_commits(journal).close()
    if layout == "other":
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.attrs["sealed"], file.attrs["format"] = True, "duchenne-session"
            file["streams"] = np.zeros(3)
    elif layout == "folder":
        (tmp_path / "x.h5").mkdir()
    else:
        journal = recover(journal)
    before = set(tmp_path.iterdir())
    with pytest.raises(DuchenneError, match=r"not overwritten|is no journal"):
        recover(journal)
    assert set(tmp_path.iterdir()) >= before


def test_descriptions_that_hdf5_cannot_hold_stop_no_sealing(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {"participant": "a\0b"}) as writer:
        writer.add_stream(
            StreamInfo("A\0", "X", uid="u", info_xml="<a>\0\ud800</a>" + " " * 200_000)
        )
    with Recording.open(recover(journal)) as recording:
        assert recording.participant == "a␀b"
        assert recording.streams["A%00"].info.info_xml.startswith("<a>␀?</a>")


def test_odd_stamps_are_kept_and_told(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    stamps = np.array([1.0, np.nan, np.inf, 4.0, -np.inf, 6.0])
    with Journal.create(journal, {}) as writer:
        regular = writer.add_stream(StreamInfo("A", "X", nominal_srate_hz=1.0))
        writer.append(regular, stamps, np.zeros((6, 1), np.float32))
        markers = writer.add_stream(StreamInfo("M", "Markers", channel_format="string"))
        texts = [[f'{{"event": "note", "trial": {n}}}'.encode()] for n in range(6)]
        writer.append(markers, np.array([5.0, np.nan, 1.0, 3.0, np.nan, 2.0]), texts)
    with Recording.open(seal(journal)) as recording:
        np.testing.assert_array_equal(recording.streams["A"].timestamps, stamps)
        certificate = recording.certificate["A"]
        assert certificate.verdict == "fail"
        assert "3 stamps are no numbers" in certificate.reasons
        assert recording.events["trial"].tolist() == [2, 5, 3, 0, 1, 4]


def test_a_stream_that_died_half_way_is_no_complete_stream(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {"recording_since_lsl_s": 0.0, "stopped_lsl_s": 600.0}) as writer:
        stream = writer.add_stream(StreamInfo("Gaze", "Gaze", nominal_srate_hz=100.0))
        writer.append(stream, np.arange(1000) / 100, np.zeros((1000, 1), np.float32))
        writer.log(10.0, "stalled", "Gaze")
    with Recording.open(seal(journal)) as recording:
        assert recording.certificate["Gaze"].verdict == "fail"
        told = [finding.what for finding in audit(recording) if finding.level != "ok"]
        assert any("590.0 s before the end" in what for what in told)
        assert any("stalled" in what for what in told)


def test_odd_strings_and_frames_are_kept_byte_for_byte(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {}) as writer:
        text = writer.add_stream(StreamInfo("Notes", "Notes", channel_format="string"))
        writer.append(text, np.arange(3.0), [[b"fine"], [b"\xff\xfe"], [b"a\0b"]])
        video = StreamInfo("V", "VideoCompressed", channel_format="string", nominal_srate_hz=30.0)
        number = writer.add_stream(video)
        writer.append(number, np.arange(2.0), [[base64.b64encode(b"frame")], [b"!not base64!"]])
    with h5py.File(seal(journal), "r") as file:
        notes = file["streams/Notes"]
        assert notes["samples"].asstr()[0] == "fine"
        offsets = notes["raw_offsets"][:]
        raw = notes["raw_bytes"][:].tobytes()
        kept = [raw[a:b] for a, b in pairwise(offsets)]
        assert kept == [b"\xff\xfe", b"a\0b"]
        assert notes["raw_index"][:].tolist() == [1, 2]
        assert file["streams/V"].attrs["n_not_base64"] == 1
        assert file["streams/V/packets"][:].tobytes() == b"frame!not base64!"


def test_markers_that_are_not_json_are_kept_as_text(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("Other", "Markers", channel_format="string"))
        writer.append(stream, np.arange(2.0), [[b"trigger 7"], [b'{"event": "note", "trial": 3}']])
    with Recording.open(seal(journal)) as recording:
        assert recording.events["event"].tolist() == [None, "note"]
        assert recording.events["fields"][0] == {"event": None, "text": "trigger 7"}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a readable HDF5"), (b"\x89HDF\r\n\x1a\n truncated", "not a readable HDF5")],
)
def test_a_truncated_file_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(DuchenneError, match=message):
        Recording.open(path)


def test_files_of_others_and_missing_ones_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DuchenneError, match="another program"):
        Recording.open(tmp_path / "other.h5")
    with pytest.raises(DuchenneError, match="does not exist"):
        Recording.open(tmp_path / "missing.h5")
    whole = _session(tmp_path / "s.h5")
    with h5py.File(whole, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(DuchenneError, match="version 99"):
        Recording.open(whole)


def test_markers_of_other_programs_never_stop_the_sealing(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    odd = [
        b'{"event": "note", "text": "\\ud83d", "block": "\\udc00"}',
        b'{"event": "note", "trial": 2.0}',
        b'{"event": "note", "trial": true}',
        b'{"event": "note", "trial": 1e300}',
        b'{"event": "note", "trial": "seven"}',
        b'{"event": "note", "trial": 99999999999999999999999}',
        b'{"event": {"nested": 1}}',
        b"[1, 2]",
        b"",
    ]
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("Other", "Markers", channel_format="string"))
        writer.append(stream, np.arange(float(len(odd))), [[text] for text in odd])
        wide = writer.add_stream(
            StreamInfo("Wide", "Markers", channel_format="string", channel_count=2)
        )
        writer.append(wide, np.arange(1.0), [[b"left", b"right"]])
        writer.add_stream(StreamInfo("Silent", "Markers", channel_format="string"))
    with Recording.open(seal(journal)) as recording:
        events = recording.events
        assert len(events) == len(odd) + 1
        assert events["trial"].dropna().tolist() == [2]
        assert recording.streams["Wide"].samples().tolist() == [["left", "right"]]
        assert recording.streams["Silent"].n == 0


def test_of_a_journal_cut_short_the_rest_is_recovered(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    _journal_of_40_commits(journal).close()
    raw = journal.read_bytes()
    journal.write_bytes(raw[: int(len(raw) * 0.9)])
    with Recording.open(recover(journal)) as recording:
        assert recording.streams["A"].n >= 100
        told = [detail for detail in recording.log["detail"] if "are missing" in detail]
        assert len(told) == 1
        assert ("fail", f"damaged: {told[0]}") in [(f.level, f.what) for f in audit(recording)]
    assert journal.exists()


def test_random_damage_is_recovered_or_refused_in_one_line(tmp_path: Path) -> None:
    _journal_of_40_commits(tmp_path / "base.journal").close()
    raw = (tmp_path / "base.journal").read_bytes()
    rng = np.random.default_rng(44)
    for number in range(12):
        content = bytearray(raw)
        for place in rng.integers(100, len(raw), 30):
            content[place] = rng.integers(256)
        journal = tmp_path / f"x{number}.journal"
        journal.write_bytes(content)
        with contextlib.suppress(DuchenneError), Recording.open(recover(journal)) as recording:
            audit(recording)


def test_trials_in_text_are_numbers_and_what_is_none_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    trials = ['"4"', '" 5 "', '"seven"', "2.5", "null", '"-1"', "6"]
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("M", "Markers", channel_format="string"))
        texts = [[f'{{"event": "note", "trial": {trial}}}'.encode()] for trial in trials]
        writer.append(stream, np.arange(7.0), texts)
    with Recording.open(seal(journal)) as recording:
        assert recording.events["trial"].fillna(-1).tolist() == [4, 5, -1, -1, -1, -1, 6]
        told = "trial unread: M: 3 markers, such as 'seven'"
        assert ("warn", told) in [(f.level, f.what) for f in audit(recording)]


def test_too_many_markers_are_kept_undecoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_file, "MAX_EVENTS", 3)
    journal = tmp_path / "x.journal"
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("M", "Markers", channel_format="string"))
        writer.append(stream, np.arange(4.0), [[b"x"]] * 4)
    with Recording.open(seal(journal)) as recording:
        assert recording.streams["M"].n == 4
        assert len(recording.events) == 0
        assert any("too many to decode" in detail for detail in recording.log["detail"])
