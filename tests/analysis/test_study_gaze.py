"""Synchrony and scan-path likeness over four simulated participants, with known answers."""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from support.sessions import SCREEN
from tests.analysis.constructed import RECT_PX, constructed_session

from duchenne.analysis.gaze.scanpath_study import MAX_OTHERS, pairs
from duchenne.analysis.gaze.synchrony import (
    circular_shifts,
    correlation_by_chance,
    normalized_scanpath_saliency,
    saliency_against_chance,
)
from duchenne.analysis.gaze.synchrony_study import film_traces
from duchenne.analysis.study import StudyResult, analyze_study
from duchenne.analysis.tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

FILM_S = 16.0
RATE_HZ = 250.0
PEOPLE = ("P01", "P02", "P03", "P04")
OWN = 0.5
"""Power of what each participant does alone, relative to what all share."""
EXPECTED = 1 / math.sqrt((1 + OWN) * (1 + OWN / 3))
PICTURE_X = (0.3, 0.7, 0.3, 0.6, 0.4)
STIMULI = {
    "id": ["film", "rare", "calm"],
    "file": ["film.mp4", "rare.mp4", "calm.png"],
    "kind": ["video", "video", "image"],
    "category": ["HVHA", "LVLA", "HVLA"],
    "sha256": ["0" * 64, "1" * 64, "2" * 64],
}


def wave(media_s: np.ndarray, cycles: int) -> np.ndarray:
    """Return a sine of whole cycles per film: different numbers of cycles do not correlate."""
    return np.sqrt(2) * np.sin(2 * np.pi * cycles * media_s / FILM_S)


def gaze_deg(media_s: np.ndarray, person: int) -> tuple[np.ndarray, np.ndarray]:
    """Return gaze on the film: a part that all share, and a part of this participant alone."""
    alone = math.sqrt(OWN)
    x = 2.0 * (wave(media_s, 3) + alone * wave(media_s, 5 + person))
    y = 1.0 * (wave(media_s, 4) + 0.0 * media_s)
    return x, y


def session(folder: Path, person: int) -> None:
    """Write the session of one participant: a film that begins later for each, and a picture."""
    label = PEOPLE[person]
    onset = 3.0 + person
    started = onset + 0.2 + 0.3 * person
    picture = started + FILM_S + 2.0
    end = picture + 3.0
    times = np.arange(round(end * RATE_HZ)) / RATE_HZ
    media = times - started
    x, y = gaze_deg(np.clip(media, 0, FILM_S), person)
    looking = (times >= picture) & (times < picture + 2.0)
    place = np.array(PICTURE_X)[np.clip((times - picture) / 0.4, 0, 4).astype(int)]
    left, right = RECT_PX[0], RECT_PX[2]
    rng = np.random.default_rng(person)
    x_norm = 0.5 + np.tan(np.radians(x)) * SCREEN["distance_cm"] / SCREEN["width_cm"]
    x_norm = np.where(looking, (left + place * (right - left)) / SCREEN["width_px"], x_norm)
    y_norm = 0.5 - np.tan(np.radians(y)) * SCREEN["distance_cm"] / SCREEN["height_cm"]
    y_norm = np.where(looking, 0.5, y_norm)
    x_norm, y_norm = (v + rng.normal(0, 1e-4, times.size) for v in (x_norm, y_norm))
    # Pupils of different sizes that follow one course, but for one that goes against it.
    course = 0.2 * wave(np.clip(media, 0, FILM_S), 2) * (-1 if person == 3 else 1)
    columns: dict[str, Any] = {}
    for eye in ("left", "right"):
        columns |= {f"{eye}_x": x_norm, f"{eye}_y": y_norm, f"{eye}_pupil": 3 + person + course}
        columns[f"{eye}_valid"] = np.ones(times.size)
    flips = started + np.arange(round(FILM_S * 60)) / 60
    shown = np.column_stack(
        [np.ones(flips.size), (flips - started) * 30, flips - started, np.full(flips.size, 1 / 60)]
    )
    film = {"trial": 1, "block": "main", "stimulus": "film"}
    calm = {"trial": 2, "block": "main", "stimulus": "calm"}
    video = {"kind": "video", "file": "film.mp4", "rect_px": RECT_PX}
    image = {"kind": "image", "file": "calm.png", "rect_px": RECT_PX}
    markers = [
        (onset, "stimulus_onset", film | video),
        (started + FILM_S, "stimulus_offset", film),
        (picture, "stimulus_onset", calm | image),
        (picture + 2.0, "stimulus_offset", calm),
        (end - 0.1, "session_end", {}),
    ]
    where = folder / "sourcedata" / f"sub-{label}" / "ses-01"
    where.mkdir(parents=True)
    constructed_session(
        where / f"sub-{label}_ses-01_task-test_run-01_session.h5",
        markers=markers, gaze=(times, columns), gaze_rate_hz=RATE_HZ, stimuli=STIMULI,
        shown_frames=(flips, shown), participant=label,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyResult, Path]:
    """Four participants of one film."""
    folder = tmp_path_factory.mktemp("study")
    for person in range(4):
        session(folder, person)
    return analyze_study(folder), folder


