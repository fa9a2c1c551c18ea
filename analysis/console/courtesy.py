"""Lets the recording go first: the console's own threads ask for less of the processor."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

NICENESS = 10


def step_back(niceness: int = NICENESS) -> None:
    """Lower the priority of the calling thread, where the system knows threads one by one (Linux).

    Processes started from this thread afterwards would inherit it: sessions are started from another one.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
