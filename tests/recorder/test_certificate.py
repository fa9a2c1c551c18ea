"""The alignment certificate of streams with planted faults, and the budget it is judged by."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pylsl
import pytest
from support.faulty_sessions import (
    DURATION_S,
    GAZE_LABELS,
    START_LSL_S,
    gaze_samples,
    stream_info,
    write_faulty,
)

from duchenne.protocols.alignment import Alignment
from duchenne.protocols.schema import parse_protocol
from duchenne.recorder.archive import seal
from duchenne.recorder.certificate import StreamCertificate
from duchenne.recorder.clock import ClockSettings
from duchenne.recorder.gaps import count
from duchenne.recorder.journal import Journal
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo, declare_latency, describe
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 250.0
GAZE = stream_info("Gaze", "Gaze", GAZE_LABELS, RATE_HZ)
UNCOUNTED = stream_info("Gaze", "Gaze", GAZE_LABELS[:4], RATE_HZ)
TIMES = np.arange(0, DURATION_S, 1 / RATE_HZ)
SAMPLES = gaze_samples(TIMES.size)
PROTOCOL = """
name: budget
title: Budget
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks: [{name: a, steps: [{type: instruction, text: hello, duration_s: 1}]}]
"""


def _certificate(path: Path, name: str = "Gaze") -> StreamCertificate:
    with Recording.open(path) as recording:
        return recording.certificate[name]


def test_a_whole_stream_passes_with_its_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    jittered = TIMES + rng.normal(0, 3e-4, TIMES.size)
    path = write_faulty(
        tmp_path / "a.h5", [(GAZE, jittered, SAMPLES)], offset=lambda t: 3.0 + 40e-6 * t
    )
    found = _certificate(path)
    assert (found.verdict, found.reasons) == ("pass", ())
    assert found.effective_srate_hz == pytest.approx(250, rel=1e-4)
    assert 0.1 < found.jitter_ms < 0.6
    assert found.drift_ppm == pytest.approx(40, abs=2)
    assert found.round_trip_ms == pytest.approx(0.1)
    assert found.offset_uncertainty_ms == pytest.approx(0.05)
    assert (found.n_gaps, found.missing_samples, found.n_lost, found.counter) == (
        0,
        0,
        0,
        "sequence",
    )
    assert found.latency_source == "unknown"
    assert np.isnan(found.device_latency_s)
    assert [part.calibration for part in found.segments] == ["n/a"]
    again = StreamCertificate.from_json(json.loads(json.dumps(found.to_json())))
    assert again.to_json() == found.to_json()


def test_lost_samples_are_counted_by_the_source(tmp_path: Path) -> None:
    """Stamps that hide a loss, as those of a driver that numbers what it gets."""
    kept = np.delete(np.arange(TIMES.size), np.arange(1000, 1100))
    even = np.linspace(0, DURATION_S - 0.01, kept.size)
    found = _certificate(write_faulty(tmp_path / "a.h5", [(GAZE, even, SAMPLES[kept])]))
    assert (found.n_gaps, found.n_lost) == (0, 100)
    assert found.verdict == "fail"
    assert "100 samples lost by the source's own sequence" in found.reasons[0]


def test_a_gap_says_where_and_how_long(tmp_path: Path) -> None:
    kept = np.delete(np.arange(TIMES.size), np.arange(2500, 2750))  # 10.0 to 11.0 s
    path = write_faulty(tmp_path / "a.h5", [(UNCOUNTED, TIMES[kept], SAMPLES[kept, :4])])
    found = _certificate(path)
    (gap,) = found.gaps
    assert gap.after_lsl_s - START_LSL_S == pytest.approx(9.996, abs=2e-3)
    assert gap.duration_s == pytest.approx(1.004, abs=2e-3)
    assert (gap.missing, gap.reappearance, found.missing_samples) == (250, False, 250)
    assert found.verdict == "fail"
    assert any("a gap of 1.00 s, more than 0.1 s" in reason for reason in found.reasons)


def test_one_lost_sample_is_within_the_budget(tmp_path: Path) -> None:
    kept = np.delete(np.arange(TIMES.size), 2500)
    found = _certificate(
        write_faulty(tmp_path / "a.h5", [(UNCOUNTED, TIMES[kept], SAMPLES[kept, :4])])
    )
    assert found.verdict == "warn"
    assert found.reasons == ("1 samples missing in 1 gap (0.01%)",)


def test_a_stream_that_came_back_has_two_segments_with_their_calibrations(tmp_path: Path) -> None:
    keep = (TIMES < 10) | (TIMES >= 12)
    numbers = SAMPLES[keep].copy()
    numbers[2500:, 4] = np.arange(numbers.shape[0] - 2500)  # the device counts anew
    markers = [
        (0.0, "session_start", {}),
        (-2.0, "calibration_end", {"calibration": "nine-points"}),
        (11.0, "calibration_end", {}),
    ]
    path = write_faulty(
        tmp_path / "a.h5", [(GAZE, TIMES[keep], numbers)], markers=markers, again_at={"Gaze": 2500}
    )
    found = _certificate(path)
    assert [part.calibration for part in found.segments] == ["nine-points", "calibration 2"]
    assert [part.n_samples for part in found.segments] == [2500, numbers.shape[0] - 2500]
    (gap,) = found.gaps
    assert gap.reappearance
    assert gap.duration_s == pytest.approx(2.0, abs=0.01)
    assert found.n_lost == pytest.approx(500, abs=2)
    assert found.verdict == "fail"
    assert "the stream re-appeared 1 time" in found.reasons


def test_a_step_of_the_clock_is_told_and_moves_nothing(tmp_path: Path) -> None:
    path = write_faulty(
        tmp_path / "a.h5", [(GAZE, TIMES, SAMPLES)], offset=lambda t: 1.0 if t < 12.3 else -61.0
    )
    found = _certificate(path)
    assert found.verdict == "warn"
    assert found.reasons == ("the sender's clock stepped 1 time",)
    with Recording.open(path) as recording:
        error = recording.streams["Gaze"].lsl_times_s - START_LSL_S - TIMES
        assert np.abs(error).max() < 1e-3


def test_a_camera_in_the_dark_has_not_lost_every_other_frame(tmp_path: Path) -> None:
    info = StreamInfo("Face", "VideoCompressed", "c", "u", "h", "string", 30.0)
    times = np.arange(0, DURATION_S, 1 / 15)
    frame = [base64.b64encode(b"\xff\xd8\xff\xd9")]
    found = _certificate(
        write_faulty(tmp_path / "a.h5", [(info, times, [frame] * times.size)]), "Face"
    )
    assert (found.n_gaps, found.missing_samples, found.verdict) == (0, 0, "warn")
    assert found.reasons == ("15.0 Hz instead of 30 Hz",)


def test_the_frames_of_a_camera_are_counted_in_its_companion_stream(tmp_path: Path) -> None:
    info = StreamInfo("Face", "VideoCompressed", "c", "u", "h", "string", 30.0)
    frames = stream_info("FaceFrames", "VideoFrames", ("frame_number",), 0.0)
    times = np.arange(0, DURATION_S, 1 / 30)
    numbers = np.arange(times.size, dtype=float)
    numbers[400:] += 3
    packets = [[base64.b64encode(b"\xff\xd8\xff\xd9")]] * times.size
    path = write_faulty(
        tmp_path / "a.h5", [(info, times, packets), (frames, times, numbers[:, None])]
    )
    assert (_certificate(path, "Face").n_lost, _certificate(path, "Face").counter) == (
        3,
        "frame_number",
    )


@pytest.mark.parametrize(
    ("label", "values", "lost", "repeated", "restarts"),
    [
        ("sequence", [1, 2, 3, 6, 7], 2, 0, 0),
        ("frame", [5, 6, 6, 7], 0, 1, 0),
        ("counter", [253, 254, 255, 0, 1], 0, 0, 0),
        ("counter", [253, 254, 255, 1], 1, 0, 0),
        ("seq", [7, 8, 9, 0, 1], 0, 0, 1),
        ("device_time", [0.0, 0.01, 0.0201, 0.05, 0.06], 2, 0, 0),
        ("sequence", [1, np.nan, 3, 4], 1, 0, 0),
    ],
)
def test_counters(label: str, values: list[float], lost: int, repeated: int, restarts: int) -> None:
    found = count(label, np.array(values, dtype=float))
    assert found is not None
    assert (found.lost, found.repeated, found.restarts) == (lost, repeated, restarts)


def test_a_channel_that_never_counts_is_no_counter() -> None:
    assert count("counter", np.zeros(50)) is None
    assert count("device_time", np.full(50, np.nan)) is None


def test_the_budget_of_the_protocol_decides(tmp_path: Path) -> None:
    kept = np.delete(np.arange(TIMES.size), np.arange(2500, 2550))  # 0.2 s
    streams = [(UNCOUNTED, TIMES[kept], SAMPLES[kept, :4])]
    lenient = "alignment:\n  by_type:\n    Gaze: {max_gap_s: 0.5, max_lost_fraction: 0.05}\n"
    strict = _certificate(write_faulty(tmp_path / "a.h5", streams, protocol_yaml=PROTOCOL))
    path = write_faulty(tmp_path / "b.h5", streams, protocol_yaml=PROTOCOL + lenient)
    assert strict.verdict == "fail"
    assert _certificate(path).verdict == "warn"
    assert _certificate(path).limits["max_gap_s"] == 0.5
    with Recording.open(path) as recording:
        assert recording.certify(Alignment(max_gap_s=0.01))["Gaze"].verdict == "fail"


def test_limits_are_ranked_and_unknown_keys_refused() -> None:
    alignment = parse_protocol(
        f"{PROTOCOL}alignment: {{max_gap_s: 0.3, by_type: {{EEG: {{max_gap_s: 0.02}}}}}}"
    ).alignment
    assert alignment.for_type("EEG").max_gap_s == 0.02
    assert alignment.for_type("Gaze").max_gap_s == 0.3
    assert alignment.for_type("Gaze").max_jitter_ms == 2.0
    assert None not in alignment.for_type("anything").model_dump().values()
    with pytest.raises(DuchenneError, match=r"max_gaps_s.*max_gap_s"):
        parse_protocol(f"{PROTOCOL}alignment: {{max_gaps_s: 1}}")
    with pytest.raises(DuchenneError, match="max_lost_fraction"):
        parse_protocol(f"{PROTOCOL}alignment: {{by_type: {{Gaze: {{max_lost_fraction: 2}}}}}}")


def test_a_latency_is_declared_in_the_description() -> None:
    info = pylsl.StreamInfo("Cam", "VideoCompressed", 1, 30, "string", "cam")
    assert describe(info).latency_source == "unknown"
    declare_latency(info, 0.062, "camera_flash")
    assert describe(info).device_latency_s == 0.062
    assert describe(info).latency_source == "camera_flash"
    nobody_knows = pylsl.StreamInfo("Cam", "VideoCompressed", 1, 30, "string", "cam")
    declare_latency(nobody_knows, None)
    assert describe(nobody_knows).latency_source == "unknown"
    with pytest.raises(ValueError, match="no latency"):
        declare_latency(info, 36.0)
    broken = StreamInfo("A", "B", info_xml="<info><desc")
    assert np.isnan(broken.device_latency_s)


def test_a_known_latency_is_in_the_certificate(tmp_path: Path) -> None:
    xml = (
        "<info><desc><acquisition><device_latency_s>0.004</device_latency_s>"
        "<latency_source>declared</latency_source></acquisition></desc></info>"
    )
    info = stream_info("Gaze", "Gaze", GAZE_LABELS, RATE_HZ, info_xml=xml)
    path = write_faulty(tmp_path / "a.h5", [(info, TIMES, SAMPLES)])
    found = _certificate(path)
    assert (found.device_latency_s, found.latency_source) == (0.004, "declared")
    with Recording.open(path) as recording:
        assert recording.latency_known("Gaze")
        assert not recording.latency_known("Nothing")


def test_a_certificate_of_an_older_file_is_read(tmp_path: Path) -> None:
    path = write_faulty(tmp_path / "a.h5", [(GAZE, TIMES, SAMPLES)])
    with h5py.File(path, "r+") as file:
        values = json.loads(file["certificate"].attrs["Gaze"])
        new = (
            "gaps",
            "segments",
            "limits",
            "n_lost",
            "device_latency_s",
            "latency_source",
            "counter",
        )
        old = {key: value for key, value in values.items() if key not in new}
        file["certificate"].attrs["Gaze"] = json.dumps(old)
        del file.attrs["recording_start_lsl_s"]
    assert _certificate(path).gaps == ()
    assert _certificate(path).latency_source == "unknown"


def test_times_are_derived_again_with_other_settings(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    jitter = rng.normal(0, 5e-4, TIMES.size)
    markers = [(0.0, "session_start", {}), (5.0, "note", {"text": "here"})]
    path = write_faulty(
        tmp_path / "a.h5",
        [(GAZE, TIMES + jitter, SAMPLES)],
        markers=markers,
        offset=lambda _: 100.0,
    )
    with Recording.open(path) as recording:
        gaze = recording.streams["Gaze"]
        assert np.abs(gaze.times_s - TIMES).max() < 2e-4
        rough = gaze.times(ClockSettings(smooth=False))
        np.testing.assert_allclose(rough, TIMES + jitter, atol=1e-5)
        np.testing.assert_allclose(gaze.times(), gaze.times_s, atol=1e-9)
    with Recording.open(path, ClockSettings(use_offsets=False, smooth=False)) as recording:
        assert recording.start_lsl_s == pytest.approx(START_LSL_S - 100)
        assert recording.events["time_s"].tolist() == pytest.approx([0, 5])
        np.testing.assert_allclose(recording.streams["Gaze"].times_s, TIMES + jitter, atol=1e-6)


def _clocked(path: Path, *, shift_s: float, measured_until_s: float) -> StreamCertificate:
    """Record markers for 300 s with stamps that are off by some seconds."""
    info = StreamInfo("Other", "Markers", uid="u", channel_format="string")
    with Journal.create(path, {"recording_since_lsl_s": 50.0, "stopped_lsl_s": 350.0}) as journal:
        number = journal.add_stream(info)
        for when in np.arange(50.0, 50.0 + measured_until_s, 5.0):
            journal.add_clock_offset(number, when, 0.0, 1e-4)
        for second in range(300):
            stamp = np.array([50.0 + second])
            journal.append(number, stamp + shift_s, [[b"x"]], received_s=50.01 + second)
    with Recording.open(seal(path)) as recording:
        return recording.certificate["Other"]


@pytest.mark.parametrize(
    ("shift_s", "measured_until_s", "verdict", "says"),
    [
        (0.0, 300.0, "pass", ""),
        (1.7e9, 300.0, "fail", "stamps 1700000000 s later than their own arrival"),  # Unix time
        (-49.0, 300.0, "fail", "stamps 49 s older than their arrival"),  # since the program started
        (0.0, 20.0, "warn", "samples up to 284 s away from any measurement of the clock offset"),
    ],
)
def test_stamps_of_another_clock_and_clocks_that_fell_silent_do_not_pass(
    tmp_path: Path, shift_s: float, measured_until_s: float, verdict: str, says: str
) -> None:
    found = _clocked(tmp_path / "x.journal", shift_s=shift_s, measured_until_s=measured_until_s)
    assert found.verdict == verdict
    assert any(says in reason for reason in found.reasons) or not says
