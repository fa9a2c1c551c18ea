"""Microphone, keyboard, button box and photodiode: parsers, clocks, real serial lines, and their twins."""

from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
import threading
import time
import tty
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sources import Heard, collect, listening, serving

from duchenne.protocols.markers import MarkerOutlet
from duchenne.recorder.sources.button_box import ButtonBox
from duchenne.recorder.sources.device_clock import DeviceClock
from duchenne.recorder.sources.frames import BinaryParser, LineParser, LineSplitter
from duchenne.recorder.sources.keyboard import EVENT, EventParser
from duchenne.recorder.sources.microphone import Block, Microphone, MicrophoneOptions, SoundSender
from duchenne.recorder.sources.photodiode import Photodiode
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.sources.sound import levels_dbfs, to_int16
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_serial = pytest.mark.skipif(find_spec("serial") is None, reason="needs pyserial")
needs_sound = pytest.mark.skipif(
    Microphone.unavailable() is not None, reason="needs sounddevice and PortAudio"
)


class Kept:
    """An outlet that keeps what is pushed."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.stamps: list[float] = []

    def push_chunk(self, x: Any, timestamp: Any, _pushthrough: bool = True) -> None:
        self.rows.extend(x)
        self.stamps.extend(timestamp)


@contextmanager
def serial_line() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal: the device's end, and the path of ours."""
    main, sub = pty.openpty()
    tty.setraw(sub)
    try:
        yield main, os.ttyname(sub)
    finally:
        for fd in (main, sub):
            with suppress(OSError):
                os.close(fd)


