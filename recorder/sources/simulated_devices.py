"""Simulated twins of microphone, keyboard and photodiode: they answer the markers with known delays."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pylsl
from pydantic import Field

from duchenne.recorder.sources.base import SourceOptions
from duchenne.recorder.sources.key_events import (
    RisingStamps,
    encode_press,
    encode_start,
    press_description,
)
from duchenne.recorder.sources.listener import MarkerListener, tell_connected
from duchenne.recorder.sources.microphone import (
    Block,
    MicrophoneOptions,
    SoundSender,
    sound_description,
)
from duchenne.recorder.sources.photodiode import light_description
from duchenne.recorder.streams import declare_latency

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet
    from duchenne.recorder.sources.listener import Cue

CHUNK_S = 0.01
LAG_S = 0.1
"""Samples are made up so much after their time, so that the markers of that time have been heard."""
LONGEST_CHUNK_S = 1.0
NO_MARKERS = "listen to this Markers outlet only"
CLICK_S = 0.002


def without_latency(info: pylsl.StreamInfo) -> pylsl.StreamInfo:
    """Say of a twin that its samples are stamped with the very time they are of."""
    declare_latency(info, 0.0)
    return info


class _Twin:
    """What the twins share: ears, and nothing to open.

    Attributes
    ----------
    n, n_late : int
        Samples pushed, and answers that came after their time because a marker was late.
    """

    def __init__(self, name: str, markers_source_id: str | None) -> None:
        self._name = name
        self._listener = MarkerListener(markers_source_id, tell_connected)
        self.n = self.n_late = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return None: it works everywhere."""
        return None

    @property
    def result(self) -> str:
        """Number of samples, and of answers that were late."""
        text = f"{self.n} samples of {self._name}"
        return f"{text}; {self.n_late} answers too late" if self.n_late else text

    def __enter__(self) -> Self:
        self._listener.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()


class _RegularTwin(_Twin):
    """A twin with a sampling rate: hears, makes up what is due, sends it."""

    def _make(self, stop: threading.Event, rate_hz: float, outlet: Outlet) -> None:
        start_s = pylsl.local_clock() - LAG_S
        most = math.ceil(LONGEST_CHUNK_S * rate_hz)
        made = 0
        while not stop.is_set():
            for cue in self._listener.cues():
                self._hear(cue, start_s + made / rate_hz)
            due = math.floor((pylsl.local_clock() - LAG_S - start_s) * rate_hz) + 1
            n = min(due - made, most)
            if n > 0:
                self._send(start_s + (made + np.arange(n)) / rate_hz, outlet)
                made += n
            if n < most:
                stop.wait(CHUNK_S)

    def _hear(self, cue: Cue, made_until_s: float) -> None:
        """Plan the answer to a marker."""
        raise NotImplementedError

    def _send(self, times: npt.NDArray[np.float64], outlet: Outlet) -> None:
        """Make up and push the samples of these times."""
        raise NotImplementedError


class SimulatedPhotodiodeOptions(SourceOptions):
    """Settings of the simulated photodiode.

    Attributes
    ----------
    name : str
        Name of the stream.
    rate_hz : float
        Sampling rate.
    delay_s : float
        From the marker's time to the light.
    dark, bright, noise : float
        Readings without and with light, and the standard deviation of their noise.
    seed : int
        Of the noise.
    markers_source_id : str or None
        Listen to this Markers outlet only.
    """

    name: str = Field("Photodiode", min_length=1, description="name of the stream")
    rate_hz: float = Field(1000.0, ge=10, le=20_000, description="samples per second")
    delay_s: float = Field(0.02, ge=-0.05, le=1.0, description="from the marker to the light, s")
    dark: float = Field(100.0, ge=0, description="reading without light")
    bright: float = Field(800.0, ge=0, description="reading with light")
    noise: float = Field(2.0, ge=0, description="standard deviation of the readings")
    seed: int = Field(0, ge=0, description="same seed, same noise")
    markers_source_id: str | None = Field(None, description=NO_MARKERS)


class SimulatedPhotodiode(_RegularTwin):
    """Sees light from each ``stimulus_onset`` to its offset, later by a known delay.

    Parameters
    ----------
    options : SimulatedPhotodiodeOptions
    """

    Options: ClassVar[type[SourceOptions]] = SimulatedPhotodiodeOptions
    summary: ClassVar[str] = "photodiode that sees stimuli with a known delay (Photodiode)"

    def __init__(self, options: SimulatedPhotodiodeOptions) -> None:
        super().__init__(options.name, options.markers_source_id)
        self._options = options
        self._rng = np.random.default_rng(options.seed)
        self._switches: list[tuple[float, bool]] = []
        self._lit = False

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream."""
        options = self._options
        info = light_description(options.source_id, options.rate_hz, options.name, "simulated")
        return without_latency(info)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set."""
        self._make(stop, self._options.rate_hz, outlet)

    def _hear(self, cue: Cue, made_until_s: float) -> None:
        if cue.event in ("stimulus_onset", "stimulus_offset"):
            at_s = cue.time_s + self._options.delay_s
            self.n_late += at_s < made_until_s
            self._switches.append((at_s, cue.event == "stimulus_onset"))

    def _send(self, times: npt.NDArray[np.float64], outlet: Outlet) -> None:
        options = self._options
        lit = np.full(len(times), self._lit)
        for at_s, on in self._switches:
            lit[times >= at_s] = on
        self._lit = bool(lit[-1])
        self._switches = [(at_s, on) for at_s, on in self._switches if at_s > times[-1]]
        values = np.where(lit, options.bright, options.dark)
        values = values + self._rng.normal(0.0, options.noise, len(times))
        outlet.push_chunk(np.rint(values)[:, None], times.tolist())
        self.n += len(times)


