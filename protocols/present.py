"""The process that shows a protocol: started by a session, or by hand for a look at a protocol.

It speaks in lines. On its standard output: ``ready`` when everything is loaded and its two LSL streams
are up, then one JSON object ``{"step": i, "of": n, "label": "..."}`` at the start of each step, and at
the end ``finished`` or ``aborted``. On its standard input: ``start`` begins (with a JSON object of the
fields of `duchenne.protocols.runner.Beginning`, where it does not begin at the first step), ``abort`` (with
a reason, if there is one) ends, ``pause`` holds before the next step until ``resume``, ``skip`` ends the
present step, ``recalibrate`` puts the protocol's calibration before the next one, and ``note`` with a text
becomes a marker. Before ``start``,
the end of the input ends the process; afterwards it means nothing. SIGTERM and SIGINT abort.

Exit codes: 0 finished, 1 failed, 2 wrong usage, 3 aborted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING

from duchenne.protocols.displays.base import KeyPress, ScreenTooSmall
from duchenne.protocols.displays.environment import psychopy_environment
from duchenne.protocols.displays.virtual import has_display, virtual_display
from duchenne.protocols.gaze_feed import live_gaze
from duchenne.protocols.labels import check_label
from duchenne.protocols.markers import MarkerOutlet, ShownFramesOutlet
from duchenne.protocols.responders import SimulatedRater
from duchenne.protocols.runner import Beginning, run_schedule
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.protocols.screens import check_screens
from duchenne.protocols.stage import ABORT_KEY
from duchenne.protocols.steps.rating import rating_shapes
from duchenne.protocols.timing import patch_rect
from duchenne.protocols.triggers import TriggerSender
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from duchenne.protocols.displays.base import Display
    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

EXIT_FINISHED = 0
EXIT_ABORTED = 3
LINGER_S = 1.0
"""The outlets stay open for this long after ``session_end``, whatever ended the session: liblsl drops
what was not delivered when an outlet closes."""
IDLE_S = 0.02
PRIORITY = -10
"""Of the process (Unix niceness): a late flip cannot be made up for, other work can."""


def present(
    protocol_name: str,
    *,
    participant: str,
    session: str = "01",
    run: str = "01",
    source_id: str = "duchenne",
    seed: int | None = None,
    number: int | None = None,
    simulated: bool = False,
    headless: bool = False,
    checked: bool = False,
    gaze_stream: str | None = None,
) -> int:
    """Show a protocol and return the exit code of the process.

    Parameters
    ----------
    protocol_name : str
        A library name or the path of a protocol file.
    participant, session, run : str
        Labels of letters and digits.
    source_id : str, default "duchenne"
        The streams get the source ids ``{source_id}-markers`` and ``{source_id}-shown``.
    seed : int, optional
        Of the schedule; derived from protocol, participant and session where not given.
    number : int, optional
        Place in the counterbalancing; the number in the participant's label where not given.
    simulated : bool, default False
        A simulated participant answers. Always so on a virtual screen.
    headless : bool, default False
        Use a virtual screen although there may be a real one.
    checked : bool, default False
        The stimuli have been checked just before: do not open every file again.
    gaze_stream : str, optional
        XPath 1.0 condition of the gaze stream that validations and the like look at.

    Raises
    ------
    DuchenneError
        The protocol, a label or a stimulus is not acceptable, or there is no screen to be had.
    """
    check_label("run", run)
    protocol = load_protocol(protocol_name)
    stimuli = protocol.stimulus_set(verify=not checked)
    check_screens(protocol, stimuli)
    schedule = make_schedule(
        protocol,
        participant=participant,
        session=session,
        seed=seed,
        number=number,
        stimuli=stimuli,
    )
    virtual = headless or not has_display()
    rater = SimulatedRater(schedule.seed) if simulated or virtual else None
    _ask_for_priority()
    with ExitStack() as stack:
        output = stack.enter_context(_own_output())
        commands = stack.enter_context(_Commands.of_this_process())
        triggers = TriggerSender.of(protocol, stimuli)
        if triggers is not None:
            stack.enter_context(triggers)
        # Before the window, which takes seconds: after a failure the recorder waits for its streams.
        markers = stack.enter_context(MarkerOutlet(source_id=f"{source_id}-markers"))
        shown = stack.enter_context(
            ShownFramesOutlet(
                source_id=f"{source_id}-shown", nominal_rate_hz=protocol.screen.refresh_hz
            )
        )
        display = stack.enter_context(open_display(protocol, headless=headless))
        _warm_up(display, protocol, stimuli, schedule)
        gaze = stack.enter_context(live_gaze(gaze_stream, protocol, schedule.steps))
        _say(output, "ready")
        beginning = commands.wait_for_start(display)
        if beginning is None:
            _say(output, "aborted")
            return EXIT_ABORTED
        stack.callback(time.sleep, LINGER_S)  # the first to happen on the way out
        outcome = run_schedule(
            schedule,
            protocol,
            stimuli,
            display,
            markers=markers,
            shown_frames=shown,
            gaze=gaze,
            run=run,
            responder=rater,
            operator=commands,
            triggers=triggers,
            on_step=lambda i, n, label: _say(
                output, json.dumps({"step": i, "of": n, "label": label}, ensure_ascii=False)
            ),
            beginning=beginning,
        )
        _say(output, "finished" if outcome.aborted is None else "aborted")
    return EXIT_FINISHED if outcome.aborted is None else EXIT_ABORTED


@contextmanager
def open_display(protocol: Protocol, *, headless: bool = False) -> Iterator[Display]:
    """Open the PsychoPy window of a protocol, on a virtual screen where there is no real one.

    Parameters
    ----------
    protocol : Protocol
        Declares the screen.
    headless : bool, default False
        Use a virtual screen although there may be a real one.

    Raises
    ------
    DuchenneError
        There is no screen, it is smaller than declared, or PsychoPy is not installed.
    """
    screen = protocol.screen
    virtual = headless or not has_display()
    with (
        virtual_display(screen.width_px, screen.height_px, always=virtual),
        psychopy_environment(),
    ):
        from duchenne.protocols.displays.psychopy import PsychoPyDisplay  # noqa: PLC0415

        window = PsychoPyDisplay(
            screen.width_px,
            screen.height_px,
            refresh_hz=screen.refresh_hz,
            background_grey=screen.background_grey,
            foreground_grey=screen.foreground_grey,
            stimulus_height=protocol.stimulus_height,
            virtual=virtual,
            patch_px=patch_rect(protocol.timing, screen),
            click_at_onset=protocol.timing.audio_click,
            audio_latency_s=protocol.timing.audio_latency_s,
        )
        with ExitStack() as stack:
            try:
                display = stack.enter_context(window)
            except ScreenTooSmall as error:
                raise DuchenneError(f"{protocol.where('screen', 'width_px')}: {error}") from None
            yield display


def _ask_for_priority() -> None:
    """Go before other processes where that is allowed (Linux: as root or by ``ulimit -e``)."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


