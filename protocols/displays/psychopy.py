"""The display of real sessions: a PsychoPy window.

Only this module, and `psychopy_shapes`, `psychopy_input`, `psychopy_media` and `sound` beside it, import
PsychoPy. Import them inside `duchenne.protocols.displays.environment.psychopy_environment`, with a screen
present.

Timing. On a screen that waits for its refresh, the flip itself paces. Where it does not (a virtual
screen, a driver without vertical sync), the flips are paced by a timer to a grid at the declared refresh
rate; a flip that comes too late goes to the next point of the grid, as it would on a real screen. Which
of the two was used is part of `PsychoPyDisplay.description`.
"""

from __future__ import annotations

import math
import os
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import psychopy
import pyglet
import pylsl
from PIL import ImageGrab
from psychopy import logging as psychopy_logging
from psychopy import visual

from duchenne.protocols.displays.base import Flip, ScreenTooSmall, Text
from duchenne.protocols.displays.pacing import RefreshGrid, wait_until
from duchenne.protocols.displays.psychopy_input import WindowInput
from duchenne.protocols.displays.psychopy_media import (
    LoadedFilm,
    LoadedImage,
    LoadedText,
    read_text,
)
from duchenne.protocols.displays.psychopy_shapes import ShapeMaker, colour
from duchenne.protocols.displays.sound import LoadedSound, Playable, click
from duchenne.protocols.layout import LETTER_HEIGHT
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

    from duchenne.protocols.displays.base import Input, Loaded, Rect, Shape
    from duchenne.stimuli.manifest import Stimulus

psychopy_logging.console.setLevel(psychopy_logging.CRITICAL)

SYNCED_TOLERANCE = 0.10
"""Flips that come this close to the declared interval (as a fraction) are paced by the screen."""


