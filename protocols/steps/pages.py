"""Pages: text and images that stay for a time or until a key, such as instructions and breaks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from duchenne.protocols.displays.base import Picture, fit_rect
from duchenne.protocols.layout import LETTER_HEIGHT, TEXT_WIDTH, Layout
from duchenne.protocols.responders import Prompt
from duchenne.protocols.steps.base import ScreenView
from duchenne.protocols.typesetting import broken_lines, height_of, typeset
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duchenne.protocols.course import Course
    from duchenne.protocols.displays.base import Shape
    from duchenne.protocols.plan import Step
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.typesetting import Style
    from duchenne.stimuli.manifest import StimulusSet

CONTINUE_KEYS = ("space", "return")
BACK_KEYS = ("left", "backspace")
PAGE_HEIGHT = 0.86
"""What text may take of the screen's height."""
IMAGE_HEIGHT = 0.5
"""What an image below a text may take."""
MAX_IMAGE_PX = 64_000_000


@dataclass(frozen=True)
class Page:
    """Pages of text.

    Parameters
    ----------
    onset, offset : str
        Events that mark them.
    """

    onset: str
    offset: str

    def run(self, course: Course, step: Step) -> None:
        """Show the pages until their time is over or the participant goes on."""
        stage = course.stage
        stage.context = {"block": step.block, "phase": step.kind}
        pages = _pages(course.protocol, course.layout, step)
        course.display.show(pages[0])
        stage.onset(self.onset, self.offset)
        end_s = None if step.duration_s is None else stage.flip.lsl_time_s + step.duration_s
        may_go_on = end_s is None or step.skip_with_key
        prompt = Prompt("continue", f"{step.block}-{step.kind}")
        if may_go_on:
            stage.prompt(prompt)
        page = 0
        while end_s is None or stage.more_before(end_s):
            stage.next_flip()
            if not may_go_on:
                continue
            if stage.pressed(*CONTINUE_KEYS, *(("right",) if len(pages) > 1 else ())):
                page += 1
            elif stage.pressed(*BACK_KEYS) and page > 0:
                page -= 1
            else:
                continue
            if page == len(pages):
                break
            course.display.show(pages[page])
            stage.prompt(prompt)
        stage.forget_prompt()
        course.display.clear()
        stage.offset()

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield the pages."""
        pages = _pages(protocol, Layout.of(protocol.screen), step)
        for number, shapes in enumerate(pages, 1):
            name = step.kind if len(pages) == 1 else f"{step.kind}-{number}"
            yield ScreenView(name, shapes)


@dataclass(frozen=True)
class Neutral:
    """A phase with a relaxed, neutral face, looking at a cross."""

    def run(self, course: Course, step: Step) -> None:
        """Show the cross for the declared time."""
        stage = course.stage
        stage.context = {"block": step.block, "phase": "neutral"}
        course.display.show(self._shapes(course.layout, step))
        stage.onset("neutral_onset", "neutral_offset")
        stage.hold_until(stage.flip.lsl_time_s + (step.duration_s or 0.0))
        course.display.clear()
        stage.offset()

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield the cross with its reminder."""
        yield ScreenView("neutral", self._shapes(Layout.of(protocol.screen), step))

    @staticmethod
    def _shapes(layout: Layout, step: Step) -> list[Shape]:
        if not step.text:
            return [layout.cross()]
        place = (layout.width_px / 2, 0.25 * layout.height_px)
        room = 0.36 * layout.height_px
        width = TEXT_WIDTH * layout.width_px
        text = layout.words(step.text, place, width, layout.style(), max_height_px=room)
        return [layout.cross(), text]


@dataclass(frozen=True)
class BlockMark:
    """The beginning or the end of a block: an empty screen and a marker."""

    begins: bool

    def run(self, course: Course, step: Step) -> None:
        """Mark it at a flip of the empty screen."""
        stage = course.stage
        stage.context = {"block": step.block}
        course.display.clear()
        if self.begins:
            stage.onset("block_start", "block_end")
        else:
            stage.offset()

    def views(self, protocol: Protocol, stimuli: StimulusSet, step: Step) -> Iterator[ScreenView]:
        """Yield nothing: there is nothing to see."""
        yield from ()


