"""A stimulus as a strip of small pictures, in the order of its time."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.pictures import may_be_shown, still
from duchenne.analysis.reports.style import data_uri
from duchenne.analysis.stimulus_files import stimulus_file, stimulus_folder
from duchenne.analysis.values import records, text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from PIL.Image import Image

    from duchenne.recorder.recording import Recording

FRAMES = 7
FRAME_HEIGHT_PX = 84
FRAME_WIDTH_PX = 150
_QUALITY = 72


@dataclass(frozen=True)
class Strip:
    """What is shown of a stimulus.

    Parameters
    ----------
    uri : str or None
        WebP data URI; None where nothing may or can be shown.
    said : str
        What it is, or why there is none, in a few words.
    """

    uri: str | None
    said: str


def study_strips(recordings: Iterable[Recording], wanted: set[str]) -> dict[str, Strip]:
    """Return a strip for each wanted stimulus, from the first recording that names its file.

    Parameters
    ----------
    recordings : iterable of Recording
        Open sessions, read until all stimuli are found.
    wanted : set of str
        Stimulus ids.
    """
    found: dict[str, Strip] = {}
    for recording in recordings:
        if all(name in found and found[name].uri for name in wanted):
            break
        folder = stimulus_folder(recording.stimuli_source)
        for row in records(recording.stimuli):
            name = str(row.get("id"))
            if name in wanted and (name not in found or found[name].uri is None):
                found[name] = _strip(row, folder)
    return found


def _strip(row: dict[str, Any], folder: Path | None) -> Strip:
    if not may_be_shown(row.get("redistributable")):
        return Strip(None, "not redistributable")
    path, why = stimulus_file(row, folder)
    if path is None:
        return Strip(None, why)
    kind = text(row.get("kind"))
    if kind == "audio":
        return Strip(None, "sound")
    if kind == "video":
        frames = film_frames(path, FRAMES)
        said = f"{len(frames)} frames of the film, evenly spaced"
    else:
        one = still(path)
        frames, said = ([one] if one else []), "the picture"
    return Strip(_joined(frames), said) if frames else Strip(None, "file cannot be shown")


def film_frames(path: Path, n: int) -> list[Image]:
    """Return so many frames of a film, evenly spaced over its time, each at or just before its moment."""
    import av  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    frames = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            length_s = float(container.duration or 0) / float(av.time_base)
            for moment in (np.arange(n) + 0.5) * length_s / n:
                container.seek(int(moment * av.time_base), backward=True, any_frame=False)
                frame = _frame_at(container.decode(stream), float(moment))
                if frame is None:
                    continue
                # Shrunk by the decoder: whole frames of a film would fill the memory.
                width = max(round(FRAME_HEIGHT_PX * frame.width / frame.height), 1)
                small = frame.reformat(width, FRAME_HEIGHT_PX, "rgb24")
                frames.append(Image.fromarray(np.asarray(small.to_ndarray(), dtype=np.uint8)))
    except (av.error.FFmpegError, IndexError, OSError, ValueError):
        return frames
    return frames


def _frame_at(decoded: Any, moment_s: float) -> Any:
    last = None
    for frame in decoded:
        if frame.time is not None and frame.time > moment_s:
            return last or frame
        last = frame
    return last


def _joined(frames: list[Image]) -> str:
    from PIL import Image  # noqa: PLC0415

    small = []
    for frame in frames:
        one = frame.copy()
        one.thumbnail((FRAME_WIDTH_PX, FRAME_HEIGHT_PX))
        small.append(one)
    gap = 3
    strip = Image.new(
        "RGB",
        (sum(one.width + gap for one in small) - gap, max(one.height for one in small)),
        (255, 255, 255),
    )
    x = 0
    for one in small:
        strip.paste(one, (x, 0))
        x += one.width + gap
    buffer = io.BytesIO()
    strip.save(buffer, format="WEBP", quality=_QUALITY, method=3)
    return data_uri(buffer.getvalue(), "image/webp")
