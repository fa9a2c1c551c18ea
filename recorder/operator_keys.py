"""The operator's keys in the terminal that runs a session."""

from __future__ import annotations

import codecs
import os
import re
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

KEYS_HELP = "keys: p pause or go on, s skip this step, c calibrate, n note, a abort with a reason"
ENTER, ESCAPE, BACKSPACE = "\r\n", "\x1b", "\x7f\x08"
SIMPLE = {"s": "skip", "c": "recalibrate"}
ASKING = {
    "a": ("abort", "abort: type the reason, Enter ends the session, Escape takes it back"),
    "n": ("note", "note: type it, Enter stores it, Escape takes it back"),
}
"""Keys that ask for a text: the command it is sent with, and what the operator is told."""
READ_BYTES = 1024
SEQUENCE = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|O[ -~])")
"""What arrow and function keys send: Escape and letters, which are then no keys of ours."""
BEGUN = re.compile("\x1b(?:\\[[0-?]*[ -/]*|O)$")


class OperatorKeys:
    """Single keys of a terminal, as commands for the display.

    ``p`` pauses before the next step, and goes on; ``s`` skips the present step; ``c`` calibrates before
    the next step; ``n`` asks for a note, which becomes a marker, and ``a`` for a reason to abort: Enter
    sends them and Escape takes them back. Where the input is no terminal, or on systems without POSIX
    terminals, it does nothing.

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
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""
        self._gone = False
        self._paused = False
        self._asked = ""
        self._text = ""

    def __enter__(self) -> Self:
        try:
            import termios  # noqa: PLC0415 - POSIX only
            import tty  # noqa: PLC0415 - POSIX only

            with suppress(OSError, termios.error):
                if self._fd >= 0 and os.isatty(self._fd) and self._in_foreground():
                    self._before = termios.tcgetattr(self._fd)
                    tty.setcbreak(self._fd)  # single keys, but Ctrl-C stays Ctrl-C
                    self._tell(KEYS_HELP)
        except ImportError:
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            import termios  # noqa: PLC0415 - POSIX only

            # What was typed and not read, such as a reason that came too late, is not for the shell.
            with suppress(OSError, termios.error):
                if self._in_foreground():
                    termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._before)
            self._before = None

    def poll(self) -> list[str]:
        """Return the commands of the keys pressed since the last call; never waits."""
        commands: list[str] = []
        try:
            while (
                self._before is not None
                and not self._gone
                and self._in_foreground()
                and select.select([self._fd], [], [], 0)[0]
            ):
                data = os.read(self._fd, READ_BYTES)
                if not data:
                    return commands
                for key in self._single(self._decoder.decode(data)):
                    commands += self._of(key)
        except (OSError, ValueError):
            self._gone = True
        return commands

    def _single(self, text: str) -> str:
        """Return the single keys of what was read; a sequence that is not over waits for its end."""
        text = SEQUENCE.sub("", self._begun + text)
        begun = BEGUN.search(text)
        self._begun = begun.group() if begun else ""
        return text[: begun.start()] if begun else text

    def _in_foreground(self) -> bool:
        """Whether this process may use the terminal: one in the background would be stopped for it."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # not the terminal that controls us
            return True

    def _of(self, key: str) -> list[str]:
        if self._asked:
            return self._typed(key)
        key = key.lower()
        if key == "p":
            self._paused = not self._paused
            self._tell("pause before the next step; p goes on" if self._paused else "going on")
            return ["pause" if self._paused else "resume"]
        if key in ASKING:
            self._asked, prompt = ASKING[key]
            self._text = ""
            self._tell(prompt)
        elif key in SIMPLE:
            self._tell(f"{SIMPLE[key]}: asked for")
            return [SIMPLE[key]]
        return []

    def _typed(self, key: str) -> list[str]:
        if key in ENTER:
            asked, text = self._asked, self._text.strip()
            self._asked = ""
            return [] if asked == "note" and not text else [f"{asked} {text}".strip()]
        if key == ESCAPE:
            self._asked = ""
            self._tell("the session goes on")
        elif key in BACKSPACE:
            self._text = self._text[:-1]
        elif key.isprintable():
            self._text += key
        return []


def _standard_input() -> int:
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):
        return -1
