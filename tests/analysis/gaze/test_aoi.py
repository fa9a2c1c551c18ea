"""Areas of interest against answers worked out by hand."""

from __future__ import annotations

import importlib.util
import json
import math
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.gaze.aoi import (
    AoiSet,
    aoi_of_positions,
    distance_to_polygon,
    frame_aois,
    in_polygon,
    polygon_area,
    read_aois,
    static_aois,
)
from duchenne.analysis.gaze.aoi_measures import measure_aois, stimulus_per_deg
from duchenne.analysis.gaze.codebook import AOIS
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.process import GazeResult
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

SCREEN = ScreenGeometry(1000, 1000, 30.0, 30.0, 60.0)
RECT = (0.0, 0.0, 1000.0, 1000.0)
HALVES = {"left": [[0, 0], [0.4, 1]], "right": [[0.6, 0], [1, 1]]}


def looked(x: list[float], duration: float = 0.3, rate_hz: float = 100.0) -> GazeResult:
    """Return a result of fixations at x (0–1, half-way down), each followed by 0.1 s of saccade."""
    step = duration + 0.1
    times = np.arange(round(len(x) * step * rate_hz)) / rate_hz
    which = (times / step + 1e-9).astype(int)
    fixating = times - which * step < duration - 1e-9
    place = np.asarray(x)[which] * 1000
    samples = pd.DataFrame(
        {
            "time": times,
            "x_px": place,
            "y_px": 500.0,
            "valid": True,
            "label": np.where(fixating, Label.FIXATION, Label.SACCADE),
        }
    )
    fixations = pd.DataFrame(
        {"onset": np.arange(len(x)) * step, "duration": duration, "x_px": 1000 * np.asarray(x)}
    ).assign(y_px=500.0)
    none = fixations.iloc[:0]
    return GazeResult(samples, fixations, none, none, sampling_rate_hz=rate_hz, screen=SCREEN)


def test_polygons() -> None:
    notched = [[0, 0], [1, 0], [1, 1], [0.5, 0.5], [0, 1]]
    assert polygon_area(notched) == pytest.approx(0.75)
    inside = in_polygon(notched, [0.5, 0.5, 0.1, 2.0, np.nan], [0.2, 0.8, 0.5, 0.5, 0.5])
    assert inside.tolist() == [True, False, True, False, False]
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    np.testing.assert_allclose(
        distance_to_polygon(square, [2, 2, 0.5], [0.5, 2, 0.5]), [1, math.sqrt(2), 0.5]
    )
    assert distance_to_polygon(square, [2], [0.5], (0.5, 1))[0] == pytest.approx(2)


def test_positions_and_margins() -> None:
    areas = static_aois({"eyes": [[0.3, 0.3], [0.7, 0.4]], "face": [[0.2, 0.1], [0.8, 0.9]]})
    x, y = [0.5, 0.5, 0.5, 0.85, np.nan], [0.35, 0.45, 0.95, 0.5, 0.5]
    assert aoi_of_positions(areas, x, y).tolist() == [0, 1, -1, -1, -1]
    # inside the face without a margin: the eyes' margin does not take it away
    wide = aoi_of_positions(areas, x, y, margin=(0.06, 0.06))
    assert wide.tolist() == [0, 1, 1, 1, -1]
    near = aoi_of_positions(static_aois(HALVES), [0.45, 0.58, 0.5], [0.5] * 3, margin=(0.08, 0.08))
    assert near.tolist() == [0, 1, -1]


def test_dwell_visits_and_transitions() -> None:
    result = looked([0.1, 0.2, 0.9, 0.5, 0.9, 0.1])
    found = measure_aois(result, static_aois(HALVES), 0, 2.4, RECT)
    table = found.table.set_index("aoi")
    assert list(found.table.columns) == list(AOIS)
    assert table["dwell_s"].tolist() == pytest.approx([0.9, 0.6])
    assert table["dwell_fraction"].tolist() == pytest.approx([0.5, 1 / 3])
    assert table["first_fixation_latency_s"].tolist() == pytest.approx([0, 0.8])
    assert table["n_fixations"].tolist() == [3, 2]
    assert table["n_visits"].tolist() == [2, 2]
    assert table["n_revisits"].tolist() == [1, 1]
    assert table["area_fraction"].tolist() == pytest.approx([0.4, 0.4], abs=0.01)
    assert table["dwell_over_chance"]["left"] == pytest.approx(1.25, rel=0.03)
    # left → right, then by way of nothing (no transition), right → left
    assert found.transitions.to_numpy().tolist() == [[0, 1], [1, 0]]
    assert math.isnan(found.transition_entropy_bits)
    assert found.basis == "fixations"