@contextmanager
def sending(work: Any) -> Iterator[None]:
    """Run a device in a thread; it ends when its event is set."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name="device")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


# What serial devices send


@given(st.lists(st.integers(0, 16383), max_size=50), st.lists(st.integers(0, 200), max_size=10))
def test_parsers_do_not_mind_where_the_pieces_are_torn(values: list[int], cuts: list[int]) -> None:
    lines = b"\n" + b"".join(b"%d\r\n" % value for value in values)
    frames = b"".join(bytes([0x80 | value >> 7, value & 0x7F]) for value in values)
    for parser, data in ((LineParser(), lines), (BinaryParser(), frames)):
        edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
        found = [reading.value for a, b in pairwise(edges) for reading in parser.feed(data[a:b])]
        assert found == values
        assert parser.n_bad == 0


def test_garbled_lines_cost_themselves_alone() -> None:
    parser = LineParser()
    found = parser.feed(b"23\n1\n2\nx7\n3\nnan\n\n4\n1,2,3\n" + b"9" * 300)
    assert [r.value for r in found] == [1, 2, 3, 4]
    assert parser.n_bad == 4
    assert [r.value for r in parser.feed(b"99\n5\n")] == [5]


def test_a_lost_byte_spoils_one_binary_value() -> None:
    def frame(value: int) -> bytes:
        return bytes([0x80 | value >> 7, value & 0x7F])

    parser = BinaryParser()
    data = frame(1)[1:] + frame(300) + frame(301)[:1] + frame(302) + frame(303)[1:] + frame(304)
    assert [r.value for r in parser.feed(data)] == [300, 302, 304]
    assert parser.n_bad == 2


def test_microseconds_go_on_when_they_start_again() -> None:
    parser = LineParser()
    found = parser.feed(b"0\n4294966296,5\n296,6\n1296,7\n")
    times = [r.device_s for r in found]
    assert np.diff(np.array(times, float)) == pytest.approx([0.001296, 0.001], abs=1e-9)


def test_lines_of_a_button_box_may_begin_at_once() -> None:
    assert LineSplitter(from_start=True).feed(b"left\nri") == ["left"]


# Clocks


@pytest.mark.parametrize("drift_ppm", [-3000, -50, 0, 50, 3000])
def test_bursts_of_a_drifting_device_are_placed_within_a_millisecond(drift_ppm: float) -> None:
    rng = np.random.default_rng(1)
    rate_hz, n = 1000, 20_000
    device_s = 500 + np.arange(n) / rate_hz
    true_s = 70 + (device_s - 500) * (1 + drift_ppm * 1e-6)
    clock, out, i = DeviceClock(500.0, 70.0), [], 0
    while i < n:
        step = int(rng.integers(1, 20))
        arrival_s = true_s[min(i + step, n) - 1] + rng.exponential(0.002)
        out.append(clock.map(device_s[i : i + step], arrival_s))
        i += step
    times = np.concatenate(out)
    assert np.all(np.diff(times) > 0)
    assert clock.n_jumps == 0
    error_s = np.abs(times - true_s)
    assert np.quantile(error_s[5000:], 0.99) < 0.001
    assert error_s.max() < 0.006
    assert clock.rate_ratio == pytest.approx(1 + drift_ppm * 1e-6, abs=1e-4)


def test_lost_samples_begin_a_new_count_and_time_never_goes_back() -> None:
    clock = DeviceClock(0.0, 100.0)
    first = clock.map(np.arange(100) / 100, 100.99)
    after = clock.map(1 + np.arange(100) / 100, 106.99)  # 5 s were lost in between
    back = clock.map(2 + np.arange(10) / 100, 100.0)  # nonsense
    assert clock.n_jumps == 2
    assert after[-1] == pytest.approx(106.99)
    assert np.all(np.diff(np.concatenate((first, after, back))) > 0)


# Sound


def test_levels_of_known_sounds() -> None:
    t = np.arange(4800) / 48_000
    sine = np.sin(2 * np.pi * 1000 * t)
    pieces = np.stack((sine, 0.1 * sine, 0 * sine, np.sign(sine + 1e-9)))[:, :, None]
    levels = levels_dbfs(pieces.astype(np.float32))
    assert levels[:, 0] == pytest.approx([-3.01, -23.01, -120, 0], abs=0.02)
    assert levels[:, 1] == pytest.approx([0, -20, -120, 0], abs=0.02)
    assert levels_dbfs(pieces[:0].astype(np.float32)).shape == (0, 2)


def test_sound_as_16_bits_clips() -> None:
    sound = np.array([[-1.5], [-1.0], [0.0], [0.5], [1.5]], np.float32)
    assert to_int16(sound)[:, 0].tolist() == [-32768, -32768, 0, 16384, 32767]


def test_a_click_is_found_where_it_was_whatever_the_blocks() -> None:
    options = MicrophoneOptions(source_id="m", rate_hz=8000, level_hz=100)
    sender, outlet = SoundSender(options), Kept()
    sound = np.zeros((8000, 1), np.float32)
    sound[4040] = 0.5
    rng, i = np.random.default_rng(0), 0
    while i < len(sound):
        step = int(rng.integers(1, 200))
        sender.send(Block(sound[i : i + step], 50 + i / 8000, overflow=False), outlet)
        i += step
    peaks = np.array(outlet.rows)[:, 1]
    assert len(peaks) == 100
    assert np.allclose(np.diff(outlet.stamps), 0.01, atol=1e-6)
    loudest = int(np.argmax(peaks))
    assert peaks[loudest] == pytest.approx(-6.02, abs=0.01)
    assert abs(outlet.stamps[loudest] - (50 + 4040 / 8000)) <= 0.005


def test_sound_that_was_lost_leaves_a_gap_and_is_counted() -> None:
    options = MicrophoneOptions(source_id="m", rate_hz=8000, mode="audio")
    sender, outlet = SoundSender(options), Kept()
    block = np.zeros((80, 1), np.float32)
    for begun_s, overflow in ((10.0, False), (10.01, False), (10.51, True), (10.52, False)):
        sender.send(Block(block, begun_s, overflow), outlet)
    steps = np.diff(outlet.stamps)
    assert sender.n_overflows == 1
    assert np.all(steps > 0)
    assert steps[159] == pytest.approx(0.490125, abs=1e-6)
    assert np.delete(steps, 159) == pytest.approx(1 / 8000, abs=1e-9)


class Driver:
    """Stands in for PortAudio's input stream: a tone, handed over in real time by a thread."""

    def __init__(self, *, samplerate: float, blocksize: int, callback: Any, **_: Any) -> None:
        self._n, self._rate_hz, self._callback = blocksize, samplerate, callback
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="driver")

    def start(self) -> None:
        self._thread.start()

    def _work(self) -> None:
        class Time:
            pass

        class Status:
            input_overflow = False

        begun_s = time.monotonic()
        for k in range(100_000):
            if self._stop.wait(
                max(0.0, begun_s + (k + 1) * self._n / self._rate_hz - time.monotonic())
            ):
                return
            t = Time()
            t.currentTime = 7.0 + time.monotonic()
            t.inputBufferAdcTime = 7.0 + begun_s + k * self._n / self._rate_hz
            phase = (k * self._n + np.arange(self._n)) / self._rate_hz
            sound = 0.5 * np.sin(2 * np.pi * 500 * phase)[:, None]
            status = Status()
            status.input_overflow = k == 100
            self._callback(sound.astype(np.float32), self._n, t, status)

    def stop(self, **_: Any) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    close = stop


