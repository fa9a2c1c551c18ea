"""Who may talk to the console: one-time tokens, cookies, and a guard in front of every request.

The guard refuses a request that does not name this server as its host (a foreign page whose name was made to
point here), one that another site's page sends (Origin, Sec-Fetch-Site), and one without the cookie that a
token was exchanged for. Nothing is ever shared with other origins, and no answer is kept by the browser.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024
SAFE_METHODS = ("GET", "HEAD")
INVITATION_S = 600.0
PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Duchenne console</title>
<body><h1>This page needs its token</h1><p>The terminal that started the console shows an address with a
token, which opens the console once. For a further browser ask whoever holds the controls for an
invitation, or start the console again.</p></body></html>"""

ENTRANCE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Duchenne console</title>
<meta http-equiv="refresh" content="0; url=/"><body><a href="/">The console</a></body></html>"""


@dataclass
class Tickets:
    """Tokens that open the console once; only their hashes are kept."""

    clock: Callable[[], float] = time.monotonic
    _valid_until: dict[str, float] = field(default_factory=dict)

    def issue(self, valid_s: float = float("inf")) -> str:
        """Return a new token, valid for so many seconds."""
        token = secrets.token_urlsafe(32)
        self._valid_until[_digest(token)] = self.clock() + valid_s
        return token

    def redeem(self, token: str) -> bool:
        """Use a token up; return whether it was good."""
        until = self._valid_until.pop(_digest(token), None)
        return until is not None and self.clock() <= until


@dataclass
class SignedIn:
    """The browsers that are signed in: cookie values, as hashes, and who each one is."""

    _operators: dict[str, str] = field(default_factory=dict)
    _n: int = 0

    def admit(self) -> tuple[str, str]:
        """Return the cookie value of a new operator, and the operator's id."""
        value = secrets.token_urlsafe(32)
        self._n += 1
        operator = f"op-{self._n}"
        self._operators[_digest(value)] = operator
        return value, operator

    def operator(self, value: str | None) -> str | None:
        """Return whose cookie this is; None where it is nobody's."""
        return None if value is None else self._operators.get(_digest(value))

    def dismiss(self, operator: str) -> None:
        """End what an operator's cookie opens."""
        self._operators = {key: who for key, who in self._operators.items() if who != operator}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def allowed_hosts(address: str, port: int, names: Collection[str] = ()) -> frozenset[str]:
    """Return the values of the Host header that name this server.

    Parameters
    ----------
    address : str
        That the server listens on.
    port : int
    names : collection of str
        Further names and addresses of this machine, where it listens on all of them.

    Examples
    --------
    >>> sorted(allowed_hosts("127.0.0.1", 8000))
    ['127.0.0.1:8000', 'localhost:8000']
    """
    loopback = ("127.0.0.1", "localhost") if address in {"127.0.0.1", "localhost"} else ()
    found = {address, *loopback, *names} - {"", "0.0.0.0", "::"}  # noqa: S104 -- left out, not bound
    written = {f"[{name}]" if ":" in name else name.lower() for name in found}
    return frozenset(f"{name}:{port}" for name in written)


def headers_of_answers(host: str) -> dict[str, str]:
    """Return what every answer carries; `host` is that of the request, checked already."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        f"connect-src 'self' ws://{host}; media-src 'self' data:; font-src 'self'; frame-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        "cache-control": "no-store",
    }


REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data:; "
    "frame-ancestors 'self'"
)
"""For reports: what is in them runs in an origin of its own, with no way to the console or elsewhere."""


@dataclass
class Guard:
    """ASGI middleware that lets nobody through but those who are signed in.

    Parameters
    ----------
    app : ASGI application
    hosts : set of str
        Of `allowed_hosts`.
    tickets : Tickets
    signed_in : SignedIn
    cookie : str
        Name of the cookie; cookies do not know ports, so it should differ between servers.
    """

    app: App
    hosts: frozenset[str]
    tickets: Tickets
    signed_in: SignedIn
    cookie: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request or WebSocket, then hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        host = headers.get("host", "").lower()
        refusal = self._refusal(scope, headers, host)
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return
        operator = self.signed_in.operator(_cookie(headers.get("cookie", ""), self.cookie))
        if (
            scope["type"] == "http"
            and scope["path"] == "/"
            and await self._entered(scope, send, host)
        ):
            return
        if operator is None:
            await self._turn_away(scope, send, host)
            return
        scope["operator"] = operator
        await self.app(scope, _limited(receive), _with_headers(send, headers_of_answers(host)))

    def _refusal(self, scope: Scope, headers: dict[str, str], host: str) -> tuple[int, str] | None:
        """Return status and reason of a request that must not even be looked at."""
        if host not in self.hosts:
            return 403, "this is not the host that the console serves"
        is_socket = scope["type"] == "websocket"
        method = scope.get("method", "GET")
        if not is_socket and method not in (*SAFE_METHODS, "POST"):
            return 405, "no such method"
        if is_socket or method == "POST":
            if headers.get("origin", "").lower() != f"http://{host}":
                return 403, "the request comes from another site"
            length = headers.get("content-length", "0")
            if not length.isdigit() or int(length) > MAX_BODY_BYTES:
                return 413, "the request is too large"
        crosses = headers.get("sec-fetch-site", "same-origin") in {"cross-site", "same-site"}
        if crosses and not (method == "GET" and scope["path"] == "/" and not is_socket):
            return 403, "the request comes from another site"
        return None

    async def _entered(self, scope: Scope, send: Send, host: str) -> bool:
        """Exchange a token for a cookie; return whether the request has been answered by that."""
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not token or not self.tickets.redeem(token):
            return False
        value, _ = self.signed_in.admit()
        cookie = f"{self.cookie}={value}; HttpOnly; SameSite=Strict; Path=/"
        # Not a redirect: a browser that comes from elsewhere would follow it without the new cookie.
        headers = headers_of_answers(host) | {"set-cookie": cookie}
        await _answer(send, 200, ENTRANCE, "text/html; charset=utf-8", headers)
        return True

    async def _turn_away(self, scope: Scope, send: Send, host: str) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            await _answer(send, 403, PAGE, "text/html; charset=utf-8", headers_of_answers(host))
        else:
            await _refuse(
                scope, send, 401, "not signed in: open the address that the terminal shows"
            )


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers; one that comes twice counts as none, except cookies."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name not in found:
            found[name] = value
        else:
            found[name] = f"{found[name]}; {value}" if name == "cookie" else ""
    return found


def _cookie(header: str, name: str) -> str | None:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4401 if status == 401 else 4403})
        return
    content = json.dumps({"error": why, "field": None}).encode()
    await _answer(send, status, content, "application/json", {})


async def _answer(send: Send, status: int, content: bytes, kind: str, more: dict[str, str]) -> None:
    headers = {
        "content-type": kind,
        "content-length": str(len(content)),
        "cache-control": "no-store",
    }
    await send(
        {"type": "http.response.start", "status": status, "headers": _raw((headers | more).items())}
    )
    await send({"type": "http.response.body", "body": content})


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _with_headers(send: Send, extra: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            added = [pair for pair in _raw(extra.items()) if pair[0] not in own]
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return sending


def _limited(receive: Receive) -> Receive:
    """Cut off a body that is longer than it may be, whatever its header says."""
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                return {"type": "http.disconnect"}
        return message

    return receiving
