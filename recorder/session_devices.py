"""Which devices a session starts or finds, and the command line of each one's source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from duchenne.recorder.devices import (
    Device,
    check_settings,
    check_streams_differ,
    stream_of,
    tracker_on_network,
    words_of,
)
from duchenne.recorder.sources.registry import load_source
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.recorder.devices import ExtraSource
    from duchenne.recorder.session_request import SessionRequest

STOP_UNHEARD_S = 20.0
SIMULATED = "simulated"
NOT_STARTED = ("lsl", "none")
EYELINK = ("eyelink", ".eyelink.EyeTracker")
EYETRACKER_SET, CAMERA_SET = "--eyetracker-set", "--camera-set"


@dataclass(frozen=True)
class SessionDevices:
    """The devices of a session.

    Attributes
    ----------
    tracker : Device or None
    others : tuple of Device
        Camera and further sources.
    """

    tracker: Device | None
    others: tuple[Device, ...]

    @property
    def all(self) -> list[Device]:
        """Every device, the eye tracker first."""
        return [*([] if self.tracker is None else [self.tracker]), *self.others]


def session_devices(request: SessionRequest, token: str) -> SessionDevices:
    """Return the devices of a session; looks for the eye tracker where it is on the network already.

    Parameters
    ----------
    request : SessionRequest
    token : str
        Part of every source id, so that no other session's sources are taken for ours.

    Raises
    ------
    UsageError
        Unknown source or option, a value that does not fit, or two streams of one name.
    DuchenneError
        There is not exactly one eye tracker on the network.
    """
    check_choice(
        request.eyetracker, request.eyetracker_settings, request.camera, request.camera_settings
    )
    chosen = _Choice(request, token)
    others = [chosen.camera(), *(chosen.further(source) for source in request.sources)]
    kept = tuple(device for device in others if device is not None)
    check_streams_differ(kept)  # before the network is searched, which takes a moment
    found = SessionDevices(chosen.eyetracker(), kept)
    check_streams_differ(found.all)
    return found


def display_id(token: str) -> str:
    """Return what the source ids of the display's streams begin with."""
    return f"duchenne-display-{token}"


def check_choice(
    eyetracker: str,
    eyetracker_settings: Mapping[str, str],
    camera: str,
    camera_settings: Mapping[str, str],
) -> None:
    """Refuse devices and options that cannot be, before anything is opened or written.

    Raises
    ------
    UsageError
        Unknown source or option, a value that does not fit, or options of a device that is not started.
    """
    if eyetracker not in NOT_STARTED:
        check_settings(eyetracker, eyetracker_settings, EYETRACKER_SET)
    elif eyetracker_settings:
        raise UsageError(
            f"{EYETRACKER_SET} is for a source that the session starts: name it with --eyetracker "
            "(see: duchenne sources list), or give the option where the tracker is started."
        )
    if "device" in camera_settings:
        raise UsageError(f"{CAMERA_SET} device: give it as --camera {camera_settings['device']}.")
    if camera != "none":
        own = {} if camera == SIMULATED else {"device": camera}
        check_settings(_camera_source(camera), camera_settings, CAMERA_SET, own)
    elif camera_settings:
        raise UsageError(f"{CAMERA_SET} with --camera none: there is no camera to set.")


def _camera_source(camera: str) -> str:
    return "simulated-face" if camera == SIMULATED else "camera"


@dataclass(frozen=True)
class _Choice:
    """Turns what was asked for into devices."""

    request: SessionRequest
    token: str

    def eyetracker(self) -> Device | None:
        request = self.request
        choice, given = request.eyetracker, request.eyetracker_settings
        if choice in NOT_STARTED:
            return None if choice == "none" else tracker_on_network()
        own = self._simulated(choice) | self._known(choice) | self._native_file(choice, given)
        stream = stream_of(choice, given)
        device = self._device(stream or "Gaze", choice, "eye tracker", own | {**given})
        return replace(device, required=stream is not None)

    def camera(self) -> Device | None:
        choice, given = self.request.camera, self.request.camera_settings
        if choice == "none":
            return None
        source = _camera_source(choice)
        own = self._simulated(source) if choice == SIMULATED else {"device": choice}
        stream = stream_of(source, given) or "FaceVideo"
        return self._device(stream, source, "camera", own | {**given})

    def further(self, source: ExtraSource) -> Device:
        """Return a further source; what the simulated participant has to know is added."""
        options = load_source(source.name).Options.model_fields
        own = {k: v for k, v in self._simulated(source.name).items() if k in options}
        device = self._device(
            source.stream or source.name, source.name, source.name, own | {**source.settings}
        )
        return replace(device, required=source.stream is not None)

    def _device(self, stream: str, source: str, label: str, settings: Mapping[str, str]) -> Device:
        source_id = f"duchenne-{words_of(stream)}-{self.token}"
        arguments = ["sources", "start", source, "--source-id", source_id]
        arguments += ["--stop-unheard", str(STOP_UNHEARD_S)]
        for key, value in settings.items():
            arguments += ["--set", f"{key}={value}"]
        return Device(stream, f"starts-with(source_id,'{source_id}')", label, tuple(arguments))

    def _simulated(self, source: str) -> dict[str, str]:
        if not source.startswith(SIMULATED):
            return {}
        request = self.request
        path = request.protocol.source_path
        return {
            "protocol": str(path) if path else request.protocol.name,
            "seed": str(request.schedule.seed),
            "markers_source_id": f"{display_id(self.token)}-markers",
            "truth": str(request.name.truth_prefix(request.study)),
        }

    def _known(self, source: str) -> dict[str, str]:
        """Return what a tracker has to know that is calibrated by the display's markers, or hears them."""
        screen = self.request.protocol.screen
        known = {
            "markers_source_id": f"{display_id(self.token)}-markers",
            "screen_width_mm": f"{10 * screen.width_cm:g}",
            "screen_height_mm": f"{10 * screen.height_cm:g}",
        }
        options = load_source(source).Options.model_fields
        return {key: value for key, value in known.items() if key in options}

    def _native_file(self, source: str, given: Mapping[str, str]) -> dict[str, str]:
        """Keep the EyeLink's own file beside the session, and let it know the markers."""
        options = load_source(source).Options.model_fields
        if "edf" not in options or not given.get("tracker", "").endswith(EYELINK):
            return {}
        name, study = self.request.name, self.request.study
        return {
            "edf": str(name.source_folder(study) / f"{name.stem}_eyelink.edf"),
            "messages": "true",
        }
