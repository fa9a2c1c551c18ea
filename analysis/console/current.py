"""What the console is looking at now: the devices before a session, or a session; one thread follows it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pylsl

from duchenne.analysis.console.au_source import AuSource
from duchenne.analysis.console.courtesy import step_back
from duchenne.analysis.console.session_watch import SessionWatch
from duchenne.analysis.console.stage_view import StageView
from duchenne.recorder.control import find_run, find_runs
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.console.camera import CameraView
    from duchenne.analysis.console.children import Launcher
    from duchenne.analysis.console.launched import Launched
    from duchenne.analysis.console.log_book import LogBook
    from duchenne.analysis.console.preview import Preview

TURN_S = 0.1
FIND_EVERY = 5
CPU_WINDOW_S = 5.0


@dataclass
class Current:
    """Follows what goes on in a study; finds sessions that others have started.

    Parameters
    ----------
    study : Path
    launcher : Launcher
    runtime : Path
        Private folder for log files.
    log : LogBook

    Attributes
    ----------
    acting : threading.Lock
        Held by whoever changes what is looked at.
    watch : SessionWatch or None
        The session, once it has said that it is there.
    launched : Launched or None
        The session before that.
    preview : Preview or None
        The devices, while they are looked at.
    """

    study: Path
    launcher: Launcher
    runtime: Path
    log: LogBook
    acting: threading.Lock = field(default_factory=threading.Lock)
    watch: SessionWatch | None = None
    stage: StageView | None = None
    launched: Launched | None = None
    preview: Preview | None = None
    cpu_percent: float = 0.0
    _left: set[str] = field(default_factory=set)
    _views: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _turn: int = 0
    _cpu: tuple[float, float] = field(
        default_factory=lambda: (time.monotonic(), time.process_time())
    )

    def __post_init__(self) -> None:
        self.au = AuSource(self.launcher, self.runtime)

    def open(self) -> None:
        """Start the thread that follows."""
        self._thread = threading.Thread(target=self._work, name="console-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, and everything but a running session."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.end_preview()
        self.leave()
        self.au.close()

    @property
    def is_recording(self) -> bool:
        """Whether a session runs or comes up."""
        watch, launched = self.watch, self.launched
        if watch is not None:
            return not watch.is_over
        return launched is not None and launched.started.exit_code is None

    @property
    def camera(self) -> CameraView | None:
        """The camera whose pictures are seen."""
        watch, preview = self.watch, self.preview
        if watch is not None and not watch.is_over:
            return watch.observation.camera
        return (
            None if preview is None or preview.observation is None else preview.observation.camera
        )

    def watched(self, views: set[str]) -> None:
        """Note which pictures are looked at."""
        self._views = views
        if self.stage is not None:
            self.stage.is_watched = "stage" in views

    def refuse_while_recording(self) -> None:
        """Refuse to begin anything while a session of the study runs.

        Raises
        ------
        DuchenneError
            One does.
        """
        if self.is_recording or any(handle.is_alive for handle in find_runs(self.study)):
            raise DuchenneError("a session of this study is running")

    def end_preview(self) -> None:
        """End the devices before a session; they are free afterwards."""
        preview, self.preview = self.preview, None
        if preview is not None:
            preview.close()

    def leave(self) -> None:
        """Let go of the session that was watched; it goes on if it runs."""
        watch, stage = self.watch, self.stage
        if watch is not None:
            if watch.is_over:
                self._left.add(watch.handle.facts.id)
            self.watch = self.stage = None
            watch.close()
        if stage is not None:
            stage.close()
        self.launched = None

    def _work(self) -> None:
        step_back()
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                self._one_turn()
            except Exception as error:  # noqa: BLE001 -- the console goes on watching
                self.log.add("error", "console", f"{type(error).__name__}: {error}")
                self._over.wait(1.0)
            self._over.wait(max(0.01, TURN_S - (time.monotonic() - begun)))

    def _one_turn(self) -> None:
        self._turn += 1
        if self.watch is None and (self.launched is not None or self._turn % FIND_EVERY == 1):
            self._find()
        watch, preview = self.watch, self.preview
        if watch is not None and not watch.is_over:
            watch.look()
            self.au.look()
        elif preview is not None:
            preview.look()
            self.au.look()
        else:
            self.au.pause()
        self._measure_cpu()

    def _find(self) -> None:
        """Attach to the session of this study that runs, or that was started here."""
        launched = self.launched
        if launched is not None:
            handle = find_run(launched.facts.id)
        else:
            known = (h for h in find_runs(self.study) if h.facts.id not in self._left)
            handle = next((h for h in known if h.is_alive), None)
        if handle is None or self._over.is_set():
            return
        with self.acting:
            if self.watch is not None or self.launched is not launched:
                return
            started = None if launched is None else launched.started
            watch = SessionWatch(handle, self.log.add, started)
            stage = StageView(
                handle.facts.protocol, lambda: watch.course.stage(pylsl.local_clock())
            )
            stage.is_watched = "stage" in self._views
            stage.open()
            self.stage, self.watch, self.launched = stage, watch, None
            if launched is None:
                self.end_preview()
        facts = handle.facts
        self.log.add("info", "console", f"watching {facts.participant}, session {facts.session}")

    def _measure_cpu(self) -> None:
        at_s, used_s = self._cpu
        now_s = time.monotonic()
        if now_s - at_s >= CPU_WINDOW_S:
            self.cpu_percent = 100 * (time.process_time() - used_s) / (now_s - at_s)
            self._cpu = (now_s, time.process_time())
