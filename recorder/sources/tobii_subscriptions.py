"""What is heard from a Tobii tracker: each kind of message, put into one queue.

The SDK calls back from threads of its own while it holds locks; nothing here waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.recorder.sources.notices import notice
from duchenne.recorder.sources.tobii_device import name_of, sdk_errors
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Mapping

    Inbox = queue.SimpleQueue[tuple[str, Mapping[str, Any]]]

NOTIFICATIONS: Mapping[str, str] = {
    "connection_lost": "",
    "connection_restored": "",
    "calibration_changed": "",
    "calibration_mode_entered": "calibration begins",
    "calibration_mode_left": "calibration is over",
    "display_area_changed": "its display area was changed: the distances and the calibration no longer hold",
    "gaze_output_frequency_changed": "its sampling rate was changed: the declared one no longer holds",
    "eye_tracking_mode_changed": "its eye tracking mode was changed",
    "device_faults": "reports faults",
    "device_warnings": "gives warnings",
    "stream_buffer_overflow": "the SDK's buffer ran over: samples are lost",
}
"""Notifications that are listened to, and what the operator is told; empty where that depends."""


class Subscriptions:
    """The subscriptions of one run.

    Parameters
    ----------
    sdk : module
        ``tobii_research``.
    tracker : tobii_research.EyeTracker
    inbox : queue.SimpleQueue
        Gets pairs of the kind (``gaze openness position sync signal stream_error``, or a key of
        `NOTIFICATIONS`) and the SDK's dictionary.
    """

    def __init__(self, sdk: Any, tracker: Any, inbox: Inbox) -> None:
        self._sdk = sdk
        self._tracker = tracker
        self._inbox = inbox
        self._open: list[tuple[str, Callable[..., None]]] = []

    def open(self) -> bool:
        """Subscribe to all that the tracker has; return whether eye openness is among it.

        Raises
        ------
        DuchenneError
            The tracker does not give gaze data, e.g. for want of a licence.
        """
        sdk, capabilities = self._sdk, self._tracker.device_capabilities
        self._try(sdk.EYETRACKER_STREAM_ERRORS, "stream_error")
        for kind in NOTIFICATIONS:
            self._try(f"eyetracker_notification_{kind}", kind)
        with sdk_errors(f"{name_of(self._tracker)}, gaze data"):
            self._listen(sdk.EYETRACKER_GAZE_DATA, "gaze")
        has_openness = sdk.CAPABILITY_HAS_EYE_OPENNESS_DATA in capabilities and self._try(
            sdk.EYETRACKER_EYE_OPENNESS_DATA, "openness"
        )
        self._try(sdk.EYETRACKER_USER_POSITION_GUIDE, "position")
        self._try(sdk.EYETRACKER_TIME_SYNCHRONIZATION_DATA, "sync")
        if sdk.CAPABILITY_HAS_EXTERNAL_SIGNAL in capabilities:
            self._try(sdk.EYETRACKER_EXTERNAL_SIGNAL, "signal")
        return bool(has_openness)

    def close(self) -> None:
        """End all subscriptions; a tracker that has gone is left as it is."""
        for kind, callback in self._open:
            try:
                with sdk_errors(f"leaving {name_of(self._tracker)}"):
                    self._tracker.unsubscribe_from(kind, callback)
            except DuchenneError as error:
                notice(str(error))
                break
        self._open.clear()

    def _listen(self, kind: str, what: str) -> None:
        def receive(data: Mapping[str, Any]) -> None:
            self._inbox.put((what, data))

        self._tracker.subscribe_to(kind, receive, as_dictionary=True)
        self._open.append((kind, receive))

    def _try(self, kind: str, what: str) -> bool:
        try:
            with sdk_errors(f"{name_of(self._tracker)} without {what}"):
                self._listen(kind, what)
        except DuchenneError as error:
            notice(str(error))
            return False
        return True
