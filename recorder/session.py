"""Run a participant session: sources, recorder and display as processes of their own.

The display and the recorder meet only on LSL. This module starts them in order, waits until the recorder
says that every required stream delivers, lets the display begin, watches all of them, and ends them so
that nothing recorded is lost whatever fails.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pylsl

from duchenne import __version__
from duchenne.recorder.archive import journal_path_for
from duchenne.recorder.devices import (
    Device,
    ExtraSource,
    check_streams_differ,
    tracker_on_network,
    words_of,
)
from duchenne.recorder.ending import Interrupts, journal_state, let_seal
from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.processes import Child
from duchenne.recorder.resuming import journal_markers, next_step
from duchenne.recorder.sources.notices import NOTICE
from duchenne.recorder.sources.registry import load_source
from duchenne.recorder.study_folder import start_study
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.recorder.layout import SessionName
    from duchenne.stimuli.manifest import StimulusSet

READY_TIMEOUT_S = 60.0
STREAMS_TIMEOUT_S = 30.0
STOP_UNHEARD_S = 20.0
WATCH_INTERVAL_S = 0.1
ABORTED = 3
MARKERS = "Markers"
SIMULATED = "simulated"
DISPLAY_STREAMS = ("stream Markers", "stream ShownFrames")


@dataclass(frozen=True)
class SessionRequest:
    """What to run.

    Parameters
    ----------
    protocol : Protocol
    stimuli : StimulusSet
    schedule : Schedule
    name : SessionName
    study : Path
        Study folder; made where it is missing.
    eyetracker : str
        A source's name, ``lsl`` for a tracker that is on the network already, or ``none``.
    camera : str
        ``simulated``, ``none``, a device number, or a device or film path.
    sources : tuple of ExtraSource
        What else to start, record and require.
    headless : bool
        Virtual screen; the simulated participant answers.
    pilot : bool
        Not to enter the study's results.
    blind : bool
        Tell the operator no stimulus, category or block.
    first_step : int
        Number of the step to begin with, from 1.
    resumed_from : str or None
        Label of the run that is continued.
    """

    protocol: Protocol
    stimuli: StimulusSet
    schedule: Schedule
    name: SessionName
    study: Path
    eyetracker: str = "lsl"
    camera: str = "0"
    sources: tuple[ExtraSource, ...] = ()
    headless: bool = False
    pilot: bool = False
    blind: bool = False
    first_step: int = 1
    resumed_from: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes
    ----------
    session_file : Path
        Sealed and verified.
    aborted : bool
        The operator or a failure ended it early.
    """

    session_file: Path
    aborted: bool


