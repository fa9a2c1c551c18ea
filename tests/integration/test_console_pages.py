"""A whole simulated session by the pages of the console, set-up to report, with everything going wrong."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATIC = Path(__file__).resolve().parents[2] / "analysis/console/static"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None
    or find_spec("playwright") is None
    or find_spec("fastapi") is None
    or shutil.which("Xvfb") is None
    or find_spec("psychopy") is None,
    reason="needs chromium, playwright, the extra 'console', Xvfb and PsychoPy",
)
pytestmark = pytest.mark.timeout(600)  # one fixture drives the whole session
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PROTOCOL = """\
name: short
title: One picture
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks:
  - name: main
    steps:
      - {type: instruction, text: Welcome., duration_s: 2}
      - {type: neutral, text: Look at the cross., duration_s: 5}
      - {type: trials, select: {ids: [sunset]}, fixation_s: 0.5, duration_s: 3, iti_s: 0.3,
         ratings: [valence]}
"""
WAIT_S, ANALYSIS_S = 60.0, 300.0
LARGE_BYTES, LEFT_FREE_BYTES = 2**33, 40e6
TABLET = {"width": 768, "height": 1024}
LAPTOP = {"width": 1280, "height": 720}
BAD_LABEL = 422
NOTE = "coughed <b>once</b>"
REASON = "a rehearsal without a participant"
CANVAS_CHANGES = """async (selector) => {
  const canvas = document.querySelector(selector);
  const seen = new Set();
  const end = performance.now() + 1200;
  while (performance.now() < end) {
    seen.add(canvas.toDataURL("image/jpeg", 0.5));
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return (seen.size - 1) / 1.2;
}"""


@dataclass
class Console:
    """``duchenne console`` in a process of its own."""

    study: Path
    process: subprocess.Popen[str] = field(init=False)
    address: str = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "duchenne.cli", "console", "--study", str(self.study)]
        self.process = subprocess.Popen(
            [*command, "--no-browser"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.address = ""
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+token=\S+", line):
                self.address = found[0]
                until(self._answers, "the console")
                return
        pytest.fail(f"the console did not start: {''.join(said)}")

    def _answers(self) -> bool:
        port = int(re.findall(r":(\d+)/", self.address)[0])
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Story:
    """What was seen on the pages."""

    study: Path
    said: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)

    @property
    def session_file(self) -> Path:
        (path,) = self.study.glob("sourcedata/sub-P01/ses-01/*_session.h5")
        return path


def processes_of(study: Path, *words: str) -> list[int]:
    """Return the numbers of the processes whose command line names the study and the words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if str(study) in line and all(word in line for word in words):
                found.append(int(path.parent.name))
    return found


def until(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> float:
    """Wait until something is so; return how long it took, seconds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < timeout_s, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.03)
    return time.monotonic() - begun


class Operator:
    """Sits in front of the page."""

    def __init__(self, page: Any, story: Story, pictures: Path | None) -> None:
        self.page, self.story, self._pictures = page, story, pictures
        page.on("console", self._hear)
        page.on("response", self._receive)
        page.on("pageerror", lambda error: story.troubles.append(str(error)))
        page.on("request", lambda request: story.addresses.add(request.url))
        page.on("websocket", lambda socket: story.addresses.add(socket.url))

    def _hear(self, message: Any) -> None:
        # An address that answers with a refusal is told by its response; the killed console by nobody.
        expected = "Failed to load" in message.text or "ERR_CONNECTION_REFUSED" in message.text
        if message.type in {"error", "warning"} and not expected:
            self.story.troubles.append(message.text)

    def _receive(self, response: Any) -> None:
        if response.status >= 400 and response.status != BAD_LABEL:
            self.story.troubles.append(f"{response.status} {response.url}")

    def reads(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def sees(self, text: str, selector: str = "#headline", timeout_s: float = WAIT_S) -> float:
        """Wait for a text; return how long it took."""
        place = self.page.locator(selector)

        def there() -> bool:
            return text in place.inner_text()

        try:
            return until(there, f"{text!r} in {selector}", timeout_s)
        except AssertionError:
            told = [self.reads(place) for place in ("#headline", "#error", "main", "#log")]
            pytest.fail(f"waited for {text!r}; the page says {' | '.join(told)}")

    def sees_the_end_of(self, text: str) -> None:
        """Wait until a text has gone; a loaded machine may have other troubles of its own."""
        place = self.page.locator("#headline")
        until(lambda: text not in place.inner_text(), f"the end of {text!r}")

    def photographs(self, name: str) -> None:
        if self._pictures is not None:
            self.page.wait_for_timeout(600)
            self.page.screenshot(path=str(self._pictures / f"{name}.png"))

    def overflow(self, size: dict[str, int]) -> int:
        self.page.set_viewport_size(size)
        self.page.wait_for_timeout(150)
        found = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return int(found)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder on a small disk of its own, where we may make one."""
    place = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={LARGE_BYTES}", "tmpfs", str(place)]
    mounted = os.name == "posix" and os.geteuid() == 0
    mounted = mounted and not subprocess.run(mount, capture_output=True, check=False).returncode
    yield place
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.fixture(scope="module")
def story(disk: Path) -> Iterator[Story]:
    from playwright.sync_api import sync_playwright

    study = disk / "study"
    study.mkdir()
    (study / "short.yaml").write_text(PROTOCOL, encoding="utf-8")
    told = Story(study)
    pictures = os.environ.get("DUCHENNE_TEST_PICTURES")
    console = Console(study)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_FLAGS)
            context = browser.new_context(viewport=LAPTOP)
            operator = Operator(context.new_page(), told, Path(pictures) if pictures else None)
            operator.page.goto(console.address)
            set_up(operator)
            watch(operator)
            with contextlib.ExitStack() as troubles:
                provoke(operator, troubles)
            console.end(signal.SIGKILL)
            told.said["lost"] = "lost" if operator.sees("recording goes on") else ""
            operator.photographs("lost")
            console = Console(study)
            operator.page.goto(console.address)
            finish(operator)
            browser.close()
        yield told
    finally:
        if console.process.poll() is None:
            console.end(signal.SIGTERM)
        for number in processes_of(study):
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)