def test_synchrony_is_what_was_shared(study: tuple[StudyResult, Path]) -> None:
    result, folder = study
    assert not result.failed
    assert result.synchrony == folder / "derivatives" / "duchenne" / "synchrony.tsv"
    table = read_table(result.synchrony)
    assert table["participant"].tolist() == list(PEOPLE)
    assert set(table["n_others"]) == {3}
    assert table["reason"].isna().all()
    # The film began at another time after the onset for each: film time, not clock time, is compared.
    assert table["isc_x"].tolist() == pytest.approx([EXPECTED] * 4, abs=0.02)
    assert (table["isc_y"] > 0.99).all()
    assert table["film_s"].tolist() == pytest.approx([FILM_S] * 4, abs=0.1)
    assert (table["known_fraction"] > 0.97).all()
    # One pupil goes against the others: its correlation with their mean is -1. Among the three others
    # two standardised courses are alike and one is opposite, so that their mean is alike still.
    assert table["isc_pupil"].tolist() == pytest.approx([1, 1, 1, -1], abs=0.03)
    # Moved around in time, waves of whole cycles correlate as their cosine: nothing on average.
    assert table["isc_x_chance"].abs().max() < 0.15
    assert (table["nss"] > table["nss_chance_q95"]).all()
    assert (table["nss"] > 1).all()


def test_the_codebook_names_every_column(study: tuple[StudyResult, Path]) -> None:
    result, _ = study
    assert result.synchrony is not None
    assert result.synchrony.with_suffix(".json").is_file()


@pytest.mark.skipif(
    importlib.util.find_spec("multimatch_gaze") is None, reason="needs the extra `peers`"
)
def test_scan_paths_that_are_the_same_are_alike(study: tuple[StudyResult, Path]) -> None:
    result, _ = study
    assert result.scanpath_similarity is not None
    table = read_table(result.scanpath_similarity)
    assert table["stimulus_id"].tolist() == ["calm"] * 4
    assert set(table["n_others"]) == {3}
    for part in ("shape", "length", "position"):
        assert (table[f"multimatch_{part}"] > 0.97).all(), part


def test_fewer_than_three_participants_are_not_compared(
    study: tuple[StudyResult, Path],
) -> None:
    from duchenne.analysis.gaze.synchrony_study import write_synchrony

    result, folder = study
    two = write_synchrony(result.sessions[:2], folder / "two.tsv")
    assert two is not None
    table = read_table(two)
    assert table["reason"].tolist() == ["2 participants with usable gaze; 3 are needed"] * 2
    assert table["isc_x"].isna().all()
    assert write_synchrony([], two) is None
    assert not two.exists()


def test_chance_of_shared_drift_is_not_zero() -> None:
    t = np.arange(1000)
    traces = np.tile(np.where(t % 10 < 5, 1.0, -1.0), (3, 1))
    shifts = circular_shifts(1000, 100, 2000)
    assert shifts[0] == 100
    assert shifts[-1] == 900
    chance = correlation_by_chance(traces, [10, 5])
    np.testing.assert_allclose(chance, [[1, 1, 1], [-1, -1, -1]], atol=1e-12)
    few = circular_shifts(1000, 100, 50)
    assert len(set(few)) == 50
    assert few == circular_shifts(1000, 100, 50)
    assert circular_shifts(8, 100, 50) == [2, 3, 4, 5, 6]


def test_saliency_of_moved_gaze_is_that_of_the_other_time() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(0, 3, (4, 40)), rng.normal(0, 3, (4, 40))
    value, chance = saliency_against_chance(x, y, shifts=[7], frames=[0, 3, 39])
    np.testing.assert_allclose(value, normalized_scanpath_saliency(x, y)[:, [0, 3, 39]])
    for person in range(4):
        moved_x, moved_y = x.copy(), y.copy()
        moved_x[person], moved_y[person] = np.roll(x[person], -7), np.roll(y[person], -7)
        expected = normalized_scanpath_saliency(moved_x, moved_y)[person, [0, 3, 39]]
        np.testing.assert_allclose(chance[0, person], expected)


def test_film_time_runs_on_between_flips() -> None:
    times = np.arange(1000) / 500
    media = np.floor(times * 10) / 10  # a film of ten frames a second
    samples = pd.DataFrame(
        {"time": times, "media_time_s": media, "x_deg": times, "y_deg": -times, "pupil": np.nan}
    )
    traces = film_traces(samples)
    grid = np.arange(traces.shape[1]) / 25
    np.testing.assert_allclose(traces[0], grid, atol=1e-3)
    assert np.isnan(traces[2]).all()
    assert film_traces(samples.assign(media_time_s=np.nan)).shape == (3, 0)


def test_everybody_has_nearly_as_many_others() -> None:
    assert sorted(map(sorted, pairs([4, 7, 9]))) == [[4, 7], [4, 9], [7, 9]]
    many = list(pairs(range(60)))
    assert len({tuple(sorted(pair)) for pair in many}) == len(many) == 60 * MAX_OTHERS // 2
    assert set(np.bincount(np.ravel(many))) == {MAX_OTHERS}