def _warm_up(
    display: Display, protocol: Protocol, stimuli: StimulusSet, schedule: Schedule
) -> None:
    """Do once, unseen, what is slow the first time: fonts, figures, the first stimulus of each kind."""
    for name in dict.fromkeys(name for trial in schedule.trials for name in trial.ratings):
        display.show(rating_shapes(protocol, name))
    used = [stimuli[trial.stimulus_id] for trial in schedule.trials]
    for stimulus in {s.kind: s for s in used}.values():
        display.load(stimulus).close()
    display.clear()
    display.flip()


class _Commands:
    """Lines from the standard input, and signals, as an operator of the session."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._ended = threading.Event()

    @classmethod
    @contextmanager
    def of_this_process(cls) -> Iterator[_Commands]:
        """Listen to the standard input, SIGTERM and SIGINT for the time of the ``with``."""
        commands = cls(sys.stdin.fileno())
        before = {
            number: signal.signal(number, commands.on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        # Reads below Python's buffers: a thread blocked inside those would hang the exit.
        threading.Thread(target=commands.read, name="commands", daemon=True).start()
        try:
            yield commands
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Abort, with the signal's name as the reason."""
        self._lines.put(f"abort {signal.Signals(number).name}")

    def read(self) -> None:
        """Collect lines until the input ends; runs in its thread."""
        rest = b""
        while True:
            try:
                chunk = os.read(self._fd, 4096)
            except OSError:
                chunk = b""
            if not chunk:
                self._ended.set()
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._lines.put(line.decode("utf-8", "replace").strip())

    def poll(self) -> list[str]:
        """Return the commands since the last call; the end of the input is none."""
        commands = []
        with suppress(Empty):
            while True:
                commands.append(self._lines.get_nowait())
        return commands

    def wait_for_start(self, display: Display) -> Beginning | None:
        """Wait for ``start``; return None for ``abort``, a signal, Escape or the end of the input."""
        while True:
            ended = self._ended.is_set()
            try:
                line = self._lines.get(timeout=IDLE_S)
            except Empty:
                if ended or _escape_pressed(display):
                    return None
                continue
            word, _, rest = line.partition(" ")
            if word == "start":
                return Beginning(**json.loads(rest or "{}"))
            if word == "abort":
                return None


def _escape_pressed(display: Display) -> bool:
    return any(isinstance(i, KeyPress) and i.name == ABORT_KEY for i in display.events())


def _say(output: IO[str], line: str) -> None:
    try:
        output.write(line + "\n")
        output.flush()
    except BrokenPipeError:  # whoever started us has gone; the session goes on
        pass


@contextmanager
def _own_output() -> Iterator[IO[str]]:
    """Keep the standard output for our own lines; what libraries print goes to the standard error."""
    sys.stdout.flush()
    number = sys.stdout.fileno()
    own = os.dup(number)
    os.dup2(sys.stderr.fileno(), number)
    output = os.fdopen(os.dup(own), "w", encoding="utf-8")
    try:
        yield output
    finally:
        output.close()
        sys.stdout.flush()
        os.dup2(own, number)
        os.close(own)