@needs_sound
def test_a_microphone_is_stamped_by_its_converter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sounddevice

    monkeypatch.setattr(sounddevice, "InputStream", Driver)
    monkeypatch.setattr(sounddevice, "query_devices", lambda *_: {"name": "stand-in"})
    source = create_source(
        "microphone", "m", {"rate_hz": "16000", "mode": "audio", "format": "int16"}
    )
    outlet, stop = Kept(), threading.Event()
    threading.Timer(1.6, stop.set).start()
    with source:
        begun_s = pylsl.local_clock()
        source.run(outlet, stop)
    stamps = np.array(outlet.stamps)
    assert stamps[0] - begun_s == pytest.approx(0, abs=0.02)
    assert len(stamps) >= 16_000
    assert np.all(np.diff(stamps) > 0)
    assert np.polyfit(np.arange(len(stamps)), stamps, 1)[0] == pytest.approx(1 / 16_000, rel=1e-3)
    sound = np.array(outlet.rows)[:, 0]
    assert abs(sound).max() == pytest.approx(16384, abs=2)
    assert "sound was lost 1 times" in source.result
    assert capsys.readouterr().err.count("notice: Microphone") == 1


@needs_sound
def test_portaudio_itself_opens_and_closes_a_null_device(tmp_path: Path) -> None:
    config = tmp_path / "asound.conf"
    config.write_text("pcm.!default { type null }\npcm.nothing { type null }\n")
    command = [sys.executable, "-m", "duchenne.cli", "sources", "start", "microphone"]
    command += ["--set", "device=nothing", "--set", "level_hz=10", "--duration", "0.3"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"ALSA_CONFIG_PATH": str(config)},
    )
    if "no sound input" in done.stderr or "cannot be opened" in done.stderr:
        pytest.skip("PortAudio here has no ALSA")
    assert done.returncode == 0, done.stderr
    assert "samples of Microphone" in done.stdout


@needs_sound
def test_a_microphone_that_is_not_there_is_told_in_one_line() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "duchenne.cli", "sources", "start", "microphone"),
            *("--set", "device=no such microphone"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("duchenne: ")]
    assert "microphone" in line
    assert "Traceback" not in done.stderr


# Keys and buttons


def test_kernel_events_become_keys_wherever_they_are_torn() -> None:
    events = [
        (1, 30, 1),
        (1, 30, 2),
        (4, 4, 30),
        (1, 30, 0),
        (0, 0, 0),
        (1, 57, 1),
        (0, 3, 0),
        (1, 999, 1),
    ]
    data = b"".join(EVENT.pack(5, 250_000 + i, *event) for i, event in enumerate(events))
    for size in (1, 7, 24, 1000):
        parser = EventParser()
        found = [c for i in range(0, len(data), size) for c in parser.feed(data[i : i + size])]
        assert [(c.name, c.state) for c in found] == [
            ("a", "down"),
            ("a", "up"),
            ("space", "down"),
            ("code_999", "down"),
        ]
        assert found[0].kernel_s == pytest.approx(5.25)
        assert parser.n_dropped == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="event files are Linux's")
