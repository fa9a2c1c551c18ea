"""Calibration of a Tobii tracker in answer to the display's markers.

The SDK blocks while it collects data for a target, so it is called in a thread of its own; markers and
answers pass through the source's thread.
"""

from __future__ import annotations

import math
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pylsl

from duchenne.protocols.calibrators import DONE, FAILED
from duchenne.recorder.sources.calibration_commands import CalibrationTeller, command_of
from duchenne.recorder.sources.listener import MarkerListener, tell_connected
from duchenne.recorder.sources.screen import Screen
from duchenne.recorder.sources.tobii_calibration import TobiiCalibration
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.recorder.sources.calibration_commands import Command
    from duchenne.recorder.sources.tobii_calibration import PointResult

ENDS = ("abort", "session_end")


class TobiiCommands:
    """Listens to markers and calibrates as they ask.

    Parameters
    ----------
    sdk : module
        ``tobii_research``.
    tracker : tobii_research.EyeTracker
    source_id : str
        Of the gaze stream.
    markers_source_id : str
        Of the markers to listen to.
    """

    def __init__(self, sdk: Any, tracker: Any, source_id: str, markers_source_id: str) -> None:
        self._sdk = sdk
        self._tracker = tracker
        self._listener = MarkerListener(markers_source_id, tell_connected)
        self._teller = CalibrationTeller(source_id)
        self._screen = Screen()
        self._name = ""
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._worker = threading.Thread(target=self._work, name="tobii-calibration")

    def open(self) -> None:
        """Begin to listen."""
        self._listener.open()
        self._worker.start()

    def close(self) -> None:
        """Leave a calibration that is going on, and stop to listen."""
        self._stop.set()
        self._commands.put(None)
        self._worker.join()
        self._listener.close()
        self._teller.close()

    @property
    def is_calibrating(self) -> bool:
        """Whether a calibration has begun and not ended."""
        return bool(self._name)

    def poll(self) -> None:
        """Hear what is asked, and tell how it stands; never waits."""
        for cue in self._listener.cues():
            self._screen = cue.screen or self._screen
            command = command_of(cue, self._screen)
            if command is None:
                continue
            if command.what == "begin":
                self._name = command.calibration
            if command.calibration == self._name:
                self._commands.put(command)
            if command.what == "end":
                self._name = ""
                self._teller.end()
        with suppress(queue.Empty):
            while True:
                fields = self._told.get_nowait()
                if fields.pop("begun", False):
                    self._teller.begin(fields.pop("calibration"))
                self._teller.tell(**fields)
        self._teller.repeat()

    def _work(self) -> None:
        """Carry out one calibration after the other; runs in the thread."""
        while (command := self._commands.get()) is not None:
            if command.what == "begin":
                self._told.put({"begun": True, "calibration": command.calibration})
                try:
                    self._calibrate()
                except DuchenneError as error:
                    self._told.put({"state": FAILED, "text": str(error)})

    def _calibrate(self) -> None:
        """Collect and compute until it is over; the tracker is in calibration mode meanwhile."""
        n = 0
        with TobiiCalibration(self._sdk, self._tracker) as calibration:
            while (command := self._commands.get()) is not None and command.what != "end":
                if command.what == "collect":
                    self._stop.wait(max(command.from_s - pylsl.local_clock(), 0.0))
                    collected = calibration.collect(*command.at)
                    n += 1
                    self._told.put({"n": n} | ({} if collected else {"text": "a target failed"}))
                elif command.what == "compute":
                    outcome = calibration.compute()
                    break
            else:
                if command is None:
                    self._commands.put(None)
                return
        self._told.put({
            "state": DONE if outcome.success else FAILED,
            "points": [_told_of(point) for point in outcome.points],
            "id": outcome.calibration.id,
        } | ({} if outcome.success else {"text": "the tracker could not compute it"}))  # fmt: skip


def _told_of(point: PointResult) -> dict[str, Any]:
    def rounded(value: float) -> float | None:
        return round(value, 4) if math.isfinite(value) else None

    return {
        "position": [round(v, 4) for v in point.target],
        "error_left_mm": rounded(point.error_left_mm),
        "error_right_mm": rounded(point.error_right_mm),
        "n_left": point.n_left,
        "n_right": point.n_right,
    }
