"""How a session ends: Ctrl-C counts once, and a recorder that has recorded seals in peace."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duchenne.recorder.journal_reader import JournalReader
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from duchenne.recorder.processes import Child

SEAL_TIMEOUT_S = 300.0
"""A recorder may be silent for this long while it seals, before it is given up."""
STILL_SEALING_S = 10.0
POLL_INTERVAL_S = 0.1


@dataclass
class Interrupts:
    """Ctrl-C while a session runs: the first ends it, later ones do not disturb how it ends.

    SIGTERM, and Ctrl-Break on Windows, count as Ctrl-C. Works in the main thread; elsewhere, where no
    signals arrive, it does nothing.

    Attributes
    ----------
    ending : bool
        From here on Ctrl-C raises nothing.
    again : bool
        Ctrl-C was pressed while the session was ending.
    """

    ending: bool = False
    again: bool = False
    _before: dict[int, Any] = field(default_factory=dict, repr=False)
    _holding: bool = field(default=False, repr=False)
    _pending: bool = field(default=False, repr=False)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {n: signal.signal(n, self._on_signal) for n in ending_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what is done here be done as a whole: Ctrl-C counts when it is over."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending:
            self._pending = False
            self._on_signal()

    def _on_signal(self, *_: object) -> None:
        if self.ending:
            self.again = True  # told by whoever waits: a signal handler must not print
            return
        if self._holding:
            self._pending = True
            return
        self.ending = True
        raise KeyboardInterrupt


def ending_signals() -> list[int]:
    """Return the signals that end a process in good order on this system."""
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    return [int(getattr(signal, name)) for name in names if hasattr(signal, name)]


def journal_state(journal: Path) -> str:
    """Return what the recorder says it does; empty where its journal is not there or being made."""
    try:
        with JournalReader(journal) as reader:
            return str(reader.meta.get("state", ""))
    except (DuchenneError, sqlite3.Error):
        return ""


def let_seal(
    recorder: Child, journal: Path, interrupts: Interrupts, tell: Callable[[str], None]
) -> None:
    """Ask a recorder to end and wait while it seals, for as long as it gets on with it.

    Returns when it has ended, when it had nothing to seal, or when nothing in its folder has changed
    for `SEAL_TIMEOUT_S`.

    Parameters
    ----------
    recorder : Child
    journal : Path
        Where it records.
    interrupts : Interrupts
        Answered with how far it is.
    tell : callable
        Receives one line about what keeps the operator waiting.
    """
    recorder.interrupt()
    if not journal.exists() or journal_state(journal) == "waiting":
        return
    told = alive = time.monotonic()
    size = -1
    while recorder.wait(POLL_INTERVAL_S) is None:
        now, size_before = time.monotonic(), size
        size = _folder_size(journal.parent)
        alive = now if size != size_before else alive
        if now - alive > SEAL_TIMEOUT_S:
            tell(f"the recorder has not sealed within {SEAL_TIMEOUT_S:g} s: giving it up")
            return
        if interrupts.again or now - told > STILL_SEALING_S:
            interrupts.again, told = False, now
            tell("still sealing the session file; what was recorded is safe")


def _folder_size(folder: Path) -> int:
    size = 0
    with suppress(OSError):  # files come and go
        for path in folder.iterdir():
            size += path.stat().st_size
    return size
