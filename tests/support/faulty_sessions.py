"""Make session files with planted faults: streams of any kind, and a protocol with its schedule."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.archive import seal
from duchenne.recorder.journal import Journal
from duchenne.recorder.streams import Channel, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

START_LSL_S = 5000.0
DURATION_S = 30.0
GAZE_LABELS = ("left_x", "left_y", "left_pupil", "left_valid", "sequence")


def stream_info(
    name: str, kind: str, labels: Sequence[str], rate_hz: float, **more: Any
) -> StreamInfo:
    """Describe a float64 stream."""
    channels = tuple(Channel(label) for label in labels)
    own = {"source_id": f"test-{name}", "uid": f"uid-{name}", "channel_format": "double64"} | more
    return StreamInfo(
        name, kind, nominal_srate_hz=rate_hz, channel_count=len(labels), channels=channels, **own
    )


def gaze_samples(n: int, seed: int = 0) -> np.ndarray:
    """Return noise around the middle of the screen with a valid eye, and a running number."""
    rng = np.random.default_rng(seed)
    table = np.column_stack([rng.normal(0.5, 0.01, (n, 2)), rng.normal(3, 0.1, n), np.ones(n)])
    return np.column_stack([table, np.arange(n)])


def schedule_of(trials: Sequence[tuple[str, float]], ratings: Sequence[str] = ()) -> dict[str, Any]:
    """Return a schedule as the session stores it: one block of trials (stimulus, seconds)."""
    steps: list[dict[str, Any]] = [{"kind": "block_start", "block": "b", "trial": None}]
    for number, (stimulus, duration_s) in enumerate(trials, start=1):
        trial = {
            "trial": number,
            "block": "b",
            "stimulus_id": stimulus,
            "fixation_s": 1.0,
            "duration_s": duration_s,
            "iti_s": 1.0,
            "ratings": list(ratings),
        }
        steps.append({"kind": "trial", "block": "b", "trial": trial})
    steps.append({"kind": "block_end", "block": "b", "trial": None})
    return {"protocol_name": "faults", "steps": steps}


def markers_of(trials: Sequence[tuple[str, float]], ratings: Sequence[str] = ()) -> list[Any]:
    """Return the markers (time, event, fields) of a session that went as planned."""
    found: list[Any] = [(0.0, "session_start", {}), (0.1, "block_start", {"block": "b"})]
    now = 1.0
    for number, (stimulus, duration_s) in enumerate(trials, start=1):
        here = {
            "trial": number,
            "block": "b",
            "stimulus": stimulus,
            "presentation_id": f"p{number}",
        }
        ends = now + 1.0 + duration_s
        found += [
            (now, "fixation_onset", here),
            (now + 1.0, "fixation_offset", here),
            (now + 1.0, "stimulus_onset", here | {"kind": "image"}),
            (ends, "stimulus_offset", here),
        ]
        found += [(ends + 0.5, "rating_response", here | {"scale": r, "value": 5}) for r in ratings]
        now = ends + 1.0
    return [*found, (now, "block_end", {"block": "b"}), (now + 0.1, "session_end", {})]


def write_faulty(
    path: Path,
    streams: Sequence[tuple[StreamInfo, Any, Any]] = (),
    *,
    markers: Sequence[tuple[float, str, Mapping[str, Any]]] = (),
    schedule: Mapping[str, Any] | None = None,
    protocol_yaml: str = "",
    offset: Callable[[float], float] = lambda _: 0.0,
    again_at: Mapping[str, int] | None = None,
    log: Sequence[tuple[float, str, str]] = (),
) -> Path:
    """Seal a session; times count from its start, on the recorder's clock.

    Parameters
    ----------
    streams
        ``(info, times_s, samples)``; stamps are the times minus the clock offset at that time.
    again_at
        By stream name: the index of the first sample after it came back.
    offset
        Of the senders' clocks.
    """
    end_s = START_LSL_S + DURATION_S
    meta = {
        "protocol_name": "faults" if schedule else "",
        "schedule_json": json.dumps(schedule) if schedule else "",
        "protocol_yaml": protocol_yaml,
        "screen": {"refresh_hz": 60.0} if schedule else None,
        "recording_since_lsl_s": START_LSL_S,
        "stopped_lsl_s": end_s,
        "participant": "P01",
    }
    journal_path = path.with_suffix(".journal")
    with Journal.create(journal_path, meta) as journal:
        everything = list(streams)
        if markers:
            texts = [[json.dumps({"event": e, **f}).encode()] for _, e, f in markers]
            info = StreamInfo("Markers", "Markers", "m", "uid-m", "host", "string")
            everything.append((info, [t for t, _, _ in markers], texts))
        for info, times_s, samples in everything:
            number = journal.add_stream(info)
            journal.add_segment(number, info.uid, START_LSL_S)
            for when in np.arange(START_LSL_S, end_s, 5.0):
                journal.add_clock_offset(number, when, offset(when - START_LSL_S), 1e-4)
            true = np.asarray(times_s, dtype=np.float64)
            stamps = START_LSL_S + true - np.array([offset(t) for t in true])
            again = (again_at or {}).get(info.name, len(stamps))
            edges = sorted({*range(0, len(stamps), 20), again, len(stamps)})
            for first, stop in pairwise(edges):
                if first == again:
                    journal.add_segment(number, f"{info.uid}-again", START_LSL_S + true[first])
                arrived = START_LSL_S + float(true[stop - 1]) + 0.01
                journal.append(number, stamps[first:stop], samples[first:stop], received_s=arrived)
            journal.commit()
        for time_s, kind, detail in log:
            journal.log(START_LSL_S + time_s, kind, detail)
    return seal(journal_path, path)
