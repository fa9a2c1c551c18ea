"""Finding and preparing a Tobii tracker: address, licence, rate, display area, calibration.

The SDK module is handed in, so that only :mod:`duchenne.recorder.sources.tobii` imports it.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.recorder.sources.tobii_gaze import Plane
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SEARCHES = 2
"""One search of the SDK takes about 2 s."""
SIZE_TOLERANCE = 0.02
"""Sides of the display area may differ from the declared screen by this part."""
RATE_TOLERANCE_HZ = 0.5

_SDK_ERRORS = {
    "EyeTrackerConnectionFailedError": "the connection failed; check cable, power and network",
    "EyeTrackerUnavailableError": "it is not available; check cable and power",
    "EyeTrackerLicenseError": "its licence does not allow this; give one with --set license_file=FILE",
    "EyeTrackerSavedLicenseFailedToApplyError": "the licence stored on it has expired or does not apply",
    "EyeTrackerFeatureNotSupportedError": "this model cannot do it",
    "EyeTrackerInvalidOperationError": "it is busy or not in the mode for this",
    "EyeTrackerOperationFailedError": "the operation failed; another program may be using it",
    "EyeTrackerDisplayAreaNotValidError": "its display area is not set; set it in Eye Tracker Manager",
    "EyeTrackerInternalError": "an internal error of the SDK",
    "EyeTrackerFeatureDeprecatedError": "this firmware no longer has the function",
    "ValueError": "it did not take the value",
}


@contextmanager
def sdk_errors(doing: str) -> Iterator[None]:
    """Turn the SDK's exceptions into one line that says what was tried and what to do.

    Raises
    ------
    DuchenneError
    """
    try:
        yield
    except Exception as error:
        kind = type(error).__name__
        if kind not in _SDK_ERRORS:
            raise
        raise DuchenneError(f"{doing}: {_SDK_ERRORS[kind]} ({error}).") from error


@dataclass(frozen=True)
class Calibration:
    """The calibration that a tracker uses.

    Attributes
    ----------
    data : bytes
        As the SDK gives it; empty where there is none or it cannot be read.
    number : int
        Counts the calibrations of one recording from 1; 0 where there is none.
    """

    data: bytes = b""
    number: int = 0

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of the data; empty without data."""
        return hashlib.sha256(self.data).hexdigest()[:12] if self.data else ""

    @property
    def base64(self) -> str:
        """The data as text."""
        return base64.b64encode(self.data).decode("ascii")

    def followed_by(self, data: bytes) -> Calibration:
        """Return the next calibration; the same one where the data have not changed."""
        return self if data == self.data else Calibration(data, self.number + 1)


def find_tracker(
    sdk: Any, *, address: str | None = None, serial: str | None = None, index: int | None = None
) -> Any:
    """Return the one tracker that is meant.

    Parameters
    ----------
    sdk : module
        ``tobii_research``.
    address : str, optional
        URI such as ``tobii-prp://TPSP1-010203040506``; without it the network is searched.
    serial : str, optional
    index : int, optional
        Among those found, sorted by serial number; 0 is the first.

    Raises
    ------
    DuchenneError
        None found, several found and none named, or the named one is not there.
    """
    if address is not None:
        with sdk_errors(f"Tobii eye tracker {address}"):
            return sdk.EyeTracker(address)
    found: list[Any] = []
    for _ in range(SEARCHES):
        with sdk_errors("Searching for Tobii eye trackers"):
            found = sorted(sdk.find_all_eyetrackers(), key=lambda tracker: tracker.serial_number)
        if any(serial in (None, tracker.serial_number) for tracker in found):
            break
    return _choose(found, serial, index)


def _choose(found: Sequence[Any], serial: str | None, index: int | None) -> Any:
    if not found:
        raise DuchenneError(
            "No Tobii eye tracker found: check its power and cable, or give its address "
            "(--set address=tobii-prp://..., as Tobii Eye Tracker Manager shows it)."
        )
    names = ", ".join(f"{tracker.model} {tracker.serial_number}" for tracker in found)
    if serial is not None:
        found = [tracker for tracker in found if tracker.serial_number == serial]
        if not found:
            raise DuchenneError(f"No Tobii eye tracker with serial={serial}; found {names}.")
    if index is not None:
        if index >= len(found):
            raise DuchenneError(f"No Tobii eye tracker with index={index}; found {names}.")
        return found[index]
    if len(found) > 1:
        raise DuchenneError(
            f"{len(found)} Tobii eye trackers found ({names}): say which one with --set serial=..."
        )
    return found[0]


