"""A button box on a serial port: a byte or a line for each press."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import pylsl
from pydantic import Field, field_validator

from duchenne.recorder.sources.base import SourceOptions
from duchenne.recorder.sources.frames import LineSplitter
from duchenne.recorder.sources.key_events import (
    RisingStamps,
    encode_press,
    encode_start,
    press_description,
)
from duchenne.recorder.sources.serial_port import SerialSource

if TYPE_CHECKING:
    import threading

    from duchenne.recorder.sources.base import Outlet

STATES = ("down", "up")


class ButtonBoxOptions(SourceOptions):
    """Settings of a button box.

    Attributes
    ----------
    name : str
        Name of the stream.
    port : str
        Serial port.
    baud : int
        Bits per second.
    format : {"bytes", "lines"}
        What the box sends for each press.
    buttons : str
        Names of the buttons: what the box sends, ``=``, the name, separated by ``;``.
    """

    name: str = Field("Buttons", min_length=1, description="name of the stream")
    port: str = Field(min_length=1, description="serial port, such as /dev/ttyUSB0 or COM3")
    baud: int = Field(115200, ge=300, le=12_000_000, description="bits per second")
    format: Literal["bytes", "lines"] = Field("bytes", description="one byte per press, or lines")
    buttons: str = Field("", description="names of what it sends, such as 1=left;2=right")

    @field_validator("buttons")
    @classmethod
    def _names_can_be_read(cls, text: str) -> str:
        button_names(text)
        return text


class ButtonBox(SerialSource):
    """A button box, such as many MRI response pads and self-made ones, that talks over a serial port.

    With ``format=bytes`` each byte is a press. With ``format=lines`` a line is the name of the button,
    and may go on with ``down`` or ``up``.

    Parameters
    ----------
    options : ButtonBoxOptions
    """

    Options: ClassVar[type[SourceOptions]] = ButtonBoxOptions
    device: ClassVar[str] = "button box"
    summary: ClassVar[str] = "button box over a serial port (Buttons)"

    def __init__(self, options: ButtonBoxOptions) -> None:
        super().__init__(options.port, options.baud)
        self._options = options
        self._lines = LineSplitter(from_start=True)
        self._names = button_names(options.buttons)
        self._n = 0

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream."""
        options = self._options
        return press_description(options.source_id, options.name, "Buttons", options.port)

    @property
    def result(self) -> str:
        """Number of presses and releases."""
        return f"{self._n} presses and releases of {self._options.name}"

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push presses until `stop` is set; they are stamped when they arrive.

        Raises
        ------
        DuchenneError
            Where the device goes.
        """
        stamps = RisingStamps()
        outlet.push_chunk([encode_start(self._options.port)], stamps.of([pylsl.local_clock()]))
        while not stop.is_set():
            data = self._port.read()
            now_s = pylsl.local_clock()
            presses = self._presses(data)
            if presses:
                outlet.push_chunk(presses, stamps.of([now_s] * len(presses)))
                self._n += len(presses)

    def _presses(self, data: bytes) -> list[bytes]:
        if self._options.format == "bytes":
            texts = [chr(byte) if 32 < byte < 127 else str(byte) for byte in data]
            return [encode_press("button", self._names.get(t, t), "down") for t in texts]
        presses = []
        for line in self._lines.feed(data):
            button, _, state = line.rpartition(" ")
            if state not in STATES or not button:
                button, state = line, "down"
            presses.append(encode_press("button", self._names.get(button, button), state))
        return presses


def button_names(text: str) -> dict[str, str]:
    """Read the names of buttons.

    Raises
    ------
    ValueError
        A piece is not written ``SENT=NAME``.

    Examples
    --------
    >>> button_names("1=left;2=right")
    {'1': 'left', '2': 'right'}
    """
    names = {}
    for piece in filter(None, (piece.strip() for piece in text.split(";"))):
        sent, equals, name = piece.partition("=")
        if not (sent and equals and name):
            raise ValueError(f"write {piece!r} as SENT=NAME, for example 1=left")
        names[sent.strip()] = name.strip()
    return names