def set_up(operator: Operator) -> None:
    """Choose, look at the devices, and start although no screen is there."""
    page, story = operator.page, operator.story
    until(lambda: page.input_value("#participant"), "a suggested participant")
    story.said["suggested"] = page.input_value("#participant")
    page.select_option("#protocol", "short")
    page.select_option("#camera", "simulated")
    page.select_option("#eyetracker", "simulated")
    page.check("#headless")
    page.fill("#participant", "../../P01")
    operator.sees("✕", "#check")
    story.said["bad label"] = operator.reads("#check")
    page.fill("#participant", "P01")
    operator.sees("✓", "#check")
    story.said["not yet"] = str(page.is_enabled("#start"))
    page.click("#preview")
    story.numbers["preview"] = operator.sees("Ready")
    operator.sees("Eyes seen", "#gaze-advice")
    until(lambda: operator.reads("#face-advice"), "advice on the face")
    story.said["face"] = operator.reads("#face-advice")
    story.said["gate"] = operator.reads("#checks")
    story.said["start"] = str(page.is_enabled("#start"))
    operator.photographs("before")
    if page.is_visible("#override"):
        page.fill("#override", REASON)
    page.click("#start")


def watch(operator: Operator) -> None:
    """See everything arrive; hold the session here, so that a slow machine has time for the rest."""
    page, story = operator.page, operator.story
    story.numbers["begun"] = until(lambda: page.is_enabled("#pause"), "the session")
    page.keyboard.press("p")
    operator.sees("Paused: everything still arrives")
    story.said["address"] = page.url
    for name in ("stage", "face"):
        story.numbers[name] = float(page.evaluate(CANVAS_CHANGES, f"#{name}"))
    for name, size in (("tablet", TABLET), ("laptop", LAPTOP)):
        story.numbers[f"wider than the {name}"] = operator.overflow(size)
    page.keyboard.press("n")
    page.keyboard.type(NOTE)
    page.keyboard.press("Enter")
    operator.sees(NOTE, "#log")
    page.reload()
    operator.sees("Paused: everything still arrives")
    page.click("#headline")  # browsers allow sound after a touch
    story.said["streams"] = operator.reads("#streams")


