"""Who gets into the console and what gets through: a real console process, spoken to over its socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
websockets = pytest.importorskip("websockets.sync.client")

from websockets.exceptions import InvalidStatus  # noqa: E402 -- after the check that it is there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GETS = ("/api/state", "/api/setup", "/api/study", "/api/participants/check", "/static/index.html")
POSTS: dict[str, Any] = {
    "/api/preview/start": {"protocol": "demo", "participant": "P01"},
    "/api/preview/stop": {},
    "/api/preflight/refresh": {},
    "/api/session/start": {"protocol": "demo", "participant": "P01"},
    "/api/session/command": {"run_id": "0" * 12, "command": "pause"},
    "/api/session/note": {"run_id": "0" * 12, "text": "a note"},
    "/api/session/close": {},
    "/api/alarms/ack": {"ids": "all"},
    "/api/au/start": {},
    "/api/au/stop": {},
    "/api/control/take": {},
    "/api/control/answer": {"accept": True},
    "/api/control/release": {},
    "/api/me": {"name": "Anna"},
    "/api/invite": {},
    "/api/jobs": {"kind": "analyze"},
    "/api/jobs/cancel": {"job_id": "j1"},
}
FORM: dict[str, Any] = {
    "protocol": "demo",
    "participant": "P01",
    "session": "01",
    "run": "01",
    "eyetracker": "simulated",
    "eyetracker_options": {"rate_hz": "600"},
    "camera": "simulated",
    "camera_options": {},
    "sources": [{"name": "simulated-microphone", "options": {"name": "Mic"}}],
    "replaces": "P01",
    "override_reason": "no reason",
    "headless": True,
}
NASTY = (
    "../../../etc/passwd",
    "..",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\windows",
    "%2e%2e%2fetc",
    "--headless",
    "P01;touch /tmp/x",
    "$(touch x)",
    "`id`",
    "P01\nabort",
    "P01\x00",
    "P 01",
    "",
    "x" * 5000,
    "<script>alert(1)</script>",
)


@dataclass
class Console:
    """A running console and what it printed."""

    study: Path
    entrance: str

    @property
    def root(self) -> str:
        parts = urlsplit(self.entrance)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        return urlsplit(self.entrance).netloc


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    study = tmp_path_factory.mktemp("study")
    runtime = tmp_path_factory.mktemp("runtime")
    runtime.chmod(0o700)
    process = subprocess.Popen(
        [sys.executable, "-m", "duchenne.cli", "console", "--study", str(study), "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DUCHENNE_RUNTIME": str(runtime)},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("Console: http://127.0.0.1:"), line
        yield Console(study, line.split()[1])
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close()


@pytest.fixture(scope="module")
def holder(console: Console) -> Iterator[Any]:
    """A client that came in by the token and holds the controls."""
    with httpx.Client(base_url=console.root, timeout=20) as client:
        client.headers["origin"] = console.root
        answer = client.get(console.entrance)
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert client.post("/api/control/take", json={}).json()["granted"]
        yield client


@pytest.fixture
def watcher(console: Console, holder: Any) -> Iterator[Any]:
    """A second operator, who came in by an invitation."""
    address = holder.post("/api/invite", json={}).json()["url"]
    with httpx.Client(base_url=console.root, timeout=20) as client:
        client.headers["origin"] = console.root
        assert client.get(address).status_code == 200
        yield client


def cookie_of(client: Any) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def test_a_token_opens_the_console_once(console: Console, holder: Any) -> None:
    assert holder.get("/api/state").status_code == 200
    with httpx.Client(base_url=console.root) as again:
        answer = again.get(console.entrance)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert again.get("/?token=").status_code == 403
        assert again.get("/?token=" + "A" * 43).status_code == 403


def test_nothing_is_open_without_the_cookie(console: Console) -> None:
    with httpx.Client(base_url=console.root) as nobody:
        for path in (*GETS, "/reports/sub-P01_ses-01_task-demo_run-01", "/api/stimuli/sunset.jpg"):
            assert nobody.get(path).status_code == 401, path
        for path, body in POSTS.items():
            headers = {"origin": console.root}
            assert nobody.post(path, json=body, headers=headers).status_code == 401, path
            headers["cookie"] = f"duchenne_{urlsplit(console.root).port}=wrong"
            assert nobody.post(path, json=body, headers=headers).status_code == 401, path


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example", ""],
)
def test_a_wrong_host_is_refused(holder: Any, host: str) -> None:
    for path in ("/", "/api/state"):
        assert holder.get(path, headers={"host": host}).status_code == 403
    answer = holder.post("/api/me", json={"name": "Anna"}, headers={"host": host})
    assert answer.status_code == 403


def test_another_site_is_refused(console: Console, holder: Any) -> None:
    for path, body in POSTS.items():
        for origin in (
            "https://evil.example",
            "null",
            "",
            f"https://{console.host}",
            "http://127.0.0.1",
        ):
            answer = holder.post(path, json=body, headers={"origin": origin})
            assert answer.status_code == 403, (path, origin)
    bare = httpx.post(f"{console.root}/api/me", json={}, headers={"cookie": cookie_of(holder)})
    assert bare.status_code == 403
    for site in ("cross-site", "same-site"):
        assert holder.get("/api/state", headers={"sec-fetch-site": site}).status_code == 403
    answer = holder.post("/api/me", content="name=Anna", headers={"content-type": "text/plain"})
    assert answer.status_code == 422


def test_a_socket_needs_cookie_and_origin(console: Console, holder: Any) -> None:
    address = f"ws://{console.host}/api/live"
    good = {"Cookie": cookie_of(holder)}
    for origin, headers in (
        (console.root, {}),
        ("https://evil.example", good),
        (None, good),
        (console.root, {"Cookie": "duchenne_1=x"}),
    ):
        with (
            pytest.raises(InvalidStatus),
            websockets.connect(address, origin=origin, additional_headers=headers),
        ):
            pass


def test_answers_carry_what_keeps_a_browser_safe(holder: Any) -> None:
    for path in ("/api/state", "/static/nothing.js"):
        headers = holder.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert not any(name.startswith("access-control") for name in headers)
    asked = {"access-control-request-method": "POST", "origin": "https://evil.example"}
    assert holder.options("/api/state", headers=asked).status_code == 405
    assert holder.put("/api/state", json={}).status_code == 405


def without(field: str, value: Any) -> dict[str, Any]:
    return {**FORM, field: value}


def nasty_forms() -> Iterator[dict[str, Any]]:
    for text in NASTY:
        for field in (
            "protocol",
            "participant",
            "session",
            "run",
            "eyetracker",
            "camera",
            "replaces",
        ):
            yield without(field, text)
        yield without("sources", [{"name": text, "options": {}}])
        yield without("eyetracker_options", {text: "1"})
        yield without("override_reason", "\n")
    for text in ("../../x", "/etc/passwd", "~/x", "a\nb", "..\\x", "x" * 5000):
        yield without("eyetracker_options", {"name": text})
        yield without("camera_options", {"name": text})
        yield without("sources", [{"name": "simulated-microphone", "options": {"name": text}}])
    for key in ("truth", "source_id", "markers_source_id", "protocol", "__class__"):
        yield without("eyetracker_options", {key: "x"})
    yield without("seed", -1)
    yield without("headless", "yes")
    yield {**FORM, "command": "rm"}


def test_no_field_of_a_form_lets_a_path_or_command_through(console: Console, holder: Any) -> None:
    before = sorted(console.study.rglob("*"))
    n = 0
    for form in nasty_forms():
        n += 1
        ways = [("/api/session/start", form)]
        if n % 5 == 0 and (bare := _without_reason(form)) != _without_reason(FORM):
            ways.append(("/api/preview/start", bare))
        for path, body in ways:
            answer = holder.post(path, json=body)
            assert 400 <= answer.status_code < 500, (form, answer.text)
            assert answer.json()["error"]
    assert n > 150
    assert sorted(console.study.rglob("*")) == before
    assert holder.get("/api/state").json()["phase"] == "setup"


def _without_reason(form: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in form.items() if key != "override_reason"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/session/command", {"run_id": "{}", "command": "pause"}),
        ("/api/session/command", {"run_id": "0" * 12, "command": "{}"}),
        ("/api/session/note", {"run_id": "{}", "text": "x"}),
        ("/api/jobs", {"kind": "{}"}),
        ("/api/jobs", {"kind": "analyze", "stem": "{}"}),
        ("/api/jobs", {"kind": "export", "format": "{}"}),
        ("/api/jobs/cancel", {"job_id": "{}"}),
        ("/api/alarms/ack", {"ids": ["{}"]}),
        ("/api/me", {"name": "{}"}),
    ],
)
def test_no_other_text_lets_anything_through(holder: Any, path: str, body: dict[str, Any]) -> None:
    for text in NASTY:
        told = json.loads(json.dumps(body).replace('"{}"', json.dumps(text)))
        if path == "/api/me" and text == "P 01":
            continue  # a name may hold a space
        answer = holder.post(path, json=told)
        assert answer.status_code == 422, (text, answer.text)


def test_no_address_leads_out_of_its_folder(console: Console, holder: Any) -> None:
    (console.study / "secret.html").write_text("secret")
    for text in (*NASTY, "....//secret.html", "secret.html"):
        for path in ("/static/", "/reports/", "/api/review/", "/api/stimuli/"):
            for written in (quote(text[:200], safe=""), quote(text[:200], safe="/.")):
                status, content = raw_get(console, cookie_of(holder), path + written)
                assert status == 404, (path, text)
                assert "secret" not in content
        query = {"participant": text[:3000], "protocol": "demo"}
        assert holder.get("/api/participants/check", params=query).status_code == 422
        query = {"participant": "P01", "protocol": text[:3000]}
        assert holder.get("/api/participants/check", params=query).status_code == 422
    (console.study / "secret.html").unlink()


def raw_get(console: Console, cookie: str, path: str) -> tuple[int, str]:
    """Ask for a path as it is written, points and all; clients put it in order otherwise."""
    connection = HTTPConnection(console.host, timeout=20)
    try:
        connection.request("GET", path, headers={"cookie": cookie})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def test_a_large_request_is_cut_off(holder: Any) -> None:
    answer = holder.post(
        "/api/me", content=b" " * 70_000, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


def test_one_holds_the_controls_and_others_watch(
    console: Console, holder: Any, watcher: Any
) -> None:
    watcher.post("/api/me", json={"name": "Bert"})
    address, good = f"ws://{console.host}/api/live", {"Cookie": cookie_of(holder)}
    with websockets.connect(address, origin=console.root, additional_headers=good) as page:
        hello = json.loads(page.recv(5))
        assert (hello["type"], hello["me"]["holds_controls"]) == ("hello", True)
        assert watcher.get("/api/state").json()["me"]["holds_controls"] is False
        assert watcher.post("/api/au/stop", json={}).status_code == 409
        assert watcher.post("/api/invite", json={}).status_code == 409
        assert watcher.post("/api/control/take", json={}).json()["granted"] is False
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            said = json.loads(page.recv(5))
            if said["type"] == "state" and said["control"]["request"]:
                break
        assert said["control"]["request"]["name"] == "Bert"
        assert holder.post("/api/control/answer", json={"accept": True}).status_code == 200
        assert watcher.get("/api/state").json()["me"]["holds_controls"] is True
        assert holder.post("/api/au/stop", json={}).status_code == 409
        watcher.post("/api/control/release", json={})
        assert holder.post("/api/au/stop", json={}).status_code == 200


def test_a_page_that_talks_nonsense_stays_connected(console: Console, holder: Any) -> None:
    address, good = f"ws://{console.host}/api/live", {"Cookie": cookie_of(holder)}
    with websockets.connect(address, origin=console.root, additional_headers=good) as page:
        for text in (
            "no json",
            "[1]",
            '{"type": 5}',
            '{"type": "want", "views": ["../x", 3]}',
            "[" * 4000,
        ):
            page.send(text)
        page.send('{"type": "ping"}')
        kinds = [json.loads(page.recv(5))["type"] for _ in range(4)]
        assert "pong" in kinds
