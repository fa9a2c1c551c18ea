"""The presenting process, whole: real PsychoPy on a virtual screen, real LSL, real keys."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.presentation import (
    FILM_FRAMES,
    FILM_RATE_HZ,
    HEIGHT_PX,
    WIDTH_PX,
    Presentation,
    write_protocol,
)

from duchenne.protocols.displays.virtual import virtual_display
from duchenne.protocols.ratings import SamScale

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
PERIOD_S = 1 / 60


@contextmanager
def hands(display_name: str) -> Iterator[Any]:
    """Yield a way to press keys and move the mouse by X events, as hardware would."""
    display = pytest.importorskip("Xlib.display").Display(display_name)
    from Xlib import XK, X
    from Xlib.ext import xtest

    class Hands:
        def press(self, name: str) -> None:
            code = display.keysym_to_keycode(XK.string_to_keysym(name))
            xtest.fake_input(display, X.KeyPress, code)
            xtest.fake_input(display, X.KeyRelease, code)
            display.sync()

        def click(self, x_px: float, y_px: float) -> None:
            xtest.fake_input(display, X.MotionNotify, x=round(x_px), y=round(y_px))
            display.sync()
            time.sleep(0.1)
            xtest.fake_input(display, X.ButtonPress, 1)
            xtest.fake_input(display, X.ButtonRelease, 1)
            display.sync()

    try:
        yield Hands()
    finally:
        display.close()


@pytest.fixture(scope="module")
def whole_session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Present the small protocol from start to end, once for all tests that look at it."""
    protocol = write_protocol(tmp_path_factory.mktemp("whole"), ids="red, count, blue")
    with Presentation(protocol, f"whole-{os.getpid()}", "--headless") as presentation:
        presentation.start()
        presentation.wait_for_line("finished", 60)
        markers = presentation.markers()
        shown, stamps = presentation.pull("shown")
        code = presentation.wait(20)
        assert presentation.process.stderr is not None
        return {
            "code": code,
            "lines": presentation.lines,
            "stderr": presentation.process.stderr.read(),
            "markers": markers,
            "shown": np.array(shown),
            "shown_s": np.array(stamps),
        }


def test_process_handshake_and_progress(whole_session: dict[str, Any]):
    lines = whole_session["lines"]
    assert whole_session["code"] == 0
    assert lines[0] == "ready"
    assert lines[-1] == "finished"
    assert lines[1] == '{"step": 1, "of": 9, "label": "block start (opening)"}'
    assert lines[-2] == '{"step": 9, "of": 9, "label": "block end (main)"}'
    assert len(lines) == 11
    errors = [x for x in whole_session["stderr"].splitlines() if "INFO|" not in x and x.strip()]
    assert errors == []


def test_markers_come_in_order_and_in_pairs(whole_session: dict[str, Any]):
    events = [m["event"] for m in whole_session["markers"]]
    opening = [
        "session_start", "block_start", "instruction_onset", "instruction_offset",
        "neutral_onset", "neutral_offset", "block_end", "block_start",
    ]  # fmt: skip
    trial = [
        "fixation_onset", "fixation_offset", "stimulus_onset", "stimulus_offset",
        "rating_onset", "rating_response", "rating_onset", "rating_response",
    ]  # fmt: skip
    assert events == [*opening, *trial * 3, "block_end", "session_end"]
    stamps = [m["lsl_time_s"] for m in whole_session["markers"]]
    assert stamps == sorted(stamps)


def test_markers_say_what_a_study_needs(whole_session: dict[str, Any]):
    markers = whole_session["markers"]
    start = markers[0]
    assert (start["participant"], start["session"], start["run"]) == ("P01", "01", "01")
    assert start["task"] == "small"
    assert start["screen"]["distance_cm"] == 60
    assert start["display"]["pacing"] == "timer"
    assert start["simulated"] is True
    onsets = [m for m in markers if m["event"] == "stimulus_onset"]
    assert [m["stimulus"] for m in onsets] == ["red", "count", "blue"]
    assert [m["presentation_id"] for m in onsets] == [f"P01-01-01-00{i}" for i in (1, 2, 3)]
    assert [m["kind"] for m in onsets] == ["image", "video", "image"]
    assert onsets[0]["rect_px"] == [160, 45, 640, 405]
    assert {m["phase"] for m in onsets} == {"stimulus"}
    fixation = next(m for m in markers if m["event"] == "fixation_onset")
    assert fixation["position_px"] == [WIDTH_PX / 2, HEIGHT_PX / 2]