def test_a_window_cuts_dwell_and_starts_the_clock() -> None:
    result = looked([0.1, 0.9, 0.9])
    found = measure_aois(result, static_aois(HALVES), 0.1, 1.0, RECT).table.set_index("aoi")
    assert found["n_fixations"].tolist() == [0, 2]
    assert found["dwell_s"]["right"] == pytest.approx(0.5)
    assert found["first_fixation_latency_s"]["right"] == pytest.approx(0.3)
    assert math.isnan(found["first_fixation_latency_s"]["left"])


def test_no_fixation_in_the_window() -> None:
    result = looked([0.1])
    found = measure_aois(result, static_aois(HALVES), 5, 6, RECT).table
    assert found["dwell_fraction"].isna().all()
    assert found["n_visits"].tolist() == [0, 0]
    with pytest.raises(ValueError, match="does not last"):
        measure_aois(result, static_aois(HALVES), 1, 1, RECT)


def test_areas_smaller_than_the_margin_are_flagged() -> None:
    per_deg = stimulus_per_deg(SCREEN, RECT)[0]  # 60 cm away, 30 cm wide: 2.1 % to the degree
    assert per_deg == pytest.approx(2 * math.tan(math.radians(0.5)) * 60 / 30)
    small = static_aois({"small": [[0.5, 0.5], [0.52, 0.9]], "large": [[0.1, 0.1], [0.3, 0.9]]})
    found = measure_aois(looked([0.1]), small, 0, 1, RECT, margin_deg=1.0).table
    assert found["smaller_than_margin"].tolist() == [True, False]
    assert found["smallest_side_deg"].tolist() == pytest.approx([0.02 / per_deg, 0.2 / per_deg])
    assert found["area_fraction"][1] == pytest.approx(
        0.16 + 2 * per_deg * (0.2 + 0.8) + math.pi * per_deg**2, rel=0.02
    )


def moving_table() -> pd.DataFrame:
    """Return a box that is on the left for a second, on the right for another, then gone."""
    times = np.arange(75) / 25
    left = np.where(times < 1, 0.0, 0.6)
    return pd.DataFrame({"media_time_s": times, "aoi": np.where(times < 2, "box", None)}).assign(
        left=left, top=0.0, right=left + 0.4, bottom=1.0
    )


def test_moving_areas_are_measured_by_samples() -> None:
    result = looked([0.1] * 5, duration=0.9)
    areas = frame_aois(moving_table())
    assert areas.moving
    times = result.samples["time"].to_numpy()
    media = np.where(times < 1, np.nan, times - 1)  # the film starts after a second
    media[times >= 4.04] = np.nan
    found = measure_aois(result, areas, 1, 4, RECT, media_time_s=media)
    row = found.table.iloc[0]
    assert found.basis == "samples"
    assert row["dwell_s"] == pytest.approx(0.9)  # a second, less the saccade
    assert row["dwell_fraction"] == pytest.approx(1 / 3)
    assert row["first_fixation_latency_s"] == 0
    assert row["n_visits"] == 1
    assert row["n_fixations"] is None
    assert row["area_fraction"] == pytest.approx(0.4 * 2 / 3, abs=0.02)
    with pytest.raises(ValueError, match="media time"):
        measure_aois(result, areas, 1, 4, RECT)
    nothing = measure_aois(result, areas, 1, 4, RECT, media_time_s=np.full(times.size, np.nan))
    assert math.isnan(nothing.table["dwell_fraction"][0])


def test_the_frame_that_was_on_the_screen_counts() -> None:
    areas = frame_aois(moving_table())
    found = aoi_of_positions(
        areas, [0.1] * 5, [0.5] * 5, media_time_s=[0.97, 1.001, 2.5, 9.0, np.nan]
    )
    assert found.tolist() == [0, -1, -1, -2, -2]
    assert [aoi.name for aoi in areas.at(0.5)] == ["box"]
    assert areas.at(2.5) == []


