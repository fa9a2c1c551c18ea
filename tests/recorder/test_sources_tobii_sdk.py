"""The Tobii source through Tobii's real SDK module, over a stand-in for its compiled part."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl
import pytest
from support.sources import DEADLINE_S, Heard, collect, listening, serving
from support.tobii import LICENSE, Seam, StandIn

from duchenne.protocols.calibrators import LslCalibrator
from duchenne.protocols.markers import MarkerOutlet
from duchenne.recorder.recording import Recording
from duchenne.recorder.sources.base import serve
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.sources.tobii_calibration import TobiiCalibration
from duchenne.recorder.sources.tobii_gaze import CHANNELS
from duchenne.recorder.streams import describe
from duchenne.stimuli.errors import DuchenneError

tobii_research = pytest.importorskip(
    "tobii_research", reason="tobii-research has builds for Python 3.10 and before only"
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEX = {label: place for place, (label, _, _, _) in enumerate(CHANNELS)}


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that connects stand-ins until the end of the test."""
    from tobiiresearch.interop.python3 import tobii_research_interop

    with ExitStack() as stack:

        def connect(*devices: StandIn) -> StandIn:
            seam = Seam(tobii_research_interop.call_function, list(devices))
            monkeypatch.setattr(tobii_research_interop, "call_function", seam)
            stack.enter_context(seam.running())
            return devices[0]

        yield connect


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LICENCE").write_bytes(b"key")


@contextmanager
def all_streams(source_id: str) -> Iterator[dict[str, pylsl.StreamInlet]]:
    with ExitStack() as stack:
        kinds = ("", "-signals", "-timesync", "-events")
        yield {kind: stack.enter_context(listening(f"{source_id}{kind}")) for kind in kinds}


def _events(inlet: pylsl.StreamInlet) -> list[dict[str, Any]]:
    samples, _ = inlet.pull_chunk(timeout=0.2)
    return [json.loads(sample[0]) for sample in samples]


