"""Live gaze for the display: what validation, drift check and gaze-contingent starts look at."""

from __future__ import annotations

import math
import socket
import sys
import time
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pylsl
from pylsl.util import LostError
from pylsl.util import TimeoutError as LslTimeoutError

from duchenne.protocols.gaze_measure import EYES, GazeSamples
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

    from duchenne.protocols.parts import Screen
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol as ProtocolFile

KEEP_S = 20.0
CONNECT_TIMEOUT_S = 1.0
LOOK_AGAIN_S = 0.2
TRY_AGAIN_S = 1.0
MAX_TRIES = 20
"""A stream that does not answer is tried again so often before it is left alone."""
FIRST_SAMPLE_S = 20.0
AT_MOST = 4096
SIZE_TOLERANCE = 0.02
"""A display area may differ from the declared screen by this much on each side."""
CONTROL = "calibration_control"
"""Element of a stream's description: ``markers`` says that its source calibrates in answer to markers."""


class GazeFeed(Protocol):
    """Gaze as it comes in; nothing here ever waits."""

    name: str
    source_id: str
    can_calibrate: bool

    @property
    def is_live(self) -> bool:
        """Whether samples have come within the last second."""

    def poll(self) -> None:
        """Take in what has come."""

    def newest_s(self) -> float:
        """Return the time of the last sample; NaN before the first."""

    def between(self, first_s: float, last_s: float) -> GazeSamples:
        """Return the samples between two times, as far as they have come and are kept."""


