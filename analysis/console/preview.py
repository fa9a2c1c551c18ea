"""The devices before a session: started for a look, watched, judged, and ended before the session starts."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pylsl

from duchenne.analysis.console.choices import protocol_path, session_of
from duchenne.analysis.console.network_tap import NetworkTap
from duchenne.analysis.console.observation import Observation
from duchenne.analysis.console.preflight import (
    Check,
    Measured,
    Wanted,
    disk_check,
    display_check,
    gate,
    stream_check,
)
from duchenne.recorder.session_devices import session_devices
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.analysis.console.children import Launcher, Started
    from duchenne.analysis.console.forms import SetupForm
    from duchenne.recorder.devices import Device
    from duchenne.recorder.session_request import SessionRequest

DISPLAY_RATE_BYTES = 5_000.0
"""What markers and shown frames add to a recording each second."""
USUAL_BYTES_PER_S = 1_000_000.0
"""Asked for where nothing has been measured yet."""
DISPLAY_TIMEOUT_S = 60.0
UNCHECKED = Check("stimuli", "Stimuli", "the files are being compared", "wait")


@dataclass
class Preview:
    """Devices that are looked at for one set-up form.

    Parameters
    ----------
    form : SetupForm
    study : Path
    launcher : Launcher
    runtime : Path
        Private folder for log files.
    """

    form: SetupForm
    study: Path
    launcher: Launcher
    runtime: Path
    state: str = "starting"
    text: str = ""
    request: SessionRequest | None = None
    observation: Observation | None = None
    _devices: list[Device] = field(default_factory=list)
    _started: dict[str, Started] = field(default_factory=dict)
    _tap: NetworkTap | None = None
    _begun_s: float = field(default_factory=time.monotonic)
    _bytes: int = 0
    _measured_since_s: float | None = None
    _stimuli: Check = field(default_factory=lambda: UNCHECKED)
    _display: dict[str, Any] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> None:
        """Start what takes long, each in a thread of its own."""
        for work in (self._start_devices, self._check_stimuli, self._probe_display):
            self._spawn(work)

    def refresh(self) -> None:
        """Check files and display once more."""
        self._stimuli = replace(
            self._stimuli, text="the files are being compared", own_level="wait"
        )
        self._display = {}
        for work in (self._check_stimuli, self._probe_display):
            self._spawn(work)

    def close(self) -> None:
        """End the devices and everything that looks at them; they are free when this returns."""
        self._over.set()
        self.state = "stopping"
        for thread in self._threads:
            thread.join()
        with self._lock:
            if self._tap is not None:
                self._tap.close()
            if self.observation is not None:
                self.observation.close()
        for started in self._started.values():
            started.ask_to_end()
        for started in self._started.values():
            started.end()
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.cleanup()

    def look(self) -> None:
        """Take in what the devices have sent since the last look."""
        with self._lock:
            tap, observation = self._tap, self.observation
            if tap is None or observation is None or self._over.is_set():
                return
            news, gone = tap.look()
            observation.meet(news.streams, pylsl.local_clock())
            for batch in news.batches:
                observation.take(batch)
                self._bytes += _size(batch.samples) + 8 * len(batch.stamps_s)
                if self._measured_since_s is None:
                    self._measured_since_s = time.monotonic()
            for key, time_s, offset_s in news.offsets:
                observation.add_offset(key, time_s, offset_s)
            for name in gone:
                observation.lost(name)
        self._judge_state()

    def live(self) -> dict[str, Any] | None:
        """Return the live values for pages."""
        with self._lock:
            if self.observation is None:
                return None
            return self.observation.live(pylsl.local_clock())

    def table(self) -> list[dict[str, Any]]:
        """Return the table of streams for pages."""
        with self._lock:
            return [] if self.observation is None else self.observation.table(pylsl.local_clock())

    def to_json(self) -> dict[str, Any]:
        """Return the devices for pages."""
        devices = [
            {
                "label": device.label,
                "stream": device.stream,
                "source": device.arguments[2] if len(device.arguments) > 2 else "network",
                **self._device_state(device),
            }
            for device in self._devices
        ]
        return {"state": self.state, "devices": devices, "text": self.text}

    def preflight(self) -> dict[str, Any]:
        """Return all checks for pages."""
        return {**gate(self.checks()), "updated_t_ms": time.time() * 1e3}

    def checks(self) -> list[Check]:
        """Return all checks as they are now."""
        if self.state == "failed":
            return [Check("devices", "Devices", self.text, "red"), self._stimuli]
        found = (
            [Check("devices", "Devices", "are being started", "wait")] if not self._devices else []
        )
        found += [self._stream_check(device) for device in self._devices if device.required]
        found.append(self._disk_check())
        found.append(self._stimuli)
        if self.request is not None:
            screen = self.request.protocol.screen.model_dump()
            found.append(display_check(self._display, screen, headless=self.form.headless))
        return found

    @property
    def bytes_per_s(self) -> float:
        """What the devices send, bytes per second; a usual value before it is known."""
        since_s = self._measured_since_s
        if since_s is None or time.monotonic() - since_s < 2.0:
            return USUAL_BYTES_PER_S
        return self._bytes / (time.monotonic() - since_s) + DISPLAY_RATE_BYTES

    def _spawn(self, work: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, name=f"console-{work.__name__.strip('_')}")
        thread.start()
        self._threads.append(thread)

    def _start_devices(self) -> None:
        token = uuid.uuid4().hex[:8]
        try:
            self.request = session_of(self.form, self.study)
            self._folder = tempfile.TemporaryDirectory(prefix="duchenne-preview-")
            apart = replace(self.request, study=Path(self._folder.name))  # truth files go there
            devices = session_devices(apart, token).all
            for device in devices:
                if device.arguments and not self._over.is_set():
                    log = self.runtime / f"preview-{token}-{len(self._started)}.log"
                    self._started[device.stream] = self.launcher.start(device.arguments, log)
        except DuchenneError as error:
            self.state, self.text = "failed", str(error)
            return
        self._devices = devices
        if self._over.is_set() or not devices:
            self.state = "on"
            return
        screen = self.request.protocol.screen
        with self._lock:
            self.observation = Observation(
                is_recorded=False,
                distance_mm=10 * screen.distance_cm,
                alignment=self.request.protocol.alignment,
                required=frozenset(device.stream for device in devices if device.required),
            )
            self._tap = NetworkTap(" or ".join(f"({device.predicate})" for device in devices))

    def _check_stimuli(self) -> None:
        try:
            request = session_of(self.form, self.study, verify=True)
        except DuchenneError as error:
            self._stimuli = Check("stimuli", "Stimuli", str(error), "red")
            return
        n = len({trial.stimulus_id for trial in request.schedule.trials})
        n_trials = len(request.schedule.trials)
        text = f"{_counted(n, 'file')} as in the manifest, {_counted(n_trials, 'trial')}"
        self._stimuli = Check("stimuli", "Stimuli", text)

    def _probe_display(self) -> None:
        if self.form.headless:
            return
        try:
            path = protocol_path(self.study, self.form.protocol)
        except DuchenneError as error:
            self._display = {"error": str(error), "fatal": True}
            return
        log = self.runtime / f"display-{uuid.uuid4().hex[:8]}.log"
        module = "duchenne.analysis.console.display_probe"
        started = self.launcher.run_module(module, [str(path)], log)
        deadline = time.monotonic() + DISPLAY_TIMEOUT_S
        while started.exit_code is None and time.monotonic() < deadline:
            if self._over.wait(0.1):
                break
        told: dict[str, Any] = {
            "error": f"the display could not be looked at: {started.last_words()}"
        }
        with contextlib.suppress(ValueError, IndexError):
            told = dict(json.loads(started.lines()[-1]))
        started.end()
        self._display = told

    def _stream_check(self, device: Device) -> Check:
        waited_s = time.monotonic() - self._begun_s
        started = self._started.get(device.stream)
        if started is not None and started.exit_code is not None:
            title = f"{device.label[:1].upper()}{device.label[1:]} ({device.stream})"
            return Check(f"stream:{device.stream}", title, started.last_words(), "red")
        wanted = Wanted(device.label, device.stream, waited_s, self._options(device))
        with self._lock:
            measured = self._measured(device)
        return stream_check(wanted, measured)

    def _options(self, device: Device) -> dict[str, str]:
        if device.label == "eye tracker":
            return dict(self.form.eyetracker_options)
        return dict(self.form.camera_options) if device.label == "camera" else {}

    def _measured(self, device: Device) -> Measured | None:
        observation = self.observation
        for seen in () if observation is None else observation.seen.values():
            if observation is not None and seen.info.name == device.stream and seen.stats.n:
                stats = seen.stats
                key = next(k for k, s in observation.seen.items() if s is seen)
                reading = observation.readings(pylsl.local_clock())[key]
                offset_ms = stats.offset_s * 1e3
                return Measured(
                    seen.info, reading, offset_ms, stats.offset_spread_ms, stats.n_offsets
                )
        return None

    def _disk_check(self) -> Check:
        import shutil  # noqa: PLC0415

        planned_s = 600.0 if self.request is None else self.request.schedule.planned_duration_s
        return disk_check(shutil.disk_usage(self.study).free, self.bytes_per_s, planned_s)

    def _device_state(self, device: Device) -> dict[str, str]:
        started = self._started.get(device.stream)
        if started is not None and started.exit_code is not None:
            return {"state": "failed", "text": started.last_words()}
        with self._lock:
            here = self._measured(device) is not None
        return {"state": "on" if here else "starting", "text": ""}

    def _judge_state(self) -> None:
        if self.state == "starting" and self._devices:
            states = [self._device_state(device)["state"] for device in self._devices]
            if all(state == "on" for state in states):
                self.state = "on"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _size(samples: Any) -> int:
    if samples is None:
        return 0
    if hasattr(samples, "nbytes"):
        return int(samples.nbytes)
    return sum(len(value) for row in samples for value in row)
