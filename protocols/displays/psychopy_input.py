"""Keys, text and mouse of a PsychoPy window; imported by `psychopy` alone, as it needs the same care."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pylsl
from psychopy import event
from pyglet.window import key as keys
from pyglet.window import mouse as mouse_buttons

from duchenne.protocols.displays.base import Click, KeyPress, Typed

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Input


class WindowInput:
    """What the participant did in a window, and how to do it on the participant's behalf.

    Parameters
    ----------
    height_px : int
        Of the window.

    Attributes
    ----------
    pointer : tuple of float
        Where the mouse is; (-1, -1) until it moves.
    """

    def __init__(self, height_px: int) -> None:
        self.pointer = (-1.0, -1.0)
        self._height_px = height_px
        self._handle: Any = None
        self._inputs: list[Input] = []

    def watch(self, handle: Any) -> None:
        """Listen to a pyglet window from now on."""
        self._handle = handle
        handle.push_handlers(
            on_key_press=self._on_key,
            on_text=self._on_text,
            on_mouse_press=self._on_mouse,
            on_mouse_motion=self._on_motion,
            on_close=self._on_close,
        )

    def take(self) -> list[Input]:
        """Return and forget what the participant did since the last call."""
        self._handle.dispatch_events()
        inputs, self._inputs = self._inputs, []
        event.clearEvents()
        return inputs

    def press(self, name: str) -> None:
        """Press a key: it is dispatched by the window like any other."""
        symbol = getattr(keys, f"_{name}" if name.isdigit() else name.upper())
        self._handle.dispatch_event("on_key_press", symbol, 0)

    def type_text(self, text: str) -> None:
        """Type characters, through the window's own text events."""
        self._handle.dispatch_event("on_text", text)

    def click(self, x_px: float, y_px: float) -> None:
        """Click at a point, through the window's own mouse events."""
        x, y = round(x_px), round(self._height_px - y_px)
        self._handle.dispatch_event("on_mouse_motion", x, y, 0, 0)
        self._handle.dispatch_event("on_mouse_press", x, y, mouse_buttons.LEFT, 0)

    def _on_key(self, symbol: int, _modifiers: int) -> None:
        name = keys.symbol_string(symbol).lower().removeprefix("num_").lstrip("_")
        name = "return" if name == "enter" else name
        self._inputs.append(KeyPress(name, pylsl.local_clock()))

    def _on_text(self, text: str) -> None:
        self._inputs += [Typed(c, pylsl.local_clock()) for c in text if c.isprintable()]

    def _on_mouse(self, x: int, y: int, button: int, _modifiers: int) -> None:
        self._on_motion(x, y, 0, 0)
        if button == mouse_buttons.LEFT:
            self._inputs.append(Click(*self.pointer, pylsl.local_clock()))

    def _on_motion(self, x: int, y: int, _dx: int, _dy: int) -> None:
        self.pointer = (float(x), float(self._height_px - y))

    def _on_close(self) -> bool:
        """Take closing the window for pressing Escape; the window closes when the session has."""
        self._inputs.append(KeyPress("escape", pylsl.local_clock()))
        return True
