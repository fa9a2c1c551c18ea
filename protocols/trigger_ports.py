"""Ports that carry a code of 8 bits to an amplifier: serial, parallel, and one that only remembers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pylsl

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.protocols.trigger_codes import Triggers

PARPORT_CLAIM, PARPORT_RELEASE, PARPORT_WRITE = 0x708B, 0x708C, 0x40017086
"""Requests of Linux's ppdev: PPCLAIM, PPRELEASE, PPWDATA."""


class PortError(Exception):
    """A code could not be written; the message says why."""


class TriggerPort(Protocol):
    """Where codes go. Writing never waits."""

    def write(self, code: int) -> None:
        """Put a code, 0 to 255, on the port.

        Raises
        ------
        PortError
            It cannot take it now, or has gone.
        """

    def close(self) -> None:
        """Let go of the port."""


class SimulatedPort:
    """Remembers what was written, and when.

    Attributes
    ----------
    written : list of (int, float)
        Code and LSL time.
    """

    def __init__(self) -> None:
        self.written: list[tuple[int, float]] = []

    def write(self, code: int) -> None:
        """Remember a code."""
        self.written.append((code, pylsl.local_clock()))

    def close(self) -> None:
        """Nothing is held."""


class SerialTriggerPort:
    """Writes each code as one byte.

    Parameters
    ----------
    address : str
        ``/dev/ttyUSB0`` or ``COM3``.
    baud : int
        Bits per second.

    Raises
    ------
    DuchenneError
        It cannot be opened.
    """

    def __init__(self, address: str, baud: int) -> None:
        import serial  # noqa: PLC0415 -- belongs to the extra [devices]

        try:
            self._port: Any = serial.Serial(address, baud, write_timeout=0)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DuchenneError(
                f"triggers: serial port {address} cannot be opened ({reason}); correct address, or "
                "write port: simulated"
            ) from None

    def write(self, code: int) -> None:
        """Put a code on the port; one that is full refuses at once."""
        try:
            if os.name == "posix":  # pyserial itself would try again and again
                n = os.write(self._port.fileno(), bytes([code]))
            else:
                n = self._port.write(bytes([code]))
        except OSError as error:
            raise PortError(f"the serial port refused it ({error.strerror or error})") from error
        if n == 0:
            raise PortError("the serial port is full")

    def close(self) -> None:
        """Close the port."""
        self._port.close()


class LinuxParallelPort:
    """Writes each code to the data pins of a parallel port, through Linux's ppdev.

    Parameters
    ----------
    address : str
        ``/dev/parport0``.

    Raises
    ------
    DuchenneError
        It cannot be opened or claimed.
    """

    def __init__(self, address: str) -> None:
        import fcntl  # noqa: PLC0415 -- POSIX alone

        self._control = fcntl.ioctl
        self._fd = -1
        try:
            self._fd = os.open(address, os.O_RDWR)
            self._control(self._fd, PARPORT_CLAIM)
        except OSError as error:
            if self._fd >= 0:
                os.close(self._fd)
            raise DuchenneError(
                f"triggers: parallel port {address} cannot be opened ({error.strerror}); load its driver "
                "(sudo rmmod lp; sudo modprobe ppdev) and join the group lp, or write port: simulated"
            ) from None

    def write(self, code: int) -> None:
        """Put a code on the data pins."""
        try:
            self._control(self._fd, PARPORT_WRITE, bytes([code]))
        except OSError as error:
            raise PortError(f"the parallel port refused it ({error.strerror})") from error

    def close(self) -> None:
        """Release and close the port."""
        self._control(self._fd, PARPORT_RELEASE)
        os.close(self._fd)


class WindowsParallelPort:
    """Writes each code to the data pins of a parallel port, through PsychoPy's driver.

    Parameters
    ----------
    address : str
        Of the port's registers, such as ``0x378``.

    Raises
    ------
    DuchenneError
        There is no driver, or no such port.
    """

    def __init__(self, address: str) -> None:
        from psychopy import parallel  # noqa: PLC0415 -- belongs to the extra [lab]

        if parallel.ParallelPort is None:
            raise DuchenneError("triggers: no parallel port driver: install inpoutx64")
        try:
            self._port: Any = parallel.ParallelPort(address=int(address, 0))
        except (OSError, ValueError, RuntimeError) as error:
            raise DuchenneError(
                f"triggers: parallel port {address} cannot be opened ({error}); correct address, or write "
                "port: simulated"
            ) from None

    def write(self, code: int) -> None:
        """Put a code on the data pins."""
        try:
            self._port.setData(code)
        except OSError as error:
            raise PortError(f"the parallel port refused it ({error})") from error

    def close(self) -> None:
        """Nothing is held."""


def open_port(triggers: Triggers) -> TriggerPort | None:
    """Open the port of a protocol; None for ``port: none``.

    Raises
    ------
    DuchenneError
        It cannot be opened.
    """
    address = triggers.address or ""
    if triggers.port == "none":
        return None
    if triggers.port == "simulated":
        return SimulatedPort()
    if triggers.port == "serial":
        return SerialTriggerPort(address, triggers.baud)
    if sys.platform.startswith("linux"):
        return LinuxParallelPort(address)
    if sys.platform == "win32":
        return WindowsParallelPort(address)
    raise DuchenneError("triggers: this system has no parallel ports; use a serial one")
