"""The journal keeps what was committed, whatever happens next."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.recorder.archive import seal
from duchenne.recorder.audit import audit
from duchenne.recorder.journal import Journal, JournalWriteError
from duchenne.recorder.journal_format import group_name_for
from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

NUMERIC = StreamInfo("EEG", "EEG", "id", "uid", "host", "float32", 100.0, 2)
TEXT = StreamInfo("Notes", "Markers", "id2", "uid2", "host", "string", 0.0, 1)


def test_numbers_and_strings_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    odd = [[b"plain"], [b"\xff\xfe not utf-8"], [b"nul\0inside"], [b""]]
    with Journal.create(path, {"participant": "P01"}) as journal:
        numeric, text = journal.add_stream(NUMERIC), journal.add_stream(TEXT)
        journal.append(numeric, np.array([1.0, 2.0, np.nan]), values)
        journal.append(text, np.arange(4.0), odd)
        journal.add_clock_offset(numeric, 1.5, -0.25, 1e-4)
    with JournalReader(path) as reader:
        first, second = reader.streams
        (chunk,) = reader.chunks(first)
        np.testing.assert_array_equal(chunk.samples, values)
        assert np.isnan(chunk.timestamps[2])
        (strings,) = reader.chunks(second)
        assert strings.samples == odd
        np.testing.assert_allclose(reader.clock_offsets(first.id), [[1.5, -0.25, 1e-4]])
        assert first.info == NUMERIC
        assert reader.meta["participant"] == "P01"
        assert reader.meta["closed"] is True


def test_an_uncommitted_tail_is_all_that_a_reader_misses(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    with Journal.create(path, {}) as journal:
        stream = journal.add_stream(NUMERIC)
        journal.append(stream, np.arange(10.0), np.zeros((10, 2), np.float32))
        journal.commit()
        journal.append(stream, np.arange(5.0), np.zeros((5, 2), np.float32))
        with JournalReader(path) as reader:
            assert reader.counts() == {stream: 10}
        journal.commit()
        with JournalReader(path) as reader:
            assert reader.counts() == {stream: 15}


def test_the_file_alone_is_a_journal_from_the_first_moment(tmp_path: Path) -> None:
    """What a power loss may leave: the database without its log."""
    path, left = tmp_path / "x.journal", tmp_path / "left.journal"
    with Journal.create(path, {}) as journal:
        journal.add_stream(NUMERIC)
        left.write_bytes(path.read_bytes())
    with JournalReader(left) as reader:
        assert reader.streams == []
        assert reader.damaged == []


def test_a_damaged_chunk_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    with Journal.create(path, {}) as journal:
        stream = journal.add_stream(NUMERIC)
        for start in (0.0, 10.0, 20.0):
            journal.append(stream, start + np.arange(10.0), np.zeros((10, 2), np.float32))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE chunks SET data = zeroblob(length(data) - 1) WHERE id = 2")
    connection.commit()
    connection.close()
    with JournalReader(path) as reader:
        starts = [chunk.timestamps[0] for chunk in reader.chunks(reader.streams[0])]
        assert starts == [0.0, 20.0]
        assert reader.damaged == ["chunk 2 of stream EEG, 10 samples"]


def test_an_existing_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    Journal.create(path, {}).close()
    with pytest.raises(DuchenneError, match="already exists"):
        Journal.create(path, {})


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b""])
def test_a_file_of_another_program_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.journal"
    path.write_bytes(content)
    with pytest.raises(DuchenneError, match="not a Duchenne journal"):
        JournalReader(path)


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("Gaze", set(), "Gaze"),
        ("Gaze", {"Gaze"}, "Gaze-2"),
        ("EEG/left 100%", set(), "EEG%2Fleft 100%25"),
        ("", set(), "unnamed"),
        ("..", set(), "%2E%2E"),
    ],
)
def test_group_names(name: str, taken: set[str], expected: str) -> None:
    assert group_name_for(name, taken) == expected


def _overwrite_root_of(path: Path, table: str) -> None:
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name=?", (table,)
        ).fetchone()
    connection.close()
    raw = bytearray(path.read_bytes())
    size = int.from_bytes(raw[16:18], "big")
    raw[(page - 1) * size : page * size] = b"\xaa" * size
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("table", ["meta", "streams", "streams_copy", "segments", "log"])
def test_a_damaged_table_costs_no_samples_and_is_told(tmp_path: Path, table: str) -> None:
    path = tmp_path / "x.journal"
    with Journal.create(path, {"participant": "P01"}) as journal:
        stream = journal.add_stream(NUMERIC)
        journal.add_segment(stream, "uid", 1.0)
        journal.log(1.0, "found", "EEG")
        journal.append(stream, np.arange(3.0), np.ones((3, 2), np.float32))
    _overwrite_root_of(path, table)
    with Recording.open(seal(path)) as recording:
        assert recording.streams["EEG"].n == 3
        assert recording.streams["EEG"].info == NUMERIC
        assert "damaged" in set(recording.log["kind"])
    assert path.exists()


def test_what_the_disk_refuses_waits_and_is_stored_later(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    with Journal.create(path, {}) as journal:
        stream = journal.add_stream(NUMERIC)
        journal.append(stream, np.arange(3.0), np.ones((3, 2), np.float32))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        journal._connection.execute("PRAGMA busy_timeout=50")
        with pytest.raises(JournalWriteError, match="locked"):
            journal.commit()
        assert journal.pending_bytes == 3 * 8 + 3 * 2 * 4
        other.execute("ROLLBACK")
        other.close()
        journal.commit()
        assert journal.pending_bytes == 0
        with JournalReader(path) as reader:
            assert reader.counts() == {stream: 3}


def test_a_journal_that_was_moved_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    with Journal.create(path, {}) as journal:
        assert journal.is_in_place
        path.rename(tmp_path / "y.journal")
        assert not journal.is_in_place


@pytest.mark.parametrize(
    ("place", "whole"), [(None, True), (5, False), (40, False), (-3000, False)]
)
def test_a_damaged_log_is_used_up_to_the_damage_and_told(
    tmp_path: Path, place: int | None, whole: bool
) -> None:
    """The journal and its log are copied while it is written: what a killed recorder leaves."""
    left = tmp_path / "left"
    left.mkdir()
    with Journal.create(tmp_path / "x.journal", {}) as journal:
        stream = journal.add_stream(NUMERIC)
        journal.commit()
        journal._stop.set()  # no checkpoints from here on
        journal._checkpointer.join()
        journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(20):
            journal.append(stream, np.arange(50.0) + 50 * number, np.ones((50, 2), np.float32))
            journal.commit()
        for suffix in ("", "-wal"):
            content = bytearray((tmp_path / f"x.journal{suffix}").read_bytes())
            if suffix and place is not None:
                content[place] ^= 4
            (left / f"x.journal{suffix}").write_bytes(content)
    with Recording.open(seal(left / "x.journal")) as recording:
        stamps = recording.streams["EEG"].timestamps
        assert stamps.tolist() == list(range(len(stamps)))
        assert (len(stamps) == 1000) is whole
        assert ("damaged" in set(recording.log["kind"])) is not whole
    assert (left / "x.journal").exists() is not whole


def test_a_row_that_cannot_be_stored_refuses_none_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    with Journal.create(path, {}) as journal:
        stream = journal.add_stream(NUMERIC)
        journal.add_clock_offset(stream, float("nan"), 1.0)
        journal.add_segment(stream, "uid", float("nan"))
        journal.append(stream, np.arange(2.0), np.zeros((2, 2), np.float32))
        journal.commit()
        journal.commit()
    with JournalReader(path) as reader:
        assert reader.counts() == {1: 2}
        assert reader.segments(1) == []
        (told,) = [detail for _, kind, detail in reader.log() if kind == "refused"]
    assert "INSERT INTO segments" in told
    with Recording.open(seal(path)) as recording:
        assert ("fail", f"refused: {told}") in [(f.level, f.what) for f in audit(recording)]


def test_a_log_without_its_journal_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    log = tmp_path / "x.journal-wal"
    with Journal.create(path, {}) as journal:
        journal.add_stream(NUMERIC)
        journal.commit()
        content = log.read_bytes()
    path.unlink()
    log.write_bytes(content)
    with pytest.raises(DuchenneError, match=r"whose x\.journal is gone"):
        Journal.create(path, {})
    assert log.read_bytes() == content


def test_a_journal_whose_folder_goes_at_once_tells_of_it_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duchenne.recorder.journal.CHECKPOINT_INTERVAL_S", 0.05)
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    journal = Journal.create(tmp_path / "a" / "x.journal", {})
    (tmp_path / "a").rename(tmp_path / "b")
    time.sleep(0.3)
    assert not journal.is_in_place
    journal.abandon()
    assert failed == []
    assert not (tmp_path / "a").exists()