def test_phases_last_as_long_as_declared(whole_session: dict[str, Any]):
    markers = whole_session["markers"]

    def lengths(onset: str, offset: str) -> list[float]:
        on, off = ([m["lsl_time_s"] for m in markers if m["event"] == e] for e in (onset, offset))
        return [b - a for a, b in zip(on, off, strict=True)]

    assert lengths("neutral_onset", "neutral_offset") == pytest.approx([0.5], abs=4 * PERIOD_S)
    fixations = lengths("fixation_onset", "fixation_offset")
    assert fixations == pytest.approx([0.5] * 3, abs=4 * PERIOD_S)
    red, film, blue = lengths("stimulus_onset", "stimulus_offset")
    assert [red, blue] == pytest.approx([0.7, 0.7], abs=4 * PERIOD_S)
    assert 1.45 < film < 1.8
    assert lengths("instruction_onset", "instruction_offset") == pytest.approx([0.8], abs=0.4)


def test_simulated_ratings_have_a_response_time(whole_session: dict[str, Any]):
    markers = whole_session["markers"]
    pairs = [(m, markers[i + 1]) for i, m in enumerate(markers) if m["event"] == "rating_onset"]
    assert [onset["scale"] for onset, _ in pairs] == ["valence", "arousal"] * 3
    for onset, response in pairs:
        assert onset["dimension"] == response["dimension"] == onset["scale"]
    for onset, response in pairs:
        assert response["scale"] == onset["scale"]
        assert response["device"] == "keyboard"
        assert 1 <= response["value"] <= 9
        rt_s = response["lsl_time_s"] - onset["lsl_time_s"]
        assert response["rt_s"] == pytest.approx(rt_s, abs=1e-3)
        assert 0.6 <= rt_s < 1.1
    valence = {o["stimulus"]: r["value"] for o, r in pairs if o["scale"] == "valence"}
    assert valence["red"] > valence["count"] > valence["blue"]


def test_shown_frames_follow_the_film(whole_session: dict[str, Any]):
    shown, stamps = whole_session["shown"], whole_session["shown_s"]
    onset, offset = (
        next(
            m["lsl_time_s"] for m in whole_session["markers"] if m["event"] == e and m["trial"] == 2
        )
        for e in ("stimulus_onset", "stimulus_offset")
    )
    pictures = shown[:, 0] != 2
    assert set(shown[:, 0]) == {1, 2, 3}  # every flip of every stimulus
    assert np.isnan(shown[pictures, 1:3]).all()
    shown, stamps = shown[~pictures], stamps[~pictures]
    _, frame, media_s, interval_s = shown.T
    assert stamps[0] == onset
    assert frame[0] == 0
    assert (stamps < offset).all()
    assert (np.diff(frame) >= 0).all()
    assert (np.diff(media_s) >= 0).all()
    assert frame == pytest.approx(media_s * FILM_RATE_HZ)
    assert frame[-1] >= FILM_FRAMES - 4
    lag_s = (stamps - onset) - media_s
    assert np.median(lag_s[10:]) < 0.15
    assert np.diff(stamps) == pytest.approx(interval_s[1:], abs=1e-9)
    assert np.median(interval_s) == pytest.approx(PERIOD_S, abs=3e-3)


def test_offsets_and_the_end_say_how_it_went(whole_session: dict[str, Any]):
    markers = whole_session["markers"]
    onsets = [m for m in markers if m["event"] == "stimulus_onset"]
    assert all(abs(m["onset_delay_s"]) < 0.1 for m in onsets)
    red, film, _ = [m for m in markers if m["event"] == "stimulus_offset"]
    shown = whole_session["shown"]
    assert red["n_flips"] + 1 == np.count_nonzero(shown[:, 0] == 1)  # the onset is one more
    assert red["n_flips"] + red["n_dropped_flips"] == pytest.approx(42, abs=4)
    assert red["longest_flip_s"] >= PERIOD_S - 0.001
    assert film["film_frames"] == FILM_FRAMES
    assert film["film_length_s"] == pytest.approx(1.5, abs=0.01)
    assert film["film_end"] in ("on time", "late")  # late on a busy machine
    assert film["n_frames_shown"] + film["n_frames_missed"] == FILM_FRAMES
    assert "audio_start_s" in film
    end = markers[-1]
    assert (end["n_trials"], end["n_films"], end["n_films_early"]) == (3, 1, 0)
    assert end["n_stimulus_flips"] == len(shown) - 3


