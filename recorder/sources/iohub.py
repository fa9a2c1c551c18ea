"""Eye trackers that PsychoPy's ioHub knows (EyeLink, Gazepoint, Pupil Core, the mouse), on LSL.

PsychoPy is imported inside functions only: see docs/decisions/0005-iohub-adapter.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import yaml
from pydantic import Field

from duchenne.protocols.displays.environment import psychopy_environment
from duchenne.protocols.displays.virtual import has_display
from duchenne.recorder.sources.base import SourceOptions, opened
from duchenne.recorder.sources.iohub_samples import Layout, layout_of, message_text, samples_of
from duchenne.recorder.sources.listener import MarkerListener, tell_connected
from duchenne.recorder.sources.notices import notice
from duchenne.recorder.sources.paired_clocks import ClockMap, read_pair
from duchenne.recorder.streams import gaze_description
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    import pylsl
    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet

POLL_S = 0.01
CLOCK_INTERVAL_S = 1.0
SMALLEST_STEP_S = 1e-6
FIRST_SAMPLE_S = 10.0
SILENCE_S = 5.0
DEVICE_NAME = "tracker"
TRACKERS: Mapping[str, tuple[str, str]] = {
    "eyelink": ("eyetracker.hw.sr_research.eyelink.EyeTracker", "psychopy-eyetracker-sr-research"),
    "gazepoint": ("eyetracker.hw.gazepoint.gp3.EyeTracker", "psychopy-eyetracker-gazepoint"),
    "pupil-core": (
        "eyetracker.hw.pupil_labs.pupil_core.EyeTracker",
        "psychopy-eyetracker-pupil-labs",
    ),
    "mouse": ("eyetracker.hw.mouse.EyeTracker", ""),
}
"""Short names: ioHub's class, and the package that brings it (none: PsychoPy itself)."""


class IoHubOptions(SourceOptions):
    """Settings of an ioHub tracker.

    Attributes
    ----------
    name : str
        Name of the stream.
    tracker : str
        A name of `TRACKERS`, or ioHub's path of a tracker class.
    config : Path, optional
        YAML with the tracker's settings, as ioHub's own configuration files have them.
    rate_hz : float, optional
        Sampling rate to ask for; the configuration's, or ioHub's default, otherwise.
    screen : int
        Which screen the gaze is on.
    edf : Path, optional
        Where the EyeLink's own file goes at the end.
    messages : bool
        Whether markers are sent to the tracker as messages.
    markers_source_id : str, optional
        Send the markers of this outlet only.
    """

    name: str = Field("Gaze", min_length=1, description="name of the stream")
    tracker: str = Field("mouse", min_length=1, description="eyelink, gazepoint, pupil-core, mouse")
    config: Path | None = Field(None, description="ioHub settings of the tracker, YAML")
    rate_hz: float | None = Field(None, gt=0, le=5000, description="sampling rate to ask for, Hz")
    screen: int = Field(0, ge=0, description="number of the screen, 0 is the first")
    edf: Path | None = Field(None, description="keep the EyeLink's own file here")
    messages: bool = Field(False, description="send markers to the tracker as messages")
    markers_source_id: str | None = Field(None, description="send this Markers outlet's only")


