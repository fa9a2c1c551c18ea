"""A folder of pictures as a camera sees it: in natural order, at a steady rate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.sources.camera_grabber import decode_bgr
from duchenne.recorder.sources.film import FilmFrame
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})
USUAL_RATE_HZ = 30.0


@dataclass(frozen=True)
class FolderPicture:
    """One picture file.

    Attributes
    ----------
    path : Path
    size_px : (int, int)
        Width and height of the stream; a picture of another size is fitted in between black bars.
    as_it_is : bool
        Whether it is a JPEG of that size, which then passes through untouched.
    """

    path: Path
    size_px: tuple[int, int]
    as_it_is: bool

    @property
    def jpeg(self) -> bytes | None:
        """The file itself, if it can pass through."""
        return self.path.read_bytes() if self.as_it_is else None

    def bgr(self) -> npt.NDArray[np.uint8] | None:
        """Return the picture in the size of the stream."""
        picture = decode_bgr(self.path.read_bytes())
        return None if picture is None else letterboxed(picture, *self.size_px)


@dataclass(frozen=True)
class ImageFolder:
    """A folder whose pictures can all be decoded.

    Attributes
    ----------
    path : Path
    width_px, height_px : int
        Of the first picture.
    rate_hz : float
    pictures : tuple of FolderPicture
        In natural order: ``2.png`` before ``10.png``.
    """

    path: Path
    width_px: int
    height_px: int
    rate_hz: float
    pictures: tuple[FolderPicture, ...]

    @classmethod
    def open(
        cls, path: Path, *, rate_hz: float = USUAL_RATE_HZ, letterbox: bool = False
    ) -> ImageFolder:
        """Look into a folder; every picture is decoded once, to find those that will not do.

        Raises
        ------
        DuchenneError
            Where there is no picture, one cannot be decoded, or sizes differ and `letterbox` is
            False.
        """
        files = sorted(
            (f for f in path.iterdir() if f.suffix.lower() in PICTURE_SUFFIXES and f.is_file()),
            key=lambda f: natural_key(f.name),
        )
        if not files:
            raise DuchenneError(f"No pictures in {path}: it needs .jpg, .png, .bmp, .tif or .webp.")
        first: tuple[int, int] | None = None
        pictures = []
        for file in files:
            size = _size_of(file)
            first = first or size
            if size != first and not letterbox:
                raise DuchenneError(
                    f"{file} is {size[0]}×{size[1]}, {files[0].name} is {first[0]}×{first[1]}: "
                    "give pictures of one size, or --set letterbox=true."
                )
            as_it_is = size == first and file.suffix.lower() in JPEG_SUFFIXES
            pictures.append(FolderPicture(file, first, as_it_is))
        width, height = pictures[0].size_px
        return cls(path, width, height, rate_hz, tuple(pictures))

    def frames(self) -> Iterator[FilmFrame]:
        """Yield the pictures once, a frame period apart."""
        for number, picture in enumerate(self.pictures):
            yield FilmFrame(number, number / self.rate_hz, picture)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a key by which numbers within names sort as numbers.

    Examples
    --------
    >>> sorted(["f10.png", "f2.png", "F1.png"], key=natural_key)
    ['F1.png', 'f2.png', 'f10.png']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts]


def letterboxed(
    picture: npt.NDArray[np.uint8], width_px: int, height_px: int
) -> npt.NDArray[np.uint8]:
    """Return a picture scaled to fit and centred on black."""
    import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

    height, width = picture.shape[:2]
    if (width, height) == (width_px, height_px):
        return picture
    scale = min(width_px / width, height_px / height)
    inner_w, inner_h = max(1, round(width * scale)), max(1, round(height * scale))
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((height_px, width_px, 3), np.uint8)
    left, top = (width_px - inner_w) // 2, (height_px - inner_h) // 2
    canvas[top : top + inner_h, left : left + inner_w] = cv2.resize(
        picture, (inner_w, inner_h), interpolation=shrink
    )
    return canvas


def _size_of(file: Path) -> tuple[int, int]:
    try:
        picture = decode_bgr(file.read_bytes())
    except OSError as error:
        raise DuchenneError(f"Cannot read {file}: {error.strerror}.") from None
    if picture is None:
        raise DuchenneError(f"{file} cannot be decoded as a picture: replace or remove it.")
    return picture.shape[1], picture.shape[0]
