"""A picture-viewing session with BASS, from the import of the database to the summary table."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.analysis.tables import read_table
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol, parse_protocol
from duchenne.recorder.recording import Recording
from duchenne.stimuli.databases.building import import_set
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

needs_screen = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
QUADRANTS = ("HVHA", "HVLA", "LVHA", "LVLA")
PER_QUADRANT, TOLERANCE_SD = 6, 0.1
MATCH = ", match: {by: [black_share], tolerance_sd: 0.1}"
PROTOCOL = """\
name: bass
title: Silhouettes, for a moment each
screen: {width_px: 800, height_px: 450, width_cm: 40, height_cm: 22.5, distance_cm: 60}
stimuli: set
ratings:
  feeling: {type: affect_grid, question: "How did you feel?"}
blocks:
  - name: pictures
    steps:
      - {type: calibration, points: 5, settle_s: 0.2, collect_s: 0.2, result_s: 0.3, text: null}
      - type: trials
        select: {per_category: 6, match: {by: [black_share], tolerance_sd: 0.1}}
        max_repeats_of_category: 2
        fixation_s: {min: 0.2, max: 0.3}
        duration_s: 0.4
        iti_s: 0.1
        ratings: [feeling]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Path:
    """Return a folder with the imported database and a protocol that draws on it."""
    folder = tmp_path_factory.mktemp("bass")
    done = import_set("bass", shared_folder / "stimuli" / "bass", out=folder / "set", files="copy")
    assert len(done.rows) == 583
    assert done.notes == ()
    (folder / "bass.yaml").write_text(PROTOCOL, encoding="utf-8")
    return folder


def command(*arguments: object, folder: Path, timeout_s: float) -> str:
    """Run a command of the program; return what it says at the end."""
    done = subprocess.run(
        [sys.executable, "-m", "duchenne.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shares(stimuli: StimulusSet, ids: list[str]) -> dict[str, list[float]]:
    """Return the black share of stimuli by their quadrant."""
    found: dict[str, list[float]] = {name: [] for name in QUADRANTS}
    for stimulus_id in ids:
        stimulus = stimuli[stimulus_id]
        found[stimulus.category].append(stimulus.measures["black_share"])
    return found


def largest_difference_sd(stimuli: StimulusSet, found: dict[str, list[float]]) -> float:
    """Return how far the quadrants' mean black shares lie apart, in SD of the whole set."""
    means = [np.mean(values) for values in found.values()]
    return float(np.ptp(means) / np.std([s.measures["black_share"] for s in stimuli]))


def test_the_schedule_draws_six_of_each_quadrant_matched_on_black(study: Path) -> None:
    protocol = load_protocol(study / "bass.yaml")
    stimuli = protocol.stimulus_set(verify=True)
    plain = parse_protocol(PROTOCOL.replace(MATCH, ""), path=study / "bass.yaml")
    unmatched = make_schedule(plain, participant="P01", session="01", stimuli=stimuli)
    by_chance = shares(stimuli, [trial.stimulus_id for trial in unmatched.trials])
    assert largest_difference_sd(stimuli, by_chance) > 3 * TOLERANCE_SD
    drawn: list[set[str]] = []
    for participant in ("P01", "P02", "P03"):
        schedule = make_schedule(protocol, participant=participant, session="01", stimuli=stimuli)
        ids = [trial.stimulus_id for trial in schedule.trials]
        assert len(set(ids)) == 4 * PER_QUADRANT
        found = shares(stimuli, ids)
        assert {len(values) for values in found.values()} == {PER_QUADRANT}
        assert largest_difference_sd(stimuli, found) <= TOLERANCE_SD
        for stimulus_id in ids:
            s = stimuli[stimulus_id]
            assert s.valence_scaled is not None
            assert s.arousal_scaled is not None
            assert s.category[:2] == ("HV" if s.valence_scaled > 0 else "LV")
            assert s.category[2:] == ("HA" if s.arousal_scaled > 0 else "LA")
        drawn.append(set(ids))
    assert drawn[0] != drawn[1] != drawn[2]


@needs_screen
def test_from_the_session_to_the_summary_table(study: Path) -> None:
    """Run it with simulated devices, analyse it, and read the table."""
    devices = ("--eyetracker", "simulated", "--camera", "none", "--headless")
    arguments = ("run", "bass.yaml", "--participant", "P01", *devices, "--study", "study")
    said = command(*arguments, folder=study, timeout_s=300)
    (session_file,) = study.glob("study/sourcedata/*/*/*_session.h5")
    assert said.splitlines()[-1].endswith(session_file.name)
    command("analyze", "study", folder=study, timeout_s=300)
    (path,) = study.glob("study/derivatives/duchenne/*/*/*_summary.tsv")
    table = read_table(path)
    stimuli = StimulusSet.load(study / "set")
    with Recording.open(session_file) as recording:
        planned = [
            step["trial"]["stimulus_id"] for step in recording.schedule["steps"] if step["trial"]
        ]
    assert table["stimulus_id"].tolist() == planned
    assert not table["excluded"].any()
    assert table["category"].value_counts().to_dict() == dict.fromkeys(QUADRANTS, PER_QUADRANT)
    assert largest_difference_sd(stimuli, shares(stimuli, planned)) <= TOLERANCE_SD
    for row in table.itertuples():
        stimulus = stimuli[row.stimulus_id]
        assert row.norm_valence == pytest.approx(stimulus.valence)
        assert row.norm_arousal == pytest.approx(stimulus.arousal)
        assert row.stim_file == stimulus.file
        assert row.duration == pytest.approx(0.4, abs=0.15)
    for what in ("valence", "arousal"):
        answers = table[f"rating_feeling_{what}"]
        assert answers.between(1, 9).all()
        assert np.corrcoef(answers, table[f"norm_{what}"])[0, 1] > 0.6
    assert (table["rating_feeling_rt_s"] > 0).all()
    assert (table["gaze_valid_fraction"] > 0.5).mean() > 0.8
