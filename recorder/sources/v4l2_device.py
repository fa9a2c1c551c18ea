"""An open video device of Linux: the few calls to the kernel that streaming needs."""

from __future__ import annotations

import errno
import mmap
import os
import select
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class VideoDevice(Protocol):
    """The calls to the kernel for one open device."""

    def ioctl(self, request: int, argument: Any) -> None:
        """Make a request; the argument is filled in. Raises OSError."""

    def map(self, length: int, offset: int) -> Buffer:
        """Return the memory of a buffer."""

    def wait(self, timeout_s: float) -> bool:
        """Wait for a picture; raise OSError where the device is gone."""

    def close(self) -> None:
        """Close the device and its memory."""


class KernelDevice:
    """A device file of this machine.

    Raises
    ------
    OSError
        Where it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._maps: list[mmap.mmap] = []

    def ioctl(self, request: int, argument: Any) -> None:
        """Make a request."""
        import fcntl  # noqa: PLC0415 -- exists on Unix only

        fcntl.ioctl(self._fd, request, argument, True)

    def map(self, length: int, offset: int) -> Buffer:
        """Return the memory of a buffer."""
        memory = mmap.mmap(self._fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)
        self._maps.append(memory)
        return memory

    def wait(self, timeout_s: float) -> bool:
        """Wait for a picture."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        events = poll.poll(1000 * timeout_s)
        if events and events[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            raise OSError(errno.ENODEV, "the device is gone")
        return bool(events)

    def close(self) -> None:
        """Close the device and its memory."""
        for memory in self._maps:
            memory.close()
        self._maps = []
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
