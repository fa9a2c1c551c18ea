"""`duchenne inspect`: what it prints, its JSON, its exit code, and files that are broken."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from rich.console import Console
from support.faulty_sessions import (
    DURATION_S,
    GAZE_LABELS,
    gaze_samples,
    markers_of,
    schedule_of,
    stream_info,
    write_faulty,
)

from duchenne.cli import main
from duchenne.recorder.audit import audit
from duchenne.recorder.inspection import content_of, show
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

TRIALS = [("sun", 4.0), ("rain", 4.0)]
TIMES = np.arange(0, DURATION_S, 1 / 600)
GAZE = stream_info("Gaze of the tracker in room two", "Gaze", GAZE_LABELS, 600.0)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_faulty(
        tmp_path / "whole.h5",
        [(GAZE, TIMES, gaze_samples(TIMES.size))],
        markers=markers_of(TRIALS),
        schedule=schedule_of(TRIALS),
        offset=lambda t: -123456.789 + 12e-6 * t,
    )


@pytest.fixture
def gappy(tmp_path: Path) -> Path:
    keep = (TIMES < 10) | (TIMES > 11)
    return write_faulty(tmp_path / "gappy.h5", [(GAZE, TIMES[keep], gaze_samples(int(keep.sum())))])


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["duchenne", "inspect", *arguments])
    with pytest.raises(SystemExit) as exited:
        main()
    return int(exited.value.code or 0)


def test_the_page_fits_100_columns_and_ends_with_the_verdict(whole: Path) -> None:
    with Recording.open(whole) as recording:
        out = io.StringIO()
        show(recording, audit(recording), Console(file=out, width=100))
    lines = out.getvalue().splitlines()
    table = [line for line in lines if line.lstrip().startswith(("Gaze of", "Markers", "stream"))]
    assert len(table) == 4
    assert max(map(len, lines[:9])) <= 100
    assert "…" not in table[2]
    assert "unknown" in table[1]
    assert lines[-1] == "verdict pass"


def test_a_file_that_passes_exits_0_and_one_that_fails_1(
    whole: Path, gappy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, str(whole)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "verdict pass"
    assert _run(monkeypatch, str(gappy)) == 1
    told = capsys.readouterr()
    assert "gap of 1.0" in told.out
    assert told.out.splitlines()[-1].startswith("verdict fail: 1 fail")
    assert told.err == ""


def test_json_says_everything(
    gappy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, str(gappy), "--json", "--thorough") == 1
    content = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert content["verdict"] == "fail"
    (stream,) = content["streams"].values()
    assert stream["type"] == "Gaze"
    assert stream["gaps"][0]["duration_s"] == pytest.approx(1.0, abs=0.01)
    assert stream["latency_source"] == "unknown"
    assert stream["device_latency_s"] is None
    assert stream["limits"]["max_gap_s"] == 0.1
    assert {"level", "about", "what"} == set(content["audit"][0])


def _damage(path: Path, what: str) -> None:
    with h5py.File(path, "r+") as file:
        node = next(iter(file["streams"].values()))
        if what == "no events":
            del file["events"]
        elif what == "no times":
            del node["times"]
        elif what == "short samples":
            node["samples"].resize(10, axis=0)
        elif what == "no channels":
            del node.attrs["channels"]
        elif what == "channels":
            node.attrs["channels"] = "[1"
        elif what == "version":
            file.attrs["format_version"] = "one"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("no events", "is damaged: it has no group /events"),
        ("no times", "has no times"),
        ("short samples", "stamps but 10 samples"),
        ("no channels", "the description of .* is damaged"),
        ("channels", "the description of .* is damaged"),
        ("version", "it has no format version"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(gappy: Path, what: str, says: str) -> None:
    _damage(gappy, what)
    with pytest.raises(DuchenneError, match=says) as refused:
        Recording.open(gappy)
    assert "\n" not in str(refused.value)
    gappy.rename(gappy.with_name("closed.h5"))  # nothing holds it open


def test_a_file_cut_short_is_refused(gappy: Path) -> None:
    content = gappy.read_bytes()
    gappy.write_bytes(content[: len(content) // 2])
    with pytest.raises(DuchenneError, match="truncated"):
        Recording.open(gappy)


def test_a_damaged_chunk_is_told_and_the_rest_is_read(gappy: Path) -> None:
    with h5py.File(gappy, "r") as file:
        data = next(iter(file["streams"].values()))["samples"]
        chunk = data.id.get_chunk_info(0)
    content = bytearray(gappy.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xa5" * chunk.size
    gappy.write_bytes(content)
    with Recording.open(gappy) as recording:
        (stream,) = recording.streams.values()
        assert stream.times_s.size == stream.n
        with pytest.raises(DuchenneError, match=r"gappy\.h5: /streams/.*/samples cannot be read"):
            stream.samples()
        findings = audit(recording)
    assert any("the signals cannot be checked" in finding.what for finding in findings)


def test_a_large_file_is_opened_and_audited_in_pieces(tmp_path: Path) -> None:
    """Samples of 400 MB (one value a chunk, so that they take no room) are never in memory at once."""
    import tracemalloc

    path = write_faulty(tmp_path / "a.h5", [(GAZE, TIMES[:500], gaze_samples(500))])
    n = 800_000
    with h5py.File(path, "r+") as file:
        node = next(iter(file["streams"].values()))
        labels = [{"label": f"c{i}", "type": "", "unit": "", "eye": ""} for i in range(64)]
        node.attrs["channels"] = json.dumps(labels)
        node.attrs["type"] = "EEG"
        del node["samples"], node["timestamps"], node["times"]
        node.create_dataset("samples", shape=(n, 64), chunks=(4096, 64), dtype="f8", compression=1)
        for name in ("timestamps", "times"):
            node.create_dataset(name, data=5000 + np.arange(n) / 600)
    tracemalloc.start()
    try:
        with Recording.open(path) as recording:
            assert tracemalloc.get_traced_memory()[1] < 20e6
            findings = audit(recording)
            assert any("use --thorough" in finding.what for finding in findings)
            audit(recording, thorough=True)
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("where", "attribute"),
    [
        ("/", "participant"),
        ("streams/Markers", "type"),
        ("streams/Markers", None),
        ("streams/Markers/times", "crc32"),
        ("streams/Markers/times", None),
        ("events/time", None),
        ("events/trial", None),
        ("protocol", "screen"),
        ("protocol/schedule", None),
        ("log/kind", None),
    ],
)
@pytest.mark.parametrize("value", [None, "{rubbish", -7, np.zeros(3)])
def test_a_file_that_another_program_changed_never_ends_in_a_traceback(
    tmp_path: Path, where: str, attribute: str | None, value: Any
) -> None:
    path = write_faulty(tmp_path / "a.h5", markers=markers_of(TRIALS), schedule=schedule_of(TRIALS))
    with h5py.File(path, "r+") as file:
        if attribute is not None:
            file[where].attrs[attribute] = "" if value is None else value
        else:
            del file[where]
            if value is not None:
                file[where] = value
    with contextlib.suppress(DuchenneError), Recording.open(path) as recording:
        findings = audit(recording)
        content_of(recording, findings)
        show(recording, findings, Console(file=io.StringIO()))