class IoHub:
    """A tracker driven by ioHub, in a process that ioHub starts beside this one.

    Parameters
    ----------
    options : IoHubOptions
    """

    Options: ClassVar[type[SourceOptions]] = IoHubOptions
    summary: ClassVar[str] = "EyeLink, Gazepoint, Pupil Core or the mouse through ioHub (Gaze)"

    def __init__(self, options: IoHubOptions) -> None:
        self._options = options
        self._stack = ExitStack()
        self._hub: Any = None
        self._tracker: Any = None
        self._info: pylsl.StreamInfo | None = None
        self._layout: Layout | None = None
        self._clock: ClockMap | None = None
        self._listener: MarkerListener | None = None
        self._host_file = ""
        self._edf: Path | None = None
        self._last_stamp_s = float("-inf")
        self._n = 0
        self._n_messages = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing for it."""
        missing = find_spec("psychopy") is None
        return "needs: pip install 'duchenne[lab]'" if missing else None

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the Gaze stream; known once the tracker delivers."""
        return opened(self._info)

    @property
    def result(self) -> str:
        """Number of samples, of messages, and the EyeLink's file if there is one."""
        text = f"{self._n} samples of {self._options.name} from {self._options.tracker}"
        if self._options.messages:
            text += f", {self._n_messages} messages sent"
        edf = self._edf
        return text if edf is None else f"{text}; {edf if edf.exists() else f'no {edf}'}"

    def __enter__(self) -> Self:
        options = self._options
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The ioHub source {reason}.")
        if not has_display():
            raise DuchenneError("The ioHub source needs a screen, and DISPLAY is not set.")
        path = class_path(options.tracker)
        settings = self._settings(path)
        if options.edf is not None:
            self._edf = free_name(options.edf)
        with ExitStack() as stack:
            stack.enter_context(psychopy_environment())
            self._launch(stack, path, settings)
            self._open_stream(settings)
            if options.messages:
                self._listener = MarkerListener(options.markers_source_id, tell_connected)
                self._listener.open()
                stack.callback(self._listener.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        edf = self._edf
        if edf is None:
            return
        received = edf.parent / f"{self._host_file}.EDF"
        if received.exists():
            received.rename(edf)
        else:
            notice(f"{self._options.name}: the EyeLink's file {received.name} did not come")

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set.

        Raises
        ------
        DuchenneError
            The tracker stops delivering.
        """
        layout = opened(self._layout)
        seen_s = time.monotonic()
        next_clock_s = seen_s + CLOCK_INTERVAL_S
        while not stop.is_set():
            samples = self._samples()
            now_s = time.monotonic()
            if samples:
                seen_s = now_s
                rows = np.array([layout.row(sample) for sample in samples], dtype=np.float64)
                outlet.push_chunk(rows, [self._stamp_s(sample["time"]) for sample in samples])
                self._n += len(samples)
            elif now_s - seen_s > SILENCE_S:
                raise DuchenneError(
                    f"The tracker {self._options.tracker} gives no samples any more after {self._n}; "
                    "check its connection."
                )
            if now_s >= next_clock_s:
                next_clock_s = now_s + CLOCK_INTERVAL_S
                self._follow_clock()
            self._forward_markers()
            stop.wait(POLL_S)

    def _settings(self, path: str) -> dict[str, Any]:
        """Return the tracker's settings: ours on top of those of the configuration file."""
        options = self._options
        settings = {} if options.config is None else read_config(options.config, path)
        settings["name"] = DEVICE_NAME
        runtime = settings["runtime_settings"] = dict(settings.get("runtime_settings") or {})
        if options.rate_hz is not None:
            runtime["sampling_rate"] = int(options.rate_hz)
        if options.tracker == "mouse":
            settings.setdefault("controls", {"move": ["CONTINUOUS"], "blink": ["RIGHT_BUTTON"]})
            runtime.setdefault("sampling_rate", 100)
        if options.edf is not None:
            if not keeps_edf(path):
                raise UsageError(f"edf= needs tracker=eyelink, not {options.tracker}.")
            self._host_file = f"d{uuid.uuid4().hex[:6]}"
            settings["default_native_data_file_name"] = self._host_file
        return settings

    def _launch(self, stack: ExitStack, path: str, settings: Mapping[str, Any]) -> None:
        from psychopy.iohub import launchHubServer  # noqa: PLC0415 -- belongs to the extra [lab]

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="duchenne-iohub-")))
        edf = self._edf
        display = {"reporting_unit_type": "pix", "device_number": self._options.screen}
        file = folder / "iohub_config.yaml"
        devices = [{"Display": display}, {path: dict(settings)}]
        file.write_text(yaml.safe_dump({"monitor_devices": devices}), encoding="utf-8")
        try:
            # ioHub keeps files where the program that it believes to run for lies.
            with program_in(folder if edf is None else edf.absolute().parent):
                self._hub = launchHubServer(iohub_config_name=str(file))
        except Exception as error:
            raise DuchenneError(f"ioHub did not start: {error}") from error
        stack.callback(self._hub.quit)
        self._tracker = getattr(self._hub.devices, DEVICE_NAME, None)
        if self._tracker is None:
            raise DuchenneError(
                f"ioHub could not open the tracker {self._options.tracker}: check that it is on and "
                "connected, and its settings (--set config=FILE)."
            )
        self._tracker.setRecordingState(True)
        stack.callback(self._tracker.setRecordingState, False)

    def _open_stream(self, settings: Mapping[str, Any]) -> None:
        options = self._options
        self._clock = ClockMap(read_pair(_hub_time_s()))
        deadline = time.monotonic() + FIRST_SAMPLE_S
        first: list[Mapping[str, Any]] = []
        while not first and time.monotonic() < deadline:
            time.sleep(POLL_S)
            first = self._samples()
        if not first:
            raise DuchenneError(
                f"The tracker {options.tracker} gave no sample within {FIRST_SAMPLE_S:g} s: check that "
                "it is on, connected and set up (--set config=FILE)."
            )
        width, height = self._hub.devices.display.getPixelResolution()
        self._layout = layout_of(first, (int(width), int(height)))
        runtime = (self._tracker.getConfiguration() or settings).get("runtime_settings") or {}
        self._info = gaze_description(
            source_id=options.source_id,
            sampling_rate_hz=float(options.rate_hz or runtime.get("sampling_rate") or 0.0),
            name=options.name,
            manufacturer="ioHub",
            model=options.tracker,
            channels=self._layout.channels,
        )
        clocks = self._info.desc().append_child("clock")
        clocks.append_child_value("stamps", "iohub")
        clocks.append_child_value("uncertainty_s", f"{self._clock.uncertainty_s:.9f}")

    def _samples(self) -> list[Mapping[str, Any]]:
        return samples_of(self._tracker.getEvents(asType="dict") or ())

    def _stamp_s(self, iohub_time_s: float) -> float:
        stamp_s = max(
            opened(self._clock).to_lsl_s(float(iohub_time_s)), self._last_stamp_s + SMALLEST_STEP_S
        )
        self._last_stamp_s = stamp_s
        return stamp_s

    def _follow_clock(self) -> None:
        if self._clock is None:
            return
        jump_s = self._clock.update(read_pair(_hub_time_s()))
        if jump_s:
            notice(f"{self._options.name}: ioHub's clock jumped by {jump_s:+.6f} s")

    def _forward_markers(self) -> None:
        for cue in () if self._listener is None else self._listener.cues():
            fields = {
                "event": cue.event,
                "presentation": cue.presentation_id,
                "stimulus": cue.stimulus,
            }
            self._tracker.sendMessage(message_text(fields, cue.time_s))
            self._n_messages += 1


