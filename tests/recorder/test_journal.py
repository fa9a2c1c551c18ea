"""The journal keeps what was committed, whatever happens next."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.recorder.journal import Journal, JournalReader, group_name_for
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
