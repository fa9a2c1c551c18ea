"""Sealing on a disk that fills up, and sealing that is killed."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from support.engines import wait_until

from duchenne.recorder.archive import seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.recording import Recording
from duchenne.recorder.sample_writers import CRC_ATTRIBUTE, crc_of
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = (sys.executable, "-m", "duchenne.cli")


@pytest.fixture
def large_journal(tmp_path: Path) -> Path:
    """Return a journal of 20 s and 20 MB."""
    journal = tmp_path / "x.journal"
    noise = np.random.default_rng(3).normal(size=(1000, 256)).astype(np.float32)
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("EEG", "EEG", uid="u", channel_count=256))
        for second in range(20):
            stamps = np.arange(1000) / 1000 + second
            writer.append(stream, stamps, noise + second, received_s=second + 1.0)
            writer.commit()
    return journal


def test_a_disk_that_fills_up_while_sealing_is_one_line(large_journal: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "recover", str(large_journal)], stderr=subprocess.PIPE, text=True
    )
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = error.splitlines()
    assert line.startswith(f"duchenne: cannot write {large_journal.with_suffix('.h5')}")
    assert "The recording is safe in" in line
    assert sorted(
        p.suffix for p in large_journal.parent.iterdir() if p.suffix != ".journal-shm"
    ) in (
        [".journal"],
        [".journal", ".journal-wal"],
    )
    subprocess.run([*COMMAND, "recover", str(large_journal)], check=True, capture_output=True)
    with Recording.open(large_journal.with_suffix(".h5")) as file:
        assert file.streams["EEG"].n == 20_000


def test_sealing_that_was_killed_is_done_again(large_journal: Path) -> None:
    out = large_journal.with_suffix(".h5")
    part = large_journal.with_name("x.h5.part")
    process = subprocess.Popen([*COMMAND, "recover", str(large_journal)])
    wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000, "the sealing")
    process.kill()
    process.wait()
    assert not out.exists()
    seal(large_journal)
    with Recording.open(out) as file:
        assert file.streams["EEG"].n == 20_000
    assert not part.exists()


def test_what_is_sealed_carries_checksums_that_find_a_changed_byte(tmp_path: Path) -> None:
    journal = tmp_path / "x.journal"
    values = np.random.default_rng(2).integers(0, 255, (3000, 4)).astype(np.int16)
    with Journal.create(journal, {}) as writer:
        stream = writer.add_stream(StreamInfo("A", "X", channel_format="int16", channel_count=4))
        writer.append(stream, np.arange(3000.0), values)
        text = writer.add_stream(StreamInfo("T", "X", channel_format="string"))
        writer.append(text, np.arange(2.0), [[b"one"], [b"\xff"]])
    out = seal(journal)
    with h5py.File(out) as file:
        samples = file["streams/A/samples"]
        assert samples.fletcher32
        assert samples.attrs[CRC_ATTRIBUTE] == crc_of(samples)
        assert file["streams/T/samples"].attrs[CRC_ATTRIBUTE] == crc_of(file["streams/T/samples"])
        place = samples.id.get_chunk_info(0).byte_offset + 500
    content = bytearray(out.read_bytes())
    content[place] ^= 1
    out.write_bytes(content)
    with h5py.File(out) as file, pytest.raises(OSError, match=r"[Cc]an't .*read"):
        crc_of(file["streams/A/samples"])
