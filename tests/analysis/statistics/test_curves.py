"""Time courses between groups of stimuli: what they are made of, and where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.paths import AnalysisPaths
from duchenne.analysis.statistics.curves import (
    correct_curves,
    curve_result,
    read_courses,
    steps_of,
)
from duchenne.analysis.study_films import of_presentation
from duchenne.analysis.study_plan import Curve, Settings
from duchenne.analysis.tables import Column, write_table

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings(permutations=499)
SMILE = Curve(
    name="smile", measure="AU12", plus=("HV",), minus=("LV",), start_s=0, stop_s=2, step_s=0.1
)
PUPIL = Curve(
    name="pupil", measure="pupil", plus=("HV",), minus=("LV",), start_s=0, stop_s=2, step_s=0.5
)


def summary(n_participants: int) -> pd.DataFrame:
    """Return four presentations of each participant."""
    return pd.DataFrame(
        [
            {
                "participant": f"P{p:02d}",
                "presentation_id": f"P{p:02d}-{i}",
                "stimulus_id": f"s{i}",
                "category": "HV" if i % 2 else "LV",
                "excluded": False,
            }
            for p in range(n_participants)
            for i in range(4)
        ]
    )


def courses(table: pd.DataFrame, *, from_s: float, until_s: float, size: float) -> dict[str, Any]:
    """Return noisy courses; those of HV are higher for some time."""
    rng = np.random.default_rng(4)
    edges = steps_of(SMILE)
    middle = (edges[:-1] + edges[1:]) / 2
    higher = size * ((middle > from_s) & (middle < until_s))
    return {
        row["presentation_id"]: rng.normal(0, 0.1, len(middle))
        + higher * (row["category"] == "HV")
        + 0.5
        for row in table.to_dict("records")
    }


def test_samples_become_means_of_steps_and_unusable_ones_are_left_out(tmp_path: Path) -> None:
    time = np.arange(-0.6, 2.2, 0.05) + 0.01
    frames = pd.DataFrame(
        {
            "presentation_id": ["P01-1"] * len(time),
            "t_from_onset_s": time,
            "usable": np.abs(time - 1.05) > 0.05,
            "AU12_r": np.where(time < 0, 9.0, np.floor(time / 0.1)),
        }
    )
    frames.loc[len(frames)] = [None, 0.5, True, 99.0]  # of no presentation
    paths = AnalysisPaths(tmp_path, "sub-P01_ses-01_task-x_run-01")
    book = {name: Column("A column.") for name in frames.columns}
    write_table(frames, paths.au, book)
    pupil = np.where(time < 0, 3.0, 3.0 + time)
    pupil[(time > 0.4) & (time < 1.1)] = np.nan
    gaze = frames.iloc[:-1][["presentation_id", "t_from_onset_s"]].assign(pupil=pupil)
    gaze.to_parquet(paths.gaze)
    nobody = AnalysisPaths(tmp_path, "sub-P02_ses-01_task-x_run-01")
    found = read_courses([paths, nobody], [SMILE, PUPIL])
    assert list(found["smile"]) == ["x/P01-1"]
    course = found["smile"]["x/P01-1"]
    assert np.isnan(course[10])  # all of its frames are unusable
    assert course[[0, 5, 19]] == pytest.approx([0, 5, 19])
    # change of the pupil from its last half second before the onset
    assert found["pupil"]["x/P01-1"][[0, 3]] == pytest.approx([0.185, 1.735], abs=0.03)
    assert np.isnan(found["pupil"]["x/P01-1"][1])


def test_of_a_stimulus_shown_again_only_the_attempt_of_the_summary_counts(tmp_path: Path) -> None:
    paths = AnalysisPaths(tmp_path, "sub-P01_ses-01_task-x_run-01")
    since = np.arange(-0.5, 2.0, 0.05) + 0.01
    attempts = [
        pd.DataFrame({"time": onset + since, "t_from_onset_s": since, "AU12_r": height})
        for onset, height in ((10.0, 5.0), (20.0, 1.0))
    ]
    frames = pd.concat(attempts, ignore_index=True).assign(presentation_id="P01-1")
    write_table(frames, paths.au, {name: Column("A column.") for name in frames.columns})
    shown = pd.DataFrame({"presentation_id": ["P01-1"], "onset": [20.0], "duration": [2.0]})
    write_table(shown, paths.summary, {name: Column("A column.") for name in shown.columns})
    assert np.nanmax(read_courses([paths], [SMILE])["smile"]["x/P01-1"]) == pytest.approx(1.0)
    rows = of_presentation(frames, shown.to_dict("records")[0])
    assert rows["AU12_r"].unique().tolist() == [1.0]
    assert rows["time"].min() == pytest.approx(20.01)


def test_two_tasks_of_one_session_keep_their_courses_apart(tmp_path: Path) -> None:
    since = np.arange(-0.5, 2.0, 0.05) + 0.01
    sessions, rows = [], []
    for person in (f"P{i:02d}" for i in range(6)):
        for task, category, height in (("pictures", "smile", 1.0), ("films", "neutral", 3.0)):
            paths = AnalysisPaths(tmp_path, f"sub-{person}_ses-01_task-{task}_run-01")
            named = f"{person}-01-01-001"
            frames = pd.DataFrame(
                {"t_from_onset_s": since, "AU12_r": height, "presentation_id": named}
            )
            write_table(frames, paths.au, {name: Column("A column.") for name in frames.columns})
            sessions.append(paths)
            row = {"participant": person, "task": task, "presentation_id": named}
            rows.append(row | {"category": category, "excluded": False})
    asked = SMILE.model_copy(update={"plus": ("smile",), "minus": ("neutral",)})
    made = read_courses(sessions, [asked])["smile"]
    assert len(made) == 12
    found = curve_result(
        asked, made, pd.DataFrame(rows), SETTINGS, unit=None, declared="before data"
    )
    assert set(found.plus) == {1.0}
    assert set(found.difference) == {-2.0}


def test_a_stretch_that_differs_is_told_with_its_time() -> None:
    table = summary(10)
    found = curve_result(
        SMILE, courses(table, from_s=0.8, until_s=1.5, size=0.4), table, SETTINGS,
        unit="0-5", declared="before data",
    )  # fmt: skip
    assert found.n_participants == 10
    assert found.times_s[:2] == (0.05, 0.15)
    at = found.times_s.index(1.05)
    assert found.difference_low[at] < 0.4 < found.difference_high[at]
    assert found.plus[at] - found.minus[at] == pytest.approx(found.difference[at], abs=1e-5)
    sure = [cluster for cluster in found.clusters if cluster.p < 0.05]
    assert len(sure) == 1
    assert sure[0].start_s == pytest.approx(0.8, abs=0.11)
    assert sure[0].stop_s == pytest.approx(1.5, abs=0.11)
    assert sure[0].mass > 0
    nothing = curve_result(
        SMILE, courses(table, from_s=0, until_s=0, size=0), table, SETTINGS,
        unit=None, declared="before data",
    )  # fmt: skip
    both = correct_curves([found, nothing])
    first = next(c for c in both[0].clusters if c.p < 0.05)
    assert first.p_corrected == pytest.approx(2 * first.p)  # Holm over two curves


def test_excluded_presentations_and_absent_people_do_not_count() -> None:
    table = summary(8)
    made = courses(table, from_s=0, until_s=2, size=1.0)
    table.loc[0:3, "excluded"] = True
    del made["P01-0"], made["P01-2"]
    found = curve_result(SMILE, made, table, SETTINGS, unit=None, declared="after data")
    assert found.n_participants == 6


@pytest.mark.parametrize(
    ("n", "settings", "said"),
    [
        (1, SETTINGS, "1 participants have both curves"),
        (4, SETTINGS, "too few for a test"),
        (6, Settings(permutations=0), "No test of the curves was asked for"),
    ],
)
def test_too_few_people_are_told(n: int, settings: Settings, said: str) -> None:
    table = summary(n)
    made = courses(table, from_s=0, until_s=2, size=1.0)
    found = curve_result(SMILE, made, table, settings, unit=None, declared="before data")
    assert said in found.note
    assert found.clusters == ()
    assert bool(found.times_s) == (n > 1)


def test_a_measure_that_nobody_has() -> None:
    found = curve_result(SMILE, {}, summary(6), SETTINGS, unit=None, declared="before data")
    assert found.note == "no session has a course of AU12."
