"""The live connection of a page: what it is sent, how often, and what it may say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

from duchenne.analysis.console.plain import dumps

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from duchenne.analysis.console.backend import Backend, Picture
    from duchenne.analysis.console.operators import Operators

LIVE_RATE_HZ = 8.0
STREAMS_EVERY = 4
STATE_EVERY = 2
VIEWS = ("face", "stage")
MAX_SAID_BYTES = 4096
VERSION = 1


@dataclass
class Hub:
    """Serves every page that is open; each is sent the newest values as fast as it takes them.

    Parameters
    ----------
    backend : Backend
    operators : Operators
    """

    backend: Backend
    operators: Operators
    _wanted: dict[int, set[str]] = field(default_factory=dict)
    _n: int = 0

    def state_of(self, operator: str) -> dict[str, Any]:
        """Return the whole state as one operator sees it."""
        return {
            **self.backend.state(),
            "me": self.operators.me(operator),
            "control": self.operators.to_json(),
        }

    async def serve(self, socket: WebSocket, operator: str) -> None:
        """Serve one page until it goes."""
        await socket.accept()
        self._n += 1
        number = self._n
        self._wanted[number] = set()
        self.operators.came(operator)
        page = _Page(self, socket, operator, number)
        telling = asyncio.create_task(page.tell())
        try:
            await page.hear()
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await telling
            del self._wanted[number]
            self._tell_watched()
            self.operators.went(operator)

    def want(self, number: int, views: set[str]) -> None:
        """Note which pictures a page wants."""
        self._wanted[number] = views
        self._tell_watched()

    def wanted(self, number: int) -> set[str]:
        """Return which pictures a page wants."""
        return self._wanted.get(number, set())

    def _tell_watched(self) -> None:
        self.backend.watched(set().union(*self._wanted.values()))


@dataclass
class _Page:
    hub: Hub
    socket: WebSocket
    operator: str
    number: int
    _state: str = ""
    _log: int = -1
    _sent: dict[str, int] = field(default_factory=dict)

    async def hear(self) -> None:
        """Take what the page says until it goes; what is not understood is passed over."""
        while True:
            text = await self.socket.receive_text()
            said: Any = None
            if len(text) <= MAX_SAID_BYTES:
                with contextlib.suppress(ValueError, RecursionError):
                    said = json.loads(text)
            if not isinstance(said, dict):
                continue
            if said.get("type") == "ping":
                await self._send({"type": "pong", "server_t_ms": time.time() * 1e3})
            if said.get("type") == "want" and isinstance(said.get("views"), list):
                views = {view for view in VIEWS if view in said["views"]}
                self.hub.want(self.number, views)
                self._sent.clear()

    async def tell(self) -> None:
        """Send what there is, eight times a second or as fast as the page takes it."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._greet()
            turn = 0
            while True:
                begun = time.monotonic()
                await self._one_turn(turn)
                turn += 1
                await asyncio.sleep(max(0.01, 1 / LIVE_RATE_HZ - (time.monotonic() - begun)))

    async def _greet(self) -> None:
        backend = self.hub.backend
        await self._send(
            {
                "type": "hello",
                "version": VERSION,
                "server_t_ms": time.time() * 1e3,
                "me": self.hub.operators.me(self.operator),
                "study": {"name": backend.study.name, "path": str(backend.study)},
                "live_rate_hz": LIVE_RATE_HZ,
            }
        )

    async def _one_turn(self, turn: int) -> None:
        backend = self.hub.backend
        if turn % STATE_EVERY == 0:
            state = dumps({"type": "state", **self.hub.state_of(self.operator)})
            if state != self._state:
                self._state = state
                await self.socket.send_text(state)
        newest, entries = backend.log(self._log)
        self._log = newest
        if entries:
            await self._send({"type": "log", "entries": entries})
        live = backend.live()
        if live is not None:
            await self._send({"type": "live", **live})
        if turn % STREAMS_EVERY == 0 and (streams := backend.streams()):
            await self._send({"type": "streams", "t_ms": time.time() * 1e3, "streams": streams})
        for view in self.hub.wanted(self.number):
            picture = backend.picture(view)
            if picture is not None and picture.number != self._sent.get(view):
                self._sent[view] = picture.number
                await self.socket.send_bytes(framed(picture))

    async def _send(self, message: dict[str, Any]) -> None:
        await self.socket.send_text(dumps(message))


def framed(picture: Picture) -> bytes:
    """Return a picture as a binary message: length of the header, header, JPEG."""
    header = dumps({"type": "picture", **picture.header}).encode()
    return len(header).to_bytes(4, "big") + header + picture.jpeg
