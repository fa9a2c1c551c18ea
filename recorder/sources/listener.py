"""The simulated participant's ears: markers from LSL as cues, without ever blocking the source."""

from __future__ import annotations

import math
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pylsl
from pylsl.util import LostError
from pylsl.util import TimeoutError as LslTimeoutError

from duchenne.protocols.markers import decode
from duchenne.recorder.sources.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOOK_AGAIN_S = 0.1
AT_MOST = 32


@dataclass(frozen=True)
class Cue:
    """What the participant notices of a marker.

    Attributes
    ----------
    time_s : float
        When it happened, on this machine's LSL clock.
    event : str
    stimulus, category, presentation_id : str
        Empty where the marker has none.
    rect_px : tuple of 4 floats or None
        Where the stimulus is, pixels from the top left.
    position_px : tuple of 2 floats or None
        Where the fixation cross is.
    screen : Screen or None
        At the start of a session: the screen as it is.
    content : mapping
        All fields of the marker.
    """

    time_s: float
    event: str
    stimulus: str = ""
    category: str = ""
    presentation_id: str = ""
    rect_px: tuple[float, float, float, float] | None = None
    position_px: tuple[float, float] | None = None
    screen: Screen | None = None
    content: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @property
    def kind(self) -> str:
        """What a marker of a general event is about; empty where it does not say."""
        return _text(self.content, "kind")

    @property
    def grey_level(self) -> float | None:
        """The sRGB grey that fills the screen from now on, if the marker tells one."""
        grey = self.content.get("grey_level")
        known = isinstance(grey, int | float) and 0 <= grey <= 1
        return float(grey) if known and grey is not None else None

    @classmethod
    def from_text(cls, text: str, time_s: float) -> Cue | None:
        """Read a marker; None where it is not a JSON object with an event."""
        fields = decode(text)
        if fields["event"] is None:
            return None
        rect = _numbers(fields, "rect_px", 4)
        position = _numbers(fields, "position_px", 2)
        screen = fields.get("screen")
        return cls(
            time_s=time_s,
            event=fields["event"],
            stimulus=_text(fields, "stimulus"),
            category=_text(fields, "category"),
            presentation_id=_text(fields, "presentation_id"),
            rect_px=(rect[0], rect[1], rect[2], rect[3]) if rect else None,
            position_px=(position[0], position[1]) if position else None,
            screen=Screen.from_fields(screen) if isinstance(screen, dict) else None,
            content=fields,
        )


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return "" if value is None else str(value)


def _numbers(fields: Mapping[str, Any], key: str, count: int) -> Sequence[float] | None:
    value = fields.get(key)
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in value):
        return None
    return [float(v) for v in value]


class MarkerListener:
    """Finds a Markers stream whenever one appears, and hands out its markers as cues.

    Nothing here waits, except on another machine's stream, whose clock offset is measured once
    on connecting.

    Parameters
    ----------
    source_id : str or None
        Listen to the Markers outlet of this source id alone; None: to the first one found.
    on_connected : callable, optional
        Called with the stream's source id each time a stream has been connected.
    """

    def __init__(
        self, source_id: str | None = None, on_connected: Callable[[str], None] | None = None
    ) -> None:
        self._predicate = "type='Markers'"
        if source_id:
            self._predicate += f" and source_id='{source_id}'"
        self._on_connected = on_connected
        self._resolver: pylsl.ContinuousResolver | None = None
        self._inlet: pylsl.StreamInlet | None = None
        self._offset_s = 0.0
        self._gone: set[str] = set()
        self._uid = ""
        self._next_look_s = 0.0

    def open(self) -> None:
        """Begin to look for the stream."""
        self._resolver = pylsl.ContinuousResolver(pred=self._predicate, forget_after=1.0)

    def close(self) -> None:
        """Let go of stream and resolver."""
        if self._inlet is not None:
            self._inlet.close_stream()
        self._inlet = None
        self._resolver = None

    def cues(self) -> list[Cue]:
        """Return what has been heard since the last call; empty while there is no stream."""
        if self._inlet is None:
            self._look()
        if self._inlet is None:
            return []
        try:
            rows, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=AT_MOST, as_numpy=True)
        except LostError:
            self._gone.add(self._uid)
            self._inlet = None
            return []
        found = (
            Cue.from_text(row[0].decode(errors="replace"), float(stamp) + self._offset_s)
            for row, stamp in zip(rows, stamps, strict=True)
        )
        return [cue for cue in found if cue is not None]

    def _look(self) -> None:
        if self._resolver is None or time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + LOOK_AGAIN_S
        for info in self._resolver.results():
            if info.uid() in self._gone:
                continue
            try:
                self._connect(info)
            except (LostError, LslTimeoutError):
                self._gone.add(info.uid())
                continue
            return

    def _connect(self, info: pylsl.StreamInfo) -> None:
        inlet = pylsl.StreamInlet(info, max_buflen=60, recover=False)
        inlet.open_stream(timeout=1.0)
        if info.hostname() != socket.gethostname():
            self._offset_s = inlet.time_correction(timeout=1.0)
        else:
            self._offset_s = 0.0
        self._inlet, self._uid = inlet, info.uid()
        if self._on_connected is not None:
            self._on_connected(info.source_id())


def tell_connected(source_id: str) -> None:
    """Say on standard output which markers are heard from now on; nobody may be listening any more."""
    with suppress(OSError, ValueError):
        print(f"hears {source_id}", flush=True)
