"""Frames of films as they are meant to be seen: turned and mirrored as their display matrix says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from av import VideoFrame


def is_upright(frame: VideoFrame) -> bool:
    """Return whether a frame is stored as it is to be seen."""
    return not round(frame.rotation / 90) % 4 and not _is_mirrored(frame)


def upright(picture: npt.NDArray[np.uint8], frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """Turn the pixels of a frame as it is to be seen.

    Parameters
    ----------
    picture : (height, width, channels) uint8
        As it is stored.
    frame : av.VideoFrame
        Whose rotation and mirror metadata count: phones turn films, some front cameras mirror them.

    Returns
    -------
    (height, width, channels) uint8
        Height and width change places with a quarter turn.
    """
    quarter_turns = round(frame.rotation / 90)
    if _is_mirrored(frame):
        picture, quarter_turns = picture[:, ::-1], quarter_turns + 2
    return np.ascontiguousarray(np.rot90(picture, quarter_turns), np.uint8)


def _is_mirrored(frame: VideoFrame) -> bool:
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    a, b, _, c, d = np.frombuffer(bytes(matrix), "<i4")[:5].astype(np.float64)
    return bool(a * d < b * c)
