"""Trigger codes: the table, the ports, and a whole presentation against a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import shutil
import threading
import time
import tty
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pylsl
import pytest
from support.presentation import Presentation, write_protocol

from duchenne.protocols.schema import load_protocol, parse_protocol
from duchenne.protocols.trigger_codes import trigger_codes
from duchenne.protocols.trigger_ports import PortError, SerialTriggerPort, SimulatedPort, open_port
from duchenne.protocols.triggers import TriggerSender
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_serial = pytest.mark.skipif(find_spec("serial") is None, reason="needs pyserial")
needs_screen = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)

PROTOCOL = """\
name: small
title: A small protocol
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
triggers: {%s}
blocks:
  - name: main
    steps:
      - {type: trials, select: {ids: [sunset, spikes, balloons]}, duration_s: 1}
"""


def table(section: str) -> dict[str, int]:
    protocol = parse_protocol(PROTOCOL % section, name="p.yaml")
    return trigger_codes(protocol, protocol.stimulus_set()).to_json()


def refusal(section: str) -> str:
    with pytest.raises(DuchenneError) as caught:
        table(section)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Wire:
    """The other end of a serial line: what came, and when."""

    def __init__(self) -> None:
        self.main, self.sub = pty.openpty()
        tty.setraw(self.sub)
        self.path = os.ttyname(self.sub)
        self.came: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="wire")

    def _read(self) -> None:
        os.set_blocking(self.main, False)
        while not self._stop.is_set():
            try:
                data = os.read(self.main, 256)
            except BlockingIOError:
                time.sleep(0.0002)
                continue
            now_s = pylsl.local_clock()
            self.came += [(byte, now_s) for byte in data]


@contextmanager
def wire() -> Iterator[Wire]:
    line = Wire()
    line._thread.start()
    try:
        yield line
    finally:
        line._stop.set()
        line._thread.join()
        os.close(line.main)
        os.close(line.sub)


def test_codes_are_unique_and_the_same_each_time() -> None:
    for per, names in (
        ("event", [""]),
        ("category", ["HVHA", "LVHA", "HVLA", "LVLA", "neutral"]),
        ("stimulus", ["sunset", "spikes", "balloons"]),
    ):
        codes = table(f"port: none, stimulus: {per}")
        assert codes == table(f"port: none, stimulus: {per}")
        assert len(set(codes.values())) == len(codes)
        assert all(1 <= code <= 255 for code in codes.values())
        onsets = [key for key in codes if key.startswith("stimulus_onset")]
        assert 1 <= len(onsets) <= len(names)
        assert {key.partition("/")[2] for key in onsets} <= set(names)
    assert len([k for k in table("port: none, stimulus: stimulus") if "onset/" in k]) == 3


def test_codes_given_by_hand_are_kept() -> None:
    codes = table("port: none, stimulus: stimulus, codes: {session_start: 2, spikes: 77}")
    assert codes["session_start"] == 2
    assert codes["stimulus_onset/spikes"] == 77
    assert len(set(codes.values())) == len(codes)
    few = table("port: none, stimulus: event, events: [stimulus_onset]")
    assert few == {"stimulus_onset": 1}


def test_what_does_not_fit_is_refused_with_its_line() -> None:
    assert "p.yaml:4" in refusal("port: none, codes: {stimulus_onst: 7}")
    assert "share the code 7" in refusal("port: none, codes: {pause: 7, resume: 7}")
    assert "there is no event 'stim'" in refusal("port: none, events: [stim]")
    assert "needs an address" in refusal("port: serial")
    assert "255" in refusal("port: none, codes: {pause: 256}")


def test_a_port_that_is_not_there_is_told_in_one_line() -> None:
    for section in (
        "port: serial, address: /dev/ttyNone",
        "port: parallel, address: /dev/parport9",
    ):
        triggers = parse_protocol(PROTOCOL % section).triggers
        assert triggers is not None
        with pytest.raises(DuchenneError, match="simulated") as caught:
            open_port(triggers)
        assert "\n" not in str(caught.value)


def test_each_code_goes_back_to_zero_once_its_pulse_is_over() -> None:
    protocol = parse_protocol(PROTOCOL % "port: simulated, pulse_ms: 20")
    port, codes = SimulatedPort(), trigger_codes(protocol, protocol.stimulus_set())
    with TriggerSender(port, codes, pulse_s=0.02) as sender:
        first = sender.send(7)
        time.sleep(0.15)
        sender.send(8)
        sender.send(9)  # before the pulse of 8 is over: that of 9 counts
        time.sleep(0.15)
    assert [code for code, _ in port.written] == [0, 7, 0, 8, 9, 0, 0]
    seven, zero = port.written[1][1], port.written[2][1]
    assert 0 <= first.lsl_time_s - seven < 0.01
    assert 0.019 <= zero - seven < 0.1


def test_a_port_that_fails_holds_up_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Full(SimulatedPort):
        def write(self, _code: int) -> None:
            raise PortError("the serial port is full")

    protocol = parse_protocol(PROTOCOL % "port: simulated")
    codes = trigger_codes(protocol, protocol.stimulus_set())
    with TriggerSender(Full(), codes, 0.01) as sender:
        sent = sender.send(7)
    assert sent.fields() == {"trigger_code": 7, "trigger_error": "the serial port is full"}
    assert capsys.readouterr().err.count("triggers: ") == 1


@needs_serial
def test_a_serial_line_that_nobody_empties_refuses_at_once() -> None:
    main, sub = pty.openpty()
    tty.setraw(sub)
    port = SerialTriggerPort(os.ttyname(sub), 115200)
    try:
        begun = time.monotonic()
        with pytest.raises(PortError):
            all(port.write(1) is None for _ in range(200_000))
        assert time.monotonic() - begun < 5
        begun = time.monotonic()
        with pytest.raises(PortError):
            port.write(1)
        assert time.monotonic() - begun < 0.05
    finally:
        port.close()
        os.close(main)
        os.close(sub)


@needs_serial
@needs_screen
def test_codes_leave_at_the_flip_and_the_markers_say_so(tmp_path: Path, unique_name: str) -> None:
    path = write_protocol(tmp_path, ids="red, count", ratings="valence")
    with wire() as line:
        section = (
            f"triggers: {{port: serial, address: {line.path}, stimulus: stimulus, pulse_ms: 5}}\n"
        )
        path.write_text(section + path.read_text(encoding="utf-8"), encoding="utf-8")
        protocol = load_protocol(path)
        expected = trigger_codes(protocol, protocol.stimulus_set()).to_json()
        with Presentation(path, unique_name, "--headless") as shown:
            shown.start()
            shown.wait_for_line("finished")
            markers = shown.markers()
            assert shown.wait() == 0
        came = [(code, at_s) for code, at_s in line.came if code]
    sent = [m for m in markers if "trigger_code" in m]
    assert [m["trigger_code"] for m in sent] == [code for code, _ in came]
    assert not [m for m in markers if "trigger_error" in m]
    start = markers[0]
    assert start["event"] == "session_start"
    assert start["trigger_codes"] == expected
    onsets = [m for m in sent if m["event"] == "stimulus_onset"]
    assert [m["trigger_code"] for m in onsets] == [
        expected["stimulus_onset/red"],
        expected["stimulus_onset/count"],
    ]
    assert len({m["trigger_code"] for m in onsets}) == 2
    silent = {m["event"] for m in markers if "trigger_code" not in m}
    assert "fixation_offset" in silent
    at_flip = [m for m in sent if m["event"] != "rating_response"]
    delays_s = [m["trigger_lsl_time_s"] - m["lsl_time_s"] for m in at_flip]
    assert min(delays_s) >= 0
    assert sorted(delays_s)[len(delays_s) // 2] < 0.001
    assert max(delays_s) < 0.05
    late_s = sorted(
        at_s - marker["trigger_lsl_time_s"] for marker, (_, at_s) in zip(sent, came, strict=True)
    )
    assert abs(late_s[len(late_s) // 2]) < 0.001
    assert late_s[0] > -0.02, "a sender that had to wait for a core between sending and stamping"
    assert late_s[-1] < 0.1
    zeros = [code for code, _ in line.came if not code]
    assert len(zeros) >= len(came)