@dataclass
class SessionRunner:
    """Runs one session from start to sealed file.

    Parameters
    ----------
    request : SessionRequest
    tell : callable
        Receives one line about anything the operator should know.
    on_step : callable
        Receives the step number, the number of steps, and what is shown.
    commands : callable, optional
        Returns the operator's commands for the display since its last call.

    A console that is gone (OSError, ValueError of either) never ends a session.
    """

    request: SessionRequest
    tell: Callable[[str], None]
    on_step: Callable[[int, int, str], None]
    commands: Callable[[], Sequence[str]] = tuple
    _token: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _children: list[Child] = field(default_factory=list)
    _restarted: set[str] = field(default_factory=set)
    _given_up: set[str] = field(default_factory=set)
    _interrupts: Interrupts = field(default_factory=Interrupts)
    _tracker: Device | None = None
    _begun: bool = False
    _step: int = 1
    _display_restarted: bool = False
    _journal_named: bool = False

    def run(self) -> Outcome:
        """Run the session.

        Raises
        ------
        DuchenneError
            If it could not start (nothing is left behind), or the recorder died (the journal is kept and
            named).
        """
        target = self.request.name.session_file(self.request.study)
        refuse_existing(target)
        devices = self._devices()
        start_study(self.request.study, self.request.name)
        with self._interrupts:
            return self._run(target, devices)

    def _run(self, target: Path, devices: list[Device]) -> Outcome:
        try:
            with tempfile.TemporaryDirectory(prefix="duchenne-") as folder:
                facts = Path(folder) / "facts.json"
                facts.write_text(json.dumps(session_facts(self.request)), encoding="utf-8")
                sources = {
                    device: self._start_source(device) for device in devices if device.arguments
                }
                display = self._start_display()
                recorder = self._start_recorder(target, devices, facts)
                for source in sources.values():
                    source.wait_for_line("ready", READY_TIMEOUT_S)
                display.wait_for_line("ready", READY_TIMEOUT_S)
                for device, source in sources.items():
                    if device.is_simulated:
                        source.wait_for_line(f"hears {self._display_id}-markers", READY_TIMEOUT_S)
                self._wait_until_recording(recorder, journal_path_for(target), sources)
            aborted = self._watch(display, recorder, sources, journal_path_for(target))
            return self._finish(recorder, target, aborted=aborted)
        finally:
            self._end(target)

    def _end(self, target: Path) -> None:
        """End what still runs: the display, then the recorder, which may take long, then the sources."""
        self._interrupts.ending = True
        journal = journal_path_for(target)
        order = {"display": 0, "recorder": 1}
        for child in sorted(self._children, key=lambda child: order.get(child.name, 2)):
            if child.name == "recorder":
                let_seal(child, journal, self._interrupts, self._tell)
            child.stop()
            if child.name == "recorder" and child.exit_code == 0 and not self._begun:
                target.unlink(missing_ok=True)  # nothing was shown: it would only block the label
        if journal.exists() and not self._journal_named:
            self._tell(f"{journal} is kept: run `duchenne recover {journal}`")

    def _tell(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self.tell(line)

    def _show_step(self, step: int, of: int, label: str) -> None:
        with suppress(OSError, ValueError):
            self.on_step(step, of, label)

    def _devices(self) -> list[Device]:
        extras = [self._extra(source) for source in self.request.sources]
        self._tracker = self._eyetracker()
        found = [self._tracker, self._camera(), *extras]
        devices = [device for device in found if device is not None]
        check_streams_differ(devices)
        return devices

    def _eyetracker(self) -> Device | None:
        choice = self.request.eyetracker
        if choice == "none":
            return None
        if choice == "lsl":
            return tracker_on_network()
        load_source(choice)  # an unknown name is refused before anything starts
        settings = self._simulated_settings(choice) | self._calibration_settings(choice)
        return self._source("Gaze", choice, "eye tracker", settings)

    def _camera(self) -> Device | None:
        choice = self.request.camera
        if choice == "none":
            return None
        if choice == "simulated":
            name = "simulated-face"
            return self._source("FaceVideo", name, "camera", self._simulated_settings(name))
        return self._source("FaceVideo", "camera", "camera", {"device": choice})

    def _extra(self, source: ExtraSource) -> Device:
        simulated = self._simulated_settings(source.name)
        settings = {key: value for key, value in simulated.items() if key in source.options}
        device = self._source(
            source.stream or source.name, source.name, source.name, settings | {**source.settings}
        )
        return replace(device, required=source.stream is not None)

    def _source(self, stream: str, source: str, label: str, settings: Mapping[str, str]) -> Device:
        source_id = f"duchenne-{words_of(stream)}-{self._token}"
        arguments = ["sources", "start", source, "--source-id", source_id]
        arguments += ["--stop-unheard", str(STOP_UNHEARD_S)]
        for key, value in settings.items():
            arguments += ["--set", f"{key}={value}"]
        return Device(stream, f"starts-with(source_id,'{source_id}')", label, tuple(arguments))

    def _simulated_settings(self, source: str) -> dict[str, str]:
        if not source.startswith(SIMULATED):
            return {}
        request = self.request
        path = request.protocol.source_path
        return {
            "protocol": str(path) if path else request.protocol.name,
            "seed": str(request.schedule.seed),
            "markers_source_id": f"{self._display_id}-markers",
            "truth": str(request.name.truth_prefix(request.study)),
        }

    def _calibration_settings(self, source: str) -> dict[str, str]:
        """Return what a tracker that is calibrated by the display's markers has to know."""
        screen = self.request.protocol.screen
        known = {
            "markers_source_id": f"{self._display_id}-markers",
            "screen_width_mm": f"{10 * screen.width_cm:g}",
            "screen_height_mm": f"{10 * screen.height_cm:g}",
        }
        options = load_source(source).Options.model_fields
        return {key: value for key, value in known.items() if key in options}

    @property
    def _display_id(self) -> str:
        return f"duchenne-display-{self._token}"

    def _start(self, label: str, arguments: list[str], **options: Any) -> Child:
        child = Child(label, arguments, **options)
        self._children.append(child)
        return child

    def _start_source(self, device: Device) -> Child:
        def hear(line: str) -> None:
            if line.startswith(NOTICE):
                self._tell(line[len(NOTICE) :])

        return self._start(device.label, list(device.arguments), on_error_line=hear)

    def _start_display(self, *, checked: bool = False) -> Child:
        request = self.request
        path = request.protocol.source_path
        arguments = ["protocol", "present", str(path) if path else request.protocol.name]
        arguments += ["--participant", request.name.participant, "--session", request.name.session]
        arguments += ["--run", request.name.run, "--source-id", self._display_id]
        arguments += ["--seed", str(request.schedule.seed)]
        if request.schedule.number is not None:
            arguments += ["--number", str(request.schedule.number)]
        if checked:
            arguments.append("--checked")
        if self._tracker is not None:
            arguments += ["--gaze-stream", self._tracker.predicate]
        if request.headless:
            arguments += ["--headless", "--simulated"]
        return self._start("display", arguments, on_error_line=self._hear_display)

    def _hear_display(self, line: str) -> None:
        if line.startswith(("triggers: ", "gaze: ")):
            self._tell(line)

    def _start_recorder(self, target: Path, devices: list[Device], facts: Path) -> Child:
        arguments = ["record", "--out", str(target), "--meta", str(facts), "--discard-unstarted"]
        arguments += [
            "--wait",
            str(READY_TIMEOUT_S + STREAMS_TIMEOUT_S),
            "--require",
            MARKERS,
            "--until-gone",
            MARKERS,
        ]
        arguments += ["--stream", f"starts-with(source_id,'{self._display_id}')"]
        for device in devices:
            arguments += ["--stream", device.predicate]
            arguments += ["--require", device.stream] if device.required else []
        return self._start("recorder", arguments, on_error_line=self._hear_recorder)

    def _hear_recorder(self, line: str) -> None:
        # The display's own end is seen by watching its process.
        if line.startswith(("stream ", "disk")) and not line.startswith(DISPLAY_STREAMS):
            self._tell(line)

    def _wait_until_recording(
        self, recorder: Child, journal: Path, sources: Mapping[Device, Child]
    ) -> None:
        deadline = time.monotonic() + STREAMS_TIMEOUT_S
        state = ""
        while time.monotonic() < deadline:
            if recorder.exit_code is not None:
                raise DuchenneError(recorder.last_words())
            for source in sources.values():
                if source.exit_code is not None:
                    raise DuchenneError(source.last_words())
            if journal.exists():
                state = journal_state(journal)
                if state == "recording":
                    return
            time.sleep(WATCH_INTERVAL_S)
        raise DuchenneError(
            f"the recorder was not ready within {STREAMS_TIMEOUT_S:g} s (state: {state or 'starting'}). "
            "Check that the streams deliver with `duchenne sources list`."
        )

    def _watch(
        self, display: Child, recorder: Child, sources: dict[Device, Child], journal: Path
    ) -> bool:
        """Follow the presentation to its end; return whether it was aborted."""
        try:
            self._begun = True
            display.send(f"start {json.dumps(self._beginning())}")
            while True:
                self._watch_display(display, recorder, sources)
                if not self._can_go_on(display, recorder):
                    break
                display = self._restart_display(display, journal)
        except KeyboardInterrupt:
            self._tell("interrupted: ending the session; what was recorded is kept")
            self._abort(display)
        self._follow(display)
        code = display.exit_code
        if code not in (0, ABORTED):
            self._tell(f"the display failed: {display.last_words()}")
        return code != 0

    def _watch_display(self, display: Child, recorder: Child, sources: dict[Device, Child]) -> None:
        while display.exit_code is None:
            self._follow(display)
            for command in self.commands():
                display.send(command)
            if recorder.exit_code is not None:
                self._abort(display)
                break
            self._keep_alive(sources)
            time.sleep(WATCH_INTERVAL_S)
        self._follow(display)

    def _beginning(self) -> dict[str, Any]:
        request = self.request
        values: dict[str, Any] = {"step": request.first_step, "pilot": request.pilot}
        if request.resumed_from is not None:
            values["resumed_from"] = request.resumed_from
        return values

    def _can_go_on(self, display: Child, recorder: Child) -> bool:
        """Whether the display died without a word, for the first time, and the recording goes on."""
        silent = display.exit_code not in (0, 1, 2, ABORTED)
        return silent and not self._display_restarted and recorder.exit_code is None

    def _restart_display(self, dead: Child, journal: Path) -> Child:
        """Start the display once more, in the same recording, with the next trial.

        Raises
        ------
        DuchenneError
            It does not start.
        """
        failed_s = pylsl.local_clock()
        self._display_restarted = True
        self._tell(f"the display failed ({dead.last_words()}): starting it once more")
        display = self._start_display(checked=True)
        display.wait_for_line("ready", READY_TIMEOUT_S)
        markers_id = f"{self._display_id}-markers"
        self._wait_until_heard_again(journal)
        steps = self.request.schedule.steps
        step = next_step(steps, journal_markers(journal, markers_id), self._step)
        self._tell(f"the display is back: going on with step {step} of {len(steps)}")
        display.send(f"start {json.dumps({'step': step, 'failed_lsl_s': failed_s})}")
        return display

    def _wait_until_heard_again(self, journal: Path) -> None:
        """Wait until the recorder receives both streams of the display again."""
        deadline = time.monotonic() + STREAMS_TIMEOUT_S
        while time.monotonic() < deadline:
            with JournalReader(journal) as reader:
                own = [s for s in reader.streams if s.info.source_id.startswith(self._display_id)]
                if own and all(len(reader.segments(stream.id)) > 1 for stream in own):
                    return
            time.sleep(WATCH_INTERVAL_S)
        self._tell("the recorder does not hear the display again: its markers may be missing")

    def _abort(self, display: Child) -> None:
        display.send("abort")
        if display.wait(READY_TIMEOUT_S) is None:
            display.stop()

    def _follow(self, display: Child) -> None:
        for line in display.lines():
            if line.startswith("{"):
                step = json.loads(line)
                self._step = int(step["step"])
                self._show_step(self._step, int(step["of"]), self._label(str(step["label"])))

    def _label(self, label: str) -> str:
        """Return what the operator may see of a step."""
        if not self.request.blind:
            return label
        step = self.request.schedule.steps[self._step - 1]
        return step.kind if step.trial is None else f"trial {step.trial.trial}"

    def _keep_alive(self, sources: dict[Device, Child]) -> None:
        """Start a source that has died once more; say so."""
        for device, child in list(sources.items()):
            if child.exit_code is None or device.stream in self._given_up:
                continue
            if device.stream in self._restarted:
                self._given_up.add(device.stream)
                self._tell(
                    f"{device.label} ended again ({child.last_words()}): the session goes on without it"
                )
                continue
            self._restarted.add(device.stream)
            self._tell(f"{device.label} ended ({child.last_words()}): starting it once more")
            sources[device] = self._start_source(device)

    def _finish(self, recorder: Child, target: Path, *, aborted: bool) -> Outcome:
        journal = journal_path_for(target)
        died = recorder.exit_code
        if died is None:
            self._interrupts.ending = True
            self._show_step(0, 0, "sealing the session file")
            let_seal(recorder, journal, self._interrupts, self._tell)
            recorder.stop()
            died = recorder.exit_code
        if died != 0 or not target.exists():
            self._journal_named = journal.exists()
            where = (
                f"run `duchenne recover {journal}`" if journal.exists() else "nothing was recorded"
            )
            raise DuchenneError(f"the recorder failed: {recorder.last_words()}; {where}.")
        return Outcome(target, aborted)


def refuse_existing(target: Path) -> None:
    """Refuse a session that was recorded before.

    Raises
    ------
    DuchenneError
        If the session file or its journal exists.
    """
    if target.exists():
        raise DuchenneError(
            f"{target} exists and is never overwritten: choose another --session or --run."
        )
    journal = journal_path_for(target)
    if journal.exists():
        raise DuchenneError(
            f"{journal} is left from a recording that was not sealed: run `duchenne recover {journal}`, "
            "then choose another --session or --run."
        )


def session_facts(request: SessionRequest) -> dict[str, Any]:
    """Return what the session file should know of its origin, JSON-compatible."""
    protocol, name = request.protocol, request.name
    used = {trial.stimulus_id for trial in request.schedule.trials}
    frame = request.stimuli.to_frame()
    rows = json.loads(frame[frame["id"].isin(used)].to_json(orient="split", double_precision=15))
    return {
        "participant": name.participant,
        "session": name.session,
        "task": name.task,
        "run": name.run,
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "software_version": __version__,
        "protocol_name": protocol.name,
        "protocol_yaml": protocol.source_yaml,
        "protocol_hash": protocol.hash,
        "screen": protocol.screen.model_dump(mode="json"),
        "schedule_json": request.schedule.to_json(),
        "stimuli": {
            column: [row[index] for row in rows["data"]]
            for index, column in enumerate(rows["columns"])
        },
        "stimuli_source": "bundled"
        if protocol.stimuli == "bundled"
        else str(request.stimuli.folder),
        "participant_answers": {},
        "pilot": request.pilot,
        "resumed_from": request.resumed_from or "",
    }
