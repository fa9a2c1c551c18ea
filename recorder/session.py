"""Run a participant session: sources, recorder and display as processes of their own.

The display and the recorder meet only on LSL. This module starts them in order, waits until the recorder
says that every required stream delivers, lets the display begin, watches all of them, and ends them so
that nothing recorded is lost whatever fails.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pylsl

from duchenne.recorder.archive import journal_path_for
from duchenne.recorder.declarations import note_declarations
from duchenne.recorder.ending import Interrupts, journal_state, let_seal
from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.noted_journal import encode_note
from duchenne.recorder.processes import Child
from duchenne.recorder.resuming import journal_markers, next_step
from duchenne.recorder.session_devices import display_id, session_devices
from duchenne.recorder.session_request import (
    Outcome,
    SessionRequest,
    refuse_existing,
    session_facts,
)
from duchenne.recorder.sources.notices import NOTICE
from duchenne.recorder.study_folder import start_study
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duchenne.recorder.devices import Device

__all__ = ["Outcome", "SessionRequest", "SessionRunner"]

READY_TIMEOUT_S = 120.0
"""A camera may settle for up to 60 s, and PsychoPy starts slowly on a busy machine."""
ABORT_TIMEOUT_S = 60.0
STREAMS_TIMEOUT_S = 30.0
WATCH_INTERVAL_S = 0.1
ABORTED = 3
MARKERS = "Markers"
DISPLAY_STREAMS = ("stream Markers", "stream ShownFrames")
NOTHING_RECORDED = "the session was given up before it began; nothing was recorded"


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
    _waiting: list[str] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _recorder: Child | None = None
    _noting: threading.Lock = field(default_factory=threading.Lock)

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
        found = session_devices(self.request, self._token)
        self._tracker, devices = found.tracker, found.all
        start_study(self.request.study, self.request.name)
        with suppress(DuchenneError):  # the analysis tells what is wrong with it
            note_declarations(self.request.study)
        with self._interrupts:
            return self._run(target, devices)

    def _run(self, target: Path, devices: list[Device]) -> Outcome:
        journal = journal_path_for(target)
        try:
            with tempfile.TemporaryDirectory(prefix="duchenne-") as folder:
                facts = Path(folder) / "facts.json"
                facts.write_text(json.dumps(session_facts(self.request)), encoding="utf-8")
                sources = {
                    device: self._start_source(device) for device in devices if device.arguments
                }
                display = self._start_display()
                recorder = self._start_recorder(target, devices, facts)
                if self.request.override_reason:
                    self._note("override", f"begun all the same: {self.request.override_reason}")
                for source in sources.values():
                    self._wait_for_line(source, "ready")
                self._wait_for_line(display, "ready")
                for device, source in sources.items():
                    if device.is_simulated:
                        self._wait_for_line(source, f"hears {self._display_id}-markers")
                self._wait_until_recording(journal)
            aborted = self._watch(display, recorder, sources, journal)
            return self._finish(recorder, target, aborted=aborted)
        except OSError as error:
            raise DuchenneError(f"the session could not go on: {error}") from error
        finally:
            self._end(target)

    def _wait_for_line(self, child: Child, line: str) -> None:
        """Wait until a child says something, while the others live and the operator wants it.

        Raises
        ------
        DuchenneError
            It does not come, a child ended, or the operator gave the session up.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not child.said(line):
            self._check_start()
            if time.monotonic() > deadline:
                raise DuchenneError(
                    f"{child.name} was not ready within {READY_TIMEOUT_S:g} s. {child.last_words()}"
                )
            time.sleep(WATCH_INTERVAL_S / 2)

    def _check_start(self) -> None:
        """Make sure that a session that is being started may go on being started."""
        for command in self._poll_commands():
            if command.partition(" ")[0] == "abort":
                raise DuchenneError(NOTHING_RECORDED)
            self._waiting.append(command)
        for child in self._children:
            code = child.exit_code
            if code == ABORTED and child.name == "display":
                raise DuchenneError(NOTHING_RECORDED)
            if code is not None:
                raise DuchenneError(child.last_words())

    def _poll_commands(self) -> list[str]:
        """Return the operator's commands; none where the console has gone."""
        with suppress(OSError, ValueError):
            return list(self.commands())
        return []

    def _end(self, target: Path) -> None:
        """End what still runs: the display, then the recorder, which may take long, then the sources."""
        self._interrupts.ending = True
        journal = journal_path_for(target)
        order = {"display": 0, "recorder": 1}
        for child in sorted(self._children, key=lambda child: order.get(child.name, 2)):
            with suppress(OSError):  # whatever one child meets, the others are ended
                if child.name == "recorder":
                    let_seal(child, journal, self._interrupts, self._tell)
                child.stop()
            if child.exit_code is None:
                self._tell(f"{child.name} cannot be ended (process {child.pid}): its device hangs")
        mine = next((child for child in self._children if child.name == "recorder"), None)
        if mine is not None and mine.exit_code == 0 and not self._begun:
            with suppress(OSError):
                target.unlink(missing_ok=True)  # nothing was shown: it would only block the label
        if mine is not None and journal.exists() and not self._journal_named:
            self._tell(f"{journal} is kept: run `duchenne recover {journal}`")

    def _tell(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self.tell(line)

    def _note(self, kind: str, text: str) -> None:
        """Tell the operator, and put it into the log of the session file."""
        self._tell(text)
        line = encode_note(pylsl.local_clock(), kind, text)
        with self._noting:
            if self._recorder is None:
                self._notes.append(line)
            else:
                self._recorder.send(line)

    def _show_step(self, step: int, of: int, label: str) -> None:
        with suppress(OSError, ValueError):
            self.on_step(step, of, label)

    @property
    def _display_id(self) -> str:
        return display_id(self._token)

    def _start(self, label: str, arguments: list[str], **options: Any) -> Child:
        with self._interrupts.held():  # a child that nobody knows of would never be ended
            child = Child(label, arguments, **options)
            self._children.append(child)
        return child

    def _start_source(self, device: Device) -> Child:
        def hear(line: str) -> None:
            if line.startswith(NOTICE):
                self._note("notice", line[len(NOTICE) :])

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
            self._note("notice", line)

    def _start_recorder(self, target: Path, devices: list[Device], facts: Path) -> Child:
        arguments = ["record", "--out", str(target), "--meta", str(facts), "--discard-unstarted"]
        arguments += ["--notes"]
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
        recorder = self._start("recorder", arguments, on_error_line=self._hear_recorder)
        with self._noting:
            self._recorder = recorder
            for line in self._notes:
                recorder.send(line)
        return recorder

    def _hear_recorder(self, line: str) -> None:
        # The display's own end is seen by watching its process.
        if line.startswith(("stream ", "disk")) and not line.startswith(DISPLAY_STREAMS):
            self._tell(line)

    def _wait_until_recording(self, journal: Path) -> None:
        deadline = time.monotonic() + STREAMS_TIMEOUT_S
        state = ""
        while time.monotonic() < deadline:
            self._check_start()
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
            for command in self._waiting:
                display.send(command)
            while True:
                self._watch_display(display, recorder, sources)
                if not self._can_go_on(display, recorder):
                    break
                try:
                    display = self._restart_display(display, journal)
                except DuchenneError as error:
                    self._note("display failed", f"the display could not be started again: {error}")
                    return True
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
            for command in self._poll_commands():
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
        self._note(
            "display failed", f"the display failed ({dead.last_words()}): starting it once more"
        )
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
            with suppress(DuchenneError, sqlite3.Error), JournalReader(journal) as reader:
                own = [s for s in reader.streams if s.info.source_id.startswith(self._display_id)]
                if own and all(len(reader.segments(stream.id)) > 1 for stream in own):
                    return
            time.sleep(WATCH_INTERVAL_S)
        self._tell("the recorder does not hear the display again: its markers may be missing")

    def _abort(self, display: Child) -> None:
        display.send("abort")
        if display.wait(ABORT_TIMEOUT_S) is None:
            display.stop()

    def _follow(self, display: Child) -> None:
        for line in display.lines():
            with suppress(ValueError, KeyError, TypeError):  # half a line of one that died
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
                self._note(
                    "source ended",
                    f"{device.label} ended again ({child.last_words()}): the session goes on without it",
                )
                continue
            self._restarted.add(device.stream)
            self._note(
                "source ended",
                f"{device.label} ended ({child.last_words()}): starting it once more",
            )
            try:
                sources[device] = self._start_source(device)
            except OSError as error:
                self._note("source ended", f"{device.label} cannot be started again: {error}")

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
