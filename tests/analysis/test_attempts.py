"""Repeated trials, and senders that give no identifiers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from tests.analysis.constructed import RECT_PX, constructed_session, trial_fields

from duchenne.analysis.align import Identity, ShownFrames, annotate, phases, presentations
from duchenne.analysis.event_table import event_table
from duchenne.analysis.summary import summarise, summary_codebook
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

IDENTITY = Identity("P01", "01", "test", "01")
Marker = tuple[float, str, dict[str, Any]]


@contextmanager
def recording(folder: Path, rows: Sequence[Marker]) -> Iterator[Recording]:
    path = constructed_session(folder / "s.h5", gaze=None, markers=rows)
    with Recording.open(path) as opened:
        yield opened


def repeated() -> list[Marker]:
    """Trial 1 is interrupted at 5 s and shown again, elsewhere and for longer, at 9 s."""
    fields = trial_fields(1)
    first = fields | {"rect_px": [0, 0, 10, 10], "planned_duration_s": 9.0}
    again = fields | {"rect_px": RECT_PX, "planned_duration_s": 2.0}
    rating = fields | {"scale": "valence"}
    return [
        (3.0, "fixation_onset", fields),
        (4.0, "fixation_offset", fields),
        (4.0, "stimulus_onset", first),
        (5.0, "pause", {}),
        (7.0, "resume", {}),
        (8.0, "fixation_onset", fields),
        (9.0, "fixation_offset", fields),
        (9.0, "stimulus_onset", again),
        (11.0, "stimulus_offset", fields),
        (11.2, "rating_onset", rating),
        (12.0, "rating_response", rating | {"value": 6, "rt_s": 0.8}),
    ]


def without(rows: Sequence[Marker], *names: str) -> list[Marker]:
    return [(t, e, {k: v for k, v in f.items() if k not in names}) for t, e, f in rows]


@pytest.mark.parametrize("missing", [(), ("presentation_id",)])
def test_a_repeated_trial_is_that_of_the_attempt_used(
    tmp_path: Path, missing: tuple[str, ...]
) -> None:
    with recording(tmp_path, without(repeated(), *missing)) as opened:
        (row,) = presentations(opened).to_dict("records")
        events = event_table(opened.events, phases(opened), presentations(opened))
    assert row["presentation_id"] == "P01-01-01-001"
    assert row["onset_s"] == pytest.approx(9.0)
    assert row["planned_duration_s"] == 2.0
    assert row["rect_px"] == tuple(RECT_PX)
    assert (row["rating_valence"], row["interrupted"]) == (6, False)
    shown = events[events["trial_type"] == "stimulus"]
    assert shown["stim_right_px"].tolist() == [10, RECT_PX[2]]
    told = events.set_index("onset")["t_from_onset_s"]
    at = [3.0, 4.0, 8.0, 9.0, 11.2, 12.0]
    np.testing.assert_allclose(
        [told[np.isclose(told.index, t)].iloc[0] for t in at], [-1, 0, -1, 0, 2.2, 3], atol=1e-6
    )


def test_rows_of_each_attempt_count_from_its_own_stimulus(tmp_path: Path) -> None:
    frames = ShownFrames(np.array([4.0, 4.5, 9.02]), np.ones(3), np.array([0.0, 0.5, 0.0]))
    times = pd.DataFrame({"time": [3.5, 4.2, 4.7, 8.5, 9.01, 9.5, 11.5]})
    with recording(tmp_path, repeated()) as opened:
        placed = annotate(times, "time", phases(opened), IDENTITY, frames)
    np.testing.assert_allclose(
        placed["t_from_onset_s"], [-0.5, 0.2, 0.7, -0.5, 0.01, 0.5, 2.5], atol=1e-6
    )
    np.testing.assert_allclose(
        placed["media_time_s"], [np.nan, 0.0, 0.5, np.nan, np.nan, 0.0, np.nan]
    )


def two_trials(*, trial: bool) -> list[Marker]:
    """Two blocks that count their trials from 1, or do not count them."""
    rows: list[Marker] = []
    for i, onset in enumerate((2.0, 8.0)):
        fields = {"block": f"b{i}", "stimulus": ("calm", "loud")[i]} | (
            {"trial": 1} if trial else {}
        )
        said = fields if trial else {}
        rating = said | {"scale": "valence"}
        rows += [
            (onset - 1, "fixation_onset", said),
            (onset, "stimulus_onset", fields | {"rect_px": [0, 0, 100 * (i + 1), 50]}),
            (onset + 2, "stimulus_offset", said),
            (onset + 2.1, "rating_onset", rating),
            (onset + 3, "rating_response", rating | {"value": 2 + 5 * i, "rt_s": 0.9}),
        ]
    return rows


@pytest.mark.parametrize(
    ("trial", "identifiers"),
    [
        (True, ["P01-01-01-001", "P01-01-01-001-8.000"]),
        (False, ["P01-01-01-2.000", "P01-01-01-8.000"]),
    ],
)
def test_each_stimulus_has_its_own_identifier_and_ratings(
    tmp_path: Path, *, trial: bool, identifiers: list[str]
) -> None:
    with recording(tmp_path, two_trials(trial=trial)) as opened:
        spans, shown = phases(opened), presentations(opened)
        events = event_table(opened.events, spans, shown)
    assert shown["presentation_id"].tolist() == identifiers
    assert shown["stimulus_id"].tolist() == ["calm", "loud"]
    assert shown["rating_valence"].tolist() == [2, 7]
    assert [rect[2] for rect in shown["rect_px"]] == [100, 200]
    answers = events[events["trial_type"] == "rating_response"]
    assert answers["presentation_id"].tolist() == identifiers
    placed = annotate(pd.DataFrame({"t": [1.5, 4.5, 7.5, 10.5]}), "t", spans, IDENTITY)
    assert placed["presentation_id"].tolist() == [identifiers[i] for i in (0, 0, 1, 1)]
    np.testing.assert_allclose(placed["t_from_onset_s"], [-0.5, 2.5, -0.5, 2.5], atol=1e-6)


def test_a_rating_of_no_trial_is_not_put_on_one_where_the_sender_tells_trials_apart(
    tmp_path: Path,
) -> None:
    fields = trial_fields(1)
    rows: list[Marker] = [
        (4.0, "stimulus_onset", fields),
        (6.0, "stimulus_offset", fields),
        (7.0, "rating_response", {"scale": "valence", "value": 3, "rt_s": 1.0}),
    ]
    with recording(tmp_path, rows) as opened:
        assert np.isnan(presentations(opened)["rating_valence"]).all()


def test_trial_zero_has_its_presentation(tmp_path: Path) -> None:
    fields = {"trial": 0, "stimulus": "calm"}
    rows: list[Marker] = [
        (4.0, "stimulus_onset", fields),
        (6.0, "stimulus_offset", fields),
        (6.5, "note", {"trial": 0}),
        (7.0, "note", {}),
    ]
    with recording(tmp_path, rows) as opened:
        events = event_table(opened.events, phases(opened), presentations(opened))
    notes = events[events["trial_type"] == "note"]
    assert notes["presentation_id"].tolist() == ["P01-01-01-000", None]


def answered(*answers: tuple[float, dict[str, Any]]) -> list[Marker]:
    fields = trial_fields(1)
    rows: list[Marker] = [(4.0, "stimulus_onset", fields), (6.0, "stimulus_offset", fields)]
    return rows + [(at, "rating_response", fields | answer) for at, answer in answers]


def test_the_last_answer_counts_and_a_missing_one_never(tmp_path: Path) -> None:
    rows = answered(
        (6.5, {"scale": "valence", "value": 5, "rt_s": 0.4}),
        (6.6, {"scale": "valence", "value": 7.5, "rt_s": 0.5}),
        (8.0, {"scale": "valence", "value": None, "rt_s": None}),
    )
    with recording(tmp_path, rows) as opened:
        (row,) = presentations(opened).to_dict("records")
        events = event_table(opened.events, phases(opened), presentations(opened))
    assert (row["rating_valence"], row["rating_valence_rt_s"]) == (7.5, 0.5)
    given = events.loc[events["trial_type"] == "rating_response", "value"]
    np.testing.assert_array_equal(given, [5, 7.5, np.nan])


def test_a_rating_counts_for_its_dimension_whatever_it_is_called(tmp_path: Path) -> None:
    rows = answered(
        (6.5, {"scale": "pleasantness", "dimension": "valence", "value": 8, "rt_s": 0.4}),
        (6.6, {"scale": "arousal", "value": 2, "rt_s": 0.5}),
    )
    with recording(tmp_path, rows) as opened:
        (row,) = presentations(opened).to_dict("records")
    assert (row["rating_valence"], row["rating_arousal"]) == (8, 2)


@pytest.mark.parametrize("why", ["skip", "abort"])
def test_a_stimulus_that_was_cut_short_is_kept_and_excluded_with_its_reason(
    tmp_path: Path, why: str
) -> None:
    first, second = trial_fields(1), trial_fields(2)
    rows: list[Marker] = [
        (4.0, "stimulus_onset", first),
        (4.4, "stimulus_offset", first | {"cut_short": why}),
        (4.4, "skip", {"trial": 1, "step": "trial"}),
        (9.0, "stimulus_onset", second),
        (11.0, "stimulus_offset", second),
    ]
    with recording(tmp_path, rows) as opened:
        shown = presentations(opened)
        table = summarise(shown, opened.stimuli)
    assert shown["cut_short"].tolist() == [why, None]
    assert shown["interrupted"].tolist() == [False, False]
    assert table["cut_short"].tolist() == [why, None]
    assert table["excluded"].tolist() == [True, False]
    assert table["exclusion_reason"].tolist() == [f"the presentation was cut short ({why})", None]
    assert set(table.columns) == set(summary_codebook())


def test_of_two_attempts_the_one_that_was_not_cut_short_counts(tmp_path: Path) -> None:
    fields = trial_fields(1)
    rows: list[Marker] = [
        (4.0, "stimulus_onset", fields),
        (4.4, "stimulus_offset", fields | {"cut_short": "skip"}),
        (9.0, "stimulus_onset", fields),
        (11.0, "stimulus_offset", fields),
    ]
    with recording(tmp_path, rows) as opened:
        (row,) = presentations(opened).to_dict("records")
    assert (row["onset_s"], row["cut_short"]) == (pytest.approx(9.0), None)