def test_a_keyboard_file_is_heard(tmp_path: Path, unique_name: str) -> None:
    path = tmp_path / "event0"
    os.mkfifo(path)
    device = os.open(path, os.O_RDWR)
    heard = Heard()
    try:
        settings = {"device": str(path)}
        with serving("keyboard", unique_name, settings), listening(unique_name) as inlet:
            pressed_s = []
            for code, value in ((16, 1), (16, 0), (28, 1)):
                os.write(
                    device, struct.pack("@llHHi", 1, 2, 1, code, value) + EVENT.pack(1, 2, 0, 0, 0)
                )
                pressed_s.append(pylsl.local_clock())
                time.sleep(0.1)
            collect(inlet, heard, 0.5)
    finally:
        os.close(device)
    events = [json.loads(row) for row in heard.rows]
    presses = [(e["key"], e["state"]) for e in events if e["event"] == "key"]
    assert presses == [("q", "down"), ("q", "up"), ("return", "down")]
    stamps = [t for t, e in zip(heard.stamps, events, strict=True) if e["event"] == "key"]
    assert np.abs(np.array(stamps) - pressed_s).max() < 0.05


def test_no_keyboard_is_told_in_one_line(tmp_path: Path) -> None:
    source = create_source("keyboard", "k", {"device": str(tmp_path / "event7")})
    with pytest.raises(DuchenneError, match="keyboards here") as caught, source:
        pass
    assert "\n" not in str(caught.value)


@needs_serial
def test_a_button_box_is_heard_over_a_serial_line(unique_name: str) -> None:
    heard = Heard()
    with serial_line() as (device, path):
        settings = {"port": path, "buttons": "1=left;2=right"}
        with serving("button-box", unique_name, settings), listening(unique_name) as inlet:
            pressed_s = []
            for data in (b"1", b"2", b"x", b"\x07"):
                os.write(device, data)
                pressed_s.append(pylsl.local_clock())
                time.sleep(0.05)
            collect(inlet, heard, 0.5)
    events = [json.loads(row) for row in heard.rows]
    presses = [e["button"] for e in events if e["event"] == "button"]
    assert presses == ["left", "right", "x", "7"]
    stamps = [t for t, e in zip(heard.stamps, events, strict=True) if e["event"] == "button"]
    assert np.abs(np.array(stamps) - pressed_s).max() < 0.05


def test_lines_of_a_button_box_say_which_and_how() -> None:
    box = create_source("button-box", "b", {"port": "x", "format": "lines", "buttons": "A=left"})
    assert isinstance(box, ButtonBox)
    presses = [
        json.loads(p) for p in [*box._presses(b"A down\nB u"), *box._presses(b"p\nbig red\n")]
    ]
    assert [(p["button"], p["state"]) for p in presses] == [
        ("left", "down"),
        ("B", "up"),
        ("big red", "down"),
    ]


# Photodiode


