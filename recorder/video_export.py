"""A recorded video stream as MP4 or MKV: its packets copied, not re-encoded, each at its own time."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.video_packets import codec_of, is_key_frame, make_decoder
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from duchenne.recorder.recording import Recording, Stream
    from duchenne.recorder.video_packets import VideoCodec

FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
TICKS_PER_S = 90_000
TIME_BASE = Fraction(1, TICKS_PER_S)
MOVED_S = 0.001
PREFERRED = "FaceVideo"
SIDECAR_COLUMNS = ("frame", "time_s", "lsl_time_s", "video_frame", "video_time_s", "decodes")


@dataclass(frozen=True)
class VideoExport:
    """What was written.

    Attributes
    ----------
    video, sidecar : Path
    n_frames : int
        Frames of the stream, all of them in the sidecar.
    n_empty : int
        Packets of no bytes: they are in the sidecar only.
    n_undecodable : int
        Frames that cannot be decoded, the empty ones among them.
    n_moved : int
        Frames whose time in the video differs by more than 1 ms from the recorded one, because
        times in a video must rise.
    """

    video: Path
    sidecar: Path
    n_frames: int
    n_empty: int
    n_undecodable: int
    n_moved: int


def export_video(
    recording: Recording,
    out: Path,
    *,
    stream_name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VideoExport:
    """Write a video stream of a session and, beside it, the times of its frames.

    The sidecar (same name, ``.tsv``) has one row per recorded frame: ``frame`` (from 0), ``time_s``
    (from the start of the session), ``lsl_time_s``, ``video_frame`` and ``video_time_s`` (index and
    time in the video, ``n/a`` for packets of no bytes), ``decodes`` (``true`` or ``false``).

    Parameters
    ----------
    recording : Recording
    out : Path
        Ends with ``.mp4`` or ``.mkv``; neither it nor the sidecar may exist.
    stream_name : str, optional
        Name or key of the stream; by default the only one, or ``FaceVideo``.
    progress : callable, optional
        Called with frames done and frames in all.

    Raises
    ------
    DuchenneError
        Where there is no such stream, no frame in it can be decoded, or a file exists.
    UsageError
        For another suffix, or where it must be said which stream is meant.
    """
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"--out {out}: name a file that ends with .mp4 or .mkv.")
    sidecar = out.with_suffix(".tsv")
    for path in (out, sidecar):
        if path.exists():
            raise DuchenneError(f"{path} exists and is never overwritten: choose another name.")
    if not out.parent.is_dir():
        raise DuchenneError(f"There is no folder {out.parent}: make it, or choose another --out.")
    stream = choose_stream(recording, stream_name)
    video_part, sidecar_part = (p.with_name(p.name + ".part") for p in (out, sidecar))
    try:
        counts = _write(recording, stream, (video_part, FORMATS[out.suffix.lower()]), progress)
        rows, n_undecodable, n_moved, n_empty = counts
        sidecar_part.write_text("\n".join(rows) + "\n", encoding="utf-8")
        video_part.rename(out)
        sidecar_part.rename(sidecar)
    except OSError as error:
        raise DuchenneError(f"Cannot write {out}: {error.strerror or error}.") from error
    finally:
        video_part.unlink(missing_ok=True)
        sidecar_part.unlink(missing_ok=True)
    return VideoExport(out, sidecar, stream.n, n_empty, n_undecodable, n_moved)


def choose_stream(recording: Recording, name: str | None) -> Stream:
    """Return the video stream of that name or key; without a name the only one, or ``FaceVideo``.

    Raises
    ------
    DuchenneError
        Where there is none.
    UsageError
        Where there are several and none is named.
    """
    videos = [s for s in recording.streams.values() if s.info.is_video]
    if not videos:
        raise DuchenneError(f"{recording.path} holds no video stream.")
    wanted = name or (PREFERRED if len(videos) > 1 else videos[0].key)
    fitting = [s for s in videos if s.key == wanted] or [s for s in videos if s.info.name == wanted]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(s.key for s in videos)
    if name is None or len(fitting) > 1:
        raise UsageError(f"{recording.path} holds several videos ({listed}): choose with --stream.")
    raise DuchenneError(f"{recording.path} holds no video {name}; it has {listed}.")


def ticks_of(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return presentation times in ticks of 1/90000 s from the first frame; they always rise.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        A time that is no number, or not later than the one before, becomes one tick later.
    """
    finite = times_s[np.isfinite(times_s)]
    start_s = float(finite[0]) if len(finite) else 0.0
    ticks = np.zeros(len(times_s), np.int64)
    last = -1
    for index, time_s in enumerate(times_s):
        wanted = round((time_s - start_s) * TICKS_PER_S) if np.isfinite(time_s) else 0
        last = max(wanted, last + 1)
        ticks[index] = last
    return ticks