def paged(text: str, style: Style, width_px: int, height_px: float) -> list[tuple[str, ...]]:
    """Return the lines of a text, page by page; a page begins with no empty line.

    Pages end at the end of a paragraph where one ends in their second half.
    """
    pages: list[tuple[str, ...]] = []
    lines = list(broken_lines(text.strip(), style, width_px))
    while lines:
        n = len(lines)
        while n > 1 and height_of(tuple(lines[:n]), style) > height_px:
            n -= 1
        if n < len(lines):
            gaps = [i for i in range(n // 2, n + 1) if not lines[i]]
            n = gaps[-1] if gaps else n
        pages.append(tuple(lines[:n]))
        lines = lines[n:]
        while lines and not lines[0]:
            lines.pop(0)
    return pages or [("",)]


def _pages(protocol: Protocol, layout: Layout, step: Step) -> list[Sequence[Shape]]:
    """Return what each page of a step shows.

    Raises
    ------
    DoesNotFit
        A text that ends by itself, or stands above an image, is longer than its place.
    """
    image = step.content.get("image")
    text = step.text or ""
    if image is not None:
        return [_illustrated(layout, text, _image_file(protocol, image))]
    style, width = layout.style(), int(TEXT_WIDTH * layout.width_px)
    pages = paged(text, style, width, PAGE_HEIGHT * layout.height_px)
    waits = step.duration_s is None or step.skip_with_key
    if len(pages) == 1 or not waits or step.duration_s is not None:
        room = PAGE_HEIGHT * layout.height_px
        place = (layout.width_px / 2, layout.height_px / 2)
        return [[layout.words(text, place, width, style, max_height_px=room)]]
    return [
        [text_page(layout, lines, style), page_number(layout, number, len(pages))]
        for number, lines in enumerate(pages, 1)
    ]


def text_page(
    layout: Layout, lines: tuple[str, ...], style: Style, middle: float = 0.48
) -> Picture:
    """Return lines in the middle of the screen, or centred on another height."""
    width = int(TEXT_WIDTH * layout.width_px)
    content = typeset(lines, style, width)
    left = round((layout.width_px - width) / 2)
    top = round(middle * layout.height_px - content.shape[0] / 2)
    return Picture(content, (left, top, left + width, top + content.shape[0]))


def page_number(layout: Layout, number: int, n: int) -> Picture:
    """Return which page of how many this is."""
    return layout.text(f"{number} / {n}", 0.96, height=0.026)


def _illustrated(layout: Layout, text: str, path: Path) -> list[Shape]:
    """Return a text above an image, or the image alone."""
    content = _image(path)
    height, width = content.shape[:2]
    if not text:
        box = (TEXT_WIDTH * layout.width_px, PAGE_HEIGHT * layout.height_px)
        return [Picture(content, fit_rect(width, height, box, (layout.width_px, layout.height_px)))]
    style = layout.style(LETTER_HEIGHT)
    room = (PAGE_HEIGHT - IMAGE_HEIGHT - 0.02) * layout.height_px
    place = (layout.width_px / 2, 0.07 * layout.height_px + room / 2)
    words = layout.words(text, place, TEXT_WIDTH * layout.width_px, style, max_height_px=room)
    box = (TEXT_WIDTH * layout.width_px, IMAGE_HEIGHT * layout.height_px)
    x0, y0, x1, y1 = fit_rect(width, height, box, (layout.width_px, layout.height_px))
    down = 0.685 * layout.height_px - (y0 + y1) / 2
    return [words, Picture(content, (x0, y0 + down, x1, y1 + down))]


def _image_file(protocol: Protocol, name: str) -> Path:
    folder = protocol.source_path.parent if protocol.source_path is not None else Path()
    path = folder / name
    if not path.is_file():
        raise DuchenneError(f"there is no image {path}; correct the path")
    return path


@lru_cache(maxsize=8)
def _image(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    from PIL import Image, ImageOps  # noqa: PLC0415 -- of the extra lab

    try:
        with Image.open(path) as file:
            if file.width * file.height > MAX_IMAGE_PX:
                raise DuchenneError(
                    f"{path} has {file.width}x{file.height} px; reduce it to the size of the screen"
                )
            upright = ImageOps.exif_transpose(file).convert("RGB")
            upright.thumbnail((2560, 1440))
            return np.asarray(upright)
    except (OSError, ValueError, SyntaxError) as error:
        raise DuchenneError(f"{path}: cannot be read as an image ({error}); replace it") from None
