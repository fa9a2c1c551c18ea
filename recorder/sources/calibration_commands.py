"""A source's side of a calibration led by the display's markers: what was asked, and telling the state.

See `duchenne.protocols.calibrators` for the display's side. The state of the present calibration is told
again and again on a stream of type ``Calibration``, so that a listener that comes late misses nothing.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pylsl

from duchenne.protocols.calibrators import COLLECT, COMPUTE, POINT, READY

if TYPE_CHECKING:
    from duchenne.recorder.sources.listener import Cue
    from duchenne.recorder.sources.screen import Screen

EVERY_S = 0.25


@dataclass(frozen=True)
class Command:
    """Something that the display asks of a tracker.

    Attributes
    ----------
    what : {"begin", "collect", "compute", "end"}
    calibration : str
        Which calibration it belongs to.
    at : (float, float)
        Of ``collect``: the target, normalized from the top left.
    from_s, to_s : float
        Of ``collect``: LSL times between which the participant looks at it.
    """

    what: Literal["begin", "collect", "compute", "end"]
    calibration: str
    at: tuple[float, float] = (0.0, 0.0)
    from_s: float = 0.0
    to_s: float = 0.0


def command_of(cue: Cue, screen: Screen) -> Command | None:
    """Return what a marker asks of the tracker; None for the others."""
    content = cue.content
    name = str(content.get("calibration") or "")
    told = (cue.event, cue.kind)
    command = None
    if name and cue.event == "calibration_start" and content.get("by_program"):
        command = Command("begin", name)
    elif name and cue.event == "calibration_end":
        command = Command("end", name)
    elif name and told == ("note", COMPUTE):
        command = Command("compute", name)
    elif name and cue.position_px is not None and _tells_when(cue):
        x, y = cue.position_px
        settle_s, collect_s = (float(content.get(key, 0.7)) for key in ("settle_s", "collect_s"))
        at = (x / screen.width_px, y / screen.height_px)
        from_s = cue.time_s + settle_s
        command = Command("collect", name, at, from_s, from_s + collect_s)
    return command


def _tells_when(cue: Cue) -> bool:
    """Whether a marker says from when to when a target is looked at."""
    told = (cue.event, cue.kind)
    return told == ("note", COLLECT) or (told == ("note", POINT) and not cue.content.get("by_key"))


@dataclass
class CalibrationTeller:
    """The stream on which a source tells how a calibration stands; made when the first one begins.

    Parameters
    ----------
    source_id : str
        Of the gaze stream; this one adds ``-calibration``.
    """

    source_id: str
    _outlet: pylsl.StreamOutlet | None = None
    _state: dict[str, Any] = field(default_factory=dict)
    _next_s: float = 0.0

    def begin(self, calibration: str) -> None:
        """Tell that a calibration may go on."""
        if self._outlet is None:
            info = pylsl.StreamInfo(
                "GazeCalibration", "Calibration", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string,
                f"{self.source_id}-calibration",
            )  # fmt: skip
            self._outlet = pylsl.StreamOutlet(info)
        self._state = {"calibration": calibration}
        self.tell(state=READY, n=0)

    def tell(self, **fields: Any) -> None:
        """Change the state and tell it at once."""
        self._state |= fields
        self._next_s = 0.0
        self.repeat()

    def repeat(self) -> None:
        """Tell the state once more, if it is time."""
        if self._outlet is None or not self._state or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + EVERY_S
        self._outlet.push_sample([json.dumps(self._state)])

    def end(self) -> None:
        """Have nothing more to tell."""
        self._state = {}

    def close(self) -> None:
        """Take the stream away."""
        self._outlet = None
