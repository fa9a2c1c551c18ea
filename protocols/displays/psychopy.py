"""The display of real sessions: a PsychoPy window. The only module that imports PsychoPy.

Import it inside `duchenne.protocols.displays.environment.psychopy_environment`, with a screen present.

Timing. On a screen that waits for its refresh, the flip itself paces. Where it does not (a virtual
screen, a driver without vertical sync), the flips are paced by a timer to a grid at the declared refresh
rate; a flip that comes too late goes to the next point of the grid, as it would on a real screen. Which
of the two was used is part of `PsychoPyDisplay.description`.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import psychopy
import pyglet
import pylsl
from PIL import Image, ImageGrab, ImageOps
from psychopy import event, visual
from psychopy import logging as psychopy_logging
from psychopy.visual.movies import MoviePlaybackError
from pyglet.window import key as keys
from pyglet.window import mouse as mouse_buttons

from duchenne.protocols.displays.base import (
    Box,
    Click,
    Cross,
    Flip,
    KeyPress,
    Picture,
    Text,
    fit_rect,
)
from duchenne.protocols.displays.pacing import RefreshGrid, wait_until
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

    from duchenne.protocols.displays.base import Input, Loaded, Rect, Rgb, Shape
    from duchenne.stimuli.manifest import Stimulus

psychopy_logging.console.setLevel(psychopy_logging.CRITICAL)

FONT = "Noto Sans"
FONT_FILES = tuple(
    str(Path(psychopy.__file__).parent / "assets" / "fonts" / f"NotoSans-{style}.ttf")
    for style in ("Regular", "Bold")
)
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
    stimulus_height : float, default 0.8
        Height and width of the box that stimuli are fitted into, as a fraction of the screen's.
    virtual : bool, default False
        The screen is a virtual one that never waits for a refresh: pace by timer without measuring.

    Raises
    ------
    DuchenneError
        On entering: the screen is smaller than declared.
    """

    def __init__(
        self,
        width_px: int,
        height_px: int,
        *,
        refresh_hz: float = 60.0,
        background_grey: float = 0.5,
        stimulus_height: float = 0.8,
        virtual: bool = False,
    ) -> None:
        self.width_px = width_px
        self.height_px = height_px
        self.refresh_hz = refresh_hz
        self._background = background_grey
        self._box_px = (stimulus_height * width_px, stimulus_height * height_px)
        self._virtual = virtual
        self._win: Any = None
        self._stims: list[Any] = []
        self._made: dict[Shape, Any] = {}
        self._film: _LoadedFilm | None = None
        self._inputs: list[Input] = []
        self._pointer = (-1.0, -1.0)
        self._last_flip_s = math.nan
        self._stamp_s = math.nan
        self._grid: RefreshGrid | None = None
        self._measured_hz = math.nan
        self._fullscreen = False

    def __enter__(self) -> Self:
        self._open()
        handle = self._win.winHandle
        handle.push_handlers(
            on_key_press=self._on_key,
            on_mouse_press=self._on_mouse,
            on_mouse_motion=self._on_motion,
            on_close=self._on_close,
        )
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
        }

    # What is drawn

    def load(self, stimulus: Stimulus) -> Loaded:
        """Read a stimulus into memory; all disk reads happen here.

        Raises
        ------
        DuchenneError
            It cannot be read, or is a sound.
        """
        screen_px = (float(self.width_px), float(self.height_px))
        if stimulus.kind == "image":
            return _LoadedImage(self._win, stimulus, self._box_px, screen_px)
        if stimulus.kind == "video":
            return _LoadedFilm(self._win, stimulus, self._box_px, screen_px)
        raise DuchenneError(
            f"{stimulus.path}: this display shows images and films, not {stimulus.kind}; "
            f"take {stimulus.id!r} out of the protocol"
        )

    def show(self, shapes: Sequence[Shape]) -> None:
        """Draw these shapes, and nothing else, from the next flip on."""
        self._leave_film()
        kept = {shape: self._made.get(shape) or self._stim(shape) for shape in shapes}
        self._made = kept
        self._stims = [kept[shape] for shape in shapes]

    def show_stimulus(self, loaded: Loaded) -> None:
        """Show a loaded stimulus, and nothing else, from the next flip on; a film starts there."""
        self._leave_film()
        if isinstance(loaded, _LoadedFilm):
            self._stims, self._film = [], loaded
        elif isinstance(loaded, _LoadedImage):
            self._stims = [loaded.stim]
        else:
            raise TypeError(f"not loaded by this display: {loaded!r}")

    def clear(self) -> None:
        """Show the plain background from the next flip on."""
        self.show(())

    def _leave_film(self) -> None:
        if self._film is not None:
            self._film.stop()
            self._film = None

    def flip(self) -> Flip:
        """Draw, wait for the next refresh, and report it."""
        film = self._film
        if film is not None:
            film.draw()
        for stim in self._stims:
            stim.draw()
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
        self._win.winHandle.dispatch_events()
        inputs, self._inputs = self._inputs, []
        event.clearEvents()
        return inputs

    def pointer(self) -> tuple[float, float]:
        """Return where the mouse is; (-1, -1) until it moves."""
        return self._pointer

    def show_pointer(self, visible: bool) -> None:
        """Show or hide the mouse pointer."""
        self._win.mouseVisible = visible

    def press(self, name: str) -> None:
        """Press a key on the participant's behalf: it is dispatched by the window like any other."""
        symbol = getattr(keys, f"_{name}" if name.isdigit() else name.upper())
        self._win.winHandle.dispatch_event("on_key_press", symbol, 0)

    def click(self, x_px: float, y_px: float) -> None:
        """Click at a point on the participant's behalf, through the window's own mouse events."""
        x, y = round(x_px), round(self.height_px - y_px)
        handle = self._win.winHandle
        handle.dispatch_event("on_mouse_motion", x, y, 0, 0)
        handle.dispatch_event("on_mouse_press", x, y, mouse_buttons.LEFT, 0)

    def _on_key(self, symbol: int, _modifiers: int) -> None:
        name = keys.symbol_string(symbol).lower().removeprefix("num_").lstrip("_")
        name = "return" if name == "enter" else name
        self._inputs.append(KeyPress(name, pylsl.local_clock()))

    def _on_mouse(self, x: int, y: int, button: int, _modifiers: int) -> None:
        self._on_motion(x, y, 0, 0)
        if button == mouse_buttons.LEFT:
            self._inputs.append(Click(*self._pointer, pylsl.local_clock()))

    def _on_motion(self, x: int, y: int, _dx: int, _dy: int) -> None:
        self._pointer = (float(x), float(self.height_px - y))

    def _on_close(self) -> bool:
        """Take closing the window for pressing Escape; the window closes when the session has."""
        self._inputs.append(KeyPress("escape", pylsl.local_clock()))
        return True

    # The window and its timing

    def _open(self) -> None:
        screen = pyglet.canvas.get_display().get_default_screen()
        if screen.width < self.width_px or screen.height < self.height_px:
            raise DuchenneError(
                f"the screen has {screen.width}x{screen.height} px but the protocol declares "
                f"{self.width_px}x{self.height_px}; correct screen: width_px and height_px"
            )
        same_size = (screen.width, screen.height) == (self.width_px, self.height_px)
        self._fullscreen = same_size and not self._virtual
        self._win = visual.Window(
            size=(self.width_px, self.height_px),
            pos=(0, 0) if same_size else None,
            fullscr=self._fullscreen,
            units="pix",
            color=_colour((self._background,) * 3),
            colorSpace="rgb",
            allowGUI=False,
            waitBlanking=True,
            checkTiming=False,
            autoLog=False,
        )

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

    def _stim(self, shape: Shape) -> Any:
        if isinstance(shape, Text):
            return self._text(shape)
        if isinstance(shape, Picture):
            image = Image.fromarray(shape.rgb)
            position, size = self._place(shape.rect_px)
            return visual.ImageStim(
                self._win, image=image, pos=position, size=size, interpolate=True, autoLog=False
            )
        if isinstance(shape, Cross):
            return self._cross(shape)
        return self._outline(shape)

    def _text(self, text: Text) -> Any:
        return visual.TextStim(
            self._win,
            text=text.text,
            font=FONT,
            fontFiles=FONT_FILES,
            bold=text.bold,
            height=text.height_px,
            wrapWidth=text.wrap_px,
            pos=(text.x_px - self.width_px / 2, self.height_px / 2 - text.y_px),
            color=_colour(text.rgb),
            alignText="center",
            anchorHoriz="center",
            anchorVert="center",
            autoLog=False,
        )

    def _cross(self, cross: Cross) -> Any:
        return visual.ShapeStim(
            self._win,
            vertices=_cross_outline(cross.size_px, cross.width_px),
            pos=(cross.x_px - self.width_px / 2, self.height_px / 2 - cross.y_px),
            fillColor=_colour(cross.rgb),
            lineColor=None,
            autoLog=False,
        )

    def _outline(self, box: Box) -> Any:
        position, (width, height) = self._place(box.rect_px)
        loops = []
        for margin in (0.0, box.width_px):
            x, y = width / 2 - margin, height / 2 - margin
            loops.append([(-x, -y), (x, -y), (x, y), (-x, y)])
        return visual.ShapeStim(
            self._win,
            vertices=loops,
            pos=position,
            fillColor=_colour(box.rgb),
            lineColor=None,
            autoLog=False,
        )

    def _place(self, rect_px: Rect) -> tuple[tuple[float, float], tuple[float, float]]:
        return _place(rect_px, (self.width_px, self.height_px))