def test_the_real_module_answers_without_a_tracker() -> None:
    assert tobii_research.__version__.startswith("2.1")
    assert tobii_research.find_all_eyetrackers() == ()
    done = subprocess.run(
        [sys.executable, "-m", "duchenne.cli", "sources", "start", "tobii"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "No Tobii eye tracker found: check" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_sdk_system_clock_is_mapped_to_within_a_millisecond() -> None:
    from duchenne.recorder.sources.paired_clocks import ClockMap, read_pair

    clock = ClockMap(read_pair(lambda: tobii_research.get_system_time_stamp() * 1e-6))
    assert 0 < clock.uncertainty_s < 1e-3
    before_s = pylsl.local_clock()
    mapped_s = clock.to_lsl_s(tobii_research.get_system_time_stamp() * 1e-6)
    assert before_s - 1e-3 < mapped_s < pylsl.local_clock() + 1e-3


def test_every_sample_arrives_once_with_the_time_of_its_capture(
    plug: Any, unique_name: str
) -> None:
    device = plug(StandIn(dropped={700, 701, 702}, blinks=set(range(800, 830))))
    heard, sync = Heard(), Heard()
    with serving("tobii", unique_name, {}), all_streams(unique_name) as inlets:
        info = describe(inlets[""].info())
        collect(inlets[""], heard, 2.5)
        collect(inlets["-timesync"], sync, 0.2)
        now_s = pylsl.local_clock()
    assert (info.name, info.type, info.nominal_srate_hz) == ("Gaze", "Gaze", 600.0)
    assert [c.label for c in info.channels] == list(INDEX)
    assert not info.can_drop_samples
    rows, stamps = heard.samples, heard.times_s
    numbers = rows[:, INDEX["sample_number"]].astype(int)
    steps = np.diff(numbers)
    captured = np.round((rows[:, INDEX["system_time"]] - device.start_us * 1e-6) * 600).astype(int)
    assert captured[0] < 700 < captured[-1]
    assert set(range(captured[0], captured[-1] + 1)) - set(captured) == {700, 701, 702}
    assert np.array_equal(np.diff(captured), steps)
    # the stand-in captures on an exact grid: stamps are that grid, on LSL's clock
    period_s = np.diff(stamps) / steps
    assert period_s == pytest.approx(np.full(len(period_s), 1 / 600), abs=5e-5)
    assert 0 < now_s - stamps[-1] < 0.5
    capture_s = rows[:, INDEX["system_time"]]
    assert np.ptp(stamps - capture_s) < 1e-3
    assert rows[:, INDEX["device_time"]] - capture_s == pytest.approx(
        np.full(len(rows), device.ahead_s), abs=1e-3
    )
    shut = rows[:, INDEX["left_valid"]] == 0
    assert np.isnan(rows[shut][:, INDEX["left_x"]]).all()
    assert (rows[~shut][:, INDEX["left_openness"]] == 9.5).all()
    assert (rows[:, INDEX["calibration"]] == 1).all()
    uncertainty, difference = sync.samples[-1, 5], sync.samples[-1, 6]
    assert 0 < uncertainty < 1e-3
    assert abs(difference) < uncertainty + 1e-4


def test_the_description_names_device_area_and_calibration(plug: Any, unique_name: str) -> None:
    device = plug(StandIn())
    source = create_source("tobii", unique_name, {"rate_hz": "1200"})
    with source:
        desc = source.info.desc()
    calibration = desc.child("calibration")
    assert base64.b64decode(calibration.child_value("data_base64")) == device.calibration
    assert len(calibration.child_value("id")) == 12
    assert desc.child("device").child_value("serial_number") == "STANDIN-1"
    assert float(desc.child("display_area").child_value("width_mm")) == 527.0
    assert 0 <= float(desc.child("clock").child_value("uncertainty_s")) < 1e-3
    assert source.info.nominal_srate() == device.rate_hz == 1200.0


def test_signals_calibrations_and_warnings_are_streams_of_their_own(
    plug: Any, unique_name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    device = plug(StandIn())
    heard, signals = Heard(), Heard()
    events: list[dict[str, Any]] = []
    with serving("tobii", unique_name, {}), all_streams(unique_name) as inlets:
        collect(inlets[""], heard, 0.3)
        set_us = device.signal(5)
        device.notify("device_warnings", warnings="lens is dirty")
        device.calibration = b"calibration made at noon"
        device.notify("calibration_changed")
        collect(inlets[""], heard, 0.5)
        collect(inlets["-signals"], signals, 0.2)
        events += _events(inlets["-events"])
    changed = [row for row in signals.rows if row[1] == 1]
    assert len(changed) == 1
    assert changed[0][0] == 5
    lsl_minus_system_s = heard.stamps[0] - heard.rows[0][INDEX["system_time"]]
    assert signals.stamps[-1] == pytest.approx(set_us * 1e-6 + lsl_minus_system_s, abs=1e-3)
    by_name = {event["event"]: event for event in events}
    assert by_name["device_warnings"]["warnings"] == "lens is dirty"
    assert base64.b64decode(by_name["calibration"]["data_base64"]) == b"calibration made at noon"
    numbers = heard.samples[:, INDEX["calibration"]]
    assert sorted(set(numbers)) == [1.0, 2.0]
    assert np.all(np.diff(numbers) >= 0)
    assert "calibration 2 (" in capfd.readouterr().err


def test_a_lost_connection_leaves_a_gap_and_goes_on(
    plug: Any, unique_name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    device = plug(StandIn())
    heard = Heard()
    with serving("tobii", unique_name, {}), listening(unique_name) as inlet:
        collect(inlet, heard, 0.4)
        device.is_silent = True
        device.notify("connection_lost")
        collect(inlet, heard, 0.6)
        device.is_silent = False
        device.notify("connection_restored")
        collect(inlet, heard, 0.5)
    steps = np.diff(heard.times_s)
    assert np.all(steps > 0)
    assert np.sum(steps > 0.1) == 1
    lost = np.diff(heard.samples[:, INDEX["sample_number"]]).max() - 1
    assert lost == pytest.approx(steps.max() * 600 - 1, abs=1)
    told = capfd.readouterr().err.splitlines()
    assert sum("connection lost; waiting up to 30 s" in line for line in told) == 1
    assert sum("samples again after" in line for line in told) == 1


def test_a_tracker_that_stays_away_is_an_error(plug: Any, unique_name: str) -> None:
    device = plug(StandIn())
    stop = threading.Event()

    def pull_the_cable() -> None:
        device.is_silent = True

    with pytest.raises(DuchenneError, match=r"STANDIN-1 has been gone for 0\.3 s after"):
        serve(create_source("tobii", unique_name, {"reconnect_s": "0.3"}), stop, pull_the_cable)


def test_a_clock_that_the_device_begins_anew_is_told(
    plug: Any, unique_name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    device = plug(StandIn())
    heard = Heard()
    with serving("tobii", unique_name, {}), listening(unique_name) as inlet:
        collect(inlet, heard, 0.7)
        device.ahead_s = 3.0
        collect(inlet, heard, 0.8)
    assert "its clock jumped by -996.9" in capfd.readouterr().err
    assert np.diff(heard.times_s) == pytest.approx(
        np.full(len(heard.stamps) - 1, 1 / 600), abs=5e-5
    )


def test_two_trackers_need_a_name(plug: Any) -> None:
    plug(StandIn(), StandIn(address="tobii-prp://B", serial="STANDIN-2"))
    with pytest.raises(DuchenneError, match=r"2 Tobii eye trackers found .*STANDIN-2"):
        create_source("tobii", "x", {}).__enter__()
    with pytest.raises(DuchenneError, match="No Tobii eye tracker with serial=7; found"):
        create_source("tobii", "x", {"serial": "7"}).__enter__()
    with pytest.raises(DuchenneError, match="No Tobii eye tracker with index=2"):
        create_source("tobii", "x", {"index": "2"}).__enter__()
    for settings in ({"serial": "STANDIN-2"}, {"index": "1"}, {"address": "tobii-prp://B"}):
        with create_source("tobii", "x", settings) as source:
            assert source.info.desc().child("device").child_value("serial_number") == "STANDIN-2"


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({"rate_hz": "250"}, {}, "cannot do 250 Hz: it offers 60, 120, 150, 300, 600, 1200 Hz"),
        (
            {"screen_width_mm": "600", "screen_height_mm": "340"},
            {},
            "display area of 527 x 296 mm, the screen was declared as 600 x 340 mm",
        ),
        (
            {"license_file": "LICENCE"},
            {"license_result": 4},
            "refuses the licence LICENCE: expired",
        ),
        ({"license_file": "nowhere"}, {}, "Licence file nowhere: No such file"),
        ({"calibration_file": "nowhere"}, {}, "Calibration file nowhere: No such file"),
        (
            {"address": "tobii-prp://C"},
            {},
            "Tobii eye tracker tobii-prp://C: the connection failed",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    settings: dict[str, str], changes: dict[str, Any], message: str, plug: Any, in_folder: None
) -> None:
    plug(StandIn(**changes))
    with pytest.raises(DuchenneError, match=message) as caught:
        create_source("tobii", "x", settings).__enter__()
    assert "\n" not in str(caught.value)


def test_a_licence_without_gaze_and_a_saved_calibration(plug: Any, tmp_path: Path) -> None:
    device = plug(StandIn())
    file = tmp_path / "saved.bin"
    file.write_bytes(b"saved calibration")
    with create_source("tobii", "x", {"calibration_file": str(file), "screen_width_mm": "530"}):
        assert device.calibration == b"saved calibration"
    device.gaze_status = LICENSE
    with (
        pytest.raises(DuchenneError, match="gaze data: its licence does not allow this"),
        create_source("tobii", "x", {}) as source,
    ):
        source.run(pylsl.StreamOutlet(source.info), threading.Event())


def test_stops_at_once_without_being_heard(plug: Any) -> None:
    plug(StandIn())
    stop = threading.Event()
    stop.set()
    with create_source("tobii", "mute", {}) as source:
        begun = time.monotonic()
        source.run(pylsl.StreamOutlet(source.info), stop)
    assert time.monotonic() - begun < 2.0
    assert source.result == "0 samples of Gaze, 0 lost"


def test_a_calibration_is_collected_computed_and_put_back(plug: Any) -> None:
    device = plug(StandIn(fails_at={(0.9, 0.9)}))
    tracker = tobii_research.find_all_eyetrackers()[0]
    with TobiiCalibration(tobii_research, tracker) as calibration:
        assert not calibration.compute().success
        assert calibration.collect(0.1, 0.1)
        assert calibration.collect(0.5, 0.5)
        assert not calibration.collect(0.9, 0.9)
        calibration.discard(0.1, 0.1)
        assert calibration.collect(0.1, 0.9)
        with (
            pytest.raises(DuchenneError, match="calibration: it is busy"),
            TobiiCalibration(tobii_research, tracker),
        ):
            pass
        outcome = calibration.compute()
        earlier = outcome.calibration
        device.calibration = b"another"
        calibration.apply(earlier)
    assert outcome.success
    assert device.calibration == earlier.data == b"calibration of 2 points"
    assert [point.target for point in outcome.points] == [(0.5, 0.5), (0.1, 0.9)]
    first = outcome.points[0]
    assert (first.n_left, first.n_right) == (3, 2)
    assert first.error_left_mm == pytest.approx(5.27)
    assert first.error_right_mm == pytest.approx(0.02 * 296)
    blind = plug(StandIn(capabilities=("capability_has_gaze_data",)))
    other = tobii_research.EyeTracker(blind.address)
    with pytest.raises(DuchenneError, match="cannot be calibrated on a screen"):
        TobiiCalibration(tobii_research, other)


def test_the_recorder_keeps_all_four_streams(plug: Any, unique_name: str, tmp_path: Path) -> None:
    device = plug(StandIn())
    file = tmp_path / "tobii.h5"
    command = [
        sys.executable,
        "-m",
        "duchenne.cli",
        "record",
        "--out",
        str(file),
        "--duration",
        "2",
    ]
    command += ["--stream", f"starts-with(source_id,'{unique_name}')", "--require", "Gaze"]
    with (
        serving("tobii", unique_name, {}),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        deadline = time.monotonic() + DEADLINE_S
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
            device.signal(3)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    with Recording.open(file) as recording:
        names = recording.streams
        assert set(names) == {"Gaze", "TobiiSignals", "TobiiTimeSync", "TobiiEvents"}
        numbers = names["Gaze"].samples()[:, INDEX["sample_number"]]
        assert np.all(np.diff(numbers) == 1)
        assert len(numbers) > 600
        assert names["TobiiSignals"].n > 0
        assert "data_base64" in names["Gaze"].info.info_xml


def test_markers_of_the_display_calibrate_the_tracker(plug: Any, unique_name: str) -> None:
    device = plug(StandIn())
    places = [(400, 225), (80, 45), (720, 405)]
    with (
        MarkerOutlet(source_id=f"{unique_name}-markers") as markers,
        serving("tobii", unique_name, {"markers_source_id": f"{unique_name}-markers"}),
        listening(unique_name) as inlet,
    ):
        assert inlet.info().desc().child_value("calibration_control") == "markers"
        assert markers.wait_for_consumers(DEADLINE_S)
        calibrator = LslCalibrator(unique_name)
        screen = {"width_px": 800, "height_px": 450, "width_cm": 40, "height_cm": 22.5}
        markers.push("session_start", screen=screen | {"distance_cm": 60})
        for name, shown in (("good", places), ("bad", places[:1])):
            markers.push("calibration_start", calibration=name, by_program=True)
            for n, place in enumerate(shown, 1):
                wanted = {"state": "ready", "n": n}
                markers.push(
                    "note", kind="calibration_point", calibration=name, position_px=place,
                    settle_s=0.1, collect_s=0.1,
                )  # fmt: skip
                _await_state(calibrator, name, wanted)
            markers.push("note", kind="calibration_compute", calibration=name)
            state = _await_state(
                calibrator, name, {"state": "done" if name == "good" else "failed"}
            )
            if name == "good":
                assert [p["position"] for p in state["points"]] == [
                    [0.5, 0.5],
                    [0.1, 0.1],
                    [0.9, 0.9],
                ]
                assert state["points"][0]["error_left_mm"] == pytest.approx(5.27, abs=0.01)
                assert device.calibration == b"calibration of 3 points"
            markers.push("calibration_end", calibration=name)
        assert device.calibration == b"calibration of 3 points"
        markers.push("calibration_start", calibration="aborted", by_program=True)
        _await_state(calibrator, "aborted", {"state": "ready"})
    assert not device._calibrating


def _await_state(calibrator: LslCalibrator, name: str, wanted: dict[str, Any]) -> Any:
    """Wait for a state of a calibration that has these values; return it."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        state = calibrator.state(name)
        if wanted.items() <= state.items():
            return state
        time.sleep(0.02)
    raise AssertionError(f"{name} never became {wanted}, but {calibrator.state(name)}")
