"""What an analysis says of the streams and phases that it used, and of those it did not."""

from __future__ import annotations

import io
import json
from html import unescape
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.analysis.constructed import constructed_session, markers

from duchenne.analysis.codebooks import au_columns, with_reference
from duchenne.analysis.session import analyze_session
from duchenne.analysis.stages import _chosen
from duchenne.analysis.tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.paths import AnalysisPaths


def stream(name: str, n: int) -> Any:
    return SimpleNamespace(n=n, key=name, info=SimpleNamespace(name=name, type="Gaze"))


def test_the_stream_of_the_declared_name_is_preferred_and_others_are_named() -> None:
    notes: list[str] = []
    ours, empty, fuller = stream("Gaze", 10), stream("Gaze_2", 0), stream("OtherTracker", 99)
    assert _chosen([fuller, empty, ours], "Gaze", notes) is ours
    assert notes == ["Several Gaze streams: Gaze was analysed, not OtherTracker (99 samples)."]


def test_without_the_declared_name_the_fullest_stream_is_taken() -> None:
    notes: list[str] = []
    small, large = stream("A", 10), stream("B", 20)
    assert _chosen([small, large], "Gaze", notes) is large
    assert _chosen([small], "Gaze", notes) is small
    assert _chosen([stream("A", 0)], "Gaze", notes) is None
    assert len(notes) == 1


def blank_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (90, 90, 90)).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> AnalysisPaths:
    """A session whose video shows no face, with two packets that are no pictures."""
    folder = tmp_path_factory.mktemp("faceless")
    times = np.arange(30) / 10
    frames = [b"no picture" if i in (3, 4) else blank_jpeg() for i in range(30)]
    odd = {"trial": 2, "scale": "fatigue", "value": 4, "rt_s": 0.2}
    nameless = {"trial": 2, "value": 4, "rt_s": 0.2}
    rows = [*markers(), (13.0, "rating_response", odd), (13.5, "rating_response", nameless)]
    path = constructed_session(
        folder / "x_session.h5", gaze=None, frames=(times, frames), markers=rows
    )
    return analyze_session(path)


def test_a_neutral_phase_that_could_not_be_used_is_said(faceless: AnalysisPaths) -> None:
    said = "Action Units are measured from a typical neutral face, not the participant's"
    assert any(
        note.startswith(f"No frames of a neutral-face phase could be used: {said}")
        for note in faceless.notes
    )
    assert said in unescape(faceless.report.read_text(encoding="utf-8"))
    book = json.loads(faceless.au.with_suffix(".json").read_text(encoding="utf-8"))
    assert said in book["AU12_r"]["Description"]
    assert said not in book["usable"]["Description"]


def test_frames_that_could_not_be_decoded_are_counted(faceless: AnalysisPaths) -> None:
    assert "2 of 30 video frames could not be decoded." in faceless.notes
    about = json.loads(faceless.provenance.read_text(encoding="utf-8"))
    face = about["configuration"]["face"]
    assert (face["n_undecodable"], face["face_fraction"]) == (2, 0.0)
    assert face["sampling_rate_hz"] == pytest.approx(10, rel=1e-3)
    assert "prototype_coverage" in face


def test_a_further_rating_has_a_column_and_one_without_a_name_is_said(
    faceless: AnalysisPaths,
) -> None:
    summary = pd.read_csv(faceless.summary, sep="\t", na_values="n/a")
    assert summary.set_index("trial").loc[2, "rating_fatigue"] == 4
    assert any(note.endswith("see the table of events: without a name.") for note in faceless.notes)


def test_a_neutral_phase_without_a_marked_end_is_said(tmp_path: Path) -> None:
    rows = [row for row in markers() if row[1] != "neutral_offset"]
    path = constructed_session(tmp_path / "x_session.h5", gaze=None, markers=rows)
    notes = analyze_session(path, report=False).notes
    assert "The neutral-face phase from 0.5 s has no marked end and is not used." in notes


def test_codebooks_say_what_action_units_are_measured_from() -> None:
    book = au_columns(["AU12_r", "AU12_mean"])
    assert with_reference(book, None) == book
    said = with_reference(book, "neutral phase")["AU12_mean"].description
    assert said.endswith("measured from the participant's neutral-face phase.")


@pytest.mark.parametrize("name", ['"calm" sea', '"calm', "\ud800calm", "<b>calm</b>"])
def test_any_stimulus_name_comes_through(tmp_path: Path, name: str) -> None:
    rows = [
        (t, e, f | ({"stimulus": name} if f.get("stimulus") == "calm" else {}))
        for t, e, f in markers()
    ]
    done = analyze_session(constructed_session(tmp_path / "x_session.h5", markers=rows))
    expected = name.replace("\ud800", "?")
    assert read_table(done.summary)["stimulus_id"].tolist() == [expected, "loud"]
    assert "<b>" not in done.report.read_text(encoding="utf-8")