def provoke(operator: Operator, troubles: contextlib.ExitStack) -> None:
    """Kill the eye tracker, fill the disk, freeze the camera; let each of it pass."""
    page, story = operator.page, operator.story
    study = story.study
    (camera,) = processes_of(study, "sources start simulated-face")
    for tracker in processes_of(study, "sources start simulated "):
        os.kill(tracker, signal.SIGKILL)
    story.numbers["gaze alarm"] = operator.sees("Gaze since")
    story.said["alarm"] = operator.reads("#headline")
    story.said["voice"] = page.text_content("#voice-alarm")
    until(lambda: page.evaluate("Number(document.body.dataset.beeps)") > 0, "a sound")
    operator.photographs("alarm")
    if os.path.ismount(study.parent):
        fill_disk(operator)
    operator.sees_the_end_of("Gaze since")
    troubles.callback(os.kill, camera, signal.SIGCONT)
    os.kill(camera, signal.SIGSTOP)
    story.numbers["camera alarm"] = operator.sees("FaceVideo since")
    os.kill(camera, signal.SIGCONT)
    operator.sees_the_end_of("FaceVideo since")


def resize(disk: Path, size: float) -> None:
    subprocess.run(["mount", "-o", f"remount,size={int(size)}", str(disk)], check=True)


def fill_disk(operator: Operator) -> None:
    """Leave little room for a moment; not none, as the simulated devices write beside the session."""
    disk = operator.story.study.parent
    resize(disk, shutil.disk_usage(disk).used + LEFT_FREE_BYTES)
    try:
        operator.story.numbers["disk alarm"] = operator.sees("DISK")
        operator.photographs("disk")
        operator.page.keyboard.press("k")
        until(lambda: not operator.page.is_visible("#acknowledge"), "silence")
    finally:
        resize(disk, LARGE_BYTES)


def finish(operator: Operator) -> None:
    """Go on after the console was killed, to the verdict, the report and the next participant."""
    page, story = operator.page, operator.story
    operator.sees("Gaze", "#streams")
    story.said["reopened"] = operator.reads("#streams")
    if page.is_visible("#take"):
        page.click("#take")
    until(lambda: page.is_enabled("#pause"), "the controls")
    page.keyboard.press("p")
    operator.sees("Recording")
    operator.photographs("during")
    operator.sees("Sealed")
    until(lambda: page.locator("#findings li").count(), "findings")
    story.said["verdict"] = operator.reads("#outcome")
    story.said["findings"] = operator.reads("#findings")
    operator.photographs("after")
    page.click("#analyze-this")
    operator.sees("Open the report", "#outcome", ANALYSIS_S)
    with page.expect_popup() as opened:
        page.click("#report")
    opened.value.wait_for_load_state()
    story.said["report"] = opened.value.inner_text("body")
    opened.value.close()
    page.keyboard.press("4")
    operator.sees("analysed", "#sessions")
    story.said["study"] = operator.reads("#sessions")
    operator.photographs("study")
    page.keyboard.press("3")
    page.click("#next")
    until(lambda: page.input_value("#participant") == "P02", "the next participant")
    page.select_option("#protocol", "short")
    page.fill("#participant", "P01")
    operator.sees("✕", "#check")
    story.said["again"] = operator.reads("#check")


@needs_browser
def test_nothing_starts_before_the_gate_is_passed(story: Story) -> None:
    assert story.said["suggested"] == "P01"
    assert story.said["not yet"] == "False"
    for title in ("Gaze", "FaceVideo", "Disk", "Stimuli", "Display"):
        assert title in story.said["gate"]
    assert "600" in story.said["gate"]
    assert story.said["start"] == "False"  # there is no screen: a reason has to be typed
    with Recording.open(story.session_file) as recording:
        assert REASON in str(recording.log["detail"].tolist()) + str(dict(recording.attrs))


