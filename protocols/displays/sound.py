"""Sounds that start at a flip: through PsychoPy's sound back end, or silently where nothing can sound.

Import `Player` classes only with PsychoPy's environment prepared; the latency that each tells is the time
from the command to play to the sound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.displays.environment import has_audio_output
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from duchenne.protocols.displays.base import Rect
    from duchenne.stimuli.manifest import Stimulus

RATE_HZ = 48_000
CLICK_S, CLICK_LEVEL = 0.002, 0.8
BACK_ENDS = ("ptb", "sounddevice", "pygame")


@dataclass(frozen=True)
class Latency:
    """How long sound takes from the command to play.

    Attributes
    ----------
    value_s : float or None
        None where it is not known.
    source : str
        ``declared`` (in the protocol), ``reported`` (by the back end and driver), ``unknown``, or
        ``silent`` (there is no sound output: nothing sounds).
    back_end : str
    """

    value_s: float | None
    source: str
    back_end: str

    def fields(self) -> dict[str, Any]:
        """Return what a marker says of it."""
        return {
            "audio_latency_s": None if self.value_s is None else round(self.value_s, 5),
            "audio_latency_source": self.source,
            "audio_back_end": self.back_end,
        }


def decode_sound(path: Path) -> npt.NDArray[np.float32]:
    """Return a sound file decoded to stereo, float32, shape (n, 2), at `RATE_HZ`.

    Raises
    ------
    DuchenneError
        It cannot be read, or has no sound.
    """
    import av  # noqa: PLC0415 - not part of the core install

    parts = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DuchenneError(f"{path}: has no sound; replace it")
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
            for frame in container.decode(container.streams.audio[0]):
                parts += [part.to_ndarray() for part in resampler.resample(frame)]
            parts += [part.to_ndarray() for part in resampler.resample(None)]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise DuchenneError(f"{path}: cannot be decoded as sound ({text}); replace it") from None
    if not parts:
        raise DuchenneError(f"{path}: has no sound; replace it")
    return np.ascontiguousarray(np.concatenate(parts, axis=1).T, dtype=np.float32)


def click() -> npt.NDArray[np.float32]:
    """Return a click of 2 ms, float32, shape (n, 2)."""
    return np.full((round(CLICK_S * RATE_HZ), 2), CLICK_LEVEL, np.float32)


class Playable:
    """Samples that are ready to sound at once.

    Parameters
    ----------
    samples : ndarray, shape (n, 2)
        float32, -1 to 1, at `RATE_HZ`.
    declared_latency_s : float, optional
        Measured before, by the experimenter.
    """

    def __init__(
        self, samples: npt.NDArray[np.float32], declared_latency_s: float | None = None
    ) -> None:
        self.duration_s = len(samples) / RATE_HZ
        self._begun_s: float | None = None
        self._sound, self.back_end = _sound_of(samples)
        self.latency = self._latency(declared_latency_s)

    def _latency(self, declared_s: float | None) -> Latency:
        if self._sound is None:
            return Latency(None, "silent", self.back_end)
        if declared_s is not None:
            return Latency(declared_s, "declared", self.back_end)
        reported = reported_latency_s(self._sound)
        return Latency(reported, "unknown" if reported is None else "reported", self.back_end)

    @property
    def finished(self) -> bool:
        """True when it has been playing for as long as it is."""
        return self._begun_s is not None and time.monotonic() - self._begun_s >= self.duration_s

    def play(self) -> None:
        """Start it; called within a flip."""
        self._begun_s = time.monotonic()
        if self._sound is not None:
            self._sound.play(log=False)

    def stop(self) -> None:
        """Fall silent; a second call does nothing."""
        if self._sound is not None and self._begun_s is not None and not self.finished:
            self._sound.stop(log=False)


def _sound_of(samples: npt.NDArray[np.float32]) -> tuple[Any, str]:
    """Return PsychoPy's sound and the name of its back end; None and ``none`` without an output."""
    if not has_audio_output():
        return None, "none"
    from psychopy import prefs  # noqa: PLC0415 - only where something can sound

    prefs.hardware["audioLib"] = list(BACK_ENDS)
    from psychopy.sound import Sound  # noqa: PLC0415 - reads the preference

    try:
        sound = Sound(samples, sampleRate=RATE_HZ, stereo=True, hamming=False, autoLog=False)
    except Exception as error:  # noqa: BLE001 - back ends raise whatever their drivers do
        text = " ".join(str(error).split())
        raise DuchenneError(
            f"the sound output cannot be opened ({text}); check the system's sound settings"
        ) from None
    return sound, type(sound).__module__.rpartition("_")[2]


def reported_latency_s(sound: Any) -> float | None:
    """Return the output latency that a PsychoPy sound's driver reports, or None.

    PsychPortAudio predicts it for its stream (``PredictedLatency``); PortAudio through sounddevice tells
    that of the output stream.
    """
    status = getattr(getattr(sound, "track", None), "status", None)
    if isinstance(status, dict) and status.get("PredictedLatency"):
        return float(status["PredictedLatency"])
    stream = getattr(getattr(sound, "stream", None), "latency", None)
    return float(stream) if isinstance(stream, (int, float)) and stream > 0 else None


class LoadedSound:
    """A sound that starts at the next flip; the picture stays as it is, such as the fixation cross.

    Parameters
    ----------
    stimulus : Stimulus
    declared_latency_s : float, optional
    screen_px : (float, float)
        Width and height; the rectangle of a sound is the middle of the screen, without extent.
    """

    def __init__(
        self,
        stimulus: Stimulus,
        screen_px: tuple[float, float],
        declared_latency_s: float | None = None,
    ) -> None:
        self.stimulus = stimulus
        x, y = screen_px[0] / 2, screen_px[1] / 2
        self.rect_px: Rect = (x, y, x, y)
        self.playable = Playable(decode_sound(stimulus.path), declared_latency_s)

    @property
    def finished(self) -> bool:
        """True when it has come to its end."""
        return self.playable.finished

    def report(self) -> dict[str, Any]:
        """Return the latency of the output, for the onset and offset markers."""
        return self.playable.latency.fields()

    def close(self) -> None:
        """Fall silent."""
        self.playable.stop()
