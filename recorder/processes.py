"""Child processes of a session: started from argument lists, heard line by line, always stopped."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING, Any

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEPT_ERROR_LINES = 50
STOP_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 5.0
READERS_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.05
LSL_REMARK = re.compile(r"\.cpp:\d+\s+(?:INFO|VERB|\d)\|")
"""What liblsl remarks on its own doings is no error."""
PREFIX = "duchenne: "


class Child:
    """A ``duchenne`` command in a process of its own.

    Parameters
    ----------
    name : str
        For messages: what the process does.
    arguments : sequence of str
        Of the umbrella command.
    on_error_line : callable, optional
        Receives each line that the process writes to standard error, from a reading thread.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        on_error_line: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self._on_error_line = on_error_line
        self._lines: list[str] = []
        self._n_taken = 0
        self._sending = threading.Lock()
        self._swept = False
        self._errors: deque[str] = deque(maxlen=KEPT_ERROR_LINES)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "duchenne.cli", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            **_apart(),
        )
        self._readers = [
            self._reader(self._process.stdout, self._lines.append),
            self._reader(self._process.stderr, self._hear_error),
        ]

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, or None while it runs."""
        code = self._process.poll()
        if code is not None and not self._swept:
            self._swept = True
            self._sweep()
        return code

    def said(self, line: str) -> bool:
        """Whether the process has written this line to standard output."""
        return line in self._lines

    def lines(self) -> list[str]:
        """Return the lines written to standard output since the last call."""
        found = self._lines[self._n_taken :]
        self._n_taken += len(found)
        return found

    def wait_for_line(self, wanted: str, timeout_s: float) -> None:
        """Wait until the process has written a line.

        Raises
        ------
        DuchenneError
            If it ends or stays silent instead; with the process's own last words.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.said(wanted):
                return
            if self.exit_code is not None:
                raise DuchenneError(self.last_words())
            time.sleep(POLL_INTERVAL_S)
        raise DuchenneError(
            f"{self.name} was not ready within {timeout_s:g} s. {self.last_words()}"
        )

    def last_words(self) -> str:
        """Return the error that the process told, or how it ended."""
        self._join_readers(1.0 if self.exit_code is not None else 0.0)
        told = [line[len(PREFIX) :] for line in self._errors if line.startswith(PREFIX)]
        if told:
            return told[-1]
        rest = [line for line in self._errors if line.strip() and not LSL_REMARK.search(line)]
        code = self.exit_code
        ending = (
            f"{self.name} still runs" if code is None else f"{self.name} ended with code {code}"
        )
        return f"{ending}: {rest[-1].strip()}" if rest else ending

    def send(self, line: str) -> None:
        """Write one line to the standard input of the process, from any thread; nothing if it has ended."""
        stdin = self._process.stdin
        if stdin is None:
            return
        with self._sending, contextlib.suppress(OSError, ValueError):
            stdin.write(line + "\n")
            stdin.flush()

    def interrupt(self) -> None:
        """Ask the process to end in good order (SIGTERM; Ctrl-Break on Windows)."""
        if self.exit_code is None:
            with contextlib.suppress(OSError):
                self._process.send_signal(_ending_signal())

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the end; return the exit code, or None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.exit_code

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the process: in good order, or by force after `timeout_s`.

        One that not even force ends, such as a process that waits for a dead device, is left alone.
        """
        self.interrupt()
        if self.wait(timeout_s) is None:
            self._process.kill()
            self.wait(KILL_TIMEOUT_S)
        self._join_readers(READERS_TIMEOUT_S)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        pipes = (self._process.stdout, self._process.stderr)
        for stream, reader in zip(pipes, self._readers, strict=True):
            # Where somebody still holds the other end, closing would wait for him.
            if stream is not None and not reader.is_alive():
                with contextlib.suppress(OSError):
                    stream.close()

    def _sweep(self) -> None:
        """End what a process that has just ended leaves behind, such as the helper of a device driver."""
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)

    def _hear_error(self, line: str) -> None:
        self._errors.append(line)
        if self._on_error_line is not None:
            # Whatever the listener meets, reading goes on: a full pipe would hold up the process.
            with contextlib.suppress(Exception):
                self._on_error_line(line)

    def _reader(self, stream: IO[str] | None, put: Callable[[str], None]) -> threading.Thread:
        def read() -> None:
            with contextlib.suppress(ValueError):
                for line in stream or ():
                    put(line.rstrip("\n"))

        thread = threading.Thread(target=read, name=f"read-{self.name}", daemon=True)
        thread.start()
        return thread

    def _join_readers(self, timeout_s: float) -> None:
        for thread in self._readers:
            thread.join(timeout_s)


def _apart() -> dict[str, Any]:
    """Keep Ctrl-C from a child: it reaches the session, which then ends its children in order."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _ending_signal() -> int:
    if sys.platform == "win32":
        return (
            signal.CTRL_BREAK_EVENT
        )  # SIGTERM would end it at once, with the recording not sealed
    return signal.SIGTERM
