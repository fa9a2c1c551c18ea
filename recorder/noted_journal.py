"""A journal whose log also takes lines from elsewhere: what a session tells its operator."""

from __future__ import annotations

import json
import os
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from duchenne.recorder.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 65536
MOST_CHARACTERS = 2000


class NotedJournal(Journal):
    """A journal into whose log any thread may write; each commit takes in what has come."""

    def __init__(self, *arguments: Any) -> None:
        self._noted: SimpleQueue[tuple[float, str, str]] = SimpleQueue()
        super().__init__(*arguments)

    def note(self, time_s: float, kind: str, text: str) -> None:
        """Hand over a row of the log, from any thread; the next commit stores it."""
        self._noted.put((time_s, kind, text))

    def commit(self) -> None:
        """Make everything so far, and what was noted, safe against a crash of the process."""
        try:
            while True:
                self.log(*self._noted.get_nowait())
        except Empty:
            pass
        super().commit()


def encode_note(time_s: float, kind: str, text: str) -> str:
    """Return a row of the log as one line.

    Examples
    --------
    >>> encode_note(1.5, "notice", "FaceVideo: no lock")
    '{"time_s": 1.5, "kind": "notice", "text": "FaceVideo: no lock"}'
    """
    return json.dumps({"time_s": time_s, "kind": kind, "text": text[:MOST_CHARACTERS]})


def listen(fd: int, note: Callable[[float, str, str], None]) -> None:
    """Take notes from a file descriptor until it ends; runs in a thread of its own.

    What is no note is left out.

    Parameters
    ----------
    fd : int
        Read below Python's buffers: a thread blocked inside those would hang the exit.
    note : callable
        Receives time, kind and text.
    """

    def hear() -> None:
        rest = b""
        while True:
            try:
                data = os.read(fd, READ_BYTES)
            except OSError:
                return
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    said = json.loads(line)
                    note(float(said["time_s"]), str(said["kind"]), str(said["text"]))
                except (ValueError, KeyError, TypeError):
                    continue

    threading.Thread(target=hear, name="notes", daemon=True).start()
