"""The console's log of what has happened, numbered, so that each page gets what it has not seen."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 2000
AT_FIRST = 200


@dataclass
class LogBook:
    """What has happened, newest last; safe to use from any thread."""

    _entries: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _n: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        level: str,
        source: str,
        text: str,
        event: str | None = None,
        t_ms: float | None = None,
    ) -> None:
        """Enter something.

        Parameters
        ----------
        level : str
            ``info``, ``notice``, ``warning`` or ``error``.
        source : str
            ``marker``, ``recorder``, ``session``, ``operator`` or ``console``.
        text : str
        event : str, optional
            Of a marker.
        t_ms : float, optional
            Unix milliseconds; now where not given.
        """
        at_ms = time.time() * 1e3 if t_ms is None else t_ms
        entry = {"t_ms": at_ms, "level": level, "source": source, "text": text, "event": event}
        with self._lock:
            self._n += 1
            self._entries.append(entry)

    def after(self, number: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of the newest entry, and the entries after a number; at most 200 at first."""
        with self._lock:
            wanted = min(self._n - max(number, 0), len(self._entries))
            wanted = min(wanted, AT_FIRST) if number < 0 else wanted
            return self._n, list(self._entries)[len(self._entries) - wanted :]
