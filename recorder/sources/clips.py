"""The bundled clips of the simulated participant's face, with the exact values of every frame."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    import numpy.typing as npt

FRAME_RATE_HZ = 30.0
JPEG_QUALITY = 85
VALUE_NAMES: tuple[str, ...] = (
    *(f"AU{n:02d}" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20)),
    *(f"AU{n:02d}" for n in (22, 23, 24, 25, 26, 28, 45)),
    *("AU12L", "AU12R", "AU14L", "AU14R"),
    *("lip_gap", "yaw_deg", "pitch_deg", "roll_deg", "gaze_x", "gaze_y"),
)
"""Values of a frame: intensities 0 to 5, then mouth, head and eyes.

One-sided intensities equal the two-sided where a clip is symmetrical.
"""

_POSE = tuple(VALUE_NAMES.index(name) for name in ("yaw_deg", "pitch_deg", "roll_deg"))
_EXPRESSIVE = tuple(
    i for i, name in enumerate(VALUE_NAMES) if name.startswith("AU") and name != "AU45"
)
APEX_PART = 0.9


@dataclass(frozen=True)
class ClipValues:
    """The exact values of a clip's frames.

    Attributes
    ----------
    name : str
        The expression.
    values : (n, len(VALUE_NAMES)) array
        One row per frame.
    """

    name: str
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The values as text, with three decimals."""
        return tuple(tuple(f"{v:.3f}" for v in row) for row in self.values.tolist())

    def release_frame(self, frame: int) -> int:
        """Return the frame after the apex that shows most nearly what `frame` shows."""
        shown = self.values[:, _EXPRESSIVE]
        total = shown.sum(axis=1)
        first = max(int(np.flatnonzero(total >= APEX_PART * total.max())[-1]), frame)
        distance = np.abs(shown[first:] - shown[frame]).sum(axis=1)
        return first + int(np.argmin(distance))

    def nearest_pose(self, other: ClipValues, frame: int) -> int:
        """Return the frame whose head pose is nearest to that of a frame of another clip."""
        difference = self.values[:, _POSE] - other.values[frame, _POSE]
        return int(np.argmin(np.square(difference).sum(axis=1)))


def _folder() -> Traversable:
    return files("duchenne.recorder.sources") / "data" / "participant"


def clip_names() -> list[str]:
    """Return the names of the bundled clips."""
    names = (item.name for item in _folder().iterdir())
    return sorted(name.removesuffix(".mp4") for name in names if name.endswith(".mp4"))


def read_values(name: str) -> ClipValues:
    """Read the exact values of a clip."""
    with (_folder() / f"{name}.csv").open(encoding="utf-8") as file:
        rows = [[_value(row, key) for key in VALUE_NAMES] for row in csv.DictReader(file)]
    return ClipValues(name, np.array(rows))


def _value(row: dict[str, str], key: str) -> float:
    if not key.startswith("AU"):
        return float(row[key])
    number, side = str(int(key[2:4])), key[4:]
    one_sided = row.get(f"AU{number}_{side}") if side else None
    return float(one_sided if one_sided is not None else row[f"AU{number}"])


def encode_clip(name: str) -> tuple[bytes, ...]:
    """Return the frames of a clip as JPEG pictures, 640 × 480, quality 85.

    Raises
    ------
    DuchenneError
        Where the clip cannot be decoded.
    """
    with as_file(_folder() / f"{name}.mp4") as path:
        return tuple(_encode(path))


def _encode(path: Path) -> Sequence[bytes]:
    import av  # noqa: PLC0415 -- belongs to the extra [camera]
    import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

    parameters = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    try:
        with av.open(str(path)) as container:
            return [
                cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"), parameters)[1].tobytes()
                for frame in container.decode(video=0)
            ]
    except av.FFmpegError as error:
        raise DuchenneError(f"Cannot decode the bundled clip {path.name}: {error}.") from None
