"""Tobii eye trackers through the manufacturer's SDK (Python 3.10): a Gaze stream and what goes with it.

The SDK calls back from threads of its own. The callbacks only put what they are given into a queue;
the source's own thread turns it into samples, follows the clocks and tells of faults.
"""

from __future__ import annotations

import queue
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from duchenne.protocols.gaze_feed import CONTROL
from duchenne.recorder.sources.base import SourceOptions, opened
from duchenne.recorder.sources.notices import notice
from duchenne.recorder.sources.paired_clocks import ClockMap, read_pair
from duchenne.recorder.sources.tobii_commands import TobiiCommands
from duchenne.recorder.sources.tobii_device import (
    Calibration,
    apply_calibration_file,
    apply_license,
    calibration_data,
    check_screen,
    display_plane,
    find_tracker,
    name_of,
    set_rate,
)
from duchenne.recorder.sources.tobii_gaze import US, OpennessJoin, Sample, SampleCount, gaze_row
from duchenne.recorder.sources.tobii_streams import SideStreams, describe_gaze
from duchenne.recorder.sources.tobii_subscriptions import NOTIFICATIONS, Subscriptions
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from types import TracebackType

    import pylsl
    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet
    from duchenne.recorder.sources.tobii_gaze import Plane
    from duchenne.recorder.sources.tobii_subscriptions import Inbox

POLL_S = 0.01
AT_ONCE = 2000
"""Messages of the SDK handled before samples are pushed."""
CLOCK_INTERVAL_S = 1.0
SILENCE_S = 2.0
"""Without a gaze sample for so long the tracker counts as gone."""
SMALLEST_STEP_S = 1e-6


class TobiiOptions(SourceOptions):
    """Settings of a Tobii eye tracker.

    Attributes
    ----------
    name : str
        Name of the stream.
    address, serial, index : optional
        Which tracker; needed where several are found.
    rate_hz : float, optional
        Sampling rate; refused where the tracker does not offer it. Left as it is by default.
    screen_width_mm, screen_height_mm : float, optional
        Size of the screen; a tracker set up for another display area is refused.
    license_file, calibration_file : str, optional
        Paths of files given to the tracker at the start.
    markers_source_id : str, optional
        Listen to this Markers outlet, and calibrate when it asks for it.
    reconnect_s : float
        How long to wait for a tracker that has gone.
    """

    name: str = Field("Gaze", min_length=1, description="name of the stream")
    address: str | None = Field(None, description="URI of the tracker, tobii-prp://...")
    serial: str | None = Field(None, description="serial number, where several are found")
    index: int | None = Field(None, ge=0, description="or its place among them, 0 is the first")
    rate_hz: float | None = Field(None, gt=0, le=5000, description="sampling rate, Hz")
    screen_width_mm: float | None = Field(None, gt=0, description="width the screen must have")
    screen_height_mm: float | None = Field(None, gt=0, description="height the screen must have")
    license_file: str | None = Field(None, description="licence to apply")
    calibration_file: str | None = Field(None, description="saved calibration to apply")
    markers_source_id: str | None = Field(None, description="calibrate as these markers ask")
    reconnect_s: float = Field(30.0, ge=0, le=3600, description="wait for a lost tracker so long")


def load_sdk() -> Any:
    """Return the module ``tobii_research``.

    Raises
    ------
    DuchenneError
        It is not installed.
    """
    reason = Tobii.unavailable()
    if reason is not None:
        raise DuchenneError(f"The Tobii source {reason}.")
    return import_module("tobii_research")


