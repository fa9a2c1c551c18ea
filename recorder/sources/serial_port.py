"""A serial port, opened and read with errors that a person can act on, and sources that read one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

READ_TIMEOUT_S = 0.1
"""How long a read waits for the first byte; a source looks at its stop event in between."""
MOST_BYTES = 4096


class SerialPort:
    """A serial port between ``__enter__`` and ``__exit__``.

    Parameters
    ----------
    port : str
        ``/dev/ttyACM0``, ``COM3``, or an URL that pyserial knows.
    baud : int
        Bits per second.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.name = port
        self._baud = baud
        self._port: Any = None

    def __enter__(self) -> Self:
        """Open it and forget what it had sent before.

        Raises
        ------
        DuchenneError
            It cannot be opened; the message names the ports there are.
        """
        import serial  # noqa: PLC0415 -- belongs to the extra [devices]

        try:
            self._port = serial.serial_for_url(self.name, self._baud, timeout=READ_TIMEOUT_S)
            self._port.reset_input_buffer()
        except (OSError, ValueError, serial.SerialException) as error:
            raise DuchenneError(
                f"serial port {self.name}: {_reason(error)}; {_hint(error)}"
            ) from None
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def read(self) -> bytes:
        """Return what has come, waiting at most 0.1 s for the first byte; empty if nothing has.

        Raises
        ------
        DuchenneError
            The device has gone.
        """
        if self._port is None:
            raise RuntimeError("the port is not open: use it in a with statement")
        try:
            first: bytes = self._port.read(1)
            waiting = min(self._port.in_waiting, MOST_BYTES) if first else 0
            return first + self._port.read(waiting) if waiting else first
        except OSError as error:  # pyserial's own error is one, too
            raise DuchenneError(
                f"serial port {self.name}: the device has gone ({_reason(error)}); check its cable"
            ) from None


class SerialSource:
    """A source that reads a serial port, which is open between ``__enter__`` and ``__exit__``.

    Parameters
    ----------
    port : str
    baud : int
    """

    device: ClassVar[str]
    """What it is, for messages."""

    def __init__(self, port: str, baud: int) -> None:
        self._port = SerialPort(port, baud)

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing: pyserial."""
        return None if find_spec("serial") else "needs: pip install 'duchenne[devices]'"

    def __enter__(self) -> Self:
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The {self.device} {reason}.")
        self._port.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._port.__exit__(exc_type, exc, traceback)


def ports_here() -> list[str]:
    """Return the serial ports of this machine, sorted."""
    from serial.tools import list_ports  # noqa: PLC0415 -- belongs to the extra [devices]

    return sorted(port.device for port in list_ports.comports())


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == 2:
        return "there is no such port"
    if number == 13:
        return "not allowed to open it"
    return " ".join(str(error).split())


def _hint(error: Exception) -> str:
    if getattr(error, "errno", None) == 13:
        return "on Linux, join its group (sudo usermod -aG dialout $USER) and log in again"
    here = ports_here()
    return (
        f"ports here: {', '.join(here)}" if here else "this machine has no serial port at present"
    )
