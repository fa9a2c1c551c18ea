"""The simulated face: clips, exact values, and the script of what is shown when."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.recorder.sources.clips import (
    VALUE_NAMES,
    ClipValues,
    clip_names,
    encode_clip,
    read_values,
)
from duchenne.recorder.sources.face_script import FaceScript, Shown
from duchenne.recorder.sources.listener import Cue
from duchenne.recorder.sources.participant import Participant, Traits
from duchenne.recorder.sources.truth import FaceTruth, free_path
from duchenne.stimuli.manifest import EXPRESSIONS

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 30.0


@pytest.fixture(scope="module")
def clips() -> dict[str, ClipValues]:
    return {name: read_values(name) for name in clip_names()}


@pytest.fixture
def participant() -> Participant:
    traits = {"joy": Traits(expression="happiness"), "dull": Traits()}
    return Participant(seed=1, traits=traits)


def _play(script: FaceScript, first: int, n: int) -> list[Shown]:
    return [script.next((first + k) / RATE_HZ) for k in range(n)]


def _continuous(clips: dict[str, ClipValues], shown: list[Shown]) -> float:
    """Return the largest change of any expressive Action Unit from one frame to the next."""
    columns = [i for i, n in enumerate(VALUE_NAMES) if n.startswith("AU") and n != "AU45"]
    values = np.array([clips[s.clip].values[s.frame, columns] for s in shown])
    return float(np.abs(np.diff(values, axis=0)).max())


def test_there_is_a_clip_for_each_expression(clips: dict[str, ClipValues]) -> None:
    assert set(clips) == set(EXPRESSIONS)
    for clip in clips.values():
        assert clip.values.shape == (180, len(VALUE_NAMES))
        assert np.isfinite(clip.values).all()


def test_values_are_those_of_the_table(clips: dict[str, ClipValues]) -> None:
    apex = dict(zip(VALUE_NAMES, clips["happiness"].values[90], strict=True))
    assert apex["AU12"] > 3.5
    assert apex["AU12L"] == apex["AU12R"] == apex["AU12"]
    assert apex["AU04"] == 0
    contempt = dict(zip(VALUE_NAMES, clips["contempt"].values[90], strict=True))
    assert contempt["AU14R"] > 2 > contempt["AU14L"]
    assert clips["happiness"].rows[90][VALUE_NAMES.index("AU12")] == f"{apex['AU12']:.3f}"


def test_frames_are_encoded_as_jpeg() -> None:
    pictures = encode_clip("neutral")
    assert len(pictures) == 180
    assert all(p.startswith(b"\xff\xd8\xff") and p.endswith(b"\xff\xd9") for p in pictures)


def test_rests_to_and_fro(participant: Participant, clips: dict[str, ClipValues]) -> None:
    shown = _play(FaceScript(participant, clips), 0, 400)
    assert {s.clip for s in shown} == {"neutral"}
    assert np.abs(np.diff([s.frame for s in shown])).tolist() == [1] * 399
    assert (shown[0].frame, shown[179].frame, shown[358].frame) == (0, 179, 0)


def test_answers_after_its_latency_and_comes_back(
    participant: Participant, clips: dict[str, ClipValues]
) -> None:
    script = FaceScript(participant, clips)
    before = _play(script, 0, 31)
    cue = Cue(1.0, "stimulus_onset", stimulus="joy", presentation_id="P-1")
    script.hear(cue)
    shown = _play(script, 31, 300)
    assert {s.clip for s in before} == {"neutral"}
    first = next(i for i, s in enumerate(shown) if s.clip == "happiness")
    onset_s = (31 + first) / RATE_HZ
    due_s = 1.0 + participant.expression_latency_s(cue)
    assert due_s <= onset_s < due_s + 1 / RATE_HZ
    assert 0.3 <= onset_s - 1.0 <= 0.54
    clip = shown[first : first + 180]
    assert [s.frame for s in clip] == list(range(180))
    assert {(s.presentation_id, s.reaction_s) for s in clip} == {("P-1", onset_s)}
    assert shown[first + 180].clip == "neutral"
    assert shown[first + 180].presentation_id == ""
    assert _continuous(clips, shown) < 1.2


def test_a_neutral_stimulus_changes_nothing(
    participant: Participant, clips: dict[str, ClipValues]
) -> None:
    script = FaceScript(participant, clips)
    script.hear(Cue(0.0, "stimulus_onset", stimulus="dull", presentation_id="P-1"))
    assert {s.clip for s in _play(script, 0, 60)} == {"neutral"}


@pytest.mark.parametrize("cut_s", [1.6, 2.5, 4.0, 5.6])
def test_a_fixation_cross_leads_back_without_a_jump(
    participant: Participant, clips: dict[str, ClipValues], cut_s: float
) -> None:
    script = FaceScript(participant, clips)
    script.hear(Cue(0.0, "stimulus_onset", stimulus="joy", presentation_id="P-1"))
    shown = _play(script, 0, round(cut_s * RATE_HZ))
    script.hear(Cue(cut_s, "fixation_onset", presentation_id="P-2"))
    shown += _play(script, len(shown), 150)
    assert _continuous(clips, shown) < 1.2
    assert {s.clip for s in shown[-60:]} == {"neutral"}


def test_category_tells_the_expression_where_the_stimulus_is_unknown() -> None:
    participant = Participant()
    assert participant.answer(Cue(0.0, "stimulus_onset", category="LVHA")).expression == "fear"
    assert participant.answer(Cue(0.0, "stimulus_onset", category="?")).expression == "neutral"


def test_truth_file_never_overwrites(tmp_path: Path) -> None:
    prefix = tmp_path / "deep" / "sub-P01"
    paths = []
    for _ in range(3):
        truth = FaceTruth(free_path(prefix, "face.tsv"), ["AU12"])
        truth.add(1.0, Shown("happiness", 3, "P-1", 0.9), ["4.500"])
        truth.add(1.1, Shown("neutral", 4), ["0.000"])
        truth.close()
        paths.append(truth.path)
    assert [p.name for p in paths] == [
        "sub-P01_face.tsv",
        "sub-P01-2_face.tsv",
        "sub-P01-3_face.tsv",
    ]
    with paths[0].open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert rows[0]["reaction_lsl_s"] == "0.900000"
    assert rows[1]["presentation_id"] == rows[1]["reaction_lsl_s"] == "n/a"
