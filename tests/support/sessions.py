"""Build real session files: a journal written by the recorder's own code, then sealed.

Times are seconds from ``session_start``; stamps are shifted by ``START_LSL_S``.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.archive import seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.streams import GAZE_CHANNELS, Channel, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START_LSL_S = 5000.0
SCREEN = {
    "width_px": 1280,
    "height_px": 720,
    "width_cm": 53.0,
    "height_cm": 30.0,
    "distance_cm": 60.0,
    "refresh_hz": 60.0,
}


def write_session(
    path: Path,
    *,
    markers: Sequence[tuple[float, str, dict[str, Any]]] = (),
    gaze: tuple[Any, Mapping[str, Any]] | None = None,
    gaze_rate_hz: float = 600.0,
    gaze_format: str = "double64",
    frames: tuple[Any, Sequence[bytes]] | None = None,
    shown_frames: tuple[Any, Any] | None = None,
    stimuli: Mapping[str, Sequence[Any]] | None = None,
    stimuli_source: str = "",
    screen: Mapping[str, float] | None = SCREEN,
    participant: str = "P01",
    session: str = "01",
    run: str = "01",
    task: str = "test",
    with_start: bool = True,
    streams: Sequence[tuple[StreamInfo, Any, Any]] = (),
    protocol_yaml: str = "",
) -> Path:
    """Write a sealed session file and return its path.

    Parameters
    ----------
    markers
        ``(time_s, event, fields)``; ``session_start`` at 0 is added unless `with_start` is False.
    gaze
        ``(times_s, columns)`` where columns maps labels of GAZE_CHANNELS to arrays; absent ones are NaN.
    frames
        ``(times_s, encoded JPEG frames)`` of the FaceVideo stream.
    shown_frames
        ``(times_s, array (n, 4))`` of the ShownFrames stream.
    stimuli
        Columns of the manifest rows used.
    stimuli_source
        ``bundled``, or the path of the manifest.
    streams
        ``(info, times_s, samples (n, channels))`` of any others.
    """
    meta = {
        "participant": participant,
        "session": session,
        "run": run,
        "task": task,
        "created_utc": "2026-01-01T00:00:00Z",
        "protocol_name": task,
        "protocol_yaml": protocol_yaml,
        "protocol_hash": "",
        "screen": dict(screen) if screen else None,
        "stimuli_source": stimuli_source,
        "stimuli": {key: list(values) for key, values in (stimuli or {}).items()},
    }
    journal_path = path.with_suffix(".journal")
    with Journal.create(journal_path, meta) as journal:
        rows = list(markers)
        if with_start:
            rows.insert(0, (0.0, "session_start", {"participant": participant, "session": session}))
        info = StreamInfo("Markers", "Markers", "test-markers", "u1", "host", "string")
        _add(journal, info, [t for t, _, _ in rows], [[_marker(e, f)] for _, e, f in rows])
        if gaze is not None:
            _add_gaze(journal, gaze[0], gaze[1], gaze_rate_hz, gaze_format)
        if frames is not None:
            video = StreamInfo(
                "FaceVideo", "VideoCompressed", "test-video", "u3", "host", "string", 30.0
            )
            _add(journal, video, frames[0], [[base64.b64encode(frame)] for frame in frames[1]])
        if shown_frames is not None:
            labels = ("trial", "media_frame", "media_time_s", "flip_interval_s")
            shown = StreamInfo(
                "ShownFrames",
                "StimulusFrames",
                "test-shown",
                "u4",
                "host",
                "double64",
                0.0,
                4,
                tuple(Channel(label) for label in labels),
            )
            _add(journal, shown, shown_frames[0], np.asarray(shown_frames[1], dtype=np.float64))
        for other, times_s, samples in streams:
            _add(journal, other, times_s, samples)
    return seal(journal_path, path)


def _marker(event: str, fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"event": event, **fields}).encode()


def _add_gaze(
    journal: Journal, times_s: Any, columns: Mapping[str, Any], rate_hz: float, sample_format: str
) -> None:
    numbers = np.float64 if sample_format == "double64" else np.float32
    table = np.full((len(times_s), len(GAZE_CHANNELS)), np.nan, dtype=numbers)
    for index, (label, *_) in enumerate(GAZE_CHANNELS):
        if label in columns:
            table[:, index] = columns[label]
    channels = tuple(Channel(*values) for values in GAZE_CHANNELS)
    info = StreamInfo(
        "Gaze", "Gaze", "test-gaze", "u2", "host", sample_format, rate_hz, len(channels), channels
    )
    _add(journal, info, times_s, table)


def _add(journal: Journal, info: StreamInfo, times_s: Any, samples: Any) -> None:
    stream = journal.add_stream(info)
    journal.add_segment(stream, info.uid, START_LSL_S)
    for when in (0.0, 5.0, 10.0):
        journal.add_clock_offset(stream, START_LSL_S + when, 0.0, 1e-5)
    stamps = np.asarray(times_s, dtype=np.float64) + START_LSL_S
    for first in range(0, len(stamps), 1000):
        journal.append(stream, stamps[first : first + 1000], samples[first : first + 1000])
        journal.commit()
