"""What a media file is: its hash, size, length and mean luminance, measured."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.stimuli.checks import file_sha256
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.luminance import relative_luminance
from duchenne.stimuli.pixels import load_rgb

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_EVERY_S = 0.25
WHOLE_FILM_S = 60.0
"""Of longer films the luminance is that of their key frames."""


def file_facts(path: Path, kind: str) -> dict[str, Any]:
    """Measure a media file.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"image", "video", "audio", "text"}
        What it is.

    Returns
    -------
    dict
        ``sha256`` and ``media_type``; ``width_px`` and ``height_px`` of images and films; ``duration_s`` of
        films and sounds; ``luminance`` (0 to 1) of images and films, of a film the mean over a frame every
        0.25 s (up to 60 s) or over the key frames; ``has_sound`` (1 or 0) of films.

    Raises
    ------
    DuchenneError
        It cannot be read or decoded as what it is.
    """
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise DuchenneError(f"{path}: cannot be read ({error.strerror})") from None
    facts: dict[str, Any] = {"sha256": digest, "media_type": mimetypes.guess_type(path.name)[0]}
    if kind == "image":
        rgb = load_rgb(path)
        facts |= {"width_px": rgb.shape[1], "height_px": rgb.shape[0]}
        facts["luminance"] = round(relative_luminance(rgb), 5)
    elif kind in ("video", "audio"):
        facts |= _played(path, kind)
    return facts


def _played(path: Path, kind: str) -> dict[str, Any]:
    import av  # noqa: PLC0415 - not part of the core install

    try:
        with av.open(str(path)) as container:
            streams = container.streams.video if kind == "video" else container.streams.audio
            if not streams:
                missing = "picture" if kind == "video" else "sound"
                raise DuchenneError(f"{path}: has no {missing}; replace it")
            stream = streams[0]
            long = float(container.duration or 0) / av.time_base > WHOLE_FILM_S
            if kind == "video" and long:
                stream.codec_context.skip_frame = "NONKEY"
            end_s, due_s, levels, n_frames = 0.0, 0.0, [], 0
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    end = packet.pts + (packet.duration or 0)
                    end_s = max(end_s, float(end * packet.time_base))
                for frame in packet.decode():
                    n_frames += 1
                    if not isinstance(frame, av.VideoFrame):
                        continue
                    time_s = frame.time or 0.0
                    if time_s >= due_s or long:
                        rgb = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                        levels.append(relative_luminance(rgb))
                        due_s = time_s + SAMPLE_EVERY_S - 1e-6
            if n_frames == 0 or end_s <= 0:
                raise DuchenneError(f"{path}: holds no frame that can be decoded; replace it")
            facts: dict[str, Any] = {"duration_s": round(end_s, 3)}
            if kind == "video":
                video = container.streams.video[0]
                facts |= {"width_px": video.width, "height_px": video.height}
                facts |= {"luminance": round(float(np.mean(levels)), 5)}
                facts["has_sound"] = int(bool(container.streams.audio))
            return facts
    except (av.error.FFmpegError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DuchenneError(f"{path}: cannot be decoded as {kind} ({reason}); replace it") from None