@needs_browser
def test_labels_that_are_paths_or_taken_are_refused(story: Story) -> None:
    assert "✕" in story.said["bad label"]
    assert "P01" in story.said["again"]


@needs_browser
def test_live_values_come_at_least_five_times_a_second(story: Story) -> None:
    assert story.said["address"].endswith("#/during")
    assert story.numbers["stage"] >= 5
    assert story.numbers["face"] >= 4  # pictures; fewer where the face holds still


@needs_browser
def test_every_trouble_is_seen_and_heard_within_seconds(story: Story) -> None:
    assert story.numbers["gaze alarm"] < 6
    assert story.numbers["camera alarm"] < 6
    assert re.search(r"(STOPPED|GONE): Gaze since \d\d:\d\d:\d\d", story.said["alarm"])
    assert "Alarm:" in story.said["voice"]


@needs_browser
def test_a_full_disk_is_told(story: Story) -> None:
    if "disk alarm" not in story.numbers:
        pytest.skip("no small disk can be mounted here")
    assert story.numbers["disk alarm"] < 6


@needs_browser
def test_a_page_without_its_console_says_that_recording_goes_on(story: Story) -> None:
    assert story.said["lost"]
    for stream in ("Gaze", "FaceVideo", "Markers"):
        assert stream in story.said["reopened"]


@needs_browser
def test_nothing_is_lost_by_killing_page_and_console(story: Story) -> None:
    with Recording.open(story.session_file) as recording:
        frames = recording.streams["FaceVideo"].timestamps
        device = recording.streams["Gaze"].column("device_time")
        events = recording.events
    ledger = pd.read_csv(
        next(story.session_file.parent.glob("*_truth_face.tsv")), sep="\t", usecols=["lsl_time_s"]
    )["lsl_time_s"].to_numpy()
    sent = ledger[(ledger > frames[0] - 0.01) & (ledger < frames[-1] + 0.01)]
    assert len(frames) == len(sent)
    np.testing.assert_allclose(frames, sent, atol=1e-5)
    steps = np.diff(device) * 600
    restarts = np.abs(steps - 1) > 0.2  # the tracker that was killed and started again
    assert restarts.sum() == 1
    names = events["event"].tolist()
    assert names[0] == "session_start"
    assert names[-1] == "session_end"
    assert {"pause", "resume", "note", "stimulus_onset", "rating_response"} <= set(names)
    assert NOTE in str(events.loc[events["event"] == "note"].to_dict())


@needs_browser
def test_the_session_ends_with_a_verdict_and_a_report(story: Story) -> None:
    assert "session.h5" in story.said["verdict"]
    assert "Markers" in story.said["findings"]
    assert "P01" in story.said["report"]
    assert "sunset" in story.said["report"].lower()
    assert "analysed" in story.said["study"]


@needs_browser
def test_the_pages_fit_and_ask_nobody_else(story: Story) -> None:
    assert story.numbers["wider than the tablet"] <= 0
    assert story.numbers["wider than the laptop"] <= 0
    assert all(re.match(r"(http|ws)://127\.0\.0\.1:\d+/", url) for url in story.addresses)
    assert story.troubles == []


def test_the_pages_hold_no_foreign_address_and_no_markup_made_of_data() -> None:
    names = {path.name for path in STATIC.iterdir()}
    assert {"index.html", "base.css", "console.css", "app.js", "icon.svg"} <= names
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert not re.search(r"https?://|//cdn|@import|url\(", text), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|Function\(", text)
        if path.suffix == ".html":
            assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_every_module_that_is_imported_is_there() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r'from "\./([\w.]+)"', text):
            assert (STATIC / name).is_file(), f"{path.name} imports {name}"
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    known = set(re.findall(r'id="([\w-]+)"', page))
    for path in STATIC.glob("*.js"):
        for name in re.findall(r'byId\("([\w-]+)"\)', path.read_text(encoding="utf-8")):
            assert name in known, f"{path.name} looks for #{name}"
