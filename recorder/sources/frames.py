"""Parsers of what a serial device sends, each tolerant of torn, joined and garbled pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

LONGEST_LINE = 256
WRAP_US = 2**32
"""A microcontroller's microseconds start again from 0 after 71.6 minutes."""
HIGH_BIT = 0x80


@dataclass(frozen=True)
class Reading:
    """One value of a serial sensor.

    Attributes
    ----------
    value : float
        In the device's units.
    device_s : float or None
        When the device took it, in seconds on its own clock; None where it does not say.
    """

    value: float
    device_s: float | None = None


class FrameParser(Protocol):
    """Turns bytes, in whatever pieces they come, into readings."""

    @property
    def n_bad(self) -> int:
        """Pieces that could not be read and were left out."""

    def feed(self, data: bytes) -> list[Reading]:
        """Return the readings that `data` completes."""


class LineSplitter:
    r"""Cuts bytes into lines at ``\n`` or ``\r``, whole lines only.

    What comes before the first line end is left out, as it may be the rest of a line. A line longer
    than 256 bytes is left out as well, and counted.

    Parameters
    ----------
    from_start : bool, default False
        Keep the first line, because the stream is known to begin with it.
    """

    def __init__(self, *, from_start: bool = False) -> None:
        self.n_bad = 0
        self._rest = b""
        self._synchronised = from_start

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that `data` completes, without their ends; no empty ones."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if lines and not self._synchronised:
            lines, self._synchronised = lines[1:], True
        if len(rest) > LONGEST_LINE:
            rest, self._synchronised = b"", False
            self.n_bad += 1
        self._rest = rest
        return [line.decode("utf-8", "replace").strip() for line in lines if line.strip()]


class LineParser:
    r"""Lines of text: ``VALUE``, or ``MICROSECONDS,VALUE`` where the device tells its time.

    Examples
    --------
    >>> parser = LineParser()
    >>> parser.feed(b"2\n512\n10")
    [Reading(value=512.0, device_s=None)]
    >>> parser.feed(b"24\n")
    [Reading(value=1024.0, device_s=None)]
    """

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self._n_garbled = 0
        self._wrapped_us = 0
        self._last_us = 0

    @property
    def n_bad(self) -> int:
        """Lines that were no numbers, or too long."""
        return self._n_garbled + self._lines.n_bad

    def feed(self, data: bytes) -> list[Reading]:
        """Return the readings that `data` completes."""
        readings = (self._reading(line) for line in self._lines.feed(data))
        return [reading for reading in readings if reading is not None]

    def _reading(self, line: str) -> Reading | None:
        time_us, comma, value = line.rpartition(",")
        try:
            number = float(value)
            stamp_us = int(time_us) if comma else None
        except ValueError:
            number, stamp_us = math.nan, None
        if not math.isfinite(number) or (stamp_us is not None and not 0 <= stamp_us < WRAP_US):
            self._n_garbled += 1
            return None
        return Reading(number, None if stamp_us is None else self._device_s(stamp_us))

    def _device_s(self, stamp_us: int) -> float:
        if stamp_us < self._last_us - WRAP_US // 2:
            self._wrapped_us += WRAP_US
        self._last_us = stamp_us
        return (self._wrapped_us + stamp_us) / 1e6


class BinaryParser:
    """Frames of 16 bits that find their own beginning: 14 bits of value in two bytes.

    The first byte has its highest bit set and carries the upper seven bits of the value, the second
    has it cleared and carries the lower seven. A byte that is lost spoils one value only.

    Examples
    --------
    >>> BinaryParser().feed(bytes([0x80 | (1000 >> 7), 1000 & 0x7F]))
    [Reading(value=1000.0, device_s=None)]
    """

    def __init__(self) -> None:
        self.n_bad = 0
        self._upper: int | None = None
        self._synchronised = False

    def feed(self, data: bytes) -> list[Reading]:
        """Return the readings that `data` completes."""
        readings = []
        for byte in data:
            if byte & HIGH_BIT:
                self.n_bad += self._upper is not None
                self._upper, self._synchronised = byte & 0x7F, True
            elif self._upper is not None:
                readings.append(Reading(float(self._upper << 7 | byte)))
                self._upper = None
            else:
                self.n_bad += self._synchronised
        return readings
