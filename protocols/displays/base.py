"""The display seam: what a protocol draws, what it hears, and what a flip reports.

Everything here is plain values. Positions are pixels of the screen, origin top left, x to the right and
y downwards; greys run from 0 (black) to 1 (white) as sRGB values; times are seconds on the LSL clock of
this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Self

    from duchenne.stimuli.manifest import Stimulus


class ScreenTooSmall(DuchenneError):  # noqa: N818 - reads as what it says
    """The screen has fewer pixels than the protocol declares."""


Rect: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""
Rgb: TypeAlias = tuple[float, float, float]
"""Red, green, blue, 0 to 1, sRGB."""


@dataclass(frozen=True)
class Text:
    """Words, centred on a point and wrapped at a width; `height_px` is that of a line's letters."""

    text: str
    x_px: float
    y_px: float
    height_px: float
    wrap_px: float
    rgb: Rgb = (1.0, 1.0, 1.0)
    bold: bool = False


@dataclass(frozen=True)
class Cross:
    """A fixation cross."""

    x_px: float
    y_px: float
    size_px: float
    width_px: float
    rgb: Rgb = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Disc:
    """A filled circle."""

    x_px: float
    y_px: float
    radius_px: float
    rgb: Rgb = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Box:
    """A rectangle's outline."""

    rect_px: Rect
    rgb: Rgb
    width_px: float = 3.0


@dataclass(frozen=True)
class Fill:
    """A filled rectangle."""

    rect_px: Rect
    rgb: Rgb


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels of our own drawing: `rgb` is (height, width, 3) uint8, shown in `rect_px`."""

    rgb: npt.NDArray[np.uint8]
    rect_px: Rect


def fit_rect(
    width_px: float, height_px: float, box_px: tuple[float, float], screen_px: tuple[float, float]
) -> Rect:
    """Return the largest rectangle of a shape that fits a box in the middle of the screen.

    Parameters
    ----------
    width_px, height_px : float
        The shape to keep, above 0; it is enlarged or reduced.
    box_px, screen_px : (float, float)
        Width and height of the box and of the screen.
    """
    scale = min(box_px[0] / width_px, box_px[1] / height_px)
    half_width, half_height = width_px * scale / 2, height_px * scale / 2
    x, y = screen_px[0] / 2, screen_px[1] / 2
    return (x - half_width, y - half_height, x + half_width, y + half_height)


Shape: TypeAlias = Text | Cross | Disc | Box | Picture | Fill


@dataclass(frozen=True)
class KeyPress:
    """A key went down: its lower-case name (``"space"``, ``"escape"``, ``"5"``) and when."""

    name: str
    lsl_time_s: float


@dataclass(frozen=True)
class Click:
    """The left mouse button went down at a point of the screen."""

    x_px: float
    y_px: float
    lsl_time_s: float


@dataclass(frozen=True)
class Typed:
    """A character was typed, as the keyboard's layout and an input method make it."""

    text: str
    lsl_time_s: float


Input: TypeAlias = KeyPress | Click | Typed


@dataclass(frozen=True)
class Flip:
    """One refresh of the screen.

    Attributes
    ----------
    lsl_time_s : float
        Taken in the flip callback, when the new picture is up.
    interval_s : float
        Time since the flip before; NaN at the first.
    media_frame : int or None
        Index of the film's frame on the screen, from 0; None when no film is shown.
    media_time_s : float or None
        That frame's time in the film.
    """

    lsl_time_s: float
    interval_s: float
    media_frame: int | None = None
    media_time_s: float | None = None


class Loaded(Protocol):
    """A stimulus in memory, ready to appear at the next flip."""

    @property
    def stimulus(self) -> Stimulus:
        """What was loaded."""

    @property
    def rect_px(self) -> Rect:
        """Where it will be on the screen."""

    @property
    def finished(self) -> bool:
        """True when a film or a sound has come to its end; an image never does."""

    def report(self) -> dict[str, Any]:
        """Say how it was played, as fields of its offset marker; empty for what has no course."""

    def close(self) -> None:
        """Free the memory; a second call does nothing."""


class Display(Protocol):
    """A screen with its keyboard and mouse, open between ``__enter__`` and ``__exit__``."""

    width_px: int
    height_px: int
    refresh_hz: float

    def __enter__(self) -> Self:
        """Open the screen."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the screen."""

    def description(self) -> dict[str, Any]:
        """Say what this display is (renderer, pacing, measured rate), for the session's record."""

    def load(self, stimulus: Stimulus) -> Loaded:
        """Read a stimulus into memory; all disk reads happen here.

        Raises
        ------
        DuchenneError
            It cannot be read or decoded, or is of a kind this display cannot show.
        """

    def show(self, shapes: Sequence[Shape]) -> None:
        """Draw these shapes, and nothing else, from the next flip on."""

    def show_stimulus(self, loaded: Loaded) -> None:
        """Show a loaded stimulus, and nothing else, from the next flip on; a film starts there.

        A sound starts within that flip and leaves the picture as it is.
        """

    def clear(self) -> None:
        """Show the plain background from the next flip on."""

    def call_on_flip(self, action: Callable[[], object]) -> None:
        """Call this once, within the next flip, as soon as its time has been taken."""

    def flip(self) -> Flip:
        """Draw, wait for the next refresh, and report it."""

    def events(self) -> list[Input]:
        """Return and forget what the participant did since the last call."""

    def pointer(self) -> tuple[float, float]:
        """Return where the mouse is."""

    def show_pointer(self, visible: bool) -> None:
        """Show or hide the mouse pointer."""

    def press(self, name: str) -> None:
        """Press a key on the participant's behalf: it arrives as the keyboard's own events do."""

    def click(self, x_px: float, y_px: float) -> None:
        """Click at a point on the participant's behalf, through the window's own mouse events."""

    def type_text(self, text: str) -> None:
        """Type characters on the participant's behalf, through the window's own text events."""

    def screenshot(self) -> npt.NDArray[np.uint8]:
        """Return what is on the screen, (height, width, 3) uint8."""
