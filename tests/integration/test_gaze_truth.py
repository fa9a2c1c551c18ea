"""A session of the simulated eyes, made without LSL, against the script that moved them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from support.sessions import write_session

from duchenne.analysis.session import analyze_session
from duchenne.analysis.tables import read_table
from duchenne.recorder.sources.gaze_plan import GazePlan
from duchenne.recorder.sources.gaze_signal import EyeTrackerSignal
from duchenne.recorder.sources.listener import Cue
from duchenne.recorder.sources.participant import DEFAULT_BACKGROUND, Participant, Traits
from duchenne.recorder.sources.pupil_response import PupilPlan
from duchenne.recorder.sources.truth import fixation_table
from duchenne.recorder.streams import GAZE_CHANNELS

if TYPE_CHECKING:
    import pandas as pd

RATE_HZ = 600.0
CHUNK = 12
HEARD_AFTER_S = 0.01
SECONDS = 40.0
RECT_PX = (480.0, 216.0, 1440.0, 864.0)
SHOWN_S = 5.0
TRAITS = {
    "calm": Traits(luminance=DEFAULT_BACKGROUND, arousal_scaled=-1.0),
    "exciting": Traits(luminance=DEFAULT_BACKGROUND, arousal_scaled=1.0),
    "bright": Traits(luminance=1.0, arousal_scaled=-1.0),
    "dark": Traits(luminance=0.02, arousal_scaled=-1.0),
}
ONSETS_S = {name: 3.0 + 9.0 * trial for trial, name in enumerate(TRAITS)}


class Run(NamedTuple):
    """A simulated run: the script and what the analysis made of its signal."""

    plan: GazePlan
    pupil_mm: np.ndarray
    summary: pd.DataFrame
    fixations: pd.DataFrame
    saccades: pd.DataFrame
    blinks: pd.DataFrame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    participant = Participant(seed=11, traits=TRAITS)
    plan, pupil = GazePlan(participant, 0.0), PupilPlan(participant)
    samples, pupil_mm = _play(participant, plan, pupil)
    columns = {name: samples[:, i] for i, (name, *_) in enumerate(GAZE_CHANNELS)}
    path = tmp_path_factory.mktemp("truth") / "s.h5"
    screen = participant.screen
    write_session(
        path,
        markers=_markers(),
        gaze=(np.arange(len(samples)) / RATE_HZ, columns),
        gaze_rate_hz=RATE_HZ,
        screen={
            name: getattr(screen, name)
            for name in ("width_px", "height_px", "width_cm", "height_cm", "distance_cm")
        },
        stimuli={
            "id": list(TRAITS),
            "file": [f"{name}.png" for name in TRAITS],
            "kind": ["image"] * 4,
        },
    )
    paths = analyze_session(path, report=False)
    tables = (read_table(t) for t in (paths.summary, paths.fixations, paths.saccades, paths.blinks))
    return Run(plan, pupil_mm, *tables)


def _play(
    participant: Participant, plan: GazePlan, pupil: PupilPlan
) -> tuple[np.ndarray, np.ndarray]:
    """Let the eyes hear each cue a little after it happened; return samples and the true pupil."""
    signal = EyeTrackerSignal(0.0, RATE_HZ, seed=participant.seed, noise_deg=0.03)
    pending = [cue for name in TRAITS for cue in _cues(name)]
    chunks = []
    for first in range(0, round(SECONDS * RATE_HZ), CHUNK):
        now_s = first / RATE_HZ
        while pending and pending[0].time_s + HEARD_AFTER_S <= now_s:
            cue = pending.pop(0)
            plan.hear(cue, now_s)
            pupil.hear(cue, now_s)
        plan.advance(now_s + CHUNK / RATE_HZ)
        chunks.append(signal.chunk(plan, pupil, participant.screen, first, CHUNK))
    return (
        np.concatenate([chunk.samples for chunk in chunks]),
        np.concatenate([chunk.pupil_mm for chunk in chunks]),
    )


def _cues(name: str) -> list[Cue]:
    onset = ONSETS_S[name]
    return [
        Cue(onset - 2.0, "fixation_onset", presentation_id=name, position_px=(960, 540)),
        Cue(onset, "stimulus_onset", stimulus=name, presentation_id=name, rect_px=RECT_PX),
        Cue(onset + SHOWN_S, "stimulus_offset", stimulus=name, presentation_id=name),
    ]


def _markers() -> list[tuple[float, str, dict[str, object]]]:
    rows: list[tuple[float, str, dict[str, object]]] = []
    for trial, name in enumerate(TRAITS, 1):
        fields = {"trial": trial, "block": "main", "stimulus": name, "presentation_id": name}
        shown = {"kind": "image", "rect_px": list(RECT_PX), "planned_duration_s": SHOWN_S}
        onset = ONSETS_S[name]
        rows += [
            (onset - 2.0, "fixation_onset", fields | {"position_px": [960, 540]}),
            (onset, "fixation_offset", fields),
            (onset, "stimulus_onset", fields | shown),
            (onset + SHOWN_S, "stimulus_offset", fields),
        ]
    return [*rows, (SECONDS - 0.5, "session_end", {})]


def _row(run: Run, name: str) -> pd.Series:
    return run.summary[run.summary["stimulus_id"] == name].iloc[0]


def _shown(events: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the events that began while the stimulus was on the screen."""
    return events[(events["presentation_id"] == name) & (events["phase"] == "stimulus")]