def test_escape_at_a_stimulus_aborts_with_everything_closed(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path)
    with (
        virtual_display(WIDTH_PX, HEIGHT_PX, always=True) as display,
        hands(display) as by_hand,
        Presentation(protocol, unique_name, "--simulated") as presentation,
    ):
        presentation.start()
        presentation.wait_for_marker("stimulus_onset")
        time.sleep(0.2)
        by_hand.press("Escape")
        presentation.wait_for_line("aborted")
        events = presentation.markers()
        assert presentation.wait(20) == 3
    assert [m["event"] for m in events] == ["abort", "stimulus_offset", "block_end", "session_end"]
    assert events[0]["reason"] == "operator"
    assert events[0]["stimulus"] == "red"
    assert events[1]["presentation_id"] == "P01-01-01-001"
    assert events[-1]["n_trials"] == 0


def test_a_participant_answers_by_key_and_by_mouse(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path, ids="red")
    scale = SamScale("arousal", "", WIDTH_PX, HEIGHT_PX)
    x0, y0, x1, y1 = scale.cell_px(8)
    with (
        virtual_display(WIDTH_PX, HEIGHT_PX, always=True) as display,
        hands(display) as by_hand,
        Presentation(protocol, unique_name) as presentation,
    ):
        presentation.start()
        presentation.wait_for_marker("instruction_onset")
        time.sleep(0.3)  # what is pressed before a page takes answers does not count
        by_hand.press("space")
        onset = presentation.wait_for_marker("rating_onset")
        time.sleep(0.3)
        by_hand.press("x")  # not an answer
        by_hand.press("0")
        by_hand.press("3")
        first = presentation.wait_for_marker("rating_response")
        presentation.wait_for_marker("rating_onset")
        time.sleep(0.2)
        by_hand.click(5, 5)  # beside the scale
        by_hand.click((x0 + x1) / 2, (y0 + y1) / 2)
        second = presentation.wait_for_marker("rating_response")
        assert presentation.wait(20) == 0
    assert (first["value"], first["device"], first["scale"]) == (3, "keyboard", "valence")
    assert 0.3 <= first["rt_s"] < 0.5
    assert first["rt_s"] == pytest.approx(first["lsl_time_s"] - onset["lsl_time_s"], abs=1e-3)
    assert (second["value"], second["device"], second["scale"]) == (8, "mouse", "arousal")


def test_a_rating_without_an_answer_times_out(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path, ids="blue", ratings="valence", timeout_s=0.5)
    with (
        virtual_display(WIDTH_PX, HEIGHT_PX, always=True) as display,
        hands(display) as by_hand,
        Presentation(protocol, unique_name) as presentation,
    ):
        presentation.start()
        presentation.wait_for_marker("instruction_onset")
        time.sleep(0.3)  # what is pressed before a page takes answers does not count
        by_hand.press("space")
        onset = presentation.wait_for_marker("rating_onset")
        response = presentation.wait_for_marker("rating_response")
        assert presentation.wait(20) == 0
    assert (response["value"], response["rt_s"], response["device"]) == (None, None, "timeout")
    assert response["dimension"] == "valence"
    waited_s = response["lsl_time_s"] - onset["lsl_time_s"]
    assert waited_s == pytest.approx(0.5, abs=2 * PERIOD_S)


def test_the_operator_pauses_resumes_and_aborts(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path)
    with Presentation(protocol, unique_name, "--headless") as presentation:
        presentation.start()
        presentation.wait_for_marker("neutral_onset")
        presentation.say("pause")
        pause = presentation.wait_for_marker("pause")
        time.sleep(0.5)
        presentation.say("resume")
        resume = presentation.wait_for_marker("resume")
        presentation.wait_for_marker("stimulus_onset")
        presentation.say("recalibrate")
        presentation.say("skip")
        cut = presentation.wait_for_marker("stimulus_offset")
        skip = presentation.wait_for_marker("skip")
        note = presentation.wait_for_marker("note")
        after = presentation.wait_for_marker("fixation_onset")
        presentation.say("abort the participant felt unwell")
        abort = presentation.wait_for_marker("abort")
        presentation.wait_for_marker("session_end")
        assert presentation.wait(20) == 3
    assert resume["lsl_time_s"] - pause["lsl_time_s"] > 0.4
    assert (cut["trial"], cut["cut_short"], skip["trial"], skip["step"]) == (1, "skip", 1, "trial")
    assert after["trial"] == 2
    assert "calibration" in note["text"]
    assert abort["reason"] == "the participant felt unwell"


