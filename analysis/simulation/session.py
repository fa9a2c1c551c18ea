"""One simulated session: presented, recorded into a journal and sealed by the recorder's own code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.live_streams import affect_description, au_description
from duchenne.analysis.simulation.effects import AU_NAMES, PUPIL
from duchenne.analysis.simulation.presentation import (
    ClockDisplay,
    MarkerLog,
    PlantedRater,
    ShownLog,
)
from duchenne.analysis.simulation.streams import (
    FACE_LATENCY_S,
    FACE_RATE_HZ,
    affect_samples,
    face_samples,
    gaze_samples,
    presentations_of,
)
from duchenne.protocols.runner import run_schedule
from duchenne.protocols.schedule import make_schedule
from duchenne.recorder.archive import journal_path_for, seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.layout import SessionName
from duchenne.recorder.session_request import SessionRequest, refuse_existing, session_facts
from duchenne.recorder.sources.listener import Cue
from duchenne.recorder.sources.participant import Participant, linear_luminance
from duchenne.recorder.sources.screen import Screen
from duchenne.recorder.streams import declare_latency, describe, gaze_description
from duchenne.recorder.study_folder import start_study

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pylsl

    from duchenne.analysis.simulation.answers import Answers
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

START_LSL_S = 5000.0
LEAD_S = 1.0
"""The recorder is there so long before the session begins, and after it ended."""
CHUNK_S = 0.25
"""Samples that arrive together."""
TRAVEL_S = 0.002
OFFSET_EVERY_S = 5.0
OFFSET_UNCERTAINTY_S = 2e-5
BACKEND = "simulated"


@dataclass(frozen=True)
class SessionPlan:
    """What one session is made from.

    Attributes
    ----------
    study : Path
    protocol : Protocol
    stimuli : StimulusSet
    answers : Answers
        Of the whole study.
    participant : str
        Label.
    number : int
        In the counterbalancing, from 1.
    seed : int
        Of everything about this participant.
    gaze_rate_hz : float
    """

    study: Path
    protocol: Protocol
    stimuli: StimulusSet
    answers: Answers
    participant: str
    number: int
    seed: int
    gaze_rate_hz: float


def write_session(plan: SessionPlan) -> Path:
    """Simulate a session and seal it; return its file.

    Raises
    ------
    DuchenneError
        The session exists, or cannot be written.
    """
    request, markers, shown_log = _present(plan)
    target = request.name.session_file(plan.study)
    refuse_existing(target)
    start_study(plan.study, request.name)
    cues = [cue for time_s, text in markers.rows if (cue := Cue.from_text(text, time_s))]
    shown = presentations_of(cues)
    start_s, end_s = cues[0].time_s - LEAD_S, cues[-1].time_s + LEAD_S
    edges = [replace(cues[0], time_s=start_s, event="note"), *cues]
    edges.append(replace(cues[-1], time_s=end_s, event="note"))
    who = plan.participant
    person = Participant(
        seed=plan.seed,
        screen=Screen.from_fields(plan.protocol.screen.model_dump()) or Screen(),
        background=linear_luminance(plan.protocol.screen.background_grey),
    )
    gaze = gaze_samples(
        person, edges, shown, plan.answers.of(who, PUPIL), rate_hz=plan.gaze_rate_hz
    )
    units = {name: plan.answers.of(who, name) for name in AU_NAMES}
    planted = {name: values for name, values in units.items() if values}
    face_s, intensities = face_samples(start_s, end_s, shown, planted, plan.seed)
    facts = session_facts(request) | {
        "state": "stopping",
        "recording_since_lsl_s": start_s,
        "stopped_lsl_s": end_s,
    }
    journal_path = journal_path_for(target)
    with Journal.create(journal_path, facts) as journal:
        write = _Writer(journal, plan, start_s, end_s)
        write.texts(markers.description, markers.rows)
        write.numbers(shown_log.description, np.array(shown_log.rows, np.float64))
        gaze_info, au_info, affect_info = _descriptions(plan)
        write.numbers(gaze_info, np.column_stack(gaze))
        write.numbers(au_info, np.column_stack([face_s, intensities]), late_s=FACE_LATENCY_S)
        affect = affect_samples(face_s, intensities, plan.seed)
        write.numbers(affect_info, np.column_stack([face_s, affect]), late_s=FACE_LATENCY_S)
    return seal(journal_path, target)


def _present(plan: SessionPlan) -> tuple[SessionRequest, MarkerLog, ShownLog]:
    """Run the protocol; return what was asked for, its markers and its shown frames."""
    schedule = make_schedule(
        plan.protocol,
        participant=plan.participant,
        session="01",
        number=plan.number,
        stimuli=plan.stimuli,
    )
    name = SessionName(plan.participant, "01", plan.protocol.name)
    request = SessionRequest(plan.protocol, plan.stimuli, schedule, name, plan.study)
    markers = MarkerLog(_source_id(plan, "markers"))
    shown = ShownLog(_source_id(plan, "shown"), plan.protocol.screen.refresh_hz)
    display = ClockDisplay(plan.protocol, START_LSL_S)
    ratings = {
        scale: plan.answers.of(plan.participant, f"rating_{scale}")
        for scale in ("valence", "arousal")
    }
    run_schedule(
        schedule,
        plan.protocol,
        plan.stimuli,
        display,
        markers=markers,
        shown_frames=shown,
        responder=PlantedRater(display, ratings, plan.seed),
    )
    return request, markers, shown


def _source_id(plan: SessionPlan, what: str) -> str:
    return f"simulated-{plan.participant}-{what}"


def _descriptions(plan: SessionPlan) -> tuple[pylsl.StreamInfo, ...]:
    """Describe the streams of gaze, Action Units and affect."""
    of_face: dict[str, Any] = {
        "rate_hz": FACE_RATE_HZ,
        "backend": BACKEND,
        "origin": "simulated study",
    }
    infos = (
        gaze_description(
            source_id=_source_id(plan, "gaze"),
            sampling_rate_hz=plan.gaze_rate_hz,
            manufacturer="Duchenne",
            model="simulated",
        ),
        au_description(
            name="AU",
            source_id=_source_id(plan, "au"),
            au_names=AU_NAMES,
            reliability={},
            **of_face,
        ),
        affect_description(name="Affect", source_id=_source_id(plan, "affect"), **of_face),
    )
    for info in infos:
        declare_latency(info, 0.0)
    return infos


@dataclass(frozen=True)
class _Writer:
    """Puts streams into a journal as a recorder would: in chunks, with measured clock offsets."""

    journal: Journal
    plan: SessionPlan
    start_s: float
    end_s: float

    def texts(self, info: pylsl.StreamInfo, rows: Sequence[tuple[float, str]]) -> None:
        """Write markers, each on its own."""
        self._write(
            info, ((np.array([time_s]), [[text.encode()]], time_s) for time_s, text in rows)
        )

    def numbers(self, info: pylsl.StreamInfo, table: Any, *, late_s: float = 0.0) -> None:
        """Write samples whose first column is their time; they come `late_s` after it."""
        times = table[:, 0]
        edges = np.arange(times[0] + CHUNK_S, times[-1] + CHUNK_S, CHUNK_S)
        parts = np.unique(np.concatenate([[0], np.searchsorted(times, edges), [len(times)]]))
        self._write(
            info,
            (
                (
                    times[first:last],
                    np.ascontiguousarray(table[first:last, 1:]),
                    float(times[last - 1]) + late_s,
                )
                for first, last in pairwise(parts.tolist())
            ),
        )

    def _write(self, info: pylsl.StreamInfo, parts: Iterable[tuple[Any, Any, float]]) -> None:
        """Write samples that arrive in parts: their times, their values, and when they were there."""
        stream = self._open(info)
        for times, values, there_s in parts:
            self.journal.append(stream, times, values, received_s=there_s + TRAVEL_S)
        self.journal.commit()

    def _open(self, info: pylsl.StreamInfo) -> int:
        described = describe(info)
        described = replace(described, uid=f"{described.source_id}-{self.plan.seed}")
        stream = self.journal.add_stream(described)
        self.journal.add_segment(stream, described.uid, self.start_s)
        for time_s in np.arange(self.start_s, self.end_s, OFFSET_EVERY_S):
            self.journal.add_clock_offset(stream, float(time_s), 0.0, OFFSET_UNCERTAINTY_S)
        return stream
