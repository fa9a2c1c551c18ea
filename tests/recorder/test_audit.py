"""Planted faults in a session, each of which the audit must find and name."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.faulty_sessions import (
    DURATION_S,
    GAZE_LABELS,
    gaze_samples,
    markers_of,
    schedule_of,
    stream_info,
    write_faulty,
)

from duchenne.recorder.audit import audit, verdict_of
from duchenne.recorder.audit_signals import decodes
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.recorder.audit import Finding

TRIALS = [("sun", 4.0), ("rain", 4.0), ("mug", 4.0)]
RATINGS = ("valence",)
RATE_HZ = 250.0
GAZE = stream_info("Gaze", "Gaze", GAZE_LABELS, RATE_HZ)
TIMES = np.arange(0, DURATION_S, 1 / RATE_HZ)
SAMPLES = gaze_samples(TIMES.size)
VIDEO = StreamInfo("Face", "VideoCompressed", "c", "u", "h", "string", 30.0)


def _audit(path: Path, markers: Any = None, streams: Any = (), **more: Any) -> list[Finding]:
    written = write_faulty(
        path,
        [(GAZE, TIMES, SAMPLES), *streams],
        markers=markers_of(TRIALS, RATINGS) if markers is None else markers,
        schedule=schedule_of(TRIALS, RATINGS),
        **more,
    )
    with Recording.open(written) as recording:
        return audit(recording)


def _bad(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f.level, f.what) for f in findings if f.level in ("warn", "fail")]


def test_a_session_as_planned_passes(tmp_path: Path) -> None:
    findings = _audit(tmp_path / "a.h5")
    assert _bad(findings) == []
    assert verdict_of(findings) == "pass"
    said = " | ".join(finding.what for finding in findings)
    assert "3 of 3 scheduled stimuli were shown" in said
    assert "3 stimulus phases, each with its end" in said
    assert "3 ratings, all that were planned" in said
    assert "6 durations as planned" in said


def _without(event: str, trial: int) -> list[Any]:
    return [m for m in markers_of(TRIALS, RATINGS) if (m[1], m[2].get("trial")) != (event, trial)]


@pytest.mark.parametrize(
    ("event", "trial", "says"),
    [
        ("stimulus_offset", 2, "stimulus_onset of trial 2 at 8.000 s has no end"),
        ("stimulus_onset", 2, "stimulus_offset of trial 2 at 12.000 s has no beginning"),
        ("stimulus_onset", 2, "2 of 3 scheduled stimuli were shown; missing: trial 2 (rain)"),
        ("fixation_offset", 3, "fixation_onset of trial 3 at 13.000 s has no end"),
        ("rating_response", 1, "2 of 3 ratings; missing: valence of trial 1"),
        ("block_end", None, "block_start of block b at 0.100 s has no end"),
        ("session_end", None, "session_end is there 0 times, not once"),
    ],
)
def test_a_dropped_marker_is_found(tmp_path: Path, event: str, trial: int, says: str) -> None:
    findings = _audit(tmp_path / "a.h5", _without(event, trial))
    assert ("fail", says) in _bad(findings)


@pytest.mark.parametrize("event", ["stimulus_onset", "stimulus_offset"])
def test_a_doubled_marker_is_found(tmp_path: Path, event: str) -> None:
    markers = markers_of(TRIALS, RATINGS)
    at = next(i for i, m in enumerate(markers) if (m[1], m[2].get("trial")) == (event, 2))
    time_s, _, fields = markers[at]
    markers.insert(at + 1, (time_s + 0.004, event, fields))
    found = _bad(_audit(tmp_path / "a.h5", markers))
    assert found == [
        ("fail", f"{event} of trial 2 at {time_s + 0.004:.3f} s came twice, 0.004 s apart")
    ]


def test_a_wrong_stimulus_and_a_wrong_duration_are_found(tmp_path: Path) -> None:
    markers = markers_of([("sun", 4.0), ("fog", 4.0), ("mug", 3.2)], RATINGS)
    found = _bad(_audit(tmp_path / "a.h5", markers))
    assert ("fail", "trial 2 showed fog, not rain") in found
    assert ("warn", "stimulus of trial 3 (mug) lasted 3.200 s, not 4.000 s") in found


def test_an_aborted_session_warns_of_what_is_missing(tmp_path: Path) -> None:
    markers = [m for m in markers_of(TRIALS, RATINGS) if m[0] < 9]
    end = {"trial": 2, "block": "b", "stimulus": "rain", "presentation_id": "p2"}
    markers += [(9.0, "abort", {"reason": "operator"}), (9.01, "stimulus_offset", end)]
    markers += [(9.02, "block_end", {"block": "b"}), (9.03, "session_end", {})]
    findings = _audit(tmp_path / "a.h5", markers)
    assert verdict_of(findings) == "warn"
    assert ("warn", "the session was aborted") in _bad(findings)
    said = [what for _, what in _bad(findings)]
    assert "2 of 3 scheduled stimuli were shown; missing: trial 3 (mug)" in said
    assert not any("lasted" in what for what in said)


def test_a_repeated_presentation_is_no_fault(tmp_path: Path) -> None:
    markers = markers_of(TRIALS, RATINGS)
    again = [(t + 0.002, e, f) for t, e, f in markers if f.get("trial") == 3 and "stim" in e]
    markers = sorted([*markers[:-2], *[(t + 4.5, e, f) for t, e, f in again]], key=lambda m: m[0])
    markers += [(29.0, "block_end", {"block": "b"}), (29.1, "session_end", {})]
    assert _bad(_audit(tmp_path / "a.h5", markers)) == []


def _stuck(first: int, last: int, *columns: int) -> np.ndarray:
    samples = SAMPLES.copy()
    for column in columns:
        samples[first:last, column] = samples[first, column]
    return samples


def test_a_stuck_gaze_is_found_where_the_eye_is_valid(tmp_path: Path) -> None:
    samples = _stuck(1000, 1500, 0, 1)
    samples[3000:3500, 0] = 0.5
    samples[3000:3500, 3] = 0  # the eye is lost: nothing to complain of
    samples[4000:4500, 2] = np.nan
    written = write_faulty(tmp_path / "a.h5", [(GAZE, TIMES, samples)])
    with Recording.open(written) as recording:
        found = _bad(audit(recording))
    assert found == [("warn", "Gaze: left_x, left_y stood still for 2.00 s at 4.00 s")]


@pytest.mark.parametrize(("first", "last"), [(0, 400), (TIMES.size - 400, TIMES.size)])
def test_a_gaze_stuck_at_an_end_is_found(tmp_path: Path, first: int, last: int) -> None:
    written = write_faulty(tmp_path / "a.h5", [(GAZE, TIMES, _stuck(first, last, 2))])
    with Recording.open(written) as recording:
        ((level, what),) = _bad(audit(recording))
    assert level == "warn"
    assert what.startswith("Gaze: left_pupil stood still for 1.60 s")


def test_only_channels_that_live_are_expected_to_move(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    signal = np.column_stack([rng.normal(size=TIMES.size), np.zeros(TIMES.size)])
    signal[2000:2600, 0] = 7.0
    info = stream_info("EEG", "EEG", ("Cz", "trigger"), RATE_HZ)
    written = write_faulty(tmp_path / "a.h5", [(info, TIMES, signal)])
    with Recording.open(written) as recording:
        found = _bad(audit(recording))
    assert found == [("warn", "EEG: Cz stood still for 2.40 s at 8.00 s")]


def test_a_gap_lost_samples_and_a_clock_step_reach_the_verdict(tmp_path: Path) -> None:
    kept = np.delete(np.arange(TIMES.size), np.arange(2500, 2750))
    written = write_faulty(
        tmp_path / "a.h5",
        [(GAZE, TIMES[kept], SAMPLES[kept])],
        offset=lambda t: 1.0 if t < 20 else 5.0,
        log=[(10.0, "stalled", "Gaze")],
    )
    with Recording.open(written) as recording:
        findings = audit(recording)
    (gaze,) = [f.what for f in findings if f.about == "stream" and f.level == "fail"]
    assert "250 samples lost by the source's own sequence" in gaze
    assert "a gap of 1.00 s" in gaze
    assert "the sender's clock stepped 1 time" in gaze
    assert ("warn", "stalled: Gaze") in _bad(findings)
    assert verdict_of(findings) == "fail"


def test_what_devices_told_and_sources_that_ended_are_listed(tmp_path: Path) -> None:
    told = [(2.0, "notice", "Face: no exposure lock"), (5.0, "notice", "Face: no exposure lock")]
    ended = (9.0, "source ended", "camera ended (code 1): starting it once more")
    after = (1e6, "source ended", "camera ended with the session")
    findings = _audit(tmp_path / "a.h5", log=[*told, ended, after, (9.5, "found", "Face")])
    assert [(f.level, f.what) for f in findings if f.about == "recording"] == [
        ("note", "notice: Face: no exposure lock (2 times)"),
        ("warn", "source ended: camera ended (code 1): starting it once more"),
    ]


def _jpegs(n: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    cv2 = pytest.importorskip("cv2")
    pictures = [rng.integers(0, 255, (24, 32, 3), dtype=np.uint8) for _ in range(n)]
    return [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]


def _video_findings(path: Path, frames: list[bytes], *, thorough: bool = False) -> list[Any]:
    times = np.arange(len(frames)) / 30
    samples = [[base64.b64encode(frame)] for frame in frames]
    with Recording.open(write_faulty(path, [(VIDEO, times, samples)])) as recording:
        found = audit(recording, thorough=thorough)
    return [(f.level, f.what) for f in found if f.about in ("video", "signal")]


def test_frames_that_do_not_decode_are_found(tmp_path: Path) -> None:
    frames = _jpegs(100)
    assert _video_findings(tmp_path / "a.h5", frames)[0][0] == "ok"
    frames[41] = frames[41][:300]
    text = "Face: 1 of 100 frames looked at do not decode (frame 41)"
    assert _video_findings(tmp_path / "b.h5", frames, thorough=True) == [("warn", text)]
    assert (
        _video_findings(tmp_path / "c.h5", [b"\xff\xd8one%d" % i for i in range(100)])[-1][0]
        == "fail"
    )
    ((level, what),) = _video_findings(tmp_path / "d.h5", [b"\0\0\0\1gE%d" % i for i in range(9)])
    assert (level, "codec unknown" in what) == ("note", True)


@pytest.mark.parametrize("keyframe_every", [1, 12])
def test_frames_of_h264_are_decoded_as_such(tmp_path: Path, keyframe_every: int) -> None:
    pytest.importorskip("av")
    from duchenne.recorder.sources.camera_encode import encode_jpeg, make_encoder
    from duchenne.recorder.sources.film import JpegPicture

    encoder = make_encoder(
        "h264", width_px=64, height_px=48, rate_hz=30, keyframe_every=keyframe_every
    )
    pictures = [np.full((48, 64, 3), 2 * n, np.uint8) for n in range(100)]
    frames = [encoder.encode(JpegPicture(encode_jpeg(picture))) for picture in pictures]
    assert _h264_findings(tmp_path / "a.h5", frames)[0] == "ok"
    assert _h264_findings(tmp_path / "b.h5", frames, thorough=True)[0] == "ok"
    frames[30:40] = [b""] * 10
    level, what = _h264_findings(tmp_path / "c.h5", frames, thorough=True)
    n_bad = 10 if keyframe_every == 1 else 18  # until the next key frame
    assert (level, f"{n_bad} of 100 frames" in what) == ("fail", True)


def _h264_findings(path: Path, frames: list[bytes], *, thorough: bool = False) -> Any:
    xml = "<info><desc><encoding><codec>H264</codec></encoding></desc></info>"
    info = replace(VIDEO, info_xml=xml)
    samples = [[base64.b64encode(frame)] for frame in frames]
    written = write_faulty(path, [(info, np.arange(len(frames)) / 30, samples)])
    with Recording.open(written) as recording:
        found = audit(recording, thorough=thorough)
    return next((f.level, f.what) for f in found if f.about == "video")


def test_a_picture_that_stands_still_is_found(tmp_path: Path) -> None:
    frames = _jpegs(120)
    frames[30:75] = [frames[30]] * 45
    found = _video_findings(tmp_path / "a.h5", frames)
    assert ("warn", "Face: one picture stood still for 1.47 s at 1.00 s") in found


def test_whole_and_torn_pictures() -> None:
    (frame,) = _jpegs(1)
    assert decodes(frame)
    assert not decodes(frame[:-10])
    assert not decodes(b"")
    assert not decodes(b"\xff\xd8\xff\xd9")
