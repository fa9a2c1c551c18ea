"""A microphone: its level, or the sound itself, stamped by the time of its converter."""

from __future__ import annotations

from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import pylsl
from pydantic import Field

from duchenne.recorder.sources.base import SourceOptions, opened
from duchenne.recorder.sources.device_clock import DeviceClock
from duchenne.recorder.sources.notices import notice
from duchenne.recorder.sources.sound import (
    LevelMeter,
    audio_description,
    level_description,
    to_int16,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet

BLOCK_S = 0.01
SILENCE_S = 3.0
MOST_BLOCKS = 1000
"""Blocks of 10 ms that wait to be sent; beyond that, sound is lost and it is told."""
TELL_EVERY_S = 10.0


class MicrophoneOptions(SourceOptions):
    """Settings of a microphone.

    Attributes
    ----------
    name : str
        Name of the stream.
    device : str or None
        Number or part of the name of a sound input; None takes the system's own choice.
    mode : {"level", "audio"}
        Loudness alone, which tells no words, or the sound itself.
    rate_hz : int
        Sound samples per second.
    channels : int
        Of the microphone.
    level_hz : float
        Levels per second.
    format : {"float32", "int16"}
        Of sound.
    """

    name: str = Field("Microphone", min_length=1, description="name of the stream")
    device: str | None = Field(None, description="number or part of the name of a sound input")
    mode: Literal["level", "audio"] = Field("level", description="level or audio")
    rate_hz: int = Field(48_000, ge=8000, le=192_000, description="sound samples per second")
    channels: int = Field(1, ge=1, le=32, description="channels of the microphone")
    level_hz: float = Field(50.0, ge=1.0, le=500.0, description="levels per second (mode=level)")
    format: Literal["float32", "int16"] = Field("float32", description="of sound (mode=audio)")


class Block(NamedTuple):
    """Sound as the driver handed it over.

    Attributes
    ----------
    sound : array of float32, shape (n_samples, n_channels)
    begun_s : float
        LSL time at which its first sample was converted.
    overflow : bool
        The driver has lost sound before it.
    """

    sound: npt.NDArray[np.float32]
    begun_s: float
    overflow: bool


class SoundSender:
    """Turns blocks of sound into samples of the stream, with time stamps.

    Parameters
    ----------
    options : MicrophoneOptions

    Attributes
    ----------
    n, n_overflows : int
        Samples sent, and times the driver lost sound.
    """

    def __init__(self, options: MicrophoneOptions) -> None:
        self.n = self.n_overflows = 0
        self._options = options
        self._piece = piece_of(options)
        self._meter = LevelMeter(self._piece)
        self._clock: DeviceClock | None = None
        self._n_heard = 0
        self._last_s = -np.inf

    def send(self, block: Block, outlet: Outlet) -> None:
        """Push what a block completes."""
        if block.overflow:
            self.n_overflows += 1
            self._clock = None  # how much is missing is not known: count from here
            self._meter.forget()
        rate_hz, n = self._options.rate_hz, len(block.sound)
        first_s = self._n_heard / rate_hz
        if self._clock is None:
            self._clock = DeviceClock(first_s, block.begun_s, after_s=self._last_s)
        device_s = first_s + np.arange(n) / rate_hz
        times = self._clock.map(device_s, block.begun_s + (n - 1) / rate_hz)
        if self._options.mode == "audio":
            audio = to_int16(block.sound) if self._options.format == "int16" else block.sound
            outlet.push_chunk(audio.astype(np.float64), times.tolist())  # exact either way
            self.n += n
        else:
            self._send_levels(block, times, outlet)
        self._n_heard += n
        self._last_s = float(times[-1])

    def _send_levels(self, block: Block, times: npt.NDArray[np.float64], outlet: Outlet) -> None:
        """Push the levels of the pieces that are complete, stamped at the middle of each."""
        before = self._meter.n_left
        levels = self._meter.feed(block.sound)
        if not len(levels):
            return
        ends = np.arange(1, len(levels) + 1) * self._piece - before - 1
        half_s = (self._piece - 1) / 2 / self._options.rate_hz
        outlet.push_chunk(levels, (times[ends] - half_s).tolist())
        self.n += len(levels)


class Microphone:
    """A microphone through PortAudio.

    A block's first sample was converted at the time that PortAudio reports; that is carried over to
    LSL's clock in the same instant. Sound lost by the driver is counted and told.

    Parameters
    ----------
    options : MicrophoneOptions
    """

    Options: ClassVar[type[SourceOptions]] = MicrophoneOptions
    summary: ClassVar[str] = "microphone: its level or its sound (Microphone)"

    def __init__(self, options: MicrophoneOptions) -> None:
        self._options = options
        self._sender = SoundSender(options)
        self._blocks: SimpleQueue[Block] = SimpleQueue()
        self._lost = False
        self._stream: Any = None
        self._model = ""
        self._told_s = -np.inf

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing: sounddevice, or the PortAudio library that it needs."""
        if find_spec("sounddevice") is None:
            return "needs: pip install 'duchenne[devices]'"
        try:
            import sounddevice  # noqa: F401, PLC0415 -- belongs to the extra [devices]
        except OSError:
            return "needs the PortAudio library (Debian, Ubuntu: apt-get install libportaudio2)"
        return None

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream; its device is known once it is open."""
        return sound_description(self._options, self._model)

    @property
    def result(self) -> str:
        """Number of samples, and how often sound was lost."""
        text = f"{self._sender.n} samples of {self._options.name}"
        lost = self._sender.n_overflows
        return f"{text}; sound was lost {lost} times" if lost else text

    def __enter__(self) -> Self:
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The microphone {reason}.")
        import sounddevice as sd  # noqa: PLC0415 -- belongs to the extra [devices]

        options = self._options
        device = options.device
        number: int | str | None = int(device) if device and device.isdigit() else device
        try:
            self._model = str(sd.query_devices(number, "input")["name"])
            self._stream = sd.InputStream(
                samplerate=options.rate_hz,
                blocksize=round(BLOCK_S * options.rate_hz),
                device=number,
                channels=options.channels,
                dtype="float32",
                latency="low",
                callback=self._hear,
            )
        except (sd.PortAudioError, ValueError) as error:
            raise DuchenneError(_refusal(sd, device, error)) from None
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set.

        Raises
        ------
        DuchenneError
            Where the device stops delivering.
        """
        opened(self._stream)
        self._start()
        heard_s = pylsl.local_clock()
        while not stop.is_set():
            try:
                block = self._blocks.get(timeout=0.1)
            except Empty:
                if pylsl.local_clock() - heard_s > SILENCE_S:
                    raise DuchenneError(
                        f"{self._options.name}: nothing has come from {self._model} for "
                        f"{SILENCE_S:g} s; check its cable and whether another program took it"
                    ) from None
                continue
            heard_s = pylsl.local_clock()
            self._sender.send(block, outlet)
            if block.overflow:
                self._tell_overflow(heard_s)
        self._stream.stop(ignore_errors=True)

    def _start(self) -> None:
        import sounddevice as sd  # noqa: PLC0415 -- belongs to the extra [devices]

        try:
            self._stream.start()
        except sd.PortAudioError as error:
            raise DuchenneError(_refusal(sd, self._options.device, error)) from None

    def _hear(self, sound: Any, _frames: int, time: Any, status: Any) -> None:
        """Take a block from the driver, in the driver's thread."""
        now_s = pylsl.local_clock()
        age_s = time.currentTime - time.inputBufferAdcTime
        if not 0 <= age_s < 1 or time.inputBufferAdcTime <= 0:  # some drivers do not tell it
            age_s = len(sound) / self._options.rate_hz
        overflow = bool(status.input_overflow) or self._lost
        if self._blocks.qsize() >= MOST_BLOCKS:
            self._lost = True
            return
        self._lost = False
        self._blocks.put(Block(np.array(sound, np.float32), now_s - age_s, overflow))

    def _tell_overflow(self, now_s: float) -> None:
        if now_s - self._told_s > TELL_EVERY_S:
            self._told_s = now_s
            times = self._sender.n_overflows
            notice(f"{self._options.name}: sound was lost ({times} times so far), it came too fast")


def piece_of(options: MicrophoneOptions) -> int:
    """Return how many samples of sound one level is measured over."""
    return max(1, round(options.rate_hz / options.level_hz))


def sound_description(options: MicrophoneOptions, model: str) -> pylsl.StreamInfo:
    """Return the description of the stream that these options make."""
    if options.mode == "level":
        rate_hz = options.rate_hz / piece_of(options)
        return level_description(options.source_id, rate_hz, options.name, model)
    return audio_description(
        options.source_id,
        options.rate_hz,
        options.name,
        options.channels,
        int16=options.format == "int16",
        model=model,
    )


def _refusal(sd: Any, device: str | None, error: Exception) -> str:
    inputs = [d["name"] for d in sd.query_devices() if d["max_input_channels"] > 0]
    if not inputs:
        return "no microphone: this machine has no sound input; plug one in"
    asked = f"microphone {device}" if device else "the microphone"
    reason = " ".join(str(error).split())
    return f"{asked} cannot be opened ({reason}); sound inputs here: {'; '.join(inputs)}"
