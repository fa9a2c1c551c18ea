"""The operator's keys in the terminal that runs a session."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

KEYS_HELP = "keys: p pause or go on, s skip this step, c calibrate, a abort with a reason"
ENTER, ESCAPE, BACKSPACE = "\r\n", "\x1b", "\x7f\x08"
SIMPLE = {"s": "skip", "c": "recalibrate"}


class OperatorKeys:
    """Single keys of a terminal, as commands for the display.

    ``p`` pauses before the next step, and goes on; ``s`` skips the present step; ``c`` calibrates before
    the next step; ``a`` asks for a reason, which Enter sends and Escape takes back. Where the input is no
    terminal, or on systems without POSIX terminals, it does nothing.

    Parameters
    ----------
    fd : int, optional
        The terminal; the standard input by default.
    tell : callable, optional
        Receives one line about what a key did.
    """

    def __init__(
        self, fd: int | None = None, tell: Callable[[str], None] = lambda _line: None
    ) -> None:
        self._fd = _standard_input() if fd is None else fd
        self._tell = tell
        self._before: list[Any] | None = None
        self._paused = False
        self._reason: str | None = None

    def __enter__(self) -> Self:
        try:
            import termios  # noqa: PLC0415 - POSIX only
            import tty  # noqa: PLC0415 - POSIX only

            if self._fd >= 0 and os.isatty(self._fd):
                self._before = termios.tcgetattr(self._fd)
                tty.setcbreak(self._fd)  # single keys, but Ctrl-C stays Ctrl-C
                self._tell(KEYS_HELP)
        except (ImportError, OSError):
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            import termios  # noqa: PLC0415 - POSIX only

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
            self._before = None

    def poll(self) -> list[str]:
        """Return the commands of the keys pressed since the last call; never waits."""
        commands: list[str] = []
        while self._before is not None and select.select([self._fd], [], [], 0)[0]:
            try:
                text = os.read(self._fd, 64).decode("utf-8", "replace")
            except OSError:
                return commands
            if not text:
                return commands
            for key in text:
                commands += self._of(key)
        return commands

    def _of(self, key: str) -> list[str]:
        if self._reason is not None:
            return self._typed(key)
        key = key.lower()
        if key == "p":
            self._paused = not self._paused
            self._tell("pause before the next step; p goes on" if self._paused else "going on")
            return ["pause" if self._paused else "resume"]
        if key == "a":
            self._reason = ""
            self._tell("abort: type the reason, Enter ends the session, Escape takes it back")
        elif key in SIMPLE:
            self._tell(f"{SIMPLE[key]}: asked for")
            return [SIMPLE[key]]
        return []

    def _typed(self, key: str) -> list[str]:
        reason = self._reason or ""
        if key in ENTER:
            self._reason = None
            return [f"abort {reason.strip()}".strip()]
        if key == ESCAPE:
            self._reason = None
            self._tell("the session goes on")
        elif key in BACKSPACE:
            self._reason = reason[:-1]
        elif key.isprintable():
            self._reason = reason + key
        return []


def _standard_input() -> int:
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):
        return -1
