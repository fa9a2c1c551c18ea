"""Screen-based calibration of a Tobii tracker, without anything that draws.

Whoever shows the targets calls this between them; see docs/how-to/tobii.md for the sequence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.sources.tobii_device import (
    Calibration,
    calibration_data,
    display_plane,
    name_of,
    sdk_errors,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

TRIES = 2
USED = "validity_valid_and_used"


@dataclass(frozen=True)
class PointResult:
    """What the computation says of one calibration point.

    Attributes
    ----------
    target : tuple of float
        Normalized position on the display area, origin top left.
    left, right : tuple of float
        Mean gaze of the samples that were used; NaN where none was.
    n_left, n_right : int
        Number of samples used.
    error_left_mm, error_right_mm : float
        Distance of that mean from the target; NaN where there is none.
    """

    target: tuple[float, float]
    left: tuple[float, float]
    right: tuple[float, float]
    n_left: int
    n_right: int
    error_left_mm: float
    error_right_mm: float


@dataclass(frozen=True)
class CalibrationOutcome:
    """Result of a computation.

    Attributes
    ----------
    success : bool
        Whether both eyes are calibrated and the calibration is in use.
    points : tuple of PointResult
    calibration : Calibration
        The data in use afterwards.
    """

    success: bool
    points: tuple[PointResult, ...]
    calibration: Calibration


class TobiiCalibration:
    """A calibration in progress; the tracker is in calibration mode inside the ``with``.

    Parameters
    ----------
    sdk : module
        ``tobii_research``.
    tracker : tobii_research.EyeTracker

    Raises
    ------
    DuchenneError
        The tracker cannot be calibrated on a screen, or is being calibrated by another program.

    Examples
    --------
    >>> with TobiiCalibration(sdk, tracker) as calibration:  # doctest: +SKIP
    ...     for x, y in targets:
    ...         show(x, y)
    ...         calibration.collect(x, y)
    ...     outcome = calibration.compute()
    """

    def __init__(self, sdk: Any, tracker: Any) -> None:
        if sdk.CAPABILITY_CAN_DO_SCREEN_BASED_CALIBRATION not in tracker.device_capabilities:
            raise DuchenneError(f"{name_of(tracker)} cannot be calibrated on a screen.")
        self._sdk = sdk
        self._tracker = tracker
        self._calibration = sdk.ScreenBasedCalibration(tracker)

    def __enter__(self) -> Self:
        with sdk_errors(f"{name_of(self._tracker)}, calibration"):
            self._calibration.enter_calibration_mode()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with sdk_errors(f"{name_of(self._tracker)}, end of calibration"):
            self._calibration.leave_calibration_mode()

    def collect(self, x: float, y: float) -> bool:
        """Collect data while the participant looks at a target; blocks for about a second.

        Parameters
        ----------
        x, y : float
            Normalized position on the display area, origin top left.

        Returns
        -------
        bool
            Whether data were collected, at the second try at the latest.
        """
        wanted = self._sdk.CALIBRATION_STATUS_SUCCESS
        with sdk_errors(f"{name_of(self._tracker)}, calibration point ({x:g}, {y:g})"):
            return any(self._calibration.collect_data(x, y) == wanted for _ in range(TRIES))

    def discard(self, x: float, y: float) -> None:
        """Forget the data of one target, before it is collected again."""
        with sdk_errors(f"{name_of(self._tracker)}, calibration point ({x:g}, {y:g})"):
            self._calibration.discard_data(x, y)

    def compute(self) -> CalibrationOutcome:
        """Compute the calibration from what was collected; where that succeeds, it is in use at once."""
        with sdk_errors(f"{name_of(self._tracker)}, calibration"):
            result = self._calibration.compute_and_apply()
        size_mm = display_plane(self._tracker).size_mm
        return CalibrationOutcome(
            success=result.status == self._sdk.CALIBRATION_STATUS_SUCCESS,
            points=tuple(_point(point, size_mm) for point in result.calibration_points),
            calibration=Calibration().followed_by(calibration_data(self._tracker)),
        )

    def apply(self, calibration: Calibration) -> None:
        """Put an earlier calibration in use again."""
        with sdk_errors(f"{name_of(self._tracker)}, calibration {calibration.id}"):
            self._tracker.apply_calibration_data(calibration.data)


def _point(point: Any, size_mm: tuple[float, float]) -> PointResult:
    target = _xy(point.position_on_display_area)
    left, n_left = _mean([sample.left_eye for sample in point.calibration_samples])
    right, n_right = _mean([sample.right_eye for sample in point.calibration_samples])
    return PointResult(
        target=target,
        left=left,
        right=right,
        n_left=n_left,
        n_right=n_right,
        error_left_mm=_distance_mm(left, target, size_mm),
        error_right_mm=_distance_mm(right, target, size_mm),
    )


def _xy(position: Any) -> tuple[float, float]:
    return float(position[0]), float(position[1])


def _mean(eyes: list[Any]) -> tuple[tuple[float, float], int]:
    used = [eye.position_on_display_area for eye in eyes if eye.validity == USED]
    if not used:
        return (math.nan, math.nan), 0
    return _xy(np.mean(np.array(used, dtype=np.float64), axis=0)), len(used)


def _distance_mm(
    at: tuple[float, float], target: tuple[float, float], size_mm: tuple[float, float]
) -> float:
    return math.hypot((at[0] - target[0]) * size_mm[0], (at[1] - target[1]) * size_mm[1])