@needs_serial
@pytest.mark.parametrize("form", ["values", "times", "binary"])
def test_a_photodiode_over_a_serial_line_sees_the_light_in_time(
    form: str, unique_name: str
) -> None:
    rate_hz, burst = 1000, 8
    lit_s: list[float] = []
    heard = Heard()

    def device(main: int) -> Any:
        def work(stop: threading.Event) -> None:
            begun_s, n = pylsl.local_clock(), 0
            os.write(main, b"12")  # the rest of a line that nobody heard the beginning of
            while not stop.is_set():
                time.sleep(max(0.0, begun_s + (n + burst) / rate_hz - pylsl.local_clock()))
                piece = b""
                for i in range(n, n + burst):
                    if i == 1500:
                        lit_s.append(begun_s + i / rate_hz)
                    value = 900 if i >= 1500 else 50
                    if form == "binary":
                        piece += bytes([0x80 | value >> 7, value & 0x7F])
                    else:
                        piece += (
                            b"%d,%d\n" % (i * 1000, value) if form == "times" else b"%d\n" % value
                        )
                os.write(main, piece)
                n += burst

        return work

    with serial_line() as (main, path):
        settings = {"port": path, "format": "binary" if form == "binary" else "lines"}
        with (
            sending(device(main)),
            serving("photodiode", unique_name, settings),
            listening(unique_name) as inlet,
        ):
            collect(inlet, heard, 2.5)
    values, stamps = heard.samples[:, 0], heard.times_s
    assert set(np.unique(values)) <= {50, 900}
    assert np.all(np.diff(stamps) > 0)
    first = int(np.flatnonzero(values == 900)[0])
    assert abs(stamps[first] - lit_s[0]) < 0.015


@needs_serial
def test_a_photodiode_that_falls_silent_or_goes_is_told() -> None:
    with serial_line() as (main, path):
        source = create_source("photodiode", "p", {"port": path})
        assert isinstance(source, Photodiode)
        os.write(main, b"1\n2\n")
        with source, pytest.raises(DuchenneError, match="nothing has come"):
            source.run(Kept(), threading.Event())
    with serial_line() as (main, path):
        gone = create_source("photodiode", "p", {"port": path})
        with gone:
            threading.Timer(0.2, os.close, (main,)).start()
            with pytest.raises(DuchenneError, match=r"gone|nothing has come"):
                gone.run(Kept(), threading.Event())


@needs_serial
@pytest.mark.parametrize("name", ["photodiode", "button-box"])
def test_a_port_that_is_not_there_is_told_in_one_line(name: str) -> None:
    source = create_source(name, "p", {"port": "/dev/ttyNone"})
    with pytest.raises(DuchenneError, match="there is no such port") as caught, source:
        pass
    assert "\n" not in str(caught.value)


# Twins


def test_twins_answer_a_stimulus_with_their_delays(unique_name: str) -> None:
    ears = {"markers_source_id": f"{unique_name}-markers"}
    settings: dict[str, dict[str, str]] = {
        "simulated-photodiode": {"delay_s": "0.03", "noise": "0"},
        "simulated-microphone": {"mode": "audio", "delay_s": "0.08"},
        "simulated-keyboard": {"delay_s": "0.25", "hold_s": "0.05"},
    }
    heard = {name: Heard() for name in settings}
    with MarkerOutlet(source_id=ears["markers_source_id"]) as markers:
        for name, own in settings.items():
            source_id = f"{unique_name}-{name}"
            with serving(name, source_id, own | ears), listening(source_id) as inlet:
                assert markers.wait_for_consumers(5.0)
                time.sleep(0.3)
                onset_s = markers.push("stimulus_onset", stimulus="x")
                collect(inlet, heard[name], 0.6)
                markers.push("stimulus_offset", stimulus="x")
                found = heard[name]
                if name == "simulated-keyboard":
                    keys = [json.loads(row) for row in found.rows]
                    times = [
                        t for t, k in zip(found.stamps, keys, strict=True) if k["event"] == "key"
                    ]
                    assert np.array(times) - onset_s == pytest.approx([0.25, 0.3], abs=1e-4)
                    continue
                loud = np.abs(found.samples[:, 0])
                first_s = found.times_s[np.flatnonzero(loud > 0.6 * loud.max())[0]]
                delay_s = float(own["delay_s"])
                rate_hz = 1000 if name == "simulated-photodiode" else 16_000
                assert first_s - onset_s == pytest.approx(delay_s, abs=1.5 / rate_hz)
                if name == "simulated-microphone":
                    tone = np.abs(found.samples[found.times_s < onset_s, 0])
                    assert 20 * np.log10(tone.max()) == pytest.approx(-40, abs=0.1)
