"""A session with a film of the face and no gaze: its events, its blinks, and what is said of them."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.analysis.constructed import constructed_session

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.session import analyze_session
from duchenne.analysis.stages import _sound_level
from duchenne.analysis.tables import read_table


def jpeg(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def analysed(clips, tmp_path_factory):
    """Return the results of a session whose film begins with the session: neutral, then a smile."""
    frames = [
        (start + time_s, jpeg(picture))
        for start, name in ((0.0, "neutral"), (2.5, "happiness"))
        for _, time_s, picture in video_frames(clips / f"{name}.mp4")
        if time_s < 2.5 or name != "neutral"
    ]
    times, pictures = zip(*frames, strict=True)
    path = constructed_session(
        tmp_path_factory.mktemp("film") / "x_session.h5",
        gaze=None,
        frames=(np.array(times), list(pictures)),
    )
    return analyze_session(path, report=False)


def test_blinks_of_the_film_stand_in_for_those_of_the_eye_tracker(analysed, clips):
    blinks = read_table(analysed.blinks)
    assert set(blinks["source"]) == {"face"}
    true = []
    for start, name, until in ((0.0, "neutral", 2.5), (2.5, "happiness", 6.0)):
        truth = pd.read_csv(clips / f"{name}.csv").query(f"time_s < {until}")
        closed = (truth["AU45"] > 2.5).to_numpy().astype(int)
        true += (start + truth["time_s"][np.flatnonzero(np.diff(closed) == 1)]).tolist()
    np.testing.assert_allclose(blinks["onset"], true, atol=0.1)
    assert read_table(analysed.summary)["n_blinks"].isna().all()


def test_events_have_their_place_and_their_latency(analysed):
    events = read_table(analysed.table("au_events"))
    book = json.loads(analysed.table("au_events").with_suffix(".json").read_text("utf-8"))
    assert list(book) == list(events.columns)
    smile = events[(events["au"] == "AU12") & (events["peak"] > 2)].iloc[0]
    # The stimulus begins at 4 s, the smile of the clip at 2.5 + 1.5 s.
    assert smile["onset_s"] == pytest.approx(4.1, abs=0.25)
    in_stimulus = smile["phase"] == "stimulus"
    assert in_stimulus == np.isfinite(smile["latency_s"])


def test_what_is_not_measured_is_not_written_and_the_codebook_says_why(analysed):
    assert not analysed.table("microexpressions").exists()
    book = json.loads(analysed.summary.with_suffix(".json").read_text("utf-8"))
    assert "60 frames per second, not 30" in book["n_microexpression_candidates"]["Description"]
    about = json.loads(analysed.provenance.read_text("utf-8"))["configuration"]["face"]["dynamics"]
    assert about["smoothing"]["bridge_s"] == 0.1
    assert about["leave_out_speech"] is True
    assert "microexpressions" in about["not_measured"]


def test_the_level_of_a_microphone_is_found_among_the_streams():
    def stream(labels, n=3):
        channels = [SimpleNamespace(label=label) for label in labels]
        return SimpleNamespace(
            n=n,
            info=SimpleNamespace(channels=channels),
            times_s=np.arange(3.0),
            column=lambda _: np.array([-60, -20, -60]),
        )

    def level(*streams):
        return _sound_level(SimpleNamespace(of_type=lambda _: list(streams)))

    assert level() is None
    assert level(stream(["peak"]), stream(["rms", "peak"], n=0)) is None
    found = level(stream(["peak"]), stream(["rms", "peak"]))
    assert found is not None
    np.testing.assert_array_equal(found[1], [-60, -20, -60])
