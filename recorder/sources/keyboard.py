"""A keyboard of its own under Linux: every key, whichever window has the focus."""

from __future__ import annotations

import os
import select
import struct
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import pylsl
from pydantic import Field

from duchenne.recorder.sources.base import SourceOptions
from duchenne.recorder.sources.key_events import (
    RisingStamps,
    encode_press,
    encode_start,
    press_description,
)
from duchenne.recorder.sources.notices import notice
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet

EVENT = struct.Struct("@llHHi")
"""A kernel event: seconds, microseconds, type, code, value."""
EV_SYN, SYN_DROPPED, EV_KEY = 0, 3, 1
STATES = {0: "up", 1: "down"}
"""Of the kernel's values; 2, a key held down that repeats, is left out."""
SET_CLOCK = 0x400445A0
"""The request EVIOCSCLOCKID: which clock stamps the events."""
LOOK_S = 0.1
INPUTS = Path("/dev/input")

_ROWS = {
    2: "1 2 3 4 5 6 7 8 9 0 minus equal backspace tab",
    16: "q w e r t y u i o p leftbrace rightbrace return leftctrl",
    30: "a s d f g h j k l semicolon apostrophe grave leftshift backslash",
    44: "z x c v b n m comma period slash rightshift num_multiply leftalt space capslock",
    59: "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 numlock scrolllock",
    71: "num_7 num_8 num_9 num_subtract num_4 num_5 num_6 num_add num_1 num_2 num_3 num_0 num_period",
    87: "f11 f12",
    96: "num_enter rightctrl num_divide print rightalt",
    102: "home up pageup left right end down pagedown insert delete",
}
KEY_NAMES = {1: "escape"} | {
    first + i: name for first, row in _ROWS.items() for i, name in enumerate(row.split())
}
"""Names of the keys by the kernel's numbers: by place, as on a US keyboard, whatever the layout."""


class KeyboardOptions(SourceOptions):
    """Settings of a keyboard.

    Attributes
    ----------
    name : str
        Name of the stream.
    device : str or None
        Its file under /dev/input; None takes all keyboards.
    """

    name: str = Field("Keyboard", min_length=1, description="name of the stream")
    device: str | None = Field(
        None, description="file under /dev/input; all keyboards if not given"
    )


class KeyChange(NamedTuple):
    """A key that went down or up, when by the kernel's clock, and what happened to the events."""

    name: str
    state: str
    kernel_s: float


class EventParser:
    """Turns bytes of a kernel event file, in whatever pieces they come, into key changes.

    Attributes
    ----------
    n_dropped : int
        Times the kernel said that it had dropped events, because nobody read them in time.
    """

    def __init__(self) -> None:
        self.n_dropped = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[KeyChange]:
        """Return the key changes that `data` completes."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        changes = []
        for seconds, micros, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if kind == EV_KEY and value in STATES:
                name = KEY_NAMES.get(code, f"code_{code}")
                changes.append(KeyChange(name, STATES[value], seconds + micros / 1e6))
            elif kind == EV_SYN and code == SYN_DROPPED:
                self.n_dropped += 1
        return changes


class _KeyboardFile:
    """One open event file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.parser = EventParser()
        self.kernel_times = self._ask_for_monotonic_times()

    def _ask_for_monotonic_times(self) -> bool:
        """Have the events stamped by the clock that LSL uses, too; False where that cannot be."""
        import fcntl  # noqa: PLC0415 -- POSIX alone

        try:
            fcntl.ioctl(self.fd, SET_CLOCK, struct.pack("i", time.CLOCK_MONOTONIC))
        except OSError:  # a pipe in its place
            return False
        return True

    def changes(self) -> list[KeyChange]:
        """Return what has come.

        Raises
        ------
        DuchenneError
            The keyboard has gone.
        """
        try:
            data = os.read(self.fd, 64 * EVENT.size)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            raise DuchenneError(f"keyboard {self.path}: it has gone; check its cable")
        return self.parser.feed(data)


class Keyboard:
    """A keyboard through its event file (Linux).

    The kernel's own time of a key is used. Every key is recorded, in whichever window it is typed.

    Parameters
    ----------
    options : KeyboardOptions
    """

    Options: ClassVar[type[SourceOptions]] = KeyboardOptions
    summary: ClassVar[str] = "every key of a keyboard, by the kernel's clock (Keyboard; Linux)"

    def __init__(self, options: KeyboardOptions) -> None:
        self._options = options
        self._files: list[_KeyboardFile] = []
        self._open = ExitStack()
        self._n = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return why not: event files are Linux's."""
        return None if sys.platform.startswith("linux") else "works on Linux only; see button-box"

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream."""
        options = self._options
        model = options.device or "all keyboards"
        return press_description(options.source_id, options.name, "Keyboard", model)

    @property
    def result(self) -> str:
        """Number of key changes."""
        text = f"{self._n} presses and releases of {self._options.name}"
        dropped = sum(file.parser.n_dropped for file in self._files)
        return f"{text}; the kernel dropped some {dropped} times" if dropped else text

    def __enter__(self) -> Self:
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The keyboard {reason}.")
        device = self._options.device
        paths = [Path(device)] if device else keyboards_here()
        if not paths:
            raise DuchenneError(
                f"no keyboard under {INPUTS}: this machine has none, or shows none to this container"
            )
        try:
            for path in paths:
                file = _KeyboardFile(path)
                self._open.callback(os.close, file.fd)
                self._files.append(file)
        except OSError as error:
            self._open.close()
            raise DuchenneError(_refusal(error)) from None
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push key changes until `stop` is set.

        Raises
        ------
        DuchenneError
            Where the keyboard goes.
        """
        stamps = RisingStamps()
        by_kernel = all(file.kernel_times for file in self._files)
        paths = ", ".join(str(file.path) for file in self._files)
        start = encode_start(paths, stamped_by="kernel" if by_kernel else "arrival")
        outlet.push_chunk([start], stamps.of([pylsl.local_clock()]))
        n_dropped = 0
        while not stop.is_set():
            ready, _, _ = select.select([file.fd for file in self._files], [], [], LOOK_S)
            for file in self._files:
                if file.fd in ready:
                    self._push(file, outlet, stamps)
            dropped = sum(file.parser.n_dropped for file in self._files)
            if dropped > n_dropped:
                n_dropped = dropped
                notice(f"{self._options.name}: the kernel dropped key events")

    def _push(self, file: _KeyboardFile, outlet: Outlet, stamps: RisingStamps) -> None:
        changes = file.changes()
        if not changes:
            return
        now_s = pylsl.local_clock()
        to_lsl_s = now_s - time.monotonic()
        times = [c.kernel_s + to_lsl_s if file.kernel_times else now_s for c in changes]
        texts = [encode_press("key", c.name, c.state) for c in changes]
        outlet.push_chunk(texts, stamps.of(times))
        self._n += len(changes)


def keyboards_here() -> list[Path]:
    """Return the event files of this machine's keyboards, each once."""
    found = {
        path.resolve()
        for folder in ("by-id", "by-path")
        for path in (INPUTS / folder).glob("*-event-kbd")
    }
    return sorted(found)


def _refusal(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return (
            f"keyboard {error.filename}: not allowed to read it; join its group "
            "(sudo usermod -aG input $USER) and log in again"
        )
    here = ", ".join(map(str, keyboards_here())) or "none"
    return f"keyboard {error.filename}: {error.strerror}; keyboards here: {here}"
