"""The seam between a device and LSL: what every source of samples is.

A source opens its device in ``__enter__`` and closes it in ``__exit__``; :meth:`Source.run` pushes
samples with their time stamps until it is told to stop. Each source runs in a process of its own,
so that a stuck device driver takes nothing else down.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import pylsl
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

WATCH_INTERVAL_S = 0.5
NEVER_HEARD_S = 300.0
"""A source that is to stop unheard waits so long for its first listener."""
MAX_BUFFERED_S = 360
"""Seconds that an outlet keeps for a consumer that is stalled."""


_T = TypeVar("_T")


def opened(made: _T | None) -> _T:
    """Return what the source made when it was opened.

    Raises
    ------
    RuntimeError
        Where it was not opened: `made` is still None.
    """
    if made is None:
        raise RuntimeError("the source is not open: use it in a with statement")
    return made


class SourceOptions(BaseModel):
    """Settings every source takes; a source's own come on top.

    Attributes
    ----------
    source_id : str
        Stable LSL identity of the stream, so that a restarted source continues it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_id: str = Field(min_length=1, description="stable LSL identity of the stream")


class Outlet(Protocol):
    """What a source pushes into: an LSL outlet, or something that looks like one from here."""

    def push_chunk(
        self,
        x: npt.NDArray[np.float64] | Sequence[bytes],
        timestamp: Sequence[float],
        pushthrough: bool = True,
    ) -> None:
        """Push samples with one time stamp each, in seconds of ``pylsl.local_clock()``."""


class Source(Protocol):
    """A source of samples.

    Attributes
    ----------
    Options : type of SourceOptions
        Model of the settings; refuses unknown keys.
    summary : str
        One line for the list of sources.
    """

    Options: ClassVar[type[SourceOptions]]
    summary: ClassVar[str]

    def __init__(self, options: Any) -> None:
        """Keep the options, an instance of `Options`; open nothing yet."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Return why the source cannot work on this machine, or None where it can."""

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream; complete after ``__enter__``."""

    @property
    def result(self) -> str:
        """What the source has done or written, in a few words; complete after ``__exit__``."""

    def __enter__(self) -> Self:
        """Open the device; raise DuchenneError where there is none."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the device and write side files."""

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set, which must be obeyed within 2 s.

        Time stamps never go back. A device that stops delivering raises DuchenneError.
        """


class CountingOutlet:
    """An LSL outlet that counts its samples and tells of the first one.

    Parameters
    ----------
    info : pylsl.StreamInfo
    on_first : callable, optional
        Called once, after the first push.
    """

    def __init__(self, info: pylsl.StreamInfo, on_first: Callable[[], None] | None = None) -> None:
        self._outlet = pylsl.StreamOutlet(info, max_buffered=MAX_BUFFERED_S)
        self._on_first = on_first
        self._made_at_s = pylsl.local_clock()
        self._heard_at_s: float | None = None
        self.n = 0

    @property
    def unheard_s(self) -> float:
        """Seconds since the last consumer left; 0 while there is one, and before the first."""
        if self._outlet.have_consumers():
            self._heard_at_s = pylsl.local_clock()
        return 0.0 if self._heard_at_s is None else pylsl.local_clock() - self._heard_at_s

    @property
    def waiting_s(self) -> float:
        """Seconds without any consumer so far; 0 once there has been one."""
        return 0.0 if self._heard_at_s is not None else pylsl.local_clock() - self._made_at_s

    def push_chunk(
        self,
        x: npt.NDArray[np.float64] | Sequence[bytes],
        timestamp: Sequence[float],
        pushthrough: bool = True,
    ) -> None:
        """Push samples with one time stamp each."""
        self._outlet.push_chunk(x, timestamp, pushthrough)
        self.n += len(timestamp)
        if self._on_first is not None:
            announce, self._on_first = self._on_first, None
            announce()


def serve(
    source: Source,
    stop: threading.Event,
    on_ready: Callable[[], None] | None = None,
    *,
    stop_unheard_s: float | None = None,
) -> int:
    """Open a source, push its samples until `stop` is set, close it.

    Parameters
    ----------
    source : Source
    stop : threading.Event
    on_ready : callable, optional
        Called once, when the outlet is up and the first samples have been pushed.
    stop_unheard_s : float, optional
        Also stop when the last consumer has been gone for so long, in seconds, or when none has come for
        five minutes: a session that was killed leaves no source behind.

    Returns
    -------
    int
        Number of samples pushed.

    Raises
    ------
    DuchenneError
        Where the device cannot be opened or stops delivering.
    """
    with source:
        outlet = CountingOutlet(source.info, on_ready)
        watch = threading.Thread(
            target=_watch_consumers, args=(outlet, stop, stop_unheard_s), name="watch-consumers"
        )
        watch.start()
        try:
            source.run(outlet, stop)
        finally:
            stop.set()
            watch.join()
        return outlet.n


def _watch_consumers(
    outlet: CountingOutlet, stop: threading.Event, stop_unheard_s: float | None
) -> None:
    while stop_unheard_s is not None and not stop.wait(WATCH_INTERVAL_S):
        if outlet.unheard_s > stop_unheard_s or outlet.waiting_s > NEVER_HEARD_S:
            stop.set()
