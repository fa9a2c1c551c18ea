"""Measure what the console costs: the recorder's stress load with and without a console and an open page.

Run on a quiet machine: ``nice -n -10 python tests/benchmarks/console_load.py --seconds 60``. The load of
``load.py`` is recorded by ``duchenne record``; a control channel makes the console take it for a session. The
page is a client of ours that wants every picture, or Chromium where Playwright and a page are there
(``--browser``). Printed: samples lost, CPU of recorder, console and page, and how old values are on arrival.
The console is killed and started again in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from load import Ours, Verdict
from load_shared import LOADS, sending, usage

from duchenne.recorder.control import ControlPost, RunFacts, new_id
from duchenne.recorder.lsl_config import lsl_on_this_host

SETTLE_S = 10.0


@dataclass
class Page:
    """Follows the console as a page does, in a thread."""

    entrance: str
    views: tuple[str, ...] = ("face", "stage")
    n_live: int = 0
    ages_ms: list[float] = field(default_factory=list)
    gaze_ms: list[float] = field(default_factory=list)
    alarms: list[Any] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Page:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._follow()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    async def _follow(self) -> None:
        import httpx
        import websockets

        root = self.entrance.split("/?")[0]
        async with httpx.AsyncClient() as client:
            await client.get(self.entrance)
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        async with websockets.connect(
            f"{root.replace('http', 'ws')}/api/live",
            origin=root,
            additional_headers={"Cookie": cookie},
            max_size=None,
        ) as socket:
            await socket.send(json.dumps({"type": "want", "views": list(self.views)}))
            begun = time.monotonic()
            with suppress(websockets.ConnectionClosed):
                while not self._stop.is_set():
                    with suppress(asyncio.TimeoutError):
                        self._hear(await asyncio.wait_for(socket.recv(), 1.0))
            self.seconds = time.monotonic() - begun

    def _hear(self, message: bytes | str) -> None:
        arrived_ms = time.time() * 1e3
        if isinstance(message, bytes):
            length = int.from_bytes(message[:4], "big")
            header = json.loads(message[4 : 4 + length])
            if header["view"] == "face":
                self.ages_ms.append(arrived_ms - header["t_ms"])
            return
        told = json.loads(message)
        if told["type"] == "live":
            self.n_live += 1
            if told["gaze"]:
                self.gaze_ms.append(told["gaze"]["age_ms"] + arrived_ms - told["t_ms"])
        elif told["type"] == "state":
            self.alarms = told["alarms"]
            if told["server"]["journal_lag_ms"] is not None:
                self.lags_ms.append(told["server"]["journal_lag_ms"])


def browser_page(entrance: str) -> tuple[Any, Any]:
    """Open the page in headless Chromium; return Playwright and the page's browser."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
    player = sync_playwright().start()
    browser = player.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(entrance)
    return player, browser