class _LoadedImage:
    """An image as a texture, reduced beforehand where it is larger than its place."""

    def __init__(
        self,
        win: Any,
        stimulus: Stimulus,
        box_px: tuple[float, float],
        screen_px: tuple[float, float],
    ) -> None:
        self.stimulus = stimulus
        self.finished = False
        try:
            with Image.open(stimulus.path) as file:
                image = ImageOps.exif_transpose(file).convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise DuchenneError(
                f"{stimulus.path}: cannot be read as an image ({error}); replace it"
            ) from None
        self.rect_px = fit_rect(image.width, image.height, box_px, screen_px)
        position, size = _place(self.rect_px, screen_px)
        if image.width > size[0]:
            image = image.resize((round(size[0]), round(size[1])), Image.Resampling.LANCZOS)
        self.stim: Any = visual.ImageStim(
            win, image=image, pos=position, size=size, interpolate=True, autoLog=False
        )

    def close(self) -> None:
        """Free the texture."""
        if self.stim is not None:
            self.stim.clearTextures()
            self.stim = None


class _LoadedFilm:
    """A film whose first frame is in a texture and whose decoder waits for the first flip.

    Sound is played by SDL. The frame shown is known from its presentation time (`MovieStim.pts`).
    """

    def __init__(
        self,
        win: Any,
        stimulus: Stimulus,
        box_px: tuple[float, float],
        screen_px: tuple[float, float],
    ) -> None:
        self.stimulus = stimulus
        try:
            self._movie: Any = visual.MovieStim(
                win, str(stimulus.path), units="pix", autoStart=False, autoLog=False
            )
        except (MoviePlaybackError, RuntimeError, OSError, ValueError) as error:
            raise DuchenneError(
                f"{stimulus.path}: cannot be played ({error}); convert it, for example to H.264 in MP4"
            ) from None
        # Where no new frame is due, the last one stays, instead of the flip waiting for the decoder.
        self._movie._player._maxGetFrameAttempts = 0  # noqa: SLF001 - PsychoPy has no other way
        width_px, height_px = self._movie.frameSize
        self.rect_px = fit_rect(width_px, height_px, box_px, screen_px)
        self._movie.pos, self._movie.size = _place(self.rect_px, screen_px)
        self._rate_hz = float(self._movie.frameRate)

    @property
    def finished(self) -> bool:
        """True when the last frame has had its time."""
        return self._movie is None or bool(self._movie.isFinished)

    @property
    def time_s(self) -> float:
        """Presentation time of the frame drawn last, seconds into the film."""
        return float(self._movie.pts)

    @property
    def frame(self) -> int:
        """Index of the frame drawn last, from 0."""
        return round(self.time_s * self._rate_hz)

    def draw(self) -> None:
        """Draw the frame that is due."""
        self._movie.draw()

    def start(self) -> None:
        """Play from the first frame, which has just appeared; nothing if it plays already."""
        if self._movie.isNotStarted:
            self._movie.play(log=False)

    def stop(self) -> None:
        """Stop picture and sound where they are."""
        if self._movie is not None and self._movie.isPlaying:
            self._movie.pause(log=False)

    def close(self) -> None:
        """Stop the sound and free the decoder."""
        if self._movie is not None:
            self._movie.unload(log=False)
            self._movie = None


def _place(
    rect_px: Rect, screen_px: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return centre (origin in the middle, y upwards) and size of a rectangle."""
    x0, y0, x1, y1 = rect_px
    centre = ((x0 + x1) / 2 - screen_px[0] / 2, screen_px[1] / 2 - (y0 + y1) / 2)
    return centre, (x1 - x0, y1 - y0)


def _colour(rgb: Rgb) -> tuple[float, float, float]:
    """Return PsychoPy's colour, -1 to 1."""
    return (2 * rgb[0] - 1, 2 * rgb[1] - 1, 2 * rgb[2] - 1)


def _cross_outline(size_px: float, width_px: float) -> list[tuple[float, float]]:
    a, b = width_px / 2, size_px / 2
    return [
        (-a, b), (a, b), (a, a), (b, a), (b, -a), (a, -a),
        (a, -b), (-a, -b), (-a, -a), (-b, -a), (-b, a), (-a, a),
    ]  # fmt: skip