class PsychoPyDisplay:
    """A full-screen PsychoPy window (a plain one on screens larger than declared).

    Parameters
    ----------
    width_px, height_px : int
        Declared size of the screen.
    refresh_hz : float, default 60
        Declared refresh rate.
    background_grey : float, default 0.5
        sRGB grey level, 0 to 1.
    foreground_grey : float, default 0
        Of text stimuli.
    stimulus_height : float, default 0.8
        Height and width of the box that stimuli are fitted into, as a fraction of the screen's.
    virtual : bool, default False
        The screen is a virtual one that never waits for a refresh: pace by timer without measuring.
    patch_px : Rect, optional
        Where a photodiode looks: white in every flip that shows a stimulus, black in all others.
    click_at_onset : bool, default False
        Play a click in the flip at which a stimulus appears.
    audio_latency_s : float, optional
        Measured latency of the sound output, for the markers of sounds.

    Raises
    ------
    ScreenTooSmall
        On entering: the screen is smaller than declared.
    """

    def __init__(
        self,
        width_px: int,
        height_px: int,
        *,
        refresh_hz: float = 60.0,
        background_grey: float = 0.5,
        foreground_grey: float = 0.0,
        stimulus_height: float = 0.8,
        virtual: bool = False,
        patch_px: Rect | None = None,
        click_at_onset: bool = False,
        audio_latency_s: float | None = None,
    ) -> None:
        self.width_px = width_px
        self.height_px = height_px
        self.refresh_hz = refresh_hz
        self._background = background_grey
        self._foreground = foreground_grey
        self._box_px = (stimulus_height * width_px, stimulus_height * height_px)
        self._virtual = virtual
        self._win: Any = None
        self._shapes: ShapeMaker
        self._stims: list[Any] = []
        self._made: dict[Shape, Any] = {}
        self._film: LoadedFilm | None = None
        self._sound: LoadedSound | None = None
        self._starting: list[Playable] = []
        self._patch_px = patch_px
        self._patch: tuple[Any, Any] | None = None
        self._stimulus_is_shown = False
        self._click_at_onset = click_at_onset
        self._click: Playable | None = None
        self._audio_latency_s = audio_latency_s
        self._input = WindowInput(height_px)
        self._last_flip_s = math.nan
        self._stamp_s = math.nan
        self._action: Callable[[], object] | None = None
        self._grid: RefreshGrid | None = None
        self._measured_hz = math.nan
        self._fullscreen = False

    def __enter__(self) -> Self:
        self._open()
        if self._patch_px is not None:
            self._patch = (
                self._shapes.square(self._patch_px, 0.0),
                self._shapes.square(self._patch_px, 1.0),
            )
        if self._click_at_onset:
            self._click = Playable(click(), self._audio_latency_s)
        self._input.watch(self._win.winHandle)
        self.show_pointer(False)
        self._measure()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()
        if self._win is not None:
            self._win.close()
            self._win = None

    def description(self) -> dict[str, Any]:
        """Say how this display shows and paces: JSON values."""
        handle = self._win.winHandle
        return {
            "program": f"PsychoPy {psychopy.__version__}",
            "renderer": str(handle.context.get_info().get_renderer()),
            "fullscreen": self._fullscreen,
            "pacing": "vsync" if self._grid is None else "timer",
            "measured_flip_hz": round(self._measured_hz, 2),
            "virtual": self._virtual,
            **({} if self._patch_px is None else {"photodiode_patch_px": list(self._patch_px)}),
            **({} if self._click is None else self._click.latency.fields()),
        }

    # What is drawn

    def load(self, stimulus: Stimulus) -> Loaded:
        """Read a stimulus into memory; all disk reads happen here.

        Raises
        ------
        DuchenneError
            It cannot be read or played.
        """
        screen_px = (float(self.width_px), float(self.height_px))
        kind = str(stimulus.kind)
        if kind == "image":
            return LoadedImage(self._win, stimulus, self._box_px, screen_px)
        if kind == "video":
            return LoadedFilm(self._win, stimulus, self._box_px, screen_px)
        if kind == "audio":
            return LoadedSound(stimulus, screen_px, self._audio_latency_s)
        if kind == "text":
            return self._load_text(stimulus)
        raise DuchenneError(
            f"{stimulus.path}: this display cannot show {kind}; take {stimulus.id!r} out of the protocol"
        )

    def _load_text(self, stimulus: Stimulus) -> LoadedText:
        x, y = self.width_px / 2, self.height_px / 2
        half_width, half_height = self._box_px[0] / 2, self._box_px[1] / 2
        text = Text(
            read_text(stimulus),
            x,
            y,
            LETTER_HEIGHT * self.height_px,
            self._box_px[0],
            (self._foreground,) * 3,
        )
        rect_px = (x - half_width, y - half_height, x + half_width, y + half_height)
        return LoadedText(stimulus, self._shapes.stim(text), rect_px)

    def show(self, shapes: Sequence[Shape]) -> None:
        """Draw these shapes, and nothing else, from the next flip on."""
        self._leave_stimulus()
        kept = {shape: self._made.get(shape) or self._shapes.stim(shape) for shape in shapes}
        self._made = kept
        self._stims = [kept[shape] for shape in shapes]

    def show_stimulus(self, loaded: Loaded) -> None:
        """Show a loaded stimulus, and nothing else, from the next flip on; a film starts there.

        A sound starts within that flip and leaves the picture as it is.
        """
        self._leave_stimulus()
        if isinstance(loaded, LoadedFilm):
            self._stims, self._film = [], loaded
        elif isinstance(loaded, (LoadedImage, LoadedText)):
            self._stims = [loaded.stim]
        elif isinstance(loaded, LoadedSound):
            self._sound = loaded
            self._starting.append(loaded.playable)
        else:
            raise TypeError(f"not loaded by this display: {loaded!r}")
        self._stimulus_is_shown = True
        if self._click is not None:
            self._starting.append(self._click)

    def clear(self) -> None:
        """Show the plain background from the next flip on."""
        self.show(())

    def _leave_stimulus(self) -> None:
        self._stimulus_is_shown = False
        self._starting.clear()
        if self._film is not None:
            self._film.stop()
            self._film = None
        if self._sound is not None:
            self._sound.close()
            self._sound = None

    def call_on_flip(self, action: Callable[[], object]) -> None:
        """Call this once, within the next flip, as soon as its time has been taken."""
        self._action = action

    def flip(self) -> Flip:
        """Draw, wait for the next refresh, and report it."""
        film = self._film
        if film is not None:
            film.draw()
        for stim in self._stims:
            stim.draw()
        if self._patch is not None:
            self._patch[self._stimulus_is_shown].draw()
        if self._grid is not None:
            pyglet.gl.glFinish()  # have it drawn before the wait, so that the swap comes on time
            due_s = self._grid.take(pylsl.local_clock())
            wait_until(due_s, self._win.winHandle.dispatch_events)
        self._win.callOnFlip(self._on_flip)
        self._win.flip()
        interval_s = self._stamp_s - self._last_flip_s
        self._last_flip_s = self._stamp_s
        if film is None:
            return Flip(self._stamp_s, interval_s)
        film.start()
        return Flip(self._stamp_s, interval_s, film.frame, film.time_s)

    def screenshot(self) -> npt.NDArray[np.uint8]:
        """Return what is on the screen, (height, width, 3) uint8."""
        if sys.platform.startswith("linux"):  # software drivers leave the front buffer black
            x, y = (round(position) for position in self._win.pos)
            box = (x, y, x + self.width_px, y + self.height_px)
            frame = ImageGrab.grab(bbox=box, xdisplay=os.environ.get("DISPLAY"))
        else:
            frame = self._win.getMovieFrame(buffer="front")
            self._win.movieFrames = []
        return np.asarray(frame.convert("RGB"), dtype=np.uint8)

    # What the participant does

    def events(self) -> list[Input]:
        """Return and forget what the participant did since the last call."""
        return self._input.take()

    def pointer(self) -> tuple[float, float]:
        """Return where the mouse is; (-1, -1) until it moves."""
        return self._input.pointer

    def show_pointer(self, visible: bool) -> None:
        """Show or hide the mouse pointer."""
        self._win.mouseVisible = visible

    def press(self, name: str) -> None:
        """Press a key on the participant's behalf: it is dispatched by the window like any other."""
        self._input.press(name)

    def type_text(self, text: str) -> None:
        """Type characters on the participant's behalf, through the window's own text events."""
        self._input.type_text(text)

    def click(self, x_px: float, y_px: float) -> None:
        """Click at a point on the participant's behalf, through the window's own mouse events."""
        self._input.click(x_px, y_px)

    # The window and its timing

    def _open(self) -> None:
        screen = pyglet.canvas.get_display().get_default_screen()
        if screen.width < self.width_px or screen.height < self.height_px:
            raise ScreenTooSmall(
                f"the screen has {screen.width}x{screen.height} px but the protocol declares "
                f"{self.width_px}x{self.height_px}; correct width_px and height_px, or change the screen"
            )
        same_size = (screen.width, screen.height) == (self.width_px, self.height_px)
        self._fullscreen = same_size and not self._virtual
        self._win = visual.Window(
            size=(self.width_px, self.height_px),
            pos=(0, 0) if same_size else None,
            fullscr=self._fullscreen,
            units="pix",
            color=colour((self._background,) * 3),
            colorSpace="rgb",
            allowGUI=False,
            waitBlanking=True,
            checkTiming=False,
            autoLog=False,
        )
        self._shapes = ShapeMaker(self._win, self.width_px, self.height_px)

    def _measure(self) -> None:
        """Find out whether the flips are paced by the screen, and which rate they have."""
        for _ in range(5):
            self.flip()
        intervals = [self.flip().interval_s for _ in range(30)]
        self._measured_hz = 1.0 / median(intervals)
        slower_by = self.refresh_hz / self._measured_hz - 1.0
        if self._virtual or slower_by < -SYNCED_TOLERANCE:
            self._grid = RefreshGrid(self.refresh_hz, pylsl.local_clock())
        self._last_flip_s = math.nan

    def _on_flip(self) -> None:
        self._stamp_s = pylsl.local_clock()
        if self._action is not None:
            action, self._action = self._action, None
            action()
        while self._starting:
            self._starting.pop().play()