def test_areas_that_stand_still_among_those_that_move() -> None:
    moving = frame_aois(moving_table())
    still = static_aois({"logo": [[0, 0], [0.2, 0.2]]})
    both = AoiSet((*still.aois, *moving.aois), moving.frames_s)
    assert both.names == ["logo", "box"]
    # in the logo; beneath the box, once it has moved away; where no frame is known, nothing is
    found = aoi_of_positions(
        both, [0.1, 0.1, 0.3, 0.1], [0.1] * 4, media_time_s=[0.5, 2.5, 0.5, 9.0]
    )
    assert found.tolist() == [0, 0, 1, -2]
    assert [aoi.name for aoi in both.at(0.5)] == ["logo", "box"]
    assert [aoi.name for aoi in both.at(2.5)] == ["logo"]


def test_flicker_at_an_edge_is_no_visit() -> None:
    result = looked([0.1], duration=2.0)
    x = result.samples["x_px"].to_numpy(copy=True)
    x[50:53] = 990.0  # 30 ms on the other side
    result.samples["x_px"] = x
    times = np.array([0.0, 0.04])
    table = pd.DataFrame({"media_time_s": np.repeat(times, 2), "aoi": ["l", "r"] * 2}).assign(
        left=[0.0, 0.6] * 2, top=0.0, right=[0.4, 1.0] * 2, bottom=1.0
    )
    media = np.zeros(x.size)
    found = measure_aois(result, frame_aois(table), 0, 2, RECT, media_time_s=media)
    rows = found.table.set_index("aoi")
    assert rows["n_visits"].tolist() == [1, 0]
    assert rows["dwell_s"].tolist() == pytest.approx([1.97, 0.03])
    assert found.visits["aoi"].tolist() == ["l"]
    assert found.visits["duration_s"].tolist() == pytest.approx([2.0])


def test_tables_of_polygons() -> None:
    corners = [[0, 0], [1, 0], [0, 1]]
    table = pd.DataFrame(
        {"media_time_s": [0.0, 0.04], "aoi": "a", "polygon": [corners, json.dumps(corners)]}
    )
    assert len(frame_aois(table).aois) == 2
    with pytest.raises(DuchenneError, match="lacks aoi, polygon"):
        frame_aois(pd.DataFrame({"media_time_s": [0.0]}))


def test_files_of_areas(tmp_path: Path) -> None:
    path = tmp_path / "aois.yaml"
    path.write_text("unit: px\nwidth_px: 200\nheight_px: 100\naois: {a: [[20, 10], [60, 50]]}\n")
    assert read_aois(path).aois[0].polygon.max(axis=0).tolist() == [0.3, 0.5]
    path = tmp_path / "aois.json"
    path.write_text(json.dumps({"aois": {"b": [[0, 0], [1, 0], [0.5, 1]]}}))
    assert read_aois(path).names == ["b"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("[1, 2]", "needs `aois`"),
        ("aois: {a: [[0, 0]", "cannot read"),
        ("aois: {a: [[0, 0]]}", "no list of corners"),
        ("aois: {a: hello}", "no list of corners"),
        ("aois: {a: [[0, 0], [1, 1], [0.5, 0.5]]}", "has no area"),
        ("aois: {a: [[0, 0], [300, 200]]}", "looks like pixels"),
        ("unit: cm\naois: {a: [[0, 0], [1, 1]]}", "unit is cm"),
        ("unit: px\naois: {a: [[0, 0], [1, 1]]}", "needs width_px"),
    ],
)
def test_files_that_are_wrong_are_refused(tmp_path: Path, content: str, error: str) -> None:
    path = tmp_path / "aois.yaml"
    path.write_text(content)
    with pytest.raises(DuchenneError, match=error) as caught:
        read_aois(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match="cannot read"):
        read_aois(tmp_path / "none.yaml")


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("av", "mediapipe")),
    reason="needs the extra `analysis`",
)
def test_a_face_is_found_in_a_film() -> None:
    from duchenne.analysis.gaze.aoi_film import aois_from_film

    clip = files("duchenne.recorder.sources") / "data" / "participant" / "happiness.mp4"
    with as_file(clip) as path:
        areas = aois_from_film(path, every=10)
    assert areas.names == ["eyes", "mouth", "face"]
    eyes, mouth, face = (aoi.polygon for aoi in areas.at(float(areas.frames_s[3])))
    assert eyes[:, 1].max() < mouth[:, 1].min()
    for part in (eyes, mouth):
        assert (part.min(axis=0) >= face.min(axis=0) - 0.01).all()
        assert (part.max(axis=0) <= face.max(axis=0) + 0.01).all()
    middle = eyes.mean(axis=0)
    at = [float(areas.frames_s[3])]
    assert aoi_of_positions(areas, middle[:1], middle[1:], media_time_s=at).tolist() == [0]
