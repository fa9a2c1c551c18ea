"""Areas of interest of whole sessions: scripted gaze, known dwell."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.sessions import SCREEN
from tests.analysis.constructed import RECT_PX, constructed_session, gaze, trial_fields

from duchenne.analysis.gaze.aoi import aoi_of_positions
from duchenne.analysis.gaze.aoi_files import AoiPlan
from duchenne.analysis.gaze.aoi_session import DEFAULT_MARGIN_DEG, margin_of
from duchenne.analysis.gaze.process import GazeResult
from duchenne.analysis.session import analyze_session
from duchenne.analysis.tables import read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.gaze.aoi import AoiSet

HEADER = "stimulus\taoi\tshape\tcoordinates\n"
NEEDS_FACES = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("av", "mediapipe")),
    reason="needs the extra `analysis`",
)


def test_areas_of_pictures_against_the_script(tmp_path: Path) -> None:
    (tmp_path / "manifest.tsv").write_text("")
    (tmp_path / "aois.tsv").write_text(
        HEADER + "calm\tright\trect\t0.6 0.3 0.8 0.7\ncalm\tcentre\trect\t0.4 0.3 0.6 0.7\n"
        "calm\tspot\tellipse\t0.1 0.1 0.01 0.01\n"
    )
    path = constructed_session(
        tmp_path / "x_session.h5", stimuli_source=str(tmp_path / "manifest.tsv")
    )
    paths = analyze_session(path, report=False)
    table = read_table(paths.table("aois")).set_index("aoi")
    # The eye rests in the middle from before the onset and steps by 5 degrees after a second: the
    # fixation that was under way does not count, the one on the right lasts until the offset.
    assert table["dwell_s"]["right"] == pytest.approx(0.95, abs=0.04)
    assert table["dwell_s"]["centre"] == 0
    assert table["dwell_fraction"]["right"] == pytest.approx(1)
    assert table["first_fixation_latency_s"]["right"] == pytest.approx(1.05, abs=0.04)
    assert table["n_fixations"].tolist() == [1, 0, 0]
    assert table["stimulus_id"].tolist() == ["calm"] * 3
    assert set(table["margin_deg"]) == {DEFAULT_MARGIN_DEG}
    assert set(table["margin_source"]) == {"default"}
    assert table["smaller_than_margin"].tolist() == [False, False, True]
    assert table["reason"].isna().all()
    visits = read_table(paths.table("aoi_visits"))
    assert visits["aoi"].tolist() == ["right"]
    transitions = read_table(paths.table("aoi_transitions"))
    assert len(transitions) == 6
    assert transitions["n_transitions"].sum() == 0
    (tmp_path / "aois.tsv").unlink()
    assert not analyze_session(path, report=False).table("aois").exists()


def test_a_bad_file_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    path = constructed_session(tmp_path / "x_session.h5")
    bad = tmp_path / "mine.tsv"
    bad.write_text(HEADER + "calm\tright\trect\t0.6 0.3\n")
    with pytest.raises(DuchenneError, match=r"mine\.tsv:2: rect needs 4 numbers"):
        analyze_session(path, aois=bad)
    assert not (tmp_path / "x_session_derivatives").exists()


def test_the_margin_is_never_below_the_validated_accuracy() -> None:
    none = pd.DataFrame()
    plan = AoiPlan((), "file", 0.5)
    known = GazeResult(none, none, none, none, quality={"accuracy_deg": 0.8})
    unknown = GazeResult(none, none, none, none)
    assert margin_of(known, plan) == (0.8, "validated")
    assert margin_of(known, plan, 2.0) == (2.0, "asked")
    assert margin_of(unknown, plan) == (0.5, "asked")
    assert margin_of(unknown, AoiPlan((), "file")) == (DEFAULT_MARGIN_DEG, "default")


def test_areas_that_cannot_be_found_say_why(tmp_path: Path) -> None:
    picture = tmp_path / "calm.png"
    Image.new("RGB", (64, 48), (90, 120, 90)).save(picture)
    (tmp_path / "aois.json").write_text(
        '{"margin_deg": 2, "aois": [{"stimulus": "loud", "aoi": "eyes", "shape": "auto"},\n'
        '{"stimulus": "calm", "aoi": "half", "shape": "rect", "coordinates": [0, 0, 0.5, 1]}]}'
    )
    path = constructed_session(
        tmp_path / "x_session.h5", stimuli_source=str(tmp_path / "manifest.tsv"), gaze=lost_gaze()
    )
    table = read_table(analyze_session(path, report=False).table("aois"))
    assert table["aoi"].tolist() == ["half", "eyes"]
    assert table["reason"].tolist() == [
        "no gaze was measured while the stimulus was shown",
        "the stimulus's file not found",
    ]
    assert table["dwell_s"].isna().all()
    assert table["n_visits"].isna().all()
    assert set(table["margin_deg"]) == {2.0}


def lost_gaze() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return gaze that is lost during the first picture."""
    times, columns = gaze()
    lost = (times > 3.5) & (times < 6.5)
    return times, {n: np.where(lost & ("valid" in n), 0.0, v) for n, v in columns.items()}


