"""The pictures of the stimuli that were shown, found again by path and hash."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.style import data_uri
from duchenne.analysis.stimulus_files import stimulus_file, stimulus_folder
from duchenne.analysis.values import records, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray
    from PIL.Image import Image

CARD_WIDTH_PX = 560
THUMBNAIL_HEIGHT_PX = 72
JPEG_QUALITY = 82


@dataclass(frozen=True)
class Picture:
    """A stimulus as the report shows it.

    Parameters
    ----------
    uri, thumbnail_uri : str or None
        JPEG data URIs; None where there is no picture.
    aspect : float
        Width divided by height.
    missing : str or None
        Why there is no picture, in a few words.
    pixels : ndarray of uint8, shape (height, width, 3), or None
        What figures of gaze are drawn over.
    """

    uri: str | None
    thumbnail_uri: str | None
    aspect: float
    missing: str | None = None
    pixels: NDArray[np.uint8] | None = None


def stimulus_pictures(stimuli: pd.DataFrame, source: str) -> dict[str, Picture]:
    """Return the pictures of the stimuli of a session.

    Parameters
    ----------
    stimuli : pandas.DataFrame
        Manifest rows as recorded: ``id``, ``file``, ``kind``, ``sha256``, ``redistributable``.
    source : str
        ``bundled``, or the path of the manifest when the session was run.

    Returns
    -------
    dict of str to Picture
        By stimulus id. A file that its licence does not let others have, that is gone, was changed
        since, or cannot be shown gives a `Picture` that says so.
    """
    folder = stimulus_folder(source)
    return {str(row["id"]): _picture(row, folder) for row in records(stimuli)}


def _picture(row: Mapping[str, Any], folder: Path | None) -> Picture:
    if not may_be_shown(row.get("redistributable")):
        return Picture(None, None, 4 / 3, "not redistributable")
    path, why = stimulus_file(row, folder)
    if path is None:
        return Picture(None, None, 4 / 3, why)
    if text(row.get("kind")) == "audio":
        return Picture(None, None, 4 / 3, "sound")
    image = _film_frame(path) if text(row.get("kind")) == "video" else still(path)
    if image is None:
        return Picture(None, None, 4 / 3, "file cannot be shown")
    thumbnail = image.copy()
    thumbnail.thumbnail((THUMBNAIL_HEIGHT_PX * 3, THUMBNAIL_HEIGHT_PX))
    card = image.copy()
    card.thumbnail((CARD_WIDTH_PX, CARD_WIDTH_PX))
    return Picture(
        _jpeg_uri(card), _jpeg_uri(thumbnail), image.width / image.height, pixels=np.asarray(card)
    )


def may_be_shown(redistributable: Any) -> bool:
    """Return whether a report, which is passed on, may hold the stimulus; unless denied, it may."""
    given = text(redistributable)
    return given is None or given.strip().lower() not in {"false", "0", "0.0", "no"}


def still(path: Path) -> Image | None:
    """Return a picture file as pixels; None where it cannot be read."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        with Image.open(path) as opened:
            image: Image.Image = opened.convert("RGB")
            return image
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None


def _film_frame(path: Path) -> Image | None:
    """Return the picture in the middle of a film."""
    import av  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = int(stream.frames) or int(
                (container.duration or 0) / av.time_base * float(stream.average_rate or 25)
            )
            picture = None
            for index, frame in enumerate(container.decode(stream)):
                picture = frame
                if index >= frames // 2:
                    break
            if picture is None:
                return None
            return Image.fromarray(np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8))
    except (av.error.FFmpegError, IndexError, OSError):
        return None


def _jpeg_uri(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    return data_uri(buffer.getvalue(), "image/jpeg")