class Tobii:
    """A Tobii eye tracker: stream ``Gaze``, and ``TobiiSignals``, ``TobiiTimeSync``, ``TobiiEvents``.

    Samples are stamped with the LSL time of their capture: the SDK's system time stamp, moved to LSL's
    clock. Stamps rise strictly; one that would not is put a microsecond after the one before and
    counted.

    Parameters
    ----------
    options : TobiiOptions
    """

    Options: ClassVar[type[SourceOptions]] = TobiiOptions
    summary: ClassVar[str] = "Tobii eye tracker through the Tobii Pro SDK (Gaze)"

    def __init__(self, options: TobiiOptions) -> None:
        self._options = options
        self._sdk: Any = None
        self._tracker: Any = None
        self._plane: Plane | None = None
        self._info: pylsl.StreamInfo | None = None
        self._side: SideStreams | None = None
        self._commands: TobiiCommands | None = None
        self._clock: ClockMap | None = None
        self._calibration = Calibration()
        self._count = SampleCount(1.0)
        self._join = OpennessJoin(expected=False)
        self._position: Mapping[str, Any] | None = None
        self._inbox: Inbox = queue.SimpleQueue()
        self._subscriptions: Subscriptions | None = None
        self._last_stamp_s = float("-inf")
        self._last_gaze_s = 0.0
        self._gone_since_s: float | None = None
        self._n_moved = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing for it."""
        if find_spec("tobii_research") is not None:
            return None
        if sys.version_info >= (3, 11):
            return "needs Python 3.10: Tobii's SDK has no build for newer ones"
        return "needs: pip install 'duchenne[tobii]'"

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the Gaze stream; known once the tracker is open."""
        return opened(self._info)

    @property
    def result(self) -> str:
        """Number of samples, of those lost, and of stamps that had to be moved."""
        text = f"{self._count.n} samples of {self._options.name}, {self._count.n_lost} lost"
        return f"{text}, {self._n_moved} stamps moved" if self._n_moved else text

    def __enter__(self) -> Self:
        options = self._options
        sdk = self._sdk = load_sdk()
        tracker = self._tracker = find_tracker(
            sdk, address=options.address, serial=options.serial, index=options.index
        )
        if options.license_file is not None:
            apply_license(tracker, Path(options.license_file))
        rate_hz = set_rate(tracker, options.rate_hz)
        self._count = SampleCount(rate_hz)
        self._plane = display_plane(tracker)
        check_screen(tracker, self._plane, options.screen_width_mm, options.screen_height_mm)
        if options.calibration_file is not None:
            apply_calibration_file(tracker, Path(options.calibration_file))
        self._calibration = self._calibration.followed_by(calibration_data(tracker))
        self._clock = ClockMap(read_pair(self._system_s))
        self._info = describe_gaze(
            tracker,
            name=options.name,
            source_id=options.source_id,
            rate_hz=rate_hz,
            plane=self._plane,
            calibration=self._calibration,
            clock=self._clock,
            sdk_version=str(sdk.__version__),
        )
        self._side = SideStreams(options.source_id)
        if options.markers_source_id is not None:
            self._info.desc().append_child_value(CONTROL, "markers")
            self._commands = TobiiCommands(
                sdk, tracker, options.source_id, options.markers_source_id
            )
            self._commands.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._subscriptions is not None:
            self._subscriptions.close()
            self._subscriptions = None
        if self._commands is not None:
            self._commands.close()
            self._commands = None
        self._side = None

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set.

        Raises
        ------
        DuchenneError
            The licence does not allow gaze data, or the tracker has gone for longer than
            ``reconnect_s``.
        """
        opened(self._info)
        self._subscriptions = Subscriptions(self._sdk, self._tracker, self._inbox)
        self._join = OpennessJoin(expected=self._subscriptions.open())
        self._last_gaze_s = time.monotonic()
        next_clock_s = 0.0
        while not stop.is_set():
            self._take_in(stop)
            self._push_ready(outlet)
            now_s = time.monotonic()
            if now_s >= next_clock_s:
                next_clock_s = now_s + CLOCK_INTERVAL_S
                self._follow_clock()
            if self._commands is not None:
                self._commands.poll()
                if self._commands.is_calibrating:
                    self._last_gaze_s = now_s
            self._watch_connection(now_s)

    def _system_s(self) -> float:
        return float(self._sdk.get_system_time_stamp()) * US

    def _take_in(self, stop: threading.Event) -> None:
        """Handle what the SDK has handed over, waiting a little for the first of it."""
        wait_s = POLL_S
        for _ in range(AT_ONCE):
            if stop.is_set():
                return
            try:
                what, data = self._inbox.get(timeout=wait_s)
            except queue.Empty:
                return
            wait_s = 0.0
            self._handle(what, data)

    def _handle(self, what: str, data: Mapping[str, Any]) -> None:
        now_s = time.monotonic()
        if what == "gaze":
            self._last_gaze_s = now_s
            self._join.add_gaze(data, now_s)
            if self._gone_since_s is not None:
                self._come_back(now_s)
        elif what == "openness":
            self._join.add_openness(data)
        elif what == "position":
            self._position = data
        elif what == "sync" and self._side is not None and self._clock is not None:
            jump_s = self._side.add_sync(data, self._clock)
            if jump_s:
                self._report(
                    "device_clock_jump", f"its clock jumped by {jump_s:+.6f} s", jump_s=jump_s
                )
        elif what == "signal" and self._side is not None and self._clock is not None:
            self._side.add_signal(data, self._clock)
        else:
            self._hear_notification(what, data)

    def _hear_notification(self, what: str, data: Mapping[str, Any]) -> None:
        fields = {
            key: value
            for key, value in data.items()
            if isinstance(value, str | int | float) and key != "notification_type"
        }
        if what == "connection_lost":
            self._lose(time.monotonic(), what)
        elif what == "connection_restored":
            self._report(what, "connection restored")
        elif what == "calibration_changed":
            self._renew_calibration()
        elif (
            what == "stream_error" and str(data.get("error")) == "stream_error_insufficient_license"
        ):
            raise DuchenneError(
                f"{name_of(self._tracker)}: its licence does not allow {data.get('source')}; give one "
                "with --set license_file=FILE."
            )
        else:
            if what == "display_area_changed":
                self._plane = display_plane(self._tracker)
            self._report(
                what, NOTIFICATIONS.get(what) or str(fields.get("message", what)), **fields
            )

    def _renew_calibration(self) -> None:
        """Read the calibration again; a new one gets the next number and is kept."""
        calibration = self._calibration.followed_by(calibration_data(self._tracker))
        if calibration is self._calibration:
            return
        self._calibration = calibration
        self._report(
            "calibration",
            f"calibration {calibration.number} ({calibration.id or 'none'}) from now on",
            number=calibration.number,
            id=calibration.id,
            data_base64=calibration.base64,
        )

    def _push_ready(self, outlet: Outlet) -> None:
        rows: list[list[float]] = []
        stamps: list[float] = []
        for gaze, openness in self._join.ready(time.monotonic()):
            sample = Sample(gaze, openness, self._position)
            number = self._count.add(sample.device_us)
            rows.append(gaze_row(sample, self._plane, number, self._calibration.number))
            stamps.append(self._stamp_s(sample.system_s))
        if rows:
            if self._side is not None:
                self._side.note_gaze(sample.device_us * US, sample.system_s)
            outlet.push_chunk(np.array(rows, dtype=np.float64), stamps)

    def _stamp_s(self, system_s: float) -> float:
        stamp_s = opened(self._clock).to_lsl_s(system_s)
        if stamp_s <= self._last_stamp_s:
            stamp_s = self._last_stamp_s + SMALLEST_STEP_S
            self._n_moved += 1
        self._last_stamp_s = stamp_s
        return stamp_s

    def _follow_clock(self) -> None:
        if self._clock is None:
            return
        jump_s = self._clock.update(read_pair(self._system_s))
        if jump_s:
            self._report(
                "clock_jump", f"this computer's clock jumped by {jump_s:+.6f} s", jump_s=jump_s
            )

    def _watch_connection(self, now_s: float) -> None:
        if self._gone_since_s is None:
            if now_s - self._last_gaze_s > SILENCE_S:
                self._lose(now_s, "silence")
            return
        if now_s - self._gone_since_s > self._options.reconnect_s:
            raise DuchenneError(
                f"{name_of(self._tracker)} has been gone for {self._options.reconnect_s:g} s after "
                f"{self._count.n} samples: check its power and cable."
            )

    def _lose(self, now_s: float, how: str) -> None:
        if self._gone_since_s is not None:
            return
        self._gone_since_s = now_s
        text = "connection lost" if how == "connection_lost" else "no samples any more"
        self._report(how, f"{text}; waiting up to {self._options.reconnect_s:g} s")

    def _come_back(self, now_s: float) -> None:
        gone_s = now_s - (self._gone_since_s or now_s)
        self._gone_since_s = None
        self._report("samples_again", f"samples again after {gone_s:.1f} s", gone_s=gone_s)
        self._renew_calibration()

    def _report(self, event: str, text: str, **fields: Any) -> None:
        """Tell the operator in one line and put the event on its stream."""
        notice(f"{name_of(self._tracker)}: {text}")
        if self._side is not None:
            self._side.add_event(event, text=text, **fields)
