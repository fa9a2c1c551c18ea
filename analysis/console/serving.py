"""Binds the console's address and serves it until it is told to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from duchenne.analysis.console.app import make_app
from duchenne.analysis.console.operators import Operators
from duchenne.analysis.console.security import Guard, SignedIn, Tickets, allowed_hosts
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.analysis.console.backend import Backend

MAX_CONNECTIONS = 64
STOP_WITHIN_S = 2


@dataclass
class ConsoleServer:
    """The console's web server.

    Parameters
    ----------
    backend : Backend
    address : str
        To listen on; the loopback address by default.
    port : int
        0: any that is free.
    names : tuple of str
        Further names by which browsers may call this machine.
    on_turn : callable, optional
        Called about ten times a second; returning True ends the server.

    Raises
    ------
    DuchenneError
        The address or port cannot be had.
    """

    backend: Backend
    address: str = "127.0.0.1"
    port: int = 0
    names: tuple[str, ...] = ()
    on_turn: Callable[[], bool] | None = None
    operators: Operators = field(default_factory=Operators)
    tickets: Tickets = field(default_factory=Tickets)
    signed_in: SignedIn = field(default_factory=SignedIn)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((self.address, self.port))
            self._socket.listen(MAX_CONNECTIONS)  # from here on browsers wait instead of failing
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise DuchenneError(
                f"the console cannot listen on {self.address}, port {self.port}: {error}. "
                "Choose another --port."
            ) from error
        self.port = int(self._socket.getsockname()[1])
        app = make_app(self.backend, self.operators, self.tickets, self.signed_in)
        hosts = allowed_hosts(self.address, self.port, self.names)
        guard: Any = Guard(app, hosts, self.tickets, self.signed_in, f"duchenne_{self.port}")
        config = uvicorn.Config(
            guard,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            ws_max_size=1 << 16,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=STOP_WITHIN_S,
            lifespan="off",
        )
        self._server = _Server(config, self.on_turn)

    def entrance(self) -> str:
        """Return a new address that opens the console once."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        host = self.names[0] if host in {"0.0.0.0", "[::]"} and self.names else host  # noqa: S104
        return f"http://{host}:{self.port}/?token={self.tickets.issue()}"

    def serve(self) -> None:
        """Serve until `stop` or a signal."""
        try:
            # Uvicorn raises the signal that ended it once more; what runs here is still to be ended in order.
            with contextlib.suppress(KeyboardInterrupt), _calm(signal.SIGTERM):
                self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `serve`, from any thread."""
        self._server.should_exit = True


@contextlib.contextmanager
def _calm(number: int) -> Iterator[None]:
    """Let a signal do nothing by itself, where that can be said: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, before)


class _Server(uvicorn.Server):
    """Uvicorn that asks now and then whether it should go on."""

    def __init__(self, config: uvicorn.Config, on_turn: Callable[[], bool] | None) -> None:
        super().__init__(config)
        self._on_turn = on_turn

    async def on_tick(self, counter: int) -> bool:
        over = self._on_turn is not None and self._on_turn()
        return await super().on_tick(counter) or over