@NEEDS_FACES
def test_gaze_on_a_moving_face_is_placed_on_film_time(tmp_path: Path) -> None:
    from duchenne.analysis.gaze.aoi_film import aois_from_film

    clip = files("duchenne.recorder.sources") / "data" / "participant" / "happiness.mp4"
    with as_file(clip) as path:
        film = tmp_path / "face.mp4"
        film.write_bytes(path.read_bytes())
    areas = aois_from_film(film)
    session = film_session(tmp_path, film, areas)
    paths = analyze_session(session, report=False, aois="auto")
    table = read_table(paths.table("aois")).set_index("aoi")
    assert table.index.tolist() == ["eyes", "mouth", "face"]
    assert set(table["basis"]) == {"samples"}
    # Script: 1 s of film on the eyes, 1 s on the mouth, 0.5 s far off; each second of film lasts two
    # on the screen, and it begins 0.5 s after the onset. Less about 50 ms for each saccade.
    assert table["dwell_s"]["eyes"] == pytest.approx(2.0, abs=0.15)
    assert table["dwell_s"]["mouth"] == pytest.approx(2.0, abs=0.15)
    assert table["dwell_s"]["face"] == pytest.approx(0.0, abs=0.05)
    assert table["first_fixation_latency_s"]["eyes"] == pytest.approx(0.5, abs=0.06)
    assert table["first_fixation_latency_s"]["mouth"] == pytest.approx(2.55, abs=0.08)
    assert table["n_visits"].tolist() == [1, 1, 0]
    assert table["n_fixations"].isna().all()
    assert (table["dwell_over_chance"][["eyes", "mouth"]] > 1).all()
    visits = read_table(paths.table("aoi_visits"))
    assert visits["aoi"].tolist() == ["eyes", "mouth", "none"]
    transitions = read_table(paths.table("aoi_transitions")).set_index(["from_aoi", "to_aoi"])
    assert transitions["n_transitions"]["eyes", "mouth"] == 1
    assert transitions["n_transitions"].sum() == 1


@NEEDS_FACES
def test_a_face_in_a_picture_is_found_where_the_film_has_it(tmp_path: Path) -> None:
    from duchenne.analysis.face.decode import video_frames
    from duchenne.analysis.gaze.aoi_film import aois_from_film, aois_in

    clip = files("duchenne.recorder.sources") / "data" / "participant" / "happiness.mp4"
    with as_file(clip) as path:
        _, _, image = next(iter(video_frames(path)))
        film = aois_from_film(path, every=1000)
    Image.fromarray(image).save(tmp_path / "face.png")
    picture = aois_in(tmp_path / "face.png", "image")
    assert picture.names == ["eyes", "mouth", "face"]
    assert not picture.moving
    for still, moving in zip(picture.aois, film.at(0.0), strict=True):
        np.testing.assert_allclose(still.polygon, moving.polygon, atol=0.02)
    assert aois_in(tmp_path / "face.png", "image") is picture
    Image.new("RGB", (64, 48)).save(tmp_path / "none.png")
    assert aois_in(tmp_path / "none.png", "image").aois == ()


def film_session(folder: Path, film: Path, areas: AoiSet) -> Path:
    """Write a session of one film, shown at half its speed, with gaze that follows the script."""
    onset, started, length = 4.0, 4.5, 5.0
    fields = trial_fields(1) | {"stimulus": "face"}
    shown = {"kind": "video", "category": "HVHA", "file": film.name, "rect_px": RECT_PX}
    markers = [
        (onset, "stimulus_onset", fields | shown),
        (started + length, "stimulus_offset", fields),
        (started + length + 1, "session_end", {}),
    ]
    flips = started + np.arange(round(length * 60)) / 60
    media = (flips - started) / 2
    rows = np.column_stack([np.ones(flips.size), media * 30, media, np.full(flips.size, 1 / 60)])
    times = np.arange(round((started + length + 1) * 600)) / 600
    x_stim, y_stim = script(areas, (times - started) / 2)
    left, top, right, bottom = RECT_PX
    rng = np.random.default_rng(3)
    x = (left + x_stim * (right - left)) / SCREEN["width_px"] + rng.normal(0, 2e-4, times.size)
    y = (top + y_stim * (bottom - top)) / SCREEN["height_px"] + rng.normal(0, 2e-4, times.size)
    columns = {f"{eye}_{axis}": v for eye in ("left", "right") for axis, v in (("x", x), ("y", y))}
    columns |= {f"{eye}_valid": np.ones(times.size) for eye in ("left", "right")}
    stimuli = {
        "id": ["face"], "file": [film.name], "kind": ["video"], "category": ["HVHA"],
        "sha256": [hashlib.sha256(film.read_bytes()).hexdigest()],
    }  # fmt: skip
    return constructed_session(
        folder / "film_session.h5",
        markers=markers,
        gaze=(times, columns),
        shown_frames=(flips, rows),
        stimuli=stimuli,
        stimuli_source=str(folder / "manifest.tsv"),
    )


def script(areas: AoiSet, media_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where to look: the middle of the eyes, then of the mouth, then beside the face."""
    frame = np.clip(np.searchsorted(areas.frames_s, media_s, side="right") - 1, 0, None)
    x, y = np.full(media_s.size, 0.03), np.full(media_s.size, 0.03)
    for name, since, until in (("eyes", -1.0, 1.0), ("mouth", 1.0, 2.0)):
        centres = {
            aoi.media_time_s: (aoi.polygon.min(axis=0) + aoi.polygon.max(axis=0)) / 2
            for aoi in areas.aois
            if aoi.name == name
        }
        here = (media_s >= since) & (media_s < until)
        at = np.array([centres[float(areas.frames_s[i])] for i in frame[here]])
        x[here], y[here] = at[:, 0], at[:, 1]
    inside = aoi_of_positions(areas, x, y, media_time_s=np.clip(media_s, 0, None))
    assert (inside[(media_s > 0) & (media_s < 2)] >= 0).all()
    return x, y