class SimulatedMicrophoneOptions(MicrophoneOptions):
    """Settings of the simulated microphone: those of the real one, and what there is to hear.

    Attributes
    ----------
    tone_hz, tone_dbfs : float
        A tone that is always there, and its peak level.
    click_dbfs : float
        Peak level of the clicks.
    delay_s : float
        From the time of a ``stimulus_onset`` to its click.
    markers_source_id : str or None
        Listen to this Markers outlet only.
    """

    rate_hz: int = Field(16_000, ge=8000, le=192_000, description="sound samples per second")
    tone_hz: float = Field(440.0, gt=0, le=20_000, description="frequency of the steady tone")
    tone_dbfs: float = Field(-40.0, ge=-100, le=0, description="peak level of the steady tone")
    click_dbfs: float = Field(-6.0, ge=-100, le=0, description="peak level of the clicks")
    delay_s: float = Field(0.05, ge=-0.05, le=1.0, description="from the marker to the click, s")
    markers_source_id: str | None = Field(None, description=NO_MARKERS)


class SimulatedMicrophone(_RegularTwin):
    """Hears a steady tone, and a click of 2 ms a known delay after each ``stimulus_onset``.

    Parameters
    ----------
    options : SimulatedMicrophoneOptions
    """

    Options: ClassVar[type[SourceOptions]] = SimulatedMicrophoneOptions
    summary: ClassVar[str] = "microphone that hears a tone and clicks at stimuli (Microphone)"

    def __init__(self, options: SimulatedMicrophoneOptions) -> None:
        super().__init__(options.name, options.markers_source_id)
        self._options = options
        self._sender = SoundSender(options)
        self._clicks: list[float] = []

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream."""
        return without_latency(sound_description(self._options, "simulated"))

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set."""
        self._make(stop, self._options.rate_hz, outlet)

    def _hear(self, cue: Cue, made_until_s: float) -> None:
        if cue.event == "stimulus_onset":
            at_s = cue.time_s + self._options.delay_s
            self.n_late += at_s < made_until_s
            self._clicks.append(max(at_s, made_until_s))

    def _send(self, times: npt.NDArray[np.float64], outlet: Outlet) -> None:
        options = self._options
        sound = 10 ** (options.tone_dbfs / 20) * np.sin(2 * np.pi * options.tone_hz * times)
        for at_s in self._clicks:
            sound[(times >= at_s) & (times < at_s + CLICK_S)] = 10 ** (options.click_dbfs / 20)
        self._clicks = [at_s for at_s in self._clicks if at_s + CLICK_S > times[-1]]
        channels = np.repeat(sound[:, None], options.channels, axis=1).astype(np.float32)
        self._sender.send(Block(channels, float(times[0]), overflow=False), outlet)
        self.n = self._sender.n


class SimulatedKeyboardOptions(SourceOptions):
    """Settings of the simulated keyboard.

    Attributes
    ----------
    name : str
        Name of the stream.
    key : str
        Which key is pressed.
    delay_s, hold_s : float
        From a ``stimulus_onset`` to the press, and from there to the release.
    every_s : float or None
        Also press it so often, without any marker.
    markers_source_id : str or None
        Listen to this Markers outlet only.
    """

    name: str = Field("Keyboard", min_length=1, description="name of the stream")
    key: str = Field("space", min_length=1, description="which key is pressed")
    delay_s: float = Field(0.4, ge=0.0, le=60.0, description="from the marker to the press, s")
    hold_s: float = Field(0.1, gt=0.0, le=10.0, description="how long the key is held, s")
    every_s: float | None = Field(None, ge=0.02, description="also press it so often, s")
    markers_source_id: str | None = Field(None, description=NO_MARKERS)


class SimulatedKeyboard(_Twin):
    """Presses a key a known delay after each ``stimulus_onset``.

    Parameters
    ----------
    options : SimulatedKeyboardOptions
    """

    Options: ClassVar[type[SourceOptions]] = SimulatedKeyboardOptions
    summary: ClassVar[str] = "keyboard that answers stimuli with a known delay (Keyboard)"

    def __init__(self, options: SimulatedKeyboardOptions) -> None:
        super().__init__(options.name, options.markers_source_id)
        self._options = options
        self._due: list[tuple[float, str]] = []
        self._next_s = math.inf

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream."""
        options = self._options
        info = press_description(options.source_id, options.name, "Keyboard", "simulated")
        return without_latency(info)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push presses until `stop` is set."""
        stamps = RisingStamps()
        now_s = pylsl.local_clock()
        outlet.push_chunk([encode_start("simulated")], stamps.of([now_s]))
        if self._options.every_s is not None:
            self._next_s = now_s + self._options.every_s
        while not stop.wait(CHUNK_S):
            now_s = pylsl.local_clock()
            self._plan(now_s)
            while self._due and self._due[0][0] <= now_s:
                at_s, state = heapq.heappop(self._due)
                outlet.push_chunk(
                    [encode_press("key", self._options.key, state)], stamps.of([at_s])
                )
                self.n += 1

    def _plan(self, now_s: float) -> None:
        for cue in self._listener.cues():
            if cue.event == "stimulus_onset":
                self._press_at(cue.time_s + self._options.delay_s)
        while self._options.every_s is not None and self._next_s <= now_s:
            self._press_at(self._next_s)
            self._next_s += self._options.every_s

    def _press_at(self, at_s: float) -> None:
        heapq.heappush(self._due, (at_s, "down"))
        heapq.heappush(self._due, (at_s + self._options.hold_s, "up"))
