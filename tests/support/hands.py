"""Keys and clicks by X events, as hardware would send them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Hands:
    """Presses keys and moves the mouse of an X display.

    Parameters
    ----------
    display : Xlib.display.Display
        Open.
    """

    def __init__(self, display: Any) -> None:
        self._display = display

    def press(self, name: str) -> None:
        """Press and release a key, named as X names it (``Return``, ``F10``)."""
        from Xlib import XK, X
        from Xlib.ext import xtest

        code = self._display.keysym_to_keycode(XK.string_to_keysym(name))
        xtest.fake_input(self._display, X.KeyPress, code)
        xtest.fake_input(self._display, X.KeyRelease, code)
        self._display.sync()

    def click(self, x_px: float, y_px: float) -> None:
        """Move the mouse to a point and click."""
        from Xlib import X
        from Xlib.ext import xtest

        xtest.fake_input(self._display, X.MotionNotify, x=round(x_px), y=round(y_px))
        self._display.sync()
        time.sleep(0.1)
        xtest.fake_input(self._display, X.ButtonPress, 1)
        xtest.fake_input(self._display, X.ButtonRelease, 1)
        self._display.sync()


@contextmanager
def hands(display_name: str) -> Iterator[Hands]:
    """Open a display for `Hands`."""
    display = pytest.importorskip("Xlib.display").Display(display_name)
    try:
        yield Hands(display)
    finally:
        display.close()
