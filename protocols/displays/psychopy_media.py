"""Stimuli in memory for the PsychoPy window; imported by `psychopy` alone, as it needs the same care."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pylsl
from PIL import Image, ImageOps
from psychopy import visual
from psychopy.visual.movies import MoviePlaybackError

from duchenne.protocols.displays.base import fit_rect
from duchenne.protocols.displays.frame_times import frame_times
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Rect
    from duchenne.stimuli.manifest import Stimulus


class LoadedImage:
    """An image as a texture, reduced beforehand where it is larger than its place."""

    def __init__(
        self,
        win: Any,
        stimulus: Stimulus,
        box_px: tuple[float, float],
        screen_px: tuple[float, float],
    ) -> None:
        self.stimulus = stimulus
        self.finished = False
        try:
            with Image.open(stimulus.path) as file:
                image = ImageOps.exif_transpose(file).convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise DuchenneError(
                f"{stimulus.path}: cannot be read as an image ({error}); replace it"
            ) from None
        self.rect_px = fit_rect(image.width, image.height, box_px, screen_px)
        position, size = place(self.rect_px, screen_px)
        if image.width > size[0]:
            image = image.resize((round(size[0]), round(size[1])), Image.Resampling.LANCZOS)
        self.stim: Any = visual.ImageStim(
            win, image=image, pos=position, size=size, interpolate=True, autoLog=False
        )

    def report(self) -> dict[str, Any]:
        """Return nothing: an image has no course of its own."""
        return {}

    def close(self) -> None:
        """Free the texture."""
        if self.stim is not None:
            self.stim.clearTextures()
            self.stim = None


class LoadedFilm:
    """A film whose first frame is in a texture and whose decoder waits for the first flip.

    Sound is played by SDL. The frame shown is known from its presentation time (`MovieStim.pts`), its
    index from the times that the file gives its frames, evenly spaced or not.
    """

    def __init__(
        self,
        win: Any,
        stimulus: Stimulus,
        box_px: tuple[float, float],
        screen_px: tuple[float, float],
    ) -> None:
        self.stimulus = stimulus
        self._times = frame_times(stimulus.path)
        try:
            self._movie: Any = visual.MovieStim(
                win, str(stimulus.path), units="pix", autoStart=False, autoLog=False
            )
        except (MoviePlaybackError, RuntimeError, OSError, ValueError) as error:
            raise DuchenneError(
                f"{stimulus.path}: cannot be played ({error}); convert it, for example to H.264 in MP4"
            ) from None
        # Where no new frame is due, the last one stays, instead of the flip waiting for the decoder.
        self._movie._player._maxGetFrameAttempts = 0  # noqa: SLF001 - PsychoPy has no other way
        if self._times.is_variable:
            # PsychoPy passes over frames that are later than one interval, by a rate that means nothing.
            self._movie._player._metadata._frameInterval = self._times.step_s  # noqa: SLF001
        width_px, height_px = self._movie.frameSize
        self.rect_px = fit_rect(width_px, height_px, box_px, screen_px)
        self._movie.pos, self._movie.size = place(self.rect_px, screen_px)
        self._started_s: float | None = None
        self._sound_start_s: float | None = None

    @property
    def finished(self) -> bool:
        """True when the last frame has had its time."""
        return self._movie is None or bool(self._movie.isFinished)

    @property
    def frame(self) -> int:
        """Index of the frame drawn last, from 0."""
        return self._times.index(float(self._movie.pts))

    @property
    def time_s(self) -> float:
        """Presentation time of the frame drawn last, seconds into the film."""
        return float(self._times.pts_s[self.frame])

    def draw(self) -> None:
        """Draw the frame that is due."""
        self._movie.draw()

    def start(self) -> None:
        """Play from the first frame, which has just appeared; nothing if it plays already."""
        if self._movie.isNotStarted:
            self._started_s = pylsl.local_clock()
            self._movie.play(log=False)
        elif self._times.has_sound and self._sound_start_s is None:
            self._look_for_sound()

    def _look_for_sound(self) -> None:
        """Note when the sound began, by the player's clock, which follows the sound."""
        player = self._movie._player._player  # noqa: SLF001 - PsychoPy does not pass its clock on
        played_s = float(player.get_pts()) if player is not None else 0.0
        if played_s > 0:
            self._sound_start_s = pylsl.local_clock() - played_s

    def report(self) -> dict[str, Any]:
        """Return what is known of how the film was played, for its offset marker.

        Returns
        -------
        dict
            ``film_frames`` and ``film_length_s`` by the file; ``variable_frame_rate``; for films with
            sound, ``audio_start_s``: from the command to play to the first sound by the player's own
            clock, None where it was never heard to play.
        """
        found: dict[str, Any] = {
            "film_frames": self._times.n,
            "film_length_s": round(self._times.end_s - float(self._times.pts_s[0]), 4),
        }
        if self._times.is_variable:
            found["variable_frame_rate"] = True
        if self._times.has_sound:
            started_s, sound_s = self._started_s, self._sound_start_s
            if started_s is None or sound_s is None:
                found["audio_start_s"] = None
            else:
                found["audio_start_s"] = round(sound_s - started_s, 4)
        return found

    def stop(self) -> None:
        """Stop picture and sound where they are."""
        if self._movie is not None and self._movie.isPlaying:
            self._movie.pause(log=False)

    def close(self) -> None:
        """Stop the sound and free the decoder."""
        if self._movie is not None:
            self._movie.unload(log=False)
            self._movie = None


class LoadedText:
    """A text of a file, drawn as words in the middle of the screen."""

    def __init__(self, stimulus: Stimulus, stim: Any, rect_px: Rect) -> None:
        self.stimulus = stimulus
        self.stim: Any = stim
        self.rect_px = rect_px
        self.finished = False

    def report(self) -> dict[str, Any]:
        """Return nothing: a text has no course of its own."""
        return {}

    def close(self) -> None:
        """Let go of it."""
        self.stim = None


def read_text(stimulus: Stimulus) -> str:
    """Return the words of a text stimulus.

    Raises
    ------
    DuchenneError
        The file cannot be read, is not UTF-8, or is empty.
    """
    try:
        text = stimulus.path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DuchenneError(f"{stimulus.path}: cannot be read as UTF-8 text ({error})") from None
    if not text:
        raise DuchenneError(f"{stimulus.path}: holds no words; fill it or remove its row")
    return text


def place(
    rect_px: Rect, screen_px: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return centre (origin in the middle, y upwards) and size of a rectangle."""
    x0, y0, x1, y1 = rect_px
    centre = ((x0 + x1) / 2 - screen_px[0] / 2, screen_px[1] / 2 - (y0 + y1) / 2)
    return centre, (x1 - x0, y1 - y0)