def _begun(name: str, onset_s: float) -> bool:
    return ONSETS_S[name] <= onset_s < ONSETS_S[name] + SHOWN_S


@pytest.mark.parametrize("name", TRAITS)
def test_saccades_of_each_stimulus(run: Run, name: str) -> None:
    true = [s for s in run.plan.saccades if _begun(name, s.onset_s)]
    row = _row(run, name)
    assert len(true) >= 8
    assert row["n_saccades"] == len(true)
    assert row["mean_saccade_amplitude_deg"] == pytest.approx(
        np.mean([s.amplitude_deg for s in true]), rel=0.02
    )
    assert row["saccade_peak_velocity_deg_s"] == pytest.approx(
        np.mean([s.peak_velocity_deg_s for s in true]), rel=0.08
    )
    found = _shown(run.saccades, name)
    assert found["onset"].to_numpy() == pytest.approx([s.onset_s for s in true], abs=0.012)
    angle = np.radians(found["direction_deg"].to_numpy() - [s.direction_deg for s in true])
    assert np.abs(np.angle(np.exp(1j * angle), deg=True)).max() < 3


@pytest.mark.parametrize("name", TRAITS)
def test_fixations_of_each_stimulus(run: Run, name: str) -> None:
    rests = fixation_table(run.plan.saccades, run.plan.blinks, 0.0, SECONDS)
    true = [rest for rest in rests if _begun(name, rest[0])]
    row = _row(run, name)
    assert row["n_fixations"] == len(true)
    whole = [
        duration
        for onset, duration, *_ in true
        if onset + duration <= ONSETS_S[name] + SHOWN_S and not _beside_blink(run, onset, duration)
    ]
    assert row["mean_fixation_duration_s"] == pytest.approx(np.mean(whole), abs=0.015)
    found = _shown(run.fixations, name)
    error = np.hypot(
        found["x_deg"].to_numpy() - [rest[2] for rest in true],
        found["y_deg"].to_numpy() - [rest[3] for rest in true],
    )
    assert error.max() < 0.25


def _beside_blink(run: Run, onset_s: float, duration_s: float) -> bool:
    end_s = onset_s + duration_s
    return any(
        abs(blink.offset_s - onset_s) < 1e-6 or abs(blink.onset_s - end_s) < 1e-6
        for blink in run.plan.blinks
    )


@pytest.mark.parametrize("name", TRAITS)
def test_blinks_of_each_stimulus(run: Run, name: str) -> None:
    true = [b for b in run.plan.blinks if _begun(name, b.onset_s)]
    row = _row(run, name)
    assert row["n_blinks"] == len(true)
    assert row["blink_rate_hz"] == pytest.approx(len(true) / SHOWN_S)
    closed = sum(b.duration_s for b in true)
    assert row["gaze_valid_fraction"] == pytest.approx(1 - closed / SHOWN_S, abs=0.002)
    found = _shown(run.blinks, name)
    assert found["duration"].to_numpy() == pytest.approx([b.duration_s for b in true], abs=0.004)


def test_all_blinks_of_the_session_are_found(run: Run) -> None:
    true = [b.onset_s for b in run.plan.blinks if b.offset_s < SECONDS]
    assert len(true) >= 3
    assert run.blinks["onset"].to_numpy() == pytest.approx(true, abs=0.003)


@pytest.mark.parametrize("name", TRAITS)
def test_the_first_saccade_answers_the_stimulus(run: Run, name: str) -> None:
    answer = next(
        a for a in run.plan.answers if (a.event, a.presentation_id) == ("stimulus_onset", name)
    )
    true = answer.onset_s - answer.cue_time_s
    first = _shown(run.saccades, name).iloc[0]
    assert first["t_from_onset_s"] == pytest.approx(true, abs=0.01)
    assert _row(run, name)["first_saccade_latency_s"] == pytest.approx(true, abs=0.01)


@pytest.mark.parametrize("name", TRAITS)
def test_the_pupil_of_each_stimulus(run: Run, name: str) -> None:
    times = np.arange(run.pupil_mm.size) / RATE_HZ - ONSETS_S[name]
    baseline = float(np.median(run.pupil_mm[(times >= -0.5) & (times < 0)]))
    change = float(run.pupil_mm[(times >= 0.22) & (times < SHOWN_S)].mean()) - baseline
    row = _row(run, name)
    assert row["pupil_baseline"] == pytest.approx(baseline, abs=0.02)
    assert row["pupil_change_mean"] == pytest.approx(change, abs=0.03)
    expected = {"exciting": 1, "bright": -1, "dark": 1}.get(name)
    if expected is not None:
        assert np.sign(row["pupil_change_mean"]) == expected
        assert abs(change) > 0.1
