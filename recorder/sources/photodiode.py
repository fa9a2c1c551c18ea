"""A photodiode on a serial port: when the light on the screen really changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pylsl
from pydantic import Field

from duchenne.recorder.sources.base import SourceOptions
from duchenne.recorder.sources.device_clock import DeviceClock
from duchenne.recorder.sources.frames import BinaryParser, LineParser
from duchenne.recorder.sources.notices import notice
from duchenne.recorder.sources.serial_port import SerialSource
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading

    from duchenne.recorder.sources.base import Outlet
    from duchenne.recorder.sources.frames import FrameParser, Reading

SILENCE_S = 3.0
CHECK_RATE_AFTER_S = 10.0
RATE_TOLERANCE = 0.02


class PhotodiodeOptions(SourceOptions):
    """Settings of a photodiode.

    Attributes
    ----------
    name : str
        Name of the stream.
    port : str
        Serial port.
    baud : int
        Bits per second.
    format : {"lines", "binary"}
        Lines of text (``VALUE`` or ``MICROSECONDS,VALUE``), or frames of 16 bits.
    rate_hz : float
        Samples per second that the device sends.
    """

    name: str = Field("Photodiode", min_length=1, description="name of the stream")
    port: str = Field(min_length=1, description="serial port, such as /dev/ttyACM0 or COM3")
    baud: int = Field(115200, ge=300, le=12_000_000, description="bits per second")
    format: Literal["lines", "binary"] = Field("lines", description="lines or binary (16 bit)")
    rate_hz: float = Field(1000.0, ge=1.0, le=20_000.0, description="samples per second it sends")


class Photodiode(SerialSource):
    """A photodiode that a microcontroller samples and sends over a serial port.

    Where the device sends its own time with each value, the stamps come from it, else from counting
    samples at the declared rate; both are tied to LSL's clock by the samples that came with the least
    delay.

    Parameters
    ----------
    options : PhotodiodeOptions
    """

    Options: ClassVar[type[SourceOptions]] = PhotodiodeOptions
    device: ClassVar[str] = "photodiode"
    summary: ClassVar[str] = "photodiode over a serial port (Photodiode)"

    def __init__(self, options: PhotodiodeOptions) -> None:
        super().__init__(options.port, options.baud)
        self._options = options
        self._parser: FrameParser = LineParser() if options.format == "lines" else BinaryParser()
        self._clock: DeviceClock | None = None
        self._n = 0
        self._told_rate = False

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream: one channel of light in the device's own units."""
        options = self._options
        return light_description(options.source_id, options.rate_hz, options.name, options.port)

    @property
    def result(self) -> str:
        """Number of samples, of pieces left out, and of gaps."""
        text = f"{self._n} samples of {self._options.name}"
        if self._parser.n_bad:
            text += f"; {self._parser.n_bad} garbled pieces left out"
        if self._clock is not None and self._clock.n_jumps:
            text += f"; {self._clock.n_jumps} gaps"
        return text

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set.

        Raises
        ------
        DuchenneError
            Where the device goes, falls silent, or sends nothing that can be read.
        """
        begun_s = heard_s = pylsl.local_clock()
        while not stop.is_set():
            data = self._port.read()
            now_s = pylsl.local_clock()
            readings = self._parser.feed(data)
            if readings:
                heard_s = now_s
                self._push(outlet, readings, now_s)
                self._check_rate(now_s - begun_s)
            elif now_s - heard_s > SILENCE_S:
                raise DuchenneError(self._silence())

    def _push(self, outlet: Outlet, readings: list[Reading], now_s: float) -> None:
        counted = (self._n + np.arange(len(readings))) / self._options.rate_hz
        told = [reading.device_s for reading in readings]
        device_s = np.array(
            [c if t is None else t for c, t in zip(counted, told, strict=True)], dtype=np.float64
        )
        if self._clock is None:
            self._clock = DeviceClock(float(device_s[-1]), now_s)
        times = self._clock.map(device_s, now_s)
        values = np.array([[reading.value] for reading in readings], dtype=np.float64)
        outlet.push_chunk(values, times.tolist())
        self._n += len(readings)

    def _check_rate(self, elapsed_s: float) -> None:
        if self._told_rate or elapsed_s < CHECK_RATE_AFTER_S:
            return
        self._told_rate = True
        found_hz, declared_hz = self._n / elapsed_s, self._options.rate_hz
        if abs(found_hz / declared_hz - 1) > RATE_TOLERANCE:
            notice(
                f"{self._options.name}: {found_hz:.0f} samples per second come, {declared_hz:g} are "
                f"declared; set rate_hz={found_hz:.0f}"
            )

    def _silence(self) -> str:
        options = self._options
        if self._parser.n_bad and not self._n:
            return (
                f"{options.name}: what comes from {options.port} cannot be read as {options.format}; "
                "check baud and format"
            )
        return (
            f"{options.name}: nothing has come from {options.port} for {SILENCE_S:g} s; check the "
            "device, baud and format"
        )


def light_description(
    source_id: str, rate_hz: float, name: str = "Photodiode", model: str = ""
) -> pylsl.StreamInfo:
    """Describe a stream of light levels: one float32 channel ``light``, in the device's own units."""
    info = pylsl.StreamInfo(name, "Photodiode", 1, rate_hz, pylsl.cf_float32, source_id)
    desc = info.desc()
    desc.append_child("acquisition").append_child_value("model", model)
    channel = desc.append_child("channels").append_child("channel")
    channel.append_child_value("label", "light")
    channel.append_child_value("type", "Light")
    channel.append_child_value("unit", "arbitrary")
    desc.append_child("synchronization").append_child_value("can_drop_samples", "false")
    return info