def chromium_seconds() -> float:
    """Return the CPU seconds of all Chromium processes that descend from this one."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    ticks = os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            name, _, rest = (folder / "stat").read_text().partition(") ")
            fields = rest.split()
            parents[int(folder.name)] = int(fields[1])
            if "chrom" in name:
                seconds[int(folder.name)] = (int(fields[11]) + int(fields[12])) / ticks

    def is_mine(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return sum(spent for pid, spent in seconds.items() if is_mine(pid))


def start_console(study: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a console; return its process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "duchenne.cli", "console", "--study", str(study), "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[1]


def cpu_share(pid: int, seconds: float) -> float:
    """Return the share of a core that a process takes over so many seconds."""
    before = usage(pid).cpu_s
    time.sleep(seconds)
    return (usage(pid).cpu_s - before) / seconds


def run(folder: Path, load: str, seconds: float, *, console: bool, browser: bool) -> str:
    """Record the load once; return a table row."""
    import pylsl

    study = folder / "study"
    study.mkdir(parents=True)
    os.environ["DUCHENNE_RUNTIME"] = str(folder / "runtime")
    names = {"participant": "P01", "session": "01", "task": "t", "run": "01", "protocol": "demo"}
    facts = RunFacts(
        id=new_id(),
        pid=os.getpid(),
        study=str(study.resolve()),
        session_file=str(folder / "ours.h5"),
        journal=str(folder / "ours.journal"),
        started_s=time.time(),
        **names,
    )
    shares: dict[str, float] = {}
    page = None
    with sending(load, folder / "ledgers") as ledgers:
        recorder = Ours(folder)
        recorder.start()
        with ControlPost(facts) as post:
            post.step(1, 1, "load")
            time.sleep(SETTLE_S)
            if console:
                page = watched(study, seconds, recorder.process.pid, shares, browser=browser)
            else:
                shares["recorder"] = cpu_share(recorder.process.pid, seconds)
            post.say(state="finished")
        asked_s = pylsl.local_clock()
        recorder.stop()
    verdict = Verdict()
    for name, stream in recorder.streams().items():
        verdict.add(stream, ledgers.sent(name), asked_s)
    return row("with a console" if console else "alone", verdict, shares, page)


def watched(
    study: Path, seconds: float, recorder: int, shares: dict[str, float], *, browser: bool
) -> Page:
    """Watch with a console that is killed and started again halfway; return what the page saw."""
    first, entrance = start_console(study)
    with Page(entrance):
        time.sleep(seconds / 4)
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert first.stdout is not None
    first.stdout.close()
    second, entrance = start_console(study)
    player = chromium = None
    if browser:
        player, chromium = browser_page(entrance)
        time.sleep(3)
        page = Page(entrance)
        before, chrome = usage(second.pid).cpu_s, chromium_seconds()
        shares["recorder"] = cpu_share(recorder, seconds)
        shares["page"] = (chromium_seconds() - chrome) / (seconds)
        shares["console"] = (usage(second.pid).cpu_s - before) / seconds
        chromium.close()
        player.stop()
    else:
        with Page(entrance) as page:
            time.sleep(5)
            before = usage(second.pid).cpu_s
            shares["recorder"] = cpu_share(recorder, seconds)
            shares["console"] = (usage(second.pid).cpu_s - before) / seconds
    second.terminate()
    second.wait(20)
    assert second.stdout is not None
    second.stdout.close()
    return page


def row(name: str, verdict: Verdict, shares: dict[str, float], page: Page | None) -> str:
    """Return a row of the table."""

    def percent(key: str) -> str:
        return f"{100 * shares[key]:.1f} %" if key in shares else ""

    def spread(values: list[float]) -> str:
        if len(values) < 10:
            return ""
        return f"{statistics.median(values):.0f} / {statistics.quantiles(values, n=20)[-1]:.0f} ms"

    live = f"{page.n_live / page.seconds:.1f} Hz" if page is not None and page.seconds else ""
    ages = (
        ["", "", ""]
        if page is None
        else [spread(page.gaze_ms), spread(page.ages_ms), str(len(page.alarms))]
    )
    counts = f"{verdict.kept} | {verdict.lost} | {verdict.doubled} | {verdict.swapped}"
    cpu = f"{percent('recorder')} | {percent('console')} | {percent('page')}"
    return f"| {name} | {counts} | {cpu} | {live} | {' | '.join(ages)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", choices=LOADS, default="stress")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--browser", action="store_true", help="Chromium as the page.")
    parser.add_argument("--only", choices=("alone", "console"))
    arguments = parser.parse_args()
    print(
        "| recording | kept | lost | doubled | swapped | recorder | console | page | live | "
        "gaze age (median / 95 %) | picture age | alarms |\n" + "|---" * 12 + "|"
    )
    with lsl_on_this_host("load"), tempfile.TemporaryDirectory() as folder:
        for console in (False, True):
            if arguments.only in {None, "console" if console else "alone"}:
                part = Path(folder) / str(console)
                part.mkdir(mode=0o700)
                told = run(
                    part,
                    arguments.load,
                    arguments.seconds,
                    console=console,
                    browser=arguments.browser,
                )
                print(told, flush=True)


if __name__ == "__main__":
    main()
