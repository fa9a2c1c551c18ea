"""What the report shows, and what it keeps to itself."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.sessions import SCREEN
from tests.analysis.constructed import (
    PUPIL_MM,
    PUPIL_STEPS_MM,
    RECT_PX,
    constructed_session,
    gaze,
    markers,
    trial_fields,
)

from duchenne.analysis.paths import analysis_paths, session_files
from duchenne.analysis.reports.cards import (
    _rectangle_of,
    _while_shown,
    ratings_svg,
    stimulus_cards,
    summary_cells,
)
from duchenne.analysis.reports.curves import presentation_chart, pupil_axis, shared_limits
from duchenne.analysis.reports.data import ReportData
from duchenne.analysis.reports.pictures import stimulus_pictures
from duchenne.analysis.session import analyze_session
from duchenne.analysis.values import records

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("denied", [False, np.bool_(False), 0, "false", "False", "no"])
def test_a_stimulus_that_must_not_be_passed_on_is_not_in_the_report(
    tmp_path: Path, denied: object
) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (40, 30), (200, 30, 30)).save(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    stimuli = pd.DataFrame(
        {
            "id": ["free", "denied", "unsaid"],
            "file": ["a.png"] * 3,
            "kind": ["image"] * 3,
            "sha256": [digest] * 3,
            "redistributable": pd.Series([True, denied, None], dtype=object),
        }
    )
    pictures = stimulus_pictures(stimuli, str(tmp_path))
    assert pictures["denied"].missing == "not redistributable"
    assert (pictures["denied"].uri, pictures["denied"].thumbnail_uri) == (None, None)
    assert pictures["free"].uri is not None
    assert pictures["unsaid"].uri is not None


def pupil(baselines: tuple[float, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two presentations at 4 s and 10 s; the pupil of the second is twice as large."""
    times = np.arange(0, 14, 0.01)
    samples = pd.DataFrame({"time": times, "pupil": np.where(times < 8, 3.1, 6.2)})
    summary = pd.DataFrame(
        {"onset": [4.0, 10.0], "duration": 2.0, "pupil_baseline": baselines, "pupil_unit": "mm"}
    )
    return samples, summary


def test_a_pupil_without_baseline_does_not_move_the_limits_of_the_others() -> None:
    samples, summary = pupil((3.0, np.nan))
    low, high = shared_limits(summary, samples, None)["pupil"]
    assert low <= 0
    assert 0.1 < high < 0.2
    samples.loc[samples["time"] > 8, "pupil"] += np.sin(samples["time"])
    assert shared_limits(summary, samples, None)["pupil"] == (low, high)


def test_a_pupil_without_baseline_says_so() -> None:
    row = {"pupil_unit": "mm"}
    assert pupil_axis(row, has_baseline=True) == "pupil change (mm)"
    assert "no baseline" in pupil_axis(row, has_baseline=False)
    samples, summary = pupil((3.0, np.nan))
    limits = shared_limits(summary, samples, None)
    drawn = [presentation_chart(row, samples, None, limits) for row in records(summary)]
    assert all(chart is not None for chart in drawn)
    nothing = samples.assign(pupil=np.nan)
    assert presentation_chart(records(summary)[0], nothing, None, limits) is None


def test_only_the_attempt_used_is_drawn(tmp_path: Path) -> None:
    fields = trial_fields(1)
    rows: list[tuple[float, str, dict[str, Any]]] = [
        (2.0, "stimulus_onset", fields | {"rect_px": [0, 0, 10, 10]}),
        (2.5, "pause", {}),
        (3.0, "resume", {}),
        (4.0, "stimulus_onset", fields | {"rect_px": RECT_PX}),
        (6.0, "stimulus_offset", fields),
    ]
    paths = analyze_session(
        constructed_session(tmp_path / "x_session.h5", markers=rows), report=False
    )
    data = ReportData.read(paths)
    (row,) = records(data.summary)
    assert _rectangle_of(data.events, row) == tuple(RECT_PX)
    assert data.gaze is not None
    shown = _while_shown(data.gaze, "time", row)["time"]
    assert (shown.min(), shown.max()) == (pytest.approx(4.0, abs=2e-3), pytest.approx(6, abs=2e-3))
    assert len(shown) == 1200


def test_ratings_between_the_steps_and_trial_zero_are_shown_as_they_are(tmp_path: Path) -> None:
    row = {"rating_valence": 7.5, "rating_arousal": np.nan}
    assert summary_cells(row)["Valence"] == "7.5"
    assert summary_cells(row)["Arousal"] == "–"
    assert "valence rated 7.5" in ratings_svg(row)
    rows = [(t, e, f | ({"trial": 0} if f.get("trial") == 1 else {})) for t, e, f in markers()]
    path = constructed_session(tmp_path / "x_session.h5", gaze=None, markers=rows)
    data = ReportData.read(analyze_session(path, report=False))
    assert [card.number for card in stimulus_cards(data, None, {})] == ["0", "2"]


def test_a_session_whose_pupil_lacks_one_baseline_has_its_report(tmp_path: Path) -> None:
    times, columns = gaze()
    lost = (times > 3.4) & (times < 4.0)
    columns = {n: np.where(lost & ("pupil" in n), np.nan, v) for n, v in columns.items()}
    done = analyze_session(constructed_session(tmp_path / "x_session.h5", gaze=(times, columns)))
    summary = ReportData.read(done).summary
    assert np.isnan(summary["pupil_baseline"][0])
    assert summary["pupil_baseline"][1] == pytest.approx(PUPIL_MM, abs=0.01)
    assert summary["pupil_change_mean"][1] == pytest.approx(PUPIL_STEPS_MM[1], abs=0.03)
    assert done.report.is_file()


def test_a_session_without_trial_numbers_has_its_report(tmp_path: Path) -> None:
    rows = [
        (t, e, {k: v for k, v in f.items() if k not in {"trial", "presentation_id"}})
        for t, e, f in markers()
    ]
    done = analyze_session(constructed_session(tmp_path / "x_session.h5", markers=rows))
    data = ReportData.read(done)
    assert data.summary["presentation_id"].tolist() == ["P01-01-01-4.000", "P01-01-01-10.000"]
    assert data.summary["rating_valence"].tolist() == [7, 2]
    assert data.summary["n_saccades"].tolist() == [1, 1]
    drawn = list(stimulus_cards(data, SCREEN, {}))
    assert [card.number for card in drawn] == ["–", "–"]
    assert all(card.heat_map is not None for card in drawn)


def test_only_session_files_of_a_study_are_sessions(tmp_path: Path) -> None:
    folder = tmp_path / "sourcedata" / "sub-P01" / "ses-01"
    folder.mkdir(parents=True)
    for name in ("sub-P01_ses-01_session.h5", "sub-P01_ses-01_truth.h5", "x.h5"):
        (folder / name).touch()
    assert [p.name for p in session_files(tmp_path)] == ["sub-P01_ses-01_session.h5"]
    assert analysis_paths(folder / "sub-P01_ses-01_session.h5").stem == "sub-P01_ses-01"
