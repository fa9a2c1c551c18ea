"""Finds every face in a picture and covers it so that neither people nor detectors know it again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from duchenne.analysis.face.deidentify_finder import FaceFinder, with_tiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from duchenne.analysis.face.deidentify_finder import Box
    from duchenne.analysis.face.frames import FloatArray, Image

Cover = Literal["blur", "pixelate"]
HIDE_CONFIDENCES = (0.25, 0.2, 0.15)
"""What the detector is asked while faces are covered: less than afterwards, as encoding changes a picture
a little; a video that does not pass is made again with the next value."""
FEATHER = 0.15
MARGIN = (0.3, 0.5, 0.3, 0.25)
"""The box of a face grows by these shares of its size to the left, top, right and bottom."""
GROW_S = 0.3
MAX_HELD = 12
"""Pictures held back at most, so that memory stays small at high rates and sizes. Frames that come
before the first picture wait for its size; they hold none."""
NO_SIZE = (16, 16)
"""Of the pictures of a video in which none could be decoded."""
CELLS = (5, 4, 3, 2, 1, 1)
"""Cells that are left of a cover along its longer side: fewer, as long as a face is seen in them."""
FRAME_CELLS = (8, 6, 4, 1)


@dataclass(frozen=True)
class Covered:
    """A picture with its faces covered.

    Attributes
    ----------
    index : int
        Of the frame in its video.
    time_s : float
    image : (height, width, 3) uint8 RGB
    whole : bool
        The whole picture is covered, because no face was found in it or a cover was seen through.
    """

    index: int
    time_s: float
    image: Image
    whole: bool


@dataclass(frozen=True)
class _Seen:
    index: int
    time_s: float
    image: Image | None
    boxes: tuple[Box, ...]


def cover_faces(
    frames: Iterable[tuple[int, float, Image | None]],
    finder: FaceFinder,
    method: Cover,
    grow_s: float = GROW_S,
    confidence: float = HIDE_CONFIDENCES[0],
) -> Iterator[Covered]:
    """Cover every face of a video, a frame at a time.

    A face's cover reaches over the places where a face was found up to `grow_s` before and after, so
    that a detection missed once uncovers nothing. A frame without any detection of its own is
    covered as a whole, and so is one in which the detector still finds a face under the cover.

    Parameters
    ----------
    frames : iterable of (frame index, time in seconds, RGB picture or None)
        None stands for a frame that could not be decoded; it becomes an empty picture of the size of
        the others.
    finder : FaceFinder
    method : {"blur", "pixelate"}
    grow_s : float
    confidence : float
        From which something under a cover still counts as a face.

    Yields
    ------
    Covered
        One for each frame, in their order.
    """
    with FaceFinder(confidence) as strict:
        queue = _Queue(Hider(method, strict), grow_s)
        yield from _through(queue, frames, finder, grow_s)


def _through(
    queue: _Queue,
    frames: Iterable[tuple[int, float, Image | None]],
    finder: FaceFinder,
    grow_s: float,
) -> Iterator[Covered]:
    ahead = queue.ahead
    for index, time_s, image in frames:
        if image is not None:
            queue.size = image.shape[:2]
        boxes = () if image is None else tuple(finder.find(image, tiles=with_tiles(index)))
        ahead.append(_Seen(index, time_s, image, boxes))
        while (
            ahead
            and queue.size is not None
            and (time_s - ahead[0].time_s > grow_s or len(ahead) > MAX_HELD)
        ):
            yield queue.next()
    while ahead:
        yield queue.next()


class _Queue:
    """Frames that wait until it is known where faces are after them, and where they were before."""

    def __init__(self, hider: Hider, grow_s: float) -> None:
        self._hider, self._grow_s = hider, grow_s
        self._before: deque[_Seen] = deque()
        self.ahead: deque[_Seen] = deque()
        self.size: tuple[int, ...] | None = None

    def next(self) -> Covered:
        """Take the first frame and cover it."""
        now = self.ahead.popleft()
        before = self._before
        before.append(_Seen(now.index, now.time_s, None, now.boxes))
        while before and now.time_s - before[0].time_s > self._grow_s:
            before.popleft()
        if now.image is None:
            nothing = np.zeros((*(self.size or NO_SIZE), 3), np.uint8)
            return Covered(now.index, now.time_s, nothing, whole=True)
        tiles = with_tiles(now.index)
        if now.boxes:
            near = [
                seen
                for seen in (*before, *self.ahead)
                if abs(seen.time_s - now.time_s) <= self._grow_s
            ]
            boxes = [box for seen in near for box in seen.boxes]
            image = self._hider.hide(now.image, boxes, tiles=tiles)
            if image is not None:
                return Covered(now.index, now.time_s, image, whole=False)
        image = self._hider.hide_all(now.image, tiles=tiles)
        return Covered(now.index, now.time_s, image, whole=True)


class Hider:
    """Covers places in a picture until the detector sees no face in it any more.

    Parameters
    ----------
    method : {"blur", "pixelate"}
    strict : FaceFinder
        Looks at what is covered; see :data:`HIDE_CONFIDENCES`.
    """

    def __init__(self, method: Cover, strict: FaceFinder) -> None:
        self._method, self._strict = method, strict

    def hide(self, image: Image, boxes: list[Box], *, tiles: bool = True) -> Image | None:
        """Return the picture with these faces covered; None where a face is seen in spite of that.

        Covers get coarser, and whatever else looks like a face is covered as well.
        """
        for cells in CELLS:
            covered = cover_boxes(image, boxes, self._method, cells)
            found = self._strict.find(covered, tiles=tiles)
            if not found:
                return covered
            covers = [_grown(box) for box in boxes]
            boxes = [*boxes, *(box for box in found if not _is_within(box, covers))]
        return None

    def hide_all(self, image: Image, *, tiles: bool = True) -> Image:
        """Return the picture covered as a whole, as coarsely as it takes."""
        for cells in FRAME_CELLS:
            covered = _coarse(image, cells, self._method)
            if not self._strict.find(covered, tiles=tiles):
                break
        return covered


def cover_boxes(image: Image, boxes: Iterable[Box], method: Cover, cells: int = CELLS[0]) -> Image:
    """Return a copy of a picture with some places covered.

    Parameters
    ----------
    image : (height, width, 3) uint8
    boxes : iterable of (left, top, right, bottom)
        Of faces, in pixels; overlapping ones get one cover.
    method : {"blur", "pixelate"}
    cells : int
        Left of each cover, along its longer side.
    """
    height, width = image.shape[:2]
    covered = image.copy()
    for left, top, right, bottom in _merged([_grown(box) for box in boxes]):
        soft = FEATHER * max(right - left, bottom - top) if method == "blur" else 0.0
        x0, y0 = max(0, int(left - soft)), max(0, int(top - soft))
        x1, y1 = min(width, int(np.ceil(right + soft))), min(height, int(np.ceil(bottom + soft)))
        if x1 > x0 and y1 > y0:
            part = image[y0:y1, x0:x1]
            coarse = _coarse(part, cells, method)
            if soft:
                x = np.arange(x0, x1) + 0.5
                y = np.arange(y0, y1) + 0.5
                share = _ramp(y, top, bottom, soft)[:, None] * _ramp(x, left, right, soft)[None, :]
                mixed = part + share[..., None] * (coarse.astype(np.float64) - part)
                coarse = mixed.round().astype(np.uint8)
            covered[y0:y1, x0:x1] = coarse
    return covered


def _coarse(region: Image, cells: int, method: Cover) -> Image:
    """Return a region of which only some cells along its longer side are left."""
    import cv2  # noqa: PLC0415  (heavy)

    height, width = region.shape[:2]
    cell = max(height, width) / cells
    size = (max(1, round(width / cell)), max(1, round(height / cell)))
    small = cv2.resize(region, size, interpolation=cv2.INTER_AREA)
    if method == "pixelate":
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST))
    # A wide blur of few cells looks the same when it is made at eight pixels a cell, and is quick.
    middle = (min(width, size[0] * 8), min(height, size[1] * 8))
    soft = cv2.GaussianBlur(cv2.resize(small, middle, interpolation=cv2.INTER_LINEAR), (0, 0), 4.0)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _grown(box: Box) -> Box:
    left, top, right, bottom = box
    size = max(right - left, bottom - top)
    return (
        left - MARGIN[0] * size,
        top - MARGIN[1] * size,
        right + MARGIN[2] * size,
        bottom + MARGIN[3] * size,
    )


def _merged(boxes: list[Box]) -> list[Box]:
    """Join boxes that overlap until none do."""
    joined: list[Box] = []
    for box in boxes:
        new, rest = box, joined
        while True:
            touching = [other for other in rest if _overlap(new, other)]
            if not touching:
                break
            rest = [other for other in rest if not _overlap(new, other)]
            corners = np.array([new, *touching])
            low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
            new = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        joined = [*rest, new]
    return joined


def _ramp(places: FloatArray, low: float, high: float, soft: float) -> FloatArray:
    """Return 1 between two places, falling to 0 within `soft` outside of them."""
    outside = np.maximum(np.maximum(low - places, places - high), 0.0)
    return np.asarray(np.clip(1 - outside / soft, 0.0, 1.0))


def _is_within(box: Box, covers: Iterable[Box]) -> bool:
    """Return whether the middle of a box lies under a cover already."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(c[0] <= x <= c[2] and c[1] <= y <= c[3] for c in covers)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
