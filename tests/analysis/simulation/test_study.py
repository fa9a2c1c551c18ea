"""A simulated study: real session files whose streams hold the planted answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.analysis.align import presentations
from duchenne.analysis.face.live_streams import AU_TYPE
from duchenne.analysis.simulation.effects import read_effects
from duchenne.analysis.simulation.streams import share_in
from duchenne.analysis.simulation.study import Wish, simulate_study
from duchenne.analysis.study_plan import read_plan
from duchenne.analysis.tables import read_table
from duchenne.recorder.audit import audit, verdict_of
from duchenne.recorder.declarations import note_declarations
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

EFFECTS = read_effects(("AU12=1.0", "pupil=0.2", "AU06@norm_valence=0.4"), ("AU04",))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study of three participants and eight trials."""
    out = tmp_path_factory.mktemp("simulated") / "study"
    return simulate_study(Wish(out, EFFECTS, participants=3, n_trials=8, seed=5))


def sessions(study: Path) -> list[Path]:
    """Return the session files."""
    return sorted(study.glob("sourcedata/sub-*/ses-*/*_session.h5"))


def test_a_session_passes_the_audit_as_a_recorded_one_does(study: Path) -> None:
    with Recording.open(sessions(study)[0]) as recording:
        assert verdict_of(audit(recording)) == "pass"
        assert set(recording.streams) == {"AU", "Affect", "Gaze", "Markers", "ShownFrames"}
        assert all(stream.info.hostname == "" for stream in recording.streams.values())
        assert recording.attrs["recovered"] == False  # noqa: E712 -- numpy's own
    assert not list(study.glob("sourcedata/**/*.journal"))


def test_the_streams_hold_the_planted_answers(study: Path) -> None:
    truth = read_table(study / "true_answers.tsv").set_index(["participant", "stimulus_id"])
    differences = []
    for file in sessions(study):
        with Recording.open(file) as recording:
            (faces,) = recording.of_type(AU_TYPE)
            smile, time = np.asarray(faces.column("AU12"), np.float64), faces.times_s
            shown = presentations(recording)
            who = str(recording.attrs["participant"])
            assert len(shown) == 8
            for row in shown.to_dict("records"):
                true = truth.loc[(who, row["stimulus_id"])]
                during = (time >= row["onset_s"]) & (time < row["offset_s"])
                before = (time >= row["onset_s"] - 1) & (time < row["onset_s"])
                differences.append(smile[during].mean() - smile[before].mean() - true["AU12"])
                assert row["rating_valence"] == np.clip(round(true["rating_valence"]), 1, 9)
                assert row["rating_arousal"] == np.clip(round(true["rating_arousal"]), 1, 9)
    assert np.mean(differences) == pytest.approx(0, abs=0.03)
    assert np.std(differences) < 0.1


def test_order_is_counterbalanced_and_everybody_sees_everything(study: Path) -> None:
    first = []
    for file in sessions(study):
        with Recording.open(file) as recording:
            shown = presentations(recording)
            assert len(set(shown["stimulus_id"])) == 8
            first.append(shown["block"].iloc[0])
    assert sorted(first) in (["first", "first", "second"], ["first", "second", "second"])
    assert len(read_table(study / "participants.tsv")) == 3


def test_stimuli_are_as_bright_as_the_screen(study: Path) -> None:
    stimuli = StimulusSet.load(study / "stimuli")
    assert stimuli.check() == []
    assert [s.category for s in stimuli].count("HVLA") == 2
    assert [s.luminance for s in stimuli] == pytest.approx([0.214] * 8, abs=0.002)


def test_the_contrasts_are_declared_before_the_data_and_the_truth_is_beside_them(
    study: Path,
) -> None:
    plan = read_plan(study)
    known = {
        one["contrast"]: one for one in json.loads((study / "truth.json").read_text())["contrasts"]
    }
    assert set(known) == {one.name for one in plan.contrasts}
    assert known["AU12 by valence"]["truth"] == 1.0
    assert known["AU04 by valence"]["null"] is True
    assert plan.contrast("AU06 by norm_valence").predictor == "norm_valence_scaled"
    assert plan.contrast("pupil by arousal").plus == ("HVHA", "LVHA")
    # from 2 to 4 s the answer is fully there, in the mean over all 4 s it is not
    assert known["AU12 late by valence"]["truth"] == pytest.approx(1.0 * share_in(2, 4, 4))
    assert 1.1 < known["AU12 late by valence"]["truth"] < 1.3
    assert not any(one.after_data for one in note_declarations(study))


def test_the_same_seed_gives_the_same_study(study: Path, tmp_path: Path) -> None:
    again = simulate_study(Wish(tmp_path / "again", EFFECTS, participants=3, n_trials=8, seed=5))
    for name in ("true_answers.tsv", "truth.json", "protocol.yaml", "stimuli/manifest.tsv"):
        assert (again / name).read_bytes() == (study / name).read_bytes()
    with Recording.open(sessions(study)[2]) as one, Recording.open(sessions(again)[2]) as two:
        for name in ("AU", "Gaze"):
            first, second = one.streams[name], two.streams[name]
            assert np.array_equal(first.times_s, second.times_s)
            assert np.array_equal(first.samples(), second.samples(), equal_nan=True)


def test_what_cannot_be_simulated_is_told(study: Path, tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match="not empty"):
        simulate_study(Wish(study, EFFECTS))
    for wish, said in (
        (Wish(tmp_path / "a", EFFECTS, participants=1), "--participants 1"),
        (Wish(tmp_path / "a", EFFECTS, n_trials=10), "a multiple of 4"),
        (Wish(tmp_path / "a", EFFECTS, seed=-1), "not negative"),
    ):
        with pytest.raises(UsageError, match=said):
            simulate_study(wish)
    assert not (tmp_path / "a").exists()
