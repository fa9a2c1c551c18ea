"""A display that fails: what was open is still closed on LSL, in order and with times that fit."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pylsl
import pytest
from support.presentation import write_protocol

from duchenne.protocols.displays.base import Flip, KeyPress
from duchenne.protocols.markers import MarkerOutlet, ShownFramesOutlet, decode
from duchenne.protocols.runner import run_schedule
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typing_extensions import Self

    from duchenne.protocols.displays.base import Input, Shape
    from duchenne.stimuli.manifest import Stimulus

PERIOD_S = 0.001


class ScreenLostError(RuntimeError):
    """The screen of the test display is gone."""


class Shown:
    """A stimulus that needs no memory."""

    rect_px = (0.0, 0.0, 10.0, 10.0)
    finished = False

    def __init__(self, stimulus: Stimulus) -> None:
        self.stimulus = stimulus

    def report(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """Nothing is held."""


class FragileDisplay:
    """A screen that is lost at the "start", at a "stimulus" or at the "end"."""

    width_px, height_px, refresh_hz = 800, 450, 1 / PERIOD_S

    def __init__(self, lost_at: str = "never", first_inputs: Sequence[Input] = ()) -> None:
        self._lost_at = lost_at
        self._now = "start"
        self._inputs = list(first_inputs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def description(self) -> dict[str, Any]:
        return {"pacing": "none"}

    def load(self, stimulus: Stimulus) -> Shown:
        return Shown(stimulus)

    def show_stimulus(self, loaded: Any) -> None:
        self._now, self._shown = "appearing", loaded

    def show_pointer(self, visible: bool) -> None:
        self._now, self._pointer = "end", visible

    def flip(self) -> Flip:
        if self._now == self._lost_at:
            raise ScreenLostError
        if self._now == "start":
            self._now = "under way"
        if self._now == "appearing":
            self._now = "stimulus"
        time.sleep(PERIOD_S)
        return Flip(pylsl.local_clock(), math.nan)

    def events(self) -> list[Input]:
        inputs, self._inputs = self._inputs, []
        return inputs

    def show(self, shapes: Sequence[Shape]) -> None: ...
    def clear(self) -> None: ...
    def press(self, name: str) -> None: ...
    def click(self, x_px: float, y_px: float) -> None: ...

    def pointer(self) -> tuple[float, float]:
        return 0.0, 0.0

    def screenshot(self) -> Any:
        raise NotImplementedError


def markers_of(
    tmp_path: Path, name: str, display: FragileDisplay, error: type[Exception] | None
) -> list[dict[str, Any]]:
    """Run a session that needs no keys; return the markers, with ``lsl_time_s``."""
    path = write_protocol(tmp_path, ids="red", ratings="")
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("text: Press the space bar.", "text: Welcome., duration_s: 0.05"),
        encoding="utf-8",
    )
    protocol = load_protocol(str(path))
    stimuli = protocol.stimulus_set()
    schedule = make_schedule(protocol, participant="P01", session="01", stimuli=stimuli)
    with (
        MarkerOutlet(name=name, source_id=name) as markers,
        ShownFramesOutlet(source_id=f"{name}-shown") as shown,
    ):
        (found,) = pylsl.resolve_byprop("name", name, 1, 5.0)
        inlet = pylsl.StreamInlet(found, recover=False)
        inlet.open_stream(5.0)
        try:
            run_schedule(schedule, protocol, stimuli, display, markers=markers, shown_frames=shown)
            raised = None
        except ScreenLostError as lost:
            raised = type(lost)
        time.sleep(0.3)
        samples, stamps = inlet.pull_chunk(timeout=1.0)
        inlet.close_stream()
    assert raised is error
    return [decode(text) | {"lsl_time_s": t} for (text,), t in zip(samples, stamps, strict=True)]


def test_a_screen_lost_at_a_stimulus_leaves_everything_closed(
    tmp_path: Path, unique_name: str
) -> None:
    markers = markers_of(tmp_path, unique_name, FragileDisplay("stimulus"), ScreenLostError)
    assert [m["event"] for m in markers[-5:]] == [
        "stimulus_onset", "abort", "stimulus_offset", "block_end", "session_end",
    ]  # fmt: skip
    stamps = [m["lsl_time_s"] for m in markers]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= pylsl.local_clock()
    assert markers[-3]["presentation_id"] == "P01-01-01-001"


@pytest.mark.parametrize("when", ["start", "end"])
def test_a_screen_lost_at_either_end_still_marks_both(
    tmp_path: Path, unique_name: str, when: str
) -> None:
    markers = markers_of(tmp_path, unique_name, FragileDisplay(when), ScreenLostError)
    events = [m["event"] for m in markers]
    assert events[0] == "session_start"
    assert events[-1] == "session_end"
    assert events.count("session_end") == 1
    assert ("abort" in events) is (when == "start")


def test_escape_at_the_first_flip_comes_after_the_start(tmp_path: Path, unique_name: str) -> None:
    escape = KeyPress("escape", pylsl.local_clock())
    markers = markers_of(tmp_path, unique_name, FragileDisplay("never", [escape]), None)
    assert [m["event"] for m in markers] == ["session_start", "abort", "session_end"]
