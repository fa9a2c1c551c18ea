"""The console's routes: each checks what came, asks the backend, and answers JSON."""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from duchenne.analysis.console.backend import NotThereError
from duchenne.analysis.console.forms import (
    NAME_PATTERN,
    RUN_ID_PATTERN,
    STEM_PATTERN,
    AlarmForm,
    AnswerForm,
    CancelForm,
    CheckQuery,
    CommandForm,
    Empty,
    Form,
    JobForm,
    NameForm,
    NoteForm,
    SetupForm,
    StartForm,
    first_problem,
)
from duchenne.analysis.console.hub import Hub
from duchenne.analysis.console.plain import dumps
from duchenne.analysis.console.security import INVITATION_S, REPORT_POLICY
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from duchenne.analysis.console.backend import Backend
    from duchenne.analysis.console.operators import Operators
    from duchenne.analysis.console.security import SignedIn, Tickets

    Handler = Callable[[Request], Awaitable[Response]]
    Action = Callable[[Any, str], Any]

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
}
NO_CONTROLS = "another operator holds the controls: ask for them first"


def make_app(
    backend: Backend, operators: Operators, tickets: Tickets, signed_in: SignedIn
) -> FastAPI:
    """Return the application behind the guard.

    Parameters
    ----------
    backend : Backend
    operators : Operators
    tickets : Tickets
        For invitations.
    signed_in : SignedIn
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    hub = Hub(backend, operators)
    app.state.hub = hub
    _pages(app, backend)
    _questions(app, backend, hub)
    _session(app, backend, operators)
    _controls(app, operators, tickets, signed_in)

    async def live(socket: WebSocket) -> None:
        await hub.serve(socket, socket.scope["operator"])

    app.router.routes.append(WebSocketRoute("/api/live", live))
    return app


def _pages(app: FastAPI, backend: Backend) -> None:
    async def index(_request: Request) -> Response:
        return _static("index.html")

    async def static(request: Request) -> Response:
        return _static(request.path_params["name"])

    async def report(request: Request) -> Response:
        stem = request.path_params["stem"]
        if re.fullmatch(STEM_PATTERN, stem) is None:
            raise NotThereError("no such report")
        content = await run_in_threadpool(backend.report, stem)
        headers = {"content-security-policy": REPORT_POLICY, "x-frame-options": "SAMEORIGIN"}
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    async def thumbnail(request: Request) -> Response:
        query = request.query_params
        run, protocol = query.get("run"), query.get("protocol")
        fits = run is None or re.fullmatch(RUN_ID_PATTERN, run)
        fits = fits and (protocol is None or re.fullmatch(NAME_PATTERN, protocol))
        if not fits:
            raise NotThereError("no such stimulus")
        stimulus = request.path_params["stimulus"].removesuffix(".jpg")
        jpeg = await run_in_threadpool(backend.thumbnail, stimulus, run, protocol)
        return Response(jpeg, media_type="image/jpeg")

    _add(app, "/", index)
    _add(app, "/static/{name}", static)
    _add(app, "/reports/{stem}", report)
    _add(app, "/api/stimuli/{stimulus}", thumbnail)


def _questions(app: FastAPI, backend: Backend, hub: Hub) -> None:
    async def state(request: Request) -> Response:
        study = {"name": backend.study.name, "path": str(backend.study)}
        whole = hub.state_of(request.scope["operator"])
        return _json({"server_t_ms": time.time() * 1e3, "study": study, **whole})

    async def setup(_request: Request) -> Response:
        return _json(await run_in_threadpool(backend.setup))

    async def check(request: Request) -> Response:
        query: dict[str, Any] = dict(request.query_params)
        return _json(await run_in_threadpool(backend.check, CheckQuery.model_validate(query)))

    async def study(_request: Request) -> Response:
        return _json(await run_in_threadpool(backend.study_page))

    async def review(request: Request) -> Response:
        stem = request.path_params["stem"]
        if re.fullmatch(STEM_PATTERN, stem) is None:
            raise NotThereError("no such session")
        return _json(await run_in_threadpool(backend.review, stem))

    _add(app, "/api/state", state)
    _add(app, "/api/setup", setup)
    _add(app, "/api/participants/check", check)
    _add(app, "/api/study", study)
    _add(app, "/api/review/{stem}", review)


def _session(app: FastAPI, backend: Backend, operators: Operators) -> None:
    steer = partial(_post, app, operators)

    def started(form: StartForm, _who: str) -> dict[str, Any]:
        return {"run_id": backend.start(form), "status": 202}

    def noted(form: NoteForm, who: str) -> None:
        backend.note(form.run_id, form.text, operators.name(who))

    steer("/api/preview/start", SetupForm, lambda form, _who: backend.preview_start(form))
    steer("/api/preview/stop", Empty, lambda _form, _who: backend.preview_stop())
    steer("/api/preflight/refresh", Empty, lambda _form, _who: backend.preflight_refresh())
    steer("/api/session/start", StartForm, started)
    steer(
        "/api/session/command",
        CommandForm,
        lambda form, who: backend.command(_with_reason(form), operators.name(who)),
    )
    steer("/api/session/note", NoteForm, noted, anybody=True)
    steer("/api/session/close", Empty, lambda _form, _who: backend.close())
    steer(
        "/api/alarms/ack",
        AlarmForm,
        lambda form, who: backend.acknowledge(form, operators.name(who)),
    )
    steer("/api/au/start", Empty, lambda _form, _who: backend.au_start())
    steer("/api/au/stop", Empty, lambda _form, _who: backend.au_stop())
    steer("/api/jobs", JobForm, lambda form, _who: {"job_id": backend.job(form)})
    steer("/api/jobs/cancel", CancelForm, lambda form, _who: backend.cancel(form.job_id))


def _with_reason(form: CommandForm) -> CommandForm:
    if form.command == "abort" and len(form.reason.strip()) < 3:
        raise UsageError("reason: say in a few words why the session ends")
    return form


def _controls(app: FastAPI, operators: Operators, tickets: Tickets, signed_in: SignedIn) -> None:
    post = partial(_post, app, operators)

    def renamed(form: NameForm, who: str) -> None:
        operators.rename(who, form.name)

    def left(_form: Empty, who: str) -> None:
        operators.dismissed(who)
        signed_in.dismiss(who)

    def granted(_form: Empty, who: str) -> dict[str, Any]:
        return {"granted": operators.take(who)}

    async def invite(request: Request) -> Response:
        await _body(request, Empty)
        if not operators.holds(request.scope["operator"]):
            return _error(409, NO_CONTROLS)
        address = f"http://{request.headers['host']}/?token={tickets.issue(INVITATION_S)}"
        return _json({"url": address, "valid_s": INVITATION_S})

    post("/api/control/take", Empty, granted, anybody=True)
    post("/api/control/answer", AnswerForm, lambda form, _who: operators.answer(accept=form.accept))
    post("/api/control/release", Empty, lambda _form, _who: operators.release())
    post("/api/me", NameForm, renamed, anybody=True)
    post("/api/signout", Empty, left, anybody=True)
    _add(app, "/api/invite", invite, method="POST")


def _post(
    app: FastAPI,
    operators: Operators,
    path: str,
    form: type[Form],
    action: Action,
    *,
    anybody: bool = False,
) -> None:
    """Add a route that does something; where not `anybody` may, only the holder of the controls."""

    async def handle(request: Request) -> Response:
        content = await _body(request, form)
        who = request.scope["operator"]
        if not anybody and not operators.holds(who):
            return _error(409, NO_CONTROLS)
        answer = await run_in_threadpool(action, content, who) or {}
        status = answer.pop("status", 200)
        return _json({"ok": True, **answer}, status)

    _add(app, path, handle, method="POST")


async def _body(request: Request, form: type[Form]) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("the request is no JSON")
    return form.model_validate_json(await request.body() or b"{}")


def _add(app: FastAPI, path: str, handler: Handler, *, method: str = "GET") -> None:
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except ValidationError as error:
            sentence, field = first_problem(list(error.errors()))
            return _error(422, sentence, field)
        except NotThereError as error:
            return _error(404, str(error))
        except UsageError as error:
            return _error(422, str(error))
        except DuchenneError as error:
            return _error(409, str(error))

    app.router.routes.append(Route(path, guarded, methods=[method]))


def _static(name: str) -> Response:
    path = STATIC / name
    if re.fullmatch(NAME_PATTERN, name) is None or path.suffix not in KINDS or not path.is_file():
        raise NotThereError("no such file")
    return Response(path.read_bytes(), media_type=KINDS[path.suffix])


def _json(content: Any, status: int = 200) -> Response:
    return Response(dumps(content), status, media_type="application/json")


def _error(status: int, sentence: str, field: str | None = None) -> Response:
    return _json({"error": sentence, "field": field}, status)
