"""Starts the console: backend, server, browser."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import time
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.analysis.console.courtesy import step_back
from duchenne.recorder.control import runtime_folder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.console.serving import ConsoleServer

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LINGER_S = 60.0
"""A console that a session has started ends so long after the session and the last page."""


def run_console(
    study: Path,
    *,
    port: int,
    host: str,
    browser: bool,
    lingers: bool = False,
) -> None:
    """Serve the console until Ctrl-C; print its address.

    Parameters
    ----------
    study : Path
        Made where it is missing.
    port : int
        0: any that is free.
    host : str
        Address to listen on.
    browser : bool
        Open the page, where there is a browser.
    lingers : bool
        End by itself, a minute after the last session and page.

    Raises
    ------
    DuchenneError
        The address cannot be had, or the study folder cannot be written.
    """
    from duchenne.analysis.console.service import Service  # noqa: PLC0415
    from duchenne.analysis.console.serving import ConsoleServer  # noqa: PLC0415 -- the web server

    study = study.resolve()
    try:
        study.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DuchenneError(f"cannot make the study folder {study}: {error}") from error
    with Service(study) as backend:
        step_back()
        idle = _Idle()
        server = ConsoleServer(
            backend,
            host,
            port,
            names=_names_of_this_machine(host),
            on_turn=(lambda: idle.is_over(server, is_busy=backend.is_busy)) if lingers else None,
        )
        if host not in LOOPBACK:
            _say(f"The console is open to the network at {host}, without encryption.")
        entrance = server.entrance()
        _say(f"Console: {entrance}")
        shows = browser and (sys.platform != "linux" or bool(os.environ.get("DISPLAY")))
        with _opened(entrance) if shows else contextlib.nullcontext():
            server.serve()


@contextlib.contextmanager
def _opened(entrance: str) -> Iterator[None]:
    """Open a browser by way of a private file: the token is not to be seen in the list of processes."""
    page = runtime_folder() / f"open-{secrets.token_hex(8)}.html"
    text = f'<!doctype html><meta http-equiv="refresh" content="0; url={entrance}"><title>Duchenne</title>'
    with contextlib.suppress(OSError, webbrowser.Error):
        with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        webbrowser.open(page.as_uri())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            page.unlink()


@dataclass
class _Idle:
    """For how long nobody has needed the console."""

    since_s: float | None = None

    def is_over(self, server: ConsoleServer, *, is_busy: bool) -> bool:
        if is_busy or server.operators.n_pages:
            self.since_s = None
            return False
        self.since_s = time.monotonic() if self.since_s is None else self.since_s
        return time.monotonic() - self.since_s > LINGER_S


def _names_of_this_machine(host: str) -> tuple[str, ...]:
    if host not in {"0.0.0.0", "::"}:  # noqa: S104 -- compared, not bound
        return ()
    name = socket.gethostname().lower()
    found = {name, "127.0.0.1", "localhost"}
    with contextlib.suppress(OSError):
        found |= {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    return (name, *sorted(found - {name}))


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # whoever started us may have stopped listening
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
