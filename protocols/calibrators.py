"""The seam to a tracker that is calibrated by this program.

The display and the tracker's source are separate processes, perhaps on separate machines. The display
says in its markers what it shows: ``calibration_start``, a ``note`` of kind ``calibration_point`` for each
target (where the participant accepts targets by key, ``calibration_collect`` says when), a ``note`` of kind
``calibration_compute``. The source listens to the markers, and repeats its whole
state on a stream of its own (type ``Calibration``), so that nothing depends on a single message.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol

import pylsl
from pylsl.util import LostError
from pylsl.util import TimeoutError as LslTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

POINT = "calibration_point"
COLLECT = "calibration_collect"
COMPUTE = "calibration_compute"
READY, DONE, FAILED = "ready", "done", "failed"
LOOK_AGAIN_S = 0.2


class Calibrator(Protocol):
    """What a calibration step needs of the tracker, besides its markers being heard."""

    def state(self, calibration: str) -> Mapping[str, Any]:
        """Return the newest state told of a calibration, without waiting; empty before the first.

        ``state`` is ``ready``, ``done`` or ``failed``; ``n`` the number of targets dealt with; ``text`` what
        went wrong; ``points`` the tracker's own results.
        """


class LslCalibrator:
    """Hears the state of a calibration from the source of a gaze stream.

    Parameters
    ----------
    source_id : str
        Of the gaze stream; its source tells its state under the same with ``-calibration`` added.
    """

    def __init__(self, source_id: str) -> None:
        self._resolver = pylsl.ContinuousResolver(
            pred=f"type='Calibration' and source_id='{source_id}-calibration'", forget_after=2.0
        )
        self._inlet: pylsl.StreamInlet | None = None
        self._newest: dict[str, Mapping[str, Any]] = {}
        self._next_look_s = 0.0

    def state(self, calibration: str) -> Mapping[str, Any]:
        """Return the newest state told of a calibration, without waiting; empty before the first."""
        if self._inlet is None:
            self._look()
        if self._inlet is not None:
            try:
                rows, _ = self._inlet.pull_chunk(timeout=0.0)
            except LostError:
                self._inlet = None
                rows = []
            for (text,) in rows:
                said = json.loads(text)
                self._newest[said.get("calibration", "")] = said
        return self._newest.get(calibration, {})

    def _look(self) -> None:
        if time.monotonic() < self._next_look_s:
            return
        self._next_look_s = time.monotonic() + LOOK_AGAIN_S
        for info in self._resolver.results():
            inlet = pylsl.StreamInlet(info, max_buflen=60, recover=False)
            try:
                inlet.open_stream(timeout=1.0)
            except (LostError, LslTimeoutError):
                continue
            self._inlet = inlet
            return
