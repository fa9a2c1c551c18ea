"""Films of hours are measured in parts; the parts together are what the whole would have been."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.film import FaceFilm, joined, measure_faces
from duchenne.analysis.face.measured import N_POSE, N_SIGNALS, MeasuredFilm
from duchenne.analysis.face.spool import Spool
from duchenne.analysis.face.table_file import TableInParts, write_au_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.face.process import FaceResult

CLIPS = ("neutral", "happiness", "surprise")


@pytest.fixture(scope="module")
def film(clips: Path) -> Iterator[FaceFilm]:
    """Three clips one after the other, at 10 frames per second."""

    def frames():
        for i, name in enumerate(CLIPS):
            for index, time_s, image in islice(video_frames(clips / f"{name}.mp4"), 0, None, 3):
                yield index, i * 6.0 + time_s, image

    with measure_faces(frames()) as measured:
        yield measured


def whole(film: FaceFilm) -> FaceResult:
    (result,) = film.results([(0.0, 6.0)])
    return result


@pytest.mark.parametrize("part_frames", [50, 70, 179])
def test_parts_are_the_whole(film: FaceFilm, part_frames: int) -> None:
    parts = list(replace(film, part_frames=part_frames, margin_frames=40).results([(0.0, 6.0)]))
    assert [len(part.table) for part in parts][:-1] == [part_frames] * (len(parts) - 1)
    together, expected = joined(parts), whole(film)
    pd.testing.assert_frame_equal(together.table, expected.table)
    found, wanted = together.dynamics, expected.dynamics
    assert found is not None
    assert wanted is not None
    order = ["onset_s", "au"]
    pd.testing.assert_frame_equal(
        found.events.sort_values(order, ignore_index=True),
        wanted.events.sort_values(order, ignore_index=True),
    )
    assert len(wanted.events) > 3
    np.testing.assert_array_equal(found.eye_closure, wanted.eye_closure)
    np.testing.assert_allclose(found.head_speed_deg_s, wanted.head_speed_deg_s)
    assert together.quality["n_frames"] == expected.quality["n_frames"] == len(expected.table)
    assert together.calibration.to_dict() == expected.calibration.to_dict()


def test_an_action_goes_on_over_the_edge_of_a_part(film: FaceFilm) -> None:
    """With hardly any margin, hysteresis would begin anew in each part."""
    parts = list(replace(film, part_frames=10, margin_frames=1).results([(0.0, 6.0)]))
    names = [f"{au}_c" for au in film.backend.au_names]
    pd.testing.assert_frame_equal(joined(parts).table[names], whole(film).table[names])


def test_a_neutral_face_comes_from_frames_spread_over_the_film(
    film: FaceFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duchenne.analysis.face.measured.MAX_REFERENCE_FRAMES", 30)
    features, times, usable = film.film.reference([(0.0, 6.0)])
    assert 30 <= len(features) == len(times) == len(usable) <= 60
    assert np.sum(times < 6.0) >= 30
    few = film.calibrated([(0.0, 6.0)])
    monkeypatch.undo()
    every = film.calibrated([(0.0, 6.0)])
    assert few.source == every.source == "neutral phase"
    spread = np.std(features, axis=0)
    assert np.median(np.abs(few.neutral - every.neutral) / np.maximum(spread, 1e-3)) < 0.1


def test_the_spool_gives_back_what_it_was_given() -> None:
    rows = np.random.default_rng(1).normal(size=(1000, 7)).astype(np.float32).astype(np.float64)
    rows[3, 2] = np.nan
    with Spool(7, memory_bytes=5000) as spool:
        for first in range(0, 1000, 64):
            spool.append(rows[first : first + 64])
        assert len(spool) == 1000
        np.testing.assert_array_equal(spool.read(90, 300), rows[90:300])
        np.testing.assert_array_equal(spool.read(990, 5000), rows[990:])
        wanted = np.array([0, 3, 63, 64, 500, 999])
        np.testing.assert_array_equal(spool.columns(wanted, 2, 5, at_once=100), rows[wanted, 2:5])


def test_a_table_in_parts_is_the_table(film: FaceFilm, tmp_path: Path) -> None:
    table = whole(film).table
    write_au_table(table, tmp_path / "whole.csv", "tidy")
    with TableInParts(tmp_path / "parts.csv", "tidy") as parts:
        for first in range(0, len(table), 64):
            parts.add(table.iloc[first : first + 64])
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "parts.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_a_table_that_breaks_off_leaves_the_old_one(film: FaceFilm, tmp_path: Path) -> None:
    out = tmp_path / "au.csv"
    out.write_text("old")

    def break_off() -> None:
        with TableInParts(out, "tidy") as parts:
            parts.add(whole(film).table.iloc[:5])
            raise DuchenneError("no room")

    with pytest.raises(DuchenneError, match="no room"):
        break_off()
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["au.csv"]


class Curves:
    """A backend whose only feature is the intensity of AU12."""

    name, needs_images = "curves", False
    au_names = feature_names = ("AU12",)
    typical_neutral, personal = np.zeros(1), np.zeros(1, np.bool_)
    reliability: dict[str, float] = {}  # noqa: RUF012  (as the seam has it)

    def intensities(self, features, neutral):
        del neutral
        return features


def film_of(times: np.ndarray, curve: np.ndarray) -> FaceFilm:
    """Return a film of a face that does what the curve says, and nothing else."""
    n, still = len(times), np.zeros((len(times), N_POSE + N_SIGNALS))
    film = MeasuredFilm(1)
    film._spool.append(np.column_stack([curve, np.ones(n), still]))
    film.frame, film.time_s = np.arange(n, dtype=np.float64), times
    film.readable = film.found = film.usable = np.ones(n, np.bool_)
    return FaceFilm(film, Curves())  # type: ignore[arg-type]  # nothing is measured


def test_events_are_those_of_the_whole_film_however_long_they_last() -> None:
    """A face that never rests below the edge of an event, and an action that outlasts its part."""
    times = np.arange(4000) / 10.0
    curve = np.full(4000, 0.28)
    for at in (30.0, 97.0):  # the second comes after the first part and its margin
        curve += 1.9 * np.exp(-(((times - at) / 0.6) ** 2))
    curve[(times >= 190) & (times < 230)] = 3.0
    with film_of(times, curve) as film:
        (expected,) = film.results()
        parts = list(replace(film, part_frames=500, margin_frames=50).results())
    found, wanted = joined(parts).dynamics, expected.dynamics
    assert found is not None
    assert wanted is not None
    assert [event["peak"] > 2 for event in wanted.events.to_dict("records")] == [True] * 3
    pd.testing.assert_frame_equal(found.events, wanted.events, rtol=1e-4)
    assert found.events["area"].iloc[-1] == pytest.approx(120, abs=2)
    assert [len(part.dynamics.events) for part in parts if part.dynamics] == [
        2,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
    ]
