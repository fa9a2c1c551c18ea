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
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.recorder.archive import journal_path_for
from duchenne.recorder.devices import Device, tracker_on_network
from duchenne.recorder.ending import Interrupts, journal_state, let_seal
from duchenne.recorder.processes import Child
from duchenne.recorder.sources.registry import load_source
from duchenne.recorder.study_folder import start_study
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    headless : bool
        Virtual screen; the simulated participant answers.
    """

    protocol: Protocol
    stimuli: StimulusSet
    schedule: Schedule
    name: SessionName
    study: Path
    eyetracker: str = "lsl"
    camera: str = "0"
    headless: bool = False


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

    A console that is gone (OSError, ValueError of either) never ends a session.
    """

    request: SessionRequest
    tell: Callable[[str], None]
    on_step: Callable[[int, int, str], None]
    _token: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _children: list[Child] = field(default_factory=list)
    _restarted: set[str] = field(default_factory=set)
    _given_up: set[str] = field(default_factory=set)
    _interrupts: Interrupts = field(default_factory=Interrupts)
    _begun: bool = False
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
                    device: self._start(device.label, list(device.arguments))
                    for device in devices
                    if device.arguments
                }
                display = self._start_display()
                recorder = self._start_recorder(target, devices, facts)
                for source in sources.values():
                    source.wait_for_line("ready", READY_TIMEOUT_S)
                display.wait_for_line("ready", READY_TIMEOUT_S)
                for device, source in sources.items():
                    if device.is_simulated:
                        source.wait_for_line(f"hears {self._display_id}-markers", READY_TIMEOUT_S)
                self._wait_until_recording(recorder, journal_path_for(target))
            aborted = self._watch(display, recorder, sources)
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
        found = [self._eyetracker(), self._camera()]
        return [device for device in found if device is not None]

    def _eyetracker(self) -> Device | None:
        choice = self.request.eyetracker
        if choice == "none":
            return None
        if choice == "lsl":
            return tracker_on_network()
        load_source(choice)  # an unknown name is refused before anything starts
        settings = self._simulated_settings(choice)
        return self._source("Gaze", choice, "eye tracker", settings)

    def _camera(self) -> Device | None:
        choice = self.request.camera
        if choice == "none":
            return None
        if choice == "simulated":
            name = "simulated-face"
            return self._source("FaceVideo", name, "camera", self._simulated_settings(name))
        return self._source("FaceVideo", "camera", "camera", {"device": choice})

    def _source(self, stream: str, source: str, label: str, settings: Mapping[str, str]) -> Device:
        source_id = f"duchenne-{stream.lower()}-{self._token}"
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

    @property
    def _display_id(self) -> str:
        return f"duchenne-display-{self._token}"

    def _start(self, label: str, arguments: list[str], **options: Any) -> Child:
        child = Child(label, arguments, **options)
        self._children.append(child)
        return child

    def _start_display(self) -> Child:
        request = self.request
        path = request.protocol.source_path
        arguments = ["protocol", "present", str(path) if path else request.protocol.name]
        arguments += ["--participant", request.name.participant, "--session", request.name.session]
        arguments += ["--run", request.name.run, "--source-id", self._display_id]
        arguments += ["--seed", str(request.schedule.seed)]
        if request.headless:
            arguments += ["--headless", "--simulated"]
        return self._start("display", arguments)

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
            arguments += ["--stream", device.predicate, "--require", device.stream]
        return self._start("recorder", arguments, on_error_line=self._hear_recorder)

    def _hear_recorder(self, line: str) -> None:
        # The display's own end is seen by watching its process.
        if line.startswith("stream ") and not line.startswith(DISPLAY_STREAMS):
            self._tell(line)

    def _wait_until_recording(self, recorder: Child, journal: Path) -> None:
        deadline = time.monotonic() + STREAMS_TIMEOUT_S
        state = ""
        while time.monotonic() < deadline:
            if recorder.exit_code is not None:
                raise DuchenneError(recorder.last_words())
            if journal.exists():
                state = journal_state(journal)
                if state == "recording":
                    return
            time.sleep(WATCH_INTERVAL_S)
        raise DuchenneError(
            f"the recorder was not ready within {STREAMS_TIMEOUT_S:g} s (state: {state or 'starting'}). "
            "Check that the streams deliver with `duchenne sources list`."
        )

    def _watch(self, display: Child, recorder: Child, sources: dict[Device, Child]) -> bool:
        """Follow the presentation to its end; return whether it was aborted."""
        try:
            self._begun = True
            display.send("start")
            while display.exit_code is None:
                self._follow(display)
                if recorder.exit_code is not None:
                    self._abort(display)
                    break
                self._keep_alive(sources)
                time.sleep(WATCH_INTERVAL_S)
        except KeyboardInterrupt:
            self._tell("interrupted: ending the session; what was recorded is kept")
            self._abort(display)
        self._follow(display)
        code = display.exit_code
        if code not in (0, ABORTED):
            self._tell(f"the display failed: {display.last_words()}")
        return code != 0

    def _abort(self, display: Child) -> None:
        display.send("abort")
        if display.wait(READY_TIMEOUT_S) is None:
            display.stop()

    def _follow(self, display: Child) -> None:
        for line in display.lines():
            if line.startswith("{"):
                step = json.loads(line)
                self._show_step(int(step["step"]), int(step["of"]), str(step["label"]))

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
            sources[device] = self._start(device.label, list(device.arguments))

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
    }
