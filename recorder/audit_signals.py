"""Signals that stand still, and video frames that cannot be decoded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.findings import Finding
from duchenne.recorder.video_encryption import MissingKeyError
from duchenne.recorder.video_packets import codec_of, is_key_frame, make_decoder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from duchenne.recorder.findings import Level
    from duchenne.recorder.recording import Recording, Stream

STUCK_S = 1.0
"""Noise moves every real signal within a second."""
LIVE = 0.5
"""A channel that changes with at least this share of its samples is expected to go on doing so."""
BLOCK_VALUES = 2_000_000
MAX_VALUES = 50_000_000
N_FRAMES = 25
MAX_GROUP = 1000
"""A key frame is looked for so far before a frame."""
GAZE_LIVE = ("_x", "_y", "_pupil")
"""Ends of the labels of gaze channels that never stand still while the eye is seen."""
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
MAX_BAD_SHARE = 0.02


@dataclass(frozen=True)
class Run:
    """A stretch in which a channel kept one value.

    Attributes
    ----------
    label : str
    start_s, duration_s : float
        Seconds from ``session_start``; how long.
    """

    label: str
    start_s: float
    duration_s: float


def audit_signals(recording: Recording, *, thorough: bool = False) -> Iterator[Finding]:
    """Yield what stands still and what does not decode.

    Parameters
    ----------
    recording : Recording
    thorough : bool, default False
        Decode all frames, not 25 spread over the film; look at streams of more than 50 million values.
    """
    for key, stream in recording.streams.items():
        if not stream.n:
            continue
        if stream.info.is_video:
            yield from _video(stream, thorough=thorough)
        elif not stream.info.is_string and stream.info.nominal_srate_hz > 0:
            if stream.n * stream.info.channel_count > MAX_VALUES and not thorough:
                text = f"{key}: not searched for values that stand still (large; use --thorough)"
                yield Finding("note", text, "signal")
            else:
                yield from _stuck_findings(key, stuck_runs(stream))


def _stuck_findings(key: str, runs: Sequence[Run]) -> Iterator[Finding]:
    together: dict[tuple[float, float], list[str]] = defaultdict(list)
    for run in runs:
        together[run.start_s, run.duration_s].append(run.label)
    by_labels: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    for span, labels in together.items():
        by_labels[tuple(labels)].append(span)
    for names, spans in by_labels.items():
        longest = max(spans, key=lambda span: span[1])
        often = "" if len(spans) == 1 else f"{len(spans)} times, longest "
        what = f"{key}: {', '.join(names)} stood still {often}for {longest[1]:.2f} s at {longest[0]:.2f} s"
        yield Finding("warn", what, "signal")


def stuck_runs(stream: Stream) -> list[Run]:
    """Return where channels keep one value for more than a second although they should not.

    Of a gaze stream: position and pupil while the eye is seen, and the device's time. Of other regular
    streams: channels that mostly change from sample to sample. NaN is no value.
    """
    times = stream.times_s
    labels = [channel.label for channel in stream.info.channels]
    n_changes = np.zeros(len(labels), dtype=np.int64)
    runs: list[list[tuple[int, int]]] = [[] for _ in labels]
    since = np.zeros(len(labels), dtype=np.int64)
    last: npt.NDArray[Any] | None = None
    rows = max(BLOCK_VALUES // max(len(labels), 1), 2)
    for first in range(0, stream.n, rows):
        block = stream.samples(first, first + rows)
        before = block[:1] if last is None else last
        joined = np.concatenate([before, block])
        changed = joined[1:] != joined[:-1]
        last = block[-1:]
        for c in range(len(labels)):
            at = np.flatnonzero(changed[:, c])
            n_changes[c] += len(at)
            edges = np.concatenate([[since[c]], at + first])
            long = np.flatnonzero(times[edges[1:] - 1] - times[edges[:-1]] > STUCK_S)
            runs[c] += [(int(edges[i]), int(edges[i + 1])) for i in long]
            since[c] = edges[-1]
    for c, begun in enumerate(since.tolist()):
        if times[-1] - times[begun] > STUCK_S:
            runs[c].append((begun, stream.n))
    found = []
    for c, label in enumerate(labels):
        if runs[c] and _should_live(stream, label, n_changes[c] / stream.n):
            found += _while_valid(stream, label, runs[c], times)
    return found


def _should_live(stream: Stream, label: str, share_changing: float) -> bool:
    if label == "device_time":
        return True
    if stream.info.type == "Gaze" and label.endswith(GAZE_LIVE):
        return True
    return share_changing > LIVE


def _while_valid(
    stream: Stream, label: str, runs: Sequence[tuple[int, int]], times: npt.NDArray[np.float64]
) -> list[Run]:
    eye = label.partition("_")[0]
    validity = f"{eye}_valid"
    labels = {channel.label for channel in stream.info.channels}
    checked = stream.info.type == "Gaze" and validity in labels and label != "device_time"
    found = []
    for start, stop in runs:
        if np.isnan(np.float64(stream.column(label, start, start + 1)[0])):
            continue
        seen = not checked or bool((stream.column(validity, start, stop) == 1).all())
        if seen:
            found.append(Run(label, float(times[start]), float(times[stop - 1] - times[start])))
    return found


def _video(stream: Stream, *, thorough: bool) -> Iterator[Finding]:
    if stream.n_not_base64:
        text = f"{stream.key}: {stream.n_not_base64} frames could not be unpacked"
        yield Finding("warn", text, "video")
    try:
        stream.check_key()
    except MissingKeyError:
        yield Finding("note", f"{stream.key}: encrypted, and no key given: not looked at", "video")
        return
    yield from _frozen(stream)
    try:
        codec = codec_of(stream.info)
    except DuchenneError as error:
        yield Finding("note", f"{stream.key}: not decoded: {error}", "video")
        return
    if codec == "H264" and find_spec("av") is None:
        text = f"{stream.key}: not decoded: this needs av: pip install 'duchenne[camera]'"
        yield Finding("note", text, "video")
        return
    chosen = list(range(stream.n)) if thorough else _spread(stream.n)
    undeclared = not stream.info.described("encoding/codec")
    if undeclared and not any(stream.packet(i).startswith(JPEG_START[:2]) for i in chosen):
        text = f"{stream.key}: frames of codec unknown are not decoded"
        yield Finding("note", text, "video")
        return
    if codec == "MJPG":
        bad = [index for index in chosen if not decodes(stream.packet(index))]
    else:
        bad = _undecodable(stream, chosen)
    n = len(chosen)
    if not bad:
        yield Finding("ok", f"{stream.key}: {n} of {stream.n} frames looked at, all whole", "video")
        return
    named = ", ".join(str(index) for index in bad[:5]) + (" …" if len(bad) > 5 else "")
    share = len(bad) / n
    level: Level = "fail" if share > MAX_BAD_SHARE and n >= N_FRAMES else "warn"
    text = f"{stream.key}: {len(bad)} of {n} frames looked at do not decode (frame {named})"
    yield Finding(level, text, "video")


def _undecodable(stream: Stream, chosen: Sequence[int]) -> list[int]:
    """Return which of the chosen frames do not decode, each in its turn behind its key frame."""
    decoder, place, bad = make_decoder("H264"), -1, []
    for index in chosen:
        start = place + 1
        for number in range(index, max(place, index - MAX_GROUP), -1):
            if is_key_frame(stream.packet(number), "H264"):
                start = number
                break
        if start > place + 1:
            decoder = make_decoder("H264")
        for number in range(start, index):  # what the frame builds upon
            decoder.decode(stream.packet(number))
        if decoder.decode(stream.packet(index)) is None:
            bad.append(index)
        place = index
    return bad


def _spread(n: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, n - 1, min(N_FRAMES, n))})


def decodes(packet: bytes) -> bool:
    """Whether a JPEG picture is whole: from its start to its end mark, and readable where OpenCV is there."""
    if not packet.startswith(JPEG_START) or not packet.rstrip(b"\0").endswith(JPEG_END):
        return False
    if find_spec("cv2") is None:
        return True
    import cv2  # noqa: PLC0415 -- an extra; and slow to load

    return cv2.imdecode(np.frombuffer(packet, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8) is not None


def _frozen(stream: Stream) -> Iterator[Finding]:
    """Yield where one picture came again and again; only frames of equal size are compared."""
    sizes, times = stream.packet_sizes, stream.times_s
    edges = np.concatenate([[0], np.flatnonzero(np.diff(sizes)) + 1, [len(sizes)]])
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if times[stop - 1] - times[start] <= STUCK_S:
            continue
        picture, since = stream.packet(start), start
        for index in range(start + 1, stop + 1):
            again = stream.packet(index) if index < stop else b""
            if again != picture:
                if times[index - 1] - times[since] > STUCK_S:
                    text = (
                        f"{stream.key}: one picture stood still for "
                        f"{times[index - 1] - times[since]:.2f} s at {times[since]:.2f} s"
                    )
                    yield Finding("warn", text, "video")
                picture, since = again, index
