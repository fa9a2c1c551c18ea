"""Small pictures of stimuli: what the participant sees, drawn from the stimulus itself."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.console.backend import NotThereError
from duchenne.analysis.console.camera import encoded
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.face.frames import Image
    from duchenne.stimuli.manifest import StimulusSet
    from duchenne.stimuli.stimulus import Stimulus

WIDTH_PX, HEIGHT_PX = 480, 360
KEPT = 200
FAR_S = 3.0
"""A film is read on up to here; for what lies further ahead it is searched."""


@dataclass
class Thumbnails:
    """Thumbnails of the stimuli of one protocol; made once, on demand.

    Parameters
    ----------
    stimuli : StimulusSet
    """

    stimuli: StimulusSet
    _made: dict[str, bytes] = field(default_factory=dict)
    _film: Film | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, stimulus_id: str) -> bytes:
        """Return a picture of a stimulus as JPEG; of a film, its first second.

        Raises
        ------
        NotThereError
            There is no such stimulus, or it cannot be seen.
        """
        with self._lock:
            if stimulus_id not in self._made:
                if len(self._made) >= KEPT:
                    self._made.clear()
                self._made[stimulus_id] = self._make(self._stimulus(stimulus_id))
            return self._made[stimulus_id]

    def at(self, stimulus_id: str, media_time_s: float) -> bytes:
        """Return a film's picture at a time, in seconds, as JPEG."""
        with self._lock:
            if self._film is None or self._film.stimulus_id != stimulus_id:
                self._close_film()
                self._film = Film(stimulus_id, self._stimulus(stimulus_id).path)
            return self._film.at(media_time_s)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._close_film()

    def _close_film(self) -> None:
        if self._film is not None:
            self._film.close()
            self._film = None

    def _stimulus(self, stimulus_id: str) -> Stimulus:
        try:
            return self.stimuli[stimulus_id]
        except DuchenneError:
            raise NotThereError("no such stimulus") from None

    @staticmethod
    def _make(stimulus: Stimulus) -> bytes:
        try:
            if stimulus.kind == "image":
                return _small_image(stimulus.path)
            if stimulus.kind == "video":
                film = Film(stimulus.id, stimulus.path)
                try:
                    return film.at(min(1.0, (stimulus.duration_s or 2.0) / 2))
                finally:
                    film.close()
        except (OSError, ValueError, ImportError) as error:
            raise NotThereError(f"{stimulus.id} cannot be drawn: {error}") from error
        raise NotThereError(f"{stimulus.id} is nothing to be seen")


def _small_image(path: Path) -> bytes:
    from PIL import Image  # noqa: PLC0415 -- belongs to the extra [lab]

    with Image.open(path) as image:
        image.draft("RGB", (WIDTH_PX, HEIGHT_PX))
        small = image.convert("RGB")
        small.thumbnail((WIDTH_PX, HEIGHT_PX))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


@dataclass
class Film:
    """Reads a film along with its presentation, so that each frame is decoded once.

    Raises
    ------
    NotThereError
        It cannot be opened.
    """

    stimulus_id: str
    path: Path
    _container: Any = None
    _frames: Any = None
    _time_s: float = -1.0
    _jpeg: bytes = b""

    def __post_init__(self) -> None:
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        try:
            self._container = av.open(str(self.path))
            stream = self._container.streams.video[0]
        except (av.FFmpegError, IndexError, OSError) as error:
            raise NotThereError(f"{self.path.name} cannot be opened: {error}") from error
        self._frames = self._container.decode(stream)

    def at(self, time_s: float) -> bytes:
        """Return the picture at a time as JPEG; the last one where the film is over."""
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        if not np.isfinite(time_s) or self._time_s <= time_s < self._time_s + 0.04:
            return self._jpeg
        if time_s < self._time_s or time_s > self._time_s + FAR_S:
            self._container.seek(int(max(time_s, 0.0) * av.time_base), backward=True)
            self._frames = self._container.decode(self._container.streams.video[0])
        newest = None
        for frame in self._frames:
            newest = frame
            if frame.time is None or frame.time >= time_s:
                break
        if newest is not None:
            self._time_s = float(newest.time or time_s)
            self._jpeg = encoded(_fitted(newest))
        return self._jpeg

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def _fitted(frame: Any) -> Image:
    scale = min(WIDTH_PX / frame.width, HEIGHT_PX / frame.height, 1.0)
    width, height = (max(2, round(side * scale) // 2 * 2) for side in (frame.width, frame.height))
    return np.asarray(frame.reformat(width, height, "rgb24").to_ndarray(), np.uint8)