def _write(
    recording: Recording,
    stream: Stream,
    target: tuple[Path, str],
    progress: Callable[[int, int], None] | None,
) -> tuple[list[str], int, int, int]:
    codec = codec_of(stream.info)
    times_s = stream.times_s
    present = np.array([len(packet) > 0 for packet in stream.packets()], dtype=bool)
    ticks = np.zeros(len(times_s), np.int64)
    ticks[present] = ticks_of(times_s[present])
    finite = times_s[present & np.isfinite(times_s)]
    start_s = float(finite[0]) if len(finite) else float("nan")
    decoder = make_decoder(codec)
    rows = ["\t".join(SIDECAR_COLUMNS)]
    n_undecodable = n_moved = n_written = 0
    with _Muxer(target, _sample(stream, codec)) as muxer:
        for index, packet in enumerate(stream.packets()):
            decodes = decoder.decode(packet) is not None
            n_undecodable += not decodes
            place = ("n/a", "n/a")
            if packet:
                muxer.add(packet, int(ticks[index]), key=is_key_frame(packet, codec))
                video_s = ticks[index] / TICKS_PER_S
                n_moved += not abs(times_s[index] - start_s - video_s) <= MOVED_S
                place = (str(n_written), f"{video_s:.6f}")
                n_written += 1
            time_s = times_s[index]
            told = (_number(time_s), _number(time_s + recording.start_lsl_s))
            rows.append("\t".join((str(index), *told, *place, str(decodes).lower())))
            if progress is not None:
                progress(index + 1, stream.n)
    return rows, n_undecodable, n_moved, int((~present).sum())


def _number(value: float) -> str:
    return f"{value:.6f}" if np.isfinite(value) else "n/a"


def _sample(stream: Stream, codec: VideoCodec) -> bytes:
    """Return the first packet that can be decoded on its own."""
    for packet in _key_frames(stream, codec):
        if make_decoder(codec).decode(packet) is not None:
            return packet
    raise DuchenneError(f"stream {stream.key} holds no frame that can be decoded.")


def _key_frames(stream: Stream, codec: VideoCodec) -> Iterator[bytes]:
    return (packet for packet in stream.packets() if packet and is_key_frame(packet, codec))


class _Muxer:
    """Writes packets as they are into a container.

    Parameters
    ----------
    target : (Path, str)
        File and format.
    sample : bytes
        A key frame, from which size, pixel format and headers are read.
    """

    def __init__(self, target: tuple[Path, str], sample: bytes) -> None:
        self._target, self._sample = target, sample

    def __enter__(self) -> _Muxer:
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        path, form = self._target
        raw = "mjpeg" if self._sample.startswith(b"\xff\xd8") else "h264"
        options = {"video_track_timescale": str(TICKS_PER_S)} if form == "mp4" else {}
        self._container: Any = av.open(str(path), "w", format=form, options=options)
        with av.open(io.BytesIO(self._sample), format=raw) as source:
            self._stream: Any = self._container.add_stream_from_template(source.streams.video[0])
        self._stream.time_base = TIME_BASE
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def add(self, data: bytes, ticks: int, *, key: bool) -> None:
        """Write one packet."""
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        packet: Any = av.Packet(data)
        packet.stream, packet.time_base = self._stream, TIME_BASE
        packet.pts = packet.dts = ticks
        packet.is_keyframe = key
        self._container.mux(packet)