def test_sigterm_aborts_and_leaves_no_screen(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path)
    with Presentation(protocol, unique_name, "--headless") as presentation:
        presentation.start()
        presentation.wait_for_marker("instruction_onset")
        children = _children(presentation.process.pid)
        assert children
        presentation.process.send_signal(signal.SIGTERM)
        assert presentation.wait_for_marker("abort")["reason"] == "SIGTERM"
        presentation.wait_for_marker("session_end")
        assert presentation.wait(20) == 3
    _wait_until_gone(children)


def test_a_killed_process_leaves_no_screen(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path)
    with Presentation(protocol, unique_name, "--headless") as presentation:
        presentation.wait_for_line("ready")
        children = _children(presentation.process.pid)
        assert children
        presentation.process.kill()
    _wait_until_gone(children)


def test_end_of_input_before_start_ends_and_afterwards_means_nothing(
    tmp_path: Path, unique_name: str
):
    protocol = write_protocol(tmp_path, ids="red", ratings="valence")
    with Presentation(protocol, unique_name, "--headless") as presentation:
        presentation.wait_for_line("ready")
        assert presentation.process.stdin is not None
        presentation.process.stdin.close()
        assert presentation.wait(20) == 3
        assert presentation.lines[-1] == "aborted"
    with Presentation(protocol, unique_name, "--headless") as presentation:
        presentation.start()
        assert presentation.process.stdin is not None
        presentation.process.stdin.close()
        assert presentation.wait(40) == 0
        assert presentation.lines[-1] == "finished"


def test_a_film_that_cannot_be_decoded_is_refused_before_ready(tmp_path: Path, unique_name: str):
    import hashlib

    protocol = write_protocol(tmp_path)
    film = tmp_path / "set" / "count.mp4"
    old = hashlib.sha256(film.read_bytes()).hexdigest()
    film.write_bytes(b"not a film" * 100)
    manifest = tmp_path / "set" / "manifest.tsv"
    new = hashlib.sha256(film.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(old, new))
    with Presentation(protocol, unique_name, "--headless") as presentation:
        assert presentation.wait(20) == 1
        assert presentation.process.stderr is not None
        (message,) = presentation.process.stderr.read().splitlines()
        assert presentation.lines == []
    assert "count.mp4" in message
    assert "cannot be decoded" in message


def test_a_failure_half_way_is_heard_to_the_last_marker(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path)
    with Presentation(protocol, unique_name, "--headless") as presentation:
        presentation.start()
        presentation.wait_for_marker("session_start")
        (tmp_path / "set" / "count.mp4").unlink()  # it comes second
        presentation.wait_for_marker("abort")
        presentation.wait_for_marker("session_end")
        heard_s = time.monotonic()
        assert presentation.wait(20) == 1
        assert time.monotonic() - heard_s > 0.5  # the outlets outlive what was pushed last
        assert presentation.process.stderr is not None
        assert "count.mp4" in presentation.process.stderr.read()


def test_a_screen_that_is_too_small_is_refused(tmp_path: Path, unique_name: str):
    protocol = write_protocol(tmp_path)
    with (
        virtual_display(640, 400, always=True),
        Presentation(protocol, unique_name) as presentation,
    ):
        assert presentation.wait(20) == 1
        assert presentation.process.stderr is not None
        assert "640x400" in presentation.process.stderr.read()


def test_a_home_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, unique_name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", "/nonexistent-home")
    protocol = write_protocol(tmp_path)
    with Presentation(protocol, unique_name, "--headless") as presentation:
        presentation.wait_for_line("ready")
        presentation.say("abort")
        assert presentation.wait(20) == 3


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
        return [int(child) for child in file.read().split()]


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(_runs(pid) for pid in pids):
            return
        time.sleep(0.05)
    pytest.fail(f"still there: {pids}")


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