def _hub_time_s() -> Any:
    from psychopy.iohub.devices import Computer  # noqa: PLC0415 -- belongs to the extra [lab]

    return Computer.getTime


def free_name(file: Path) -> Path:
    """Return a path where nothing lies yet: the given one, or ``NAME-2``, ``NAME-3``, … of it.

    A source that is started once more in a session must not fail because of its first file.
    """
    candidates = (file.with_stem(f"{file.stem}-{number}") for number in count(2))
    return file if not file.exists() else next(path for path in candidates if not path.exists())


def keeps_edf(path: str) -> bool:
    """Say whether a tracker keeps a file of its own that ioHub can fetch."""
    return path == TRACKERS["eyelink"][0]


def class_path(tracker: str) -> str:
    """Return ioHub's class of a tracker.

    Raises
    ------
    UsageError
        Unknown name.
    DuchenneError
        The package that brings it is not installed.
    """
    if tracker.startswith("eyetracker."):
        return tracker
    if tracker not in TRACKERS:
        raise UsageError(
            f"Source 'iohub' knows no tracker '{tracker}'{did_you_mean(tracker, TRACKERS, most=20)}"
        )
    path, package = TRACKERS[tracker]
    if package and find_spec(package.replace("-", "_")) is None:
        raise DuchenneError(f"tracker={tracker} needs: pip install {package}")
    return path


def read_config(file: Path, path: str) -> dict[str, Any]:
    """Return the settings of a tracker from an ioHub configuration file.

    Both forms are read: ``monitor_devices`` with a list of devices, or a mapping from classes to
    settings.

    Raises
    ------
    DuchenneError
        The file cannot be read or does not name the tracker.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = str(error).splitlines()[0]
        raise DuchenneError(f"ioHub settings {file}: {said}") from error
    devices = content.get("monitor_devices", content) if isinstance(content, dict) else content
    for device in devices if isinstance(devices, list) else [devices]:
        if isinstance(device, dict) and isinstance(device.get(path), dict):
            return dict(device[path])
    raise DuchenneError(f"ioHub settings {file}: nothing there for {path}.")


@contextmanager
def program_in(folder: Path) -> Iterator[None]:
    """Let the running program seem to lie in a folder."""
    before = sys.argv
    sys.argv = [str(folder / "program.py")]
    try:
        yield
    finally:
        sys.argv = before
