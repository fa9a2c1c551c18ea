"""Sends trigger codes at the flip, and takes them back after the pulse."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pylsl

from duchenne.protocols.trigger_codes import TriggerCodes, trigger_codes
from duchenne.protocols.trigger_ports import PortError, TriggerPort, open_port

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.trigger_codes import Triggers
    from duchenne.stimuli.manifest import StimulusSet


@dataclass(frozen=True)
class Sent:
    """A code that was sent, or should have been.

    Attributes
    ----------
    code : int
        1 to 255.
    lsl_time_s : float
        When it had been handed to the port.
    error : str
        Why the port did not take it; empty where it did.
    """

    code: int
    lsl_time_s: float
    error: str = ""

    def fields(self) -> dict[str, Any]:
        """Return what a marker says of it."""
        fields: dict[str, Any] = {"trigger_code": self.code}
        if self.error:
            return fields | {"trigger_error": self.error}
        return fields | {"trigger_lsl_time_s": round(self.lsl_time_s, 7)}


class TriggerSender:
    """A port to which codes are written, and a thread that takes each back to 0.

    A code is written in the thread that calls, within the flip's callback: handing it to a thread
    would delay it until that thread has its turn. No write waits for the port.

    Parameters
    ----------
    port : TriggerPort
        Open; closed on leaving.
    codes : TriggerCodes
    pulse_s : float
        How long a code stays; 0 leaves it.
    """

    def __init__(self, port: TriggerPort, codes: TriggerCodes, pulse_s: float) -> None:
        self.codes = codes
        self._port = port
        self._pulse_s = pulse_s
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._reset_at_s: float | None = None
        self._ended = False
        self._told = False
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, protocol: Protocol, stimuli: StimulusSet) -> TriggerSender | None:
        """Open what a protocol declares; None where it sends nothing.

        Raises
        ------
        DuchenneError
            The codes do not fit, or the port cannot be opened.
        """
        triggers: Triggers | None = protocol.triggers
        port = None if triggers is None else open_port(triggers)
        if triggers is None or port is None:
            return None
        try:
            return cls(port, trigger_codes(protocol, stimuli), triggers.pulse_ms / 1000)
        except BaseException:
            port.close()
            raise

    def __enter__(self) -> Self:
        self._write(0)
        if self._pulse_s > 0:
            self._thread = threading.Thread(target=self._take_back, name="trigger-reset")
            self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._write(0)
        self._port.close()

    def send(self, code: int) -> Sent:
        """Write a code now; a failure is told, not raised, as the session matters more."""
        with self._lock:
            error = self._write(code)
            now_s = pylsl.local_clock()
            self._reset_at_s = time.monotonic() + self._pulse_s
        self._wake.set()
        return Sent(code, now_s, error)

    def _write(self, code: int) -> str:
        try:
            self._port.write(code)
        except PortError as failure:
            if not self._told:
                self._told = True
                sys.stderr.write(f"triggers: {failure}; the markers say which were not sent\n")
                sys.stderr.flush()
            return str(failure)
        return ""

    def _take_back(self) -> None:
        """Write 0 when the pulse of the last code is over; runs in its thread."""
        while not self._ended:
            due_s = self._reset_at_s
            if due_s is None:
                self._wake.wait()
                self._wake.clear()
                continue
            if self._wake.wait(max(due_s - time.monotonic(), 0.0)):
                self._wake.clear()  # a new code, or the end
                continue
            with self._lock:
                if self._reset_at_s == due_s:
                    self._write(0)
                    self._reset_at_s = None
