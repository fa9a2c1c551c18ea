"""A simulated eye tracker: a Gaze stream whose every event is known, in answer to the markers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pylsl
from pydantic import Field

from duchenne.protocols.gaze_feed import CONTROL
from duchenne.recorder.sources.base import SourceOptions, opened
from duchenne.recorder.sources.gaze_plan import GazePlan
from duchenne.recorder.sources.gaze_signal import EyeTrackerSignal
from duchenne.recorder.sources.listener import MarkerListener, tell_connected
from duchenne.recorder.sources.participant import Participant
from duchenne.recorder.sources.pupil_response import PupilPlan
from duchenne.recorder.sources.simulated_calibration import SimulatedCalibration
from duchenne.recorder.sources.truth import GazeTruth, free_path
from duchenne.recorder.streams import declare_latency, gaze_description

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet

CHUNK_S = 0.01
LONGEST_CHUNK_S = 1.0


class SimulatedOptions(SourceOptions):
    """Settings that the simulated participant's eye tracker and camera share.

    Attributes
    ----------
    seed : int
        Same seed, same behaviour.
    protocol : str or None
        Library name or path: lets the participant know the stimuli.
    markers_source_id : str or None
        Listen to this Markers outlet only.
    truth : str or None
        Beginning of the name of the side file with the truth.
    """

    seed: int = Field(0, ge=0, description="same seed, same behaviour")
    protocol: str | None = Field(None, description="protocol whose stimuli the participant knows")
    markers_source_id: str | None = Field(None, description="listen to this Markers outlet only")
    truth: str | None = Field(None, description="beginning of the side file's name")


class EyeTrackerOptions(SimulatedOptions):
    """Settings of the simulated eye tracker.

    Attributes
    ----------
    name : str
        Name of the stream.
    rate_hz : float
        Sampling rate.
    noise_deg : float
        Standard deviation of the white noise in degrees; 0.03° are 0.06° RMS from sample to sample.
    oscillation : float
        Post-saccadic oscillation as a part of the amplitude.
    blinks : bool
    calibration_error_deg : float
        The gaze is reported so far above the true one until the tracker has been calibrated.
    display_width_mm, display_height_mm : float or None
        Size of the display area that it is set up for; None does not say.
    clock_drift_ppm : float
        Drift of the device's clock against LSL's.
    """

    name: str = Field("Gaze", min_length=1, description="name of the stream")
    rate_hz: float = Field(600.0, ge=30.0, le=2000.0, description="sampling rate, Hz")
    noise_deg: float = Field(0.03, ge=0.0, le=2.0, description="white noise per sample, degrees")
    oscillation: float = Field(0.0, ge=0.0, le=0.5, description="post-saccadic swing / amplitude")
    blinks: bool = Field(True, description="whether the participant blinks")
    calibration_error_deg: float = Field(
        0.0, ge=0.0, le=20.0, description="reported above the true gaze until calibrated, degrees"
    )
    display_width_mm: float | None = Field(None, gt=0, description="width it is set up for")
    display_height_mm: float | None = Field(None, gt=0, description="height it is set up for")
    clock_drift_ppm: float = Field(20.0, ge=-1e4, le=1e4, description="drift of the device's clock")


class SimulatedEyeTracker:
    """The simulated participant's eye tracker.

    Samples carry the time stamps of an exact clock and are pushed about every 10 ms; after a hiccup
    of the process the missed ones follow at once, so that none is lost.

    Parameters
    ----------
    options : EyeTrackerOptions
    """

    Options: ClassVar[type[SourceOptions]] = EyeTrackerOptions
    summary: ClassVar[str] = "simulated eye tracker that reacts to the markers (Gaze)"

    def __init__(self, options: EyeTrackerOptions) -> None:
        self._options = options
        self._listener = MarkerListener(options.markers_source_id, tell_connected)
        self._calibration = SimulatedCalibration(options.source_id)
        self._truth: GazeTruth | None = None
        self._participant: Participant | None = None
        self._plan: GazePlan | None = None
        self._signal: EyeTrackerSignal | None = None
        self._n = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return None: it works everywhere."""
        return None

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the Gaze stream."""
        options = self._options
        info = gaze_description(
            source_id=options.source_id,
            sampling_rate_hz=options.rate_hz,
            name=options.name,
            manufacturer="Duchenne",
            model="simulated",
        )
        declare_latency(info, 0.0)
        info.desc().append_child_value(CONTROL, "markers")
        if options.display_width_mm is not None and options.display_height_mm is not None:
            area = info.desc().append_child("display_area")
            area.append_child_value("width_mm", f"{options.display_width_mm:g}")
            area.append_child_value("height_mm", f"{options.display_height_mm:g}")
        return info

    @property
    def result(self) -> str:
        """Number of samples and the truth file, if any."""
        text = f"{self._n} samples of {self._options.name}"
        return text if self._truth is None else f"{text}; truth: {self._truth.path}"

    def __enter__(self) -> Self:
        options = self._options
        self._participant = Participant.for_protocol(options.protocol, options.seed)
        if options.truth is not None:
            self._truth = GazeTruth(free_path(Path(options.truth), "gaze.npz"), options.rate_hz)
        self._listener.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        self._calibration.close()
        signal = self._signal
        if self._truth is not None and self._plan is not None and signal is not None and self._n:
            last = self._n - 1
            end_s = signal.start_s + last / signal.rate_hz
            device_s = (signal.device_time_s(0), signal.device_time_s(last))
            self._truth.write(self._plan, signal.start_s, end_s, device_s)

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set."""
        participant = opened(self._participant)
        options, screen = self._options, participant.screen
        start_s = pylsl.local_clock()
        signal = self._signal = EyeTrackerSignal(
            start_s,
            options.rate_hz,
            seed=options.seed,
            noise_deg=options.noise_deg,
            oscillation=options.oscillation,
            clock_drift_ppm=options.clock_drift_ppm,
        )
        signal.error_deg = options.calibration_error_deg
        plan = self._plan = GazePlan(participant, start_s, blinking=options.blinks)
        pupil = PupilPlan(participant)
        most = math.ceil(LONGEST_CHUNK_S * options.rate_hz)
        while not stop.is_set():
            used_s = start_s + self._n / options.rate_hz
            for cue in self._listener.cues():
                screen = cue.screen or screen
                plan.hear(cue, used_s)
                pupil.hear(cue, used_s)
                self._calibration.hear(cue, screen, signal)
            elapsed_s = pylsl.local_clock() - start_s
            n = min(math.floor(elapsed_s * options.rate_hz) + 1 - self._n, most)
            if n > 0:
                plan.advance(start_s + (self._n + n) / options.rate_hz)
                chunk = signal.chunk(plan, pupil, screen, self._n, n)
                outlet.push_chunk(chunk.samples, chunk.times_s.tolist())
                self._calibration.see(chunk, screen)
                self._n += n
                if self._truth is not None:
                    self._truth.add(chunk)
            if n < most:
                stop.wait(CHUNK_S - elapsed_s % CHUNK_S)