def name_of(tracker: Any) -> str:
    """Return model and serial number for messages."""
    maker = "" if str(tracker.model).startswith("Tobii") else "Tobii "
    return f"{maker}{tracker.model} {tracker.serial_number}"


def apply_license(tracker: Any, file: Path) -> None:
    """Give the tracker a licence file.

    Raises
    ------
    DuchenneError
        The file cannot be read or the tracker refuses it, with the SDK's reason.
    """
    try:
        key = file.read_bytes()
    except OSError as error:
        raise DuchenneError(f"Licence file {file}: {error.strerror or error}.") from error
    with sdk_errors(f"{name_of(tracker)}, licence {file.name}"):
        failed = tracker.apply_licenses([key])
    if failed:
        reason = str(failed[0].validation_result).removeprefix("license_").replace("_", " ")
        raise DuchenneError(
            f"{name_of(tracker)} refuses the licence {file.name}: {reason}; ask Tobii for one for this "
            "serial number."
        )


def set_rate(tracker: Any, rate_hz: float | None) -> float:
    """Set the sampling rate, or keep the present one; return what the tracker then says.

    Raises
    ------
    DuchenneError
        The tracker does not offer the rate, or did not take it.
    """
    doing = f"{name_of(tracker)}, sampling rate"
    if rate_hz is not None:
        with sdk_errors(doing):
            offered = sorted(float(rate) for rate in tracker.get_all_gaze_output_frequencies())
        nearest = min(offered, key=lambda rate: abs(rate - rate_hz), default=None)
        if nearest is None or abs(nearest - rate_hz) > RATE_TOLERANCE_HZ:
            choice = ", ".join(f"{rate:g}" for rate in offered) or "no rate"
            raise DuchenneError(
                f"{name_of(tracker)} cannot do {rate_hz:g} Hz: it offers {choice} Hz."
            )
        with sdk_errors(doing):
            tracker.set_gaze_output_frequency(nearest)
    with sdk_errors(doing):
        given = float(tracker.get_gaze_output_frequency())
    if rate_hz is not None and abs(given - rate_hz) > RATE_TOLERANCE_HZ:
        raise DuchenneError(
            f"{name_of(tracker)} was told to sample at {rate_hz:g} Hz and still does {given:g} Hz."
        )
    return given


def display_plane(tracker: Any) -> Plane:
    """Return the display area that the tracker is set up for.

    Raises
    ------
    DuchenneError
        It has none.
    """
    with sdk_errors(f"{name_of(tracker)}, display area"):
        area = tracker.get_display_area()
    return Plane(tuple(area.top_left), tuple(area.top_right), tuple(area.bottom_left))


def check_screen(
    tracker: Any, plane: Plane, width_mm: float | None, height_mm: float | None
) -> None:
    """Refuse a display area that is not the screen's: gaze would be wrong by the difference.

    Raises
    ------
    DuchenneError
        A side differs by more than 2 %.
    """
    measured = plane.size_mm
    for is_mm, declared_mm in zip(measured, (width_mm, height_mm), strict=True):
        if declared_mm is not None and abs(is_mm - declared_mm) > SIZE_TOLERANCE * declared_mm:
            wanted = " x ".join(
                "?" if side is None else f"{side:g}" for side in (width_mm, height_mm)
            )
            raise DuchenneError(
                f"{name_of(tracker)} is set up for a display area of {measured[0]:.0f} x "
                f"{measured[1]:.0f} mm, the screen was declared as {wanted} mm: set it up in Tobii Eye "
                "Tracker Manager, then calibrate."
            )


def apply_calibration_file(tracker: Any, file: Path) -> None:
    """Give the tracker a calibration that was saved before.

    Raises
    ------
    DuchenneError
        The file cannot be read, or the tracker does not take it.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DuchenneError(f"Calibration file {file}: {error.strerror or error}.") from error
    with sdk_errors(f"{name_of(tracker)}, calibration {file.name}"):
        tracker.apply_calibration_data(data)


def calibration_data(tracker: Any) -> bytes:
    """Return the calibration in use; empty where there is none or the model keeps it to itself."""
    try:
        with sdk_errors("calibration"):
            data = tracker.retrieve_calibration_data()
    except DuchenneError:
        return b""
    return bytes(data) if data else b""
