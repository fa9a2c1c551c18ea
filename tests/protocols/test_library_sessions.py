"""Each protocol of the library, in its short form, from the command to the sealed session file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from duchenne.protocols.schedule import Schedule
from duchenne.protocols.schema import library, load_protocol
from duchenne.protocols.shortened import shortened
from duchenne.recorder.audit import audit
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
AT_A_TIME = 3
TIMEOUT_S = 400
WITH_GAZE = ("picture-viewing",)
"""Where an eye tracker is simulated; elsewhere calibrations are left out, with a note."""
LONGEST_S = 0.3


def small_screen(text: str) -> str:
    """Return a protocol for a screen that is quickly drawn without a graphics card."""
    values = yaml.safe_load(text)
    values["screen"] |= {"width_px": 960, "height_px": 540, "refresh_hz": 20}
    return yaml.safe_dump(values, sort_keys=False)


def run(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    protocol = folder / f"{name}.yaml"
    short = shortened(load_protocol(name), longest_s=LONGEST_S)
    protocol.write_text(small_screen(short), encoding="utf-8")
    tracker = "simulated" if name in WITH_GAZE else "none"
    return subprocess.run(
        [
            *(sys.executable, "-m", "duchenne.cli", "run", str(protocol), "--participant", "P02"),
            *("--eyetracker", tracker, "--camera", "none", "--headless", "--pilot"),
            *("--study", str(folder / name)),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run all of them, some at a time; return the session files."""
    folder = tmp_path_factory.mktemp("library")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        done = dict(
            zip(library(), pool.map(lambda name: run(name, folder), library()), strict=True)
        )
    for name, process in done.items():
        assert process.returncode == 0, f"{name}: {process.stderr}"
    return {name: next((folder / name).glob("sourcedata/*/*/*_session.h5")) for name in done}


@pytest.mark.timeout(4 * TIMEOUT_S)
@pytest.mark.parametrize("name", library())
def test_it_runs_from_start_to_sealed_file(name: str, sessions: dict[str, Path]) -> None:
    with Recording.open(sessions[name]) as recording:
        assert [f.what for f in audit(recording) if f.level == "fail"] == []
        assert recording.task == f"{load_protocol(name).name}short"
        events = recording.events
        schedule = Schedule.from_json(json.dumps(recording.schedule))
    happened = events["event"].tolist()
    assert (happened[0], happened[-1]) == ("session_start", "session_end")
    assert "abort" not in happened
    blocks = [step.block for step in schedule.steps if step.kind == "block_start"]
    assert events.loc[events["event"] == "block_start", "block"].tolist() == blocks
    shown = events.loc[events["event"] == "stimulus_onset", "stimulus"].tolist()
    assert shown == [trial.stimulus_id for trial in schedule.trials]


def steps_of(name: str) -> list[dict[str, Any]]:
    blocks = yaml.safe_load(load_protocol(name).source_yaml)["blocks"]
    return [step for block in blocks for step in block["steps"]]


@pytest.mark.parametrize("name", library())
def test_questions_were_answered_and_consent_was_given(
    name: str, sessions: dict[str, Path]
) -> None:
    steps = steps_of(name)
    forms = {step.get("preset", step.get("name")) for step in steps if step["type"] == "form"}
    consents = {
        "consent_after_debriefing" if step.get("after_debriefing") else "consent"
        for step in steps
        if step["type"] == "consent"
    }
    with Recording.open(sessions[name]) as recording:
        answers = recording.participant_answers
        assert recording.withdrawn is None
    assert set(answers) == forms | consents
    assert all(value is not None for form in answers.values() for value in form.values())
    assert all(set(answers[consent].values()) == {"agree"} for consent in consents)
    if "consent" in consents:
        scopes = {"share_derived", "share_stills", "share_video"}
        assert set(answers["consent"]) == {"answer"} | scopes


def test_calibration_and_drift_check_were_done_with_a_tracker(sessions: dict[str, Path]) -> None:
    with Recording.open(sessions["picture-viewing"]) as recording:
        events = recording.events
    starts = events.loc[events["event"] == "calibration_start", "fields"]
    kinds = [fields["kind"] for fields in starts]  # one comes again where it was not good enough
    assert list(dict.fromkeys(kinds)) == ["calibration", "light_reflex", "validation"], kinds
    assert (events["event"] == "drift_check").sum() >= 1
