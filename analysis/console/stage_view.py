"""The picture of what the participant sees now, made in a thread of its own where a page looks at it."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.analysis.console.backend import NotThereError, Picture
from duchenne.analysis.console.camera import size_of
from duchenne.analysis.console.courtesy import step_back
from duchenne.analysis.console.thumbnails import Thumbnails
from duchenne.protocols.schema import load_protocol
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

PER_S = 4.0


@dataclass
class StageView:
    """Draws the stimulus that is on the screen, up to four times a second.

    Parameters
    ----------
    protocol : str
        Library name or path.
    stage : callable
        Returns what the participant sees, as pages get it; None while there is nothing.
    """

    protocol: str
    stage: Callable[[], dict[str, Any] | None]
    picture: Picture | None = None
    is_watched: bool = False
    _thumbnails: Thumbnails | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _shown: tuple[str | None, float | None] = (None, None)

    def open(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="console-stage", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(10.0)
        if self._thumbnails is not None:
            self._thumbnails.close()

    def thumbnail(self, stimulus_id: str) -> bytes:
        """Return a picture of any stimulus of the protocol.

        Raises
        ------
        NotThereError
            There is none.
        """
        return self._loaded().of(stimulus_id)

    def _loaded(self) -> Thumbnails:
        if self._thumbnails is None:
            try:
                path = Path(self.protocol)
                protocol = load_protocol(path if path.is_file() else self.protocol)
                self._thumbnails = Thumbnails(protocol.stimulus_set())
            except DuchenneError as error:
                raise NotThereError(str(error)) from None
        return self._thumbnails

    def _work(self) -> None:
        step_back()
        while not self._over.wait(1 / PER_S):
            if self.is_watched:
                with contextlib.suppress(NotThereError, DuchenneError):
                    self._draw()

    def _draw(self) -> None:
        stage = self.stage()
        stimulus = None if stage is None else stage.get("stimulus")
        if stage is None or stimulus is None or stage["kind"] not in {"image", "video"}:
            self._shown = (None, None)
            return
        media_s = stage.get("media_time_s") if stage["kind"] == "video" else None
        if (stimulus, media_s) == self._shown:
            return
        is_film = media_s is not None and media_s == media_s  # noqa: PLR0124 -- NaN before the first frame
        jpeg = (
            self._loaded().at(stimulus, float(media_s or 0.0))
            if is_film
            else self._loaded().of(stimulus)
        )
        self._shown = (stimulus, media_s)
        width, height = size_of(jpeg)
        header = {
            "view": "stage",
            "t_ms": time.time() * 1e3,
            "age_ms": 0,
            "width": width,
            "height": height,
            "stimulus": stimulus,
            "media_time_s": media_s,
        }
        number = 1 if self.picture is None else self.picture.number + 1
        self.picture = Picture(number, header, jpeg)
