"""A look at every screen of a session without running it: one PNG file each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from duchenne.protocols.present import open_display
from duchenne.protocols.screens import check_screens
from duchenne.protocols.steps.registry import step_kind
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.protocols.displays.base import Display
    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.steps.base import ScreenView
    from duchenne.stimuli.manifest import StimulusSet


def preview_views(
    protocol: Protocol, stimuli: StimulusSet, schedule: Schedule
) -> Iterator[tuple[str, ScreenView]]:
    """Yield every different screen of a schedule once, in order, with a name for its file.

    Parameters
    ----------
    protocol : Protocol
    stimuli : StimulusSet
        Holds every stimulus of the schedule.
    schedule : Schedule
    """
    seen: set[str] = set()
    for step in schedule.steps:
        for view in step_kind(step.kind).views(protocol, stimuli, step):
            key = _identity(view)
            if key not in seen:
                seen.add(key)
                thing = view.stimulus.id if view.stimulus is not None else view.name
                yield f"{len(seen):03d}_{step.block}_{thing}", view


def _identity(view: ScreenView) -> str:
    """Return what makes two views the same picture; the pixels of our own drawings are hashed."""
    if view.stimulus is not None:
        return f"stimulus {view.stimulus.id}"
    parts = [
        {
            key: hash(value.tobytes()) if hasattr(value, "tobytes") else value
            for key, value in vars(shape).items()
        }
        | {"shape": type(shape).__name__}
        for shape in view.shapes
    ]
    return json.dumps([view.background_grey, parts], sort_keys=True, default=str)


def preview(
    protocol: Protocol,
    schedule: Schedule,
    stimuli: StimulusSet,
    out: Path,
    *,
    headless: bool = False,
    on_screen: Callable[[str], None] | None = None,
) -> list[Path]:
    """Render every different screen of a schedule to a PNG file.

    Parameters
    ----------
    protocol : Protocol
    schedule : Schedule
    stimuli : StimulusSet
        Holds every stimulus of the schedule.
    out : Path
        Folder for the files; made where it is missing, refused where it holds anything.
    headless : bool, default False
        Use a virtual screen although there may be a real one.
    on_screen : callable, optional
        Receives the name of each file as it is written.

    Returns
    -------
    list of Path
        In the order in which the screens first appear.

    Raises
    ------
    DuchenneError
        `out` is not an empty folder, a screen cannot be drawn (see
        `duchenne.protocols.screens.check_screens`), or a stimulus cannot be shown.
    """
    from PIL import Image  # noqa: PLC0415 -- of the extra lab

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DuchenneError(f"{out} is there already; give a new or an empty folder with --out")
    check_screens(protocol, stimuli)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with open_display(protocol, headless=headless) as display:
        for name, view in preview_views(protocol, stimuli, schedule):
            _show(display, view)
            path = out / f"{name}.png"
            Image.fromarray(display.screenshot()).save(path)
            written.append(path)
            if on_screen is not None:
                on_screen(path.name)
    return written


def _show(display: Display, view: ScreenView) -> None:
    if view.stimulus is None:
        display.show(view.shapes)
        display.flip()
        display.flip()
        return
    loaded = display.load(view.stimulus)
    display.show_stimulus(loaded)
    display.flip()
    display.flip()
    display.clear()
    loaded.close()