class LslGaze:
    """An inlet on one stream of type ``Gaze``, connected again when its source comes back.

    Parameters
    ----------
    predicate : str
        XPath 1.0 condition that the stream meets.
    screen : Screen
        As declared: turns normalized positions into pixels.

    Attributes
    ----------
    name, source_id : str
        Of the stream; empty until it has been found.
    can_calibrate : bool
        Its source calibrates in answer to markers.
    """

    def __init__(self, predicate: str, screen: Screen) -> None:
        self.name = ""
        self.source_id = ""
        self.can_calibrate = False
        self._predicate = f"type='Gaze' and ({predicate})"
        self._screen = screen
        self._resolver: pylsl.ContinuousResolver | None = None
        self._inlet: pylsl.StreamInlet | None = None
        self._remote = False
        self._gone: set[str] = set()
        self._tries: Counter[str] = Counter()
        self._uid = ""
        self._next_look_s = 0.0
        self._columns: dict[str, int] = {}
        self._scale = np.ones(2)
        self._chunks: deque[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = deque()

    def __enter__(self) -> Self:
        self._resolver = pylsl.ContinuousResolver(pred=self._predicate, forget_after=2.0)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._inlet is not None:
            self._inlet.close_stream()
        self._inlet = self._resolver = None

    def wait(self, timeout_s: float) -> bool:
        """Wait for the first sample; return False if none comes in time.

        Raises
        ------
        DuchenneError
            The stream does not say where the eyes look, or the tracker is set up for another display area.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.poll()
            if self.is_live:
                return True
            time.sleep(0.05)
        return False

    @property
    def is_live(self) -> bool:
        """Whether samples have come within the last second."""
        return bool(pylsl.local_clock() - self.newest_s() < 1.0)

    def newest_s(self) -> float:
        """Return the time of the last sample; NaN before the first."""
        return float(self._chunks[-1][0][-1]) if self._chunks else math.nan

    def poll(self) -> None:
        """Take in what has come; look for the stream where there is none."""
        if self._inlet is None:
            self._look()
        if self._inlet is None:
            return
        try:
            rows, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=AT_MOST, as_numpy=True)
            offset_s = self._inlet.time_correction(timeout=0.2) if self._remote else 0.0
        except LostError:
            self._gone.add(self._uid)
            self._inlet = None
            return
        except LslTimeoutError:
            offset_s = 0.0
        if len(stamps):
            self._chunks.append((np.asarray(stamps) + offset_s, np.asarray(rows, dtype=np.float64)))
            while self._chunks[0][0][-1] < self.newest_s() - KEEP_S:
                self._chunks.popleft()

    def between(self, first_s: float, last_s: float) -> GazeSamples:
        """Return the samples between two times, as far as they have come and are kept."""
        kept = [c for c in self._chunks if c[0][-1] >= first_s and c[0][0] <= last_s]
        if not kept:
            nothing = np.empty((0, 2))
            return GazeSamples(np.empty(0), nothing, nothing)
        times = np.concatenate([c[0] for c in kept])
        rows = np.concatenate([c[1] for c in kept])
        inside = (times >= first_s) & (times <= last_s)
        left, right = (self._eye(rows[inside], eye) for eye in EYES)
        return GazeSamples(times[inside], left, right)

    def _eye(self, rows: npt.NDArray[np.float64], eye: str) -> npt.NDArray[np.float64]:
        labels = [f"{eye}_{axis}" for axis in "xy"]
        found = [self._columns[label] for label in labels if label in self._columns]
        if len(found) < len(labels):
            return np.full((len(rows), 2), np.nan)
        points: npt.NDArray[np.float64] = rows[:, found] * self._scale
        valid = self._columns.get(f"{eye}_valid")
        lost = ~np.isfinite(points).all(axis=1)
        if valid is not None:
            lost |= ~(rows[:, valid] > 0)
        points[lost] = np.nan
        return points

    def _look(self) -> None:
        if self._resolver is None or time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + LOOK_AGAIN_S
        for info in self._resolver.results():
            if info.uid() in self._gone:
                continue
            try:
                self._connect(info)
            except LslTimeoutError:  # a busy computer, or a stream that is no longer there
                self._tries[info.uid()] += 1
                if self._tries[info.uid()] >= MAX_TRIES:
                    self._gone.add(info.uid())
                self._next_look_s = time.monotonic() + TRY_AGAIN_S
            except LostError:
                self._gone.add(info.uid())
                continue
            return

    def _connect(self, found: pylsl.StreamInfo) -> None:
        inlet = pylsl.StreamInlet(found, max_buflen=5, recover=False)
        info = inlet.info(timeout=CONNECT_TIMEOUT_S)
        self._columns, self._scale = _columns(info, self._screen)
        check_display_area(info, self._screen)
        inlet.open_stream(timeout=CONNECT_TIMEOUT_S)
        self._remote = info.hostname() != socket.gethostname()
        if self._remote:
            inlet.time_correction(timeout=CONNECT_TIMEOUT_S)
        self.name, self.source_id, self._uid = info.name(), info.source_id(), info.uid()
        self.can_calibrate = info.desc().child_value(CONTROL) == "markers"
        self._inlet = inlet


def _columns(
    info: pylsl.StreamInfo, screen: Screen
) -> tuple[dict[str, int], npt.NDArray[np.float64]]:
    """Return the place of each channel by its label, and what turns positions into pixels."""
    columns: dict[str, int] = {}
    units: dict[str, str] = {}
    channel = info.desc().child("channels").child("channel")
    for number in range(info.channel_count()):
        label = channel.child_value("label").lower()
        columns.setdefault(label, number)
        units[label] = channel.child_value("unit").lower()
        channel = channel.next_sibling("channel")
    if not any({f"{eye}_x", f"{eye}_y"} <= columns.keys() for eye in EYES):
        raise DuchenneError(
            f"the stream {info.name()} has no channels left_x left_y right_x right_y, so nobody knows where "
            "the eyes look: take calibration, validation and gaze_start out of the protocol"
        )
    unit = units.get("left_x") or units.get("right_x") or "normalized"
    in_pixels = unit in ("px", "pixel", "pixels")
    scale = (1.0, 1.0) if in_pixels else (float(screen.width_px), float(screen.height_px))
    return columns, np.array(scale)


def check_display_area(info: pylsl.StreamInfo, screen: Screen) -> None:
    """Refuse a tracker set up for another display area: its gaze would be off by the difference.

    Raises
    ------
    DuchenneError
        A side of the area that the stream declares differs from the screen by more than 2 %.
    """
    area = info.desc().child("display_area")
    wanted = (10 * screen.width_cm, 10 * screen.height_cm)
    try:
        found = float(area.child_value("width_mm")), float(area.child_value("height_mm"))
    except ValueError:  # not declared
        return
    if any(abs(a - b) > SIZE_TOLERANCE * b for a, b in zip(found, wanted, strict=True)):
        raise DuchenneError(
            f"the eye tracker {info.name()} is set up for a display area of {found[0]:.0f} x "
            f"{found[1]:.0f} mm, the protocol declares {wanted[0]:.0f} x {wanted[1]:.0f} mm (screen: "
            "width_cm, height_cm): correct the one that is wrong, then calibrate"
        )


def tell(text: str) -> None:
    """Tell the operator: a line on the standard error, which a session passes on."""
    print(f"gaze: {text}", file=sys.stderr, flush=True)


def needs_gaze(steps: Sequence[Step]) -> tuple[bool, str | None]:
    """Return whether any step uses live gaze, and the kind of the first that requires it.

    Parameters
    ----------
    steps : sequence of Step
    """
    used, required = False, None
    for step in steps:
        if step.kind in ("calibration", "validation", "drift_check"):
            used = True
            if step.content.get("required") and required is None:
                required = step.kind
        elif step.content.get("gaze_start"):
            used = True
    return used, required


@contextmanager
def live_gaze(
    predicate: str | None, protocol: ProtocolFile, steps: Sequence[Step]
) -> Iterator[LslGaze | None]:
    """Connect to the gaze of a session, where its steps use it; None where they do not or cannot.

    Parameters
    ----------
    predicate : str or None
        XPath 1.0 condition that the gaze stream meets; None: the session has no eye tracker.
    protocol : Protocol
        Declares the screen.
    steps : sequence of Step
        Of the schedule.

    Raises
    ------
    DuchenneError
        A step requires gaze and there is none, or the tracker does not fit the declared screen.
    """
    used, required = needs_gaze(steps)
    if required and predicate is None:
        raise DuchenneError(
            f"the step {required} requires an eye tracker: start one (--eyetracker NAME), or write required: "
            "false to leave such steps out without one"
        )
    if not used or predicate is None:
        yield None
        return
    with LslGaze(predicate, protocol.screen) as gaze:
        if not gaze.wait(FIRST_SAMPLE_S):
            if required:
                raise DuchenneError(
                    f"the step {required} requires an eye tracker, but none has sent gaze within "
                    f"{FIRST_SAMPLE_S:g} s: check that it streams"
                )
            tell(
                f"no gaze within {FIRST_SAMPLE_S:g} s; steps that need it are left out until it comes"
            )
        yield gaze
