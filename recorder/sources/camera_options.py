"""Settings of the camera source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from duchenne.recorder.sources.base import SourceOptions
from duchenne.recorder.sources.camera_encode import JPEG_QUALITY
from duchenne.recorder.sources.camera_grabber import Controls, Wanted


class CameraOptions(SourceOptions):
    """Settings of a camera, a film or a folder of pictures; each is described in its field."""

    name: str = Field("FaceVideo", min_length=1, description="name of the stream")
    label: str = Field("", description="what the camera looks at, for several cameras")
    device: str = Field(
        "0", min_length=1, description="camera number, /dev path, video file or picture folder"
    )
    width_px: int | None = Field(None, ge=16, le=8192, description="width to ask of a camera")
    height_px: int | None = Field(None, ge=16, le=8192, description="height to ask of a camera")
    rate_hz: float | None = Field(
        None, gt=0, le=1000, description="frame rate to ask of a camera, or to play a folder at"
    )
    exact: bool = Field(True, description="refuse a camera that gives other than asked")
    pixel_format: str = Field(
        "auto", pattern="^(auto|[A-Z0-9]{4})$", description="auto, MJPG, YUYV or another of it"
    )
    backend: Literal["auto", "v4l2", "opencv"] = Field(
        "auto", description="auto takes v4l2 on Linux and opencv elsewhere"
    )
    exposure_ms: float | None = Field(None, gt=0, le=10000, description="fixed exposure")
    gain: int | None = Field(None, description="fixed gain, in the camera's units")
    white_balance_k: int | None = Field(
        None, ge=1000, le=20000, description="fixed colour temperature"
    )
    lock: bool = Field(
        True, description="hold exposure, gain, white balance and focus after settle_s"
    )
    settle_s: float = Field(2.0, ge=0, le=60, description="time for the camera to adjust itself")
    power_line_hz: Literal[0, 50, 60] | None = Field(
        None, description="mains frequency, against flicker of lamps; 0 is off"
    )
    constant_rate: bool = Field(
        True, description="forbid the camera to halve its rate in low light (Linux)"
    )
    codec: Literal["mjpg", "h264"] = Field("mjpg", description="mjpg or h264")
    quality: int = Field(
        JPEG_QUALITY, ge=1, le=100, description="of JPEG, where pictures are encoded here"
    )
    keyframe_every: int = Field(
        1, ge=1, le=300, description="with h264: frames from one key frame to the next"
    )
    device_latency_s: float | None = Field(
        None, ge=0, le=2, description="light to time stamp, as measured or declared"
    )
    loop: bool = Field(True, description="begin a film or folder again at its end")
    letterbox: bool = Field(False, description="fit pictures of other sizes into the first's")

    @model_validator(mode="before")
    @classmethod
    def _power_line_as_text(cls, values: object) -> object:
        """Command lines bring text, which a choice between numbers does not take."""
        if isinstance(values, dict) and str(values.get("power_line_hz", "")).isdigit():
            return {**values, "power_line_hz": int(values["power_line_hz"])}
        return values

    @property
    def wanted(self) -> Wanted:
        """What to ask of a camera."""
        return Wanted(self.width_px, self.height_px, self.rate_hz, self.pixel_format)

    @property
    def controls(self) -> Controls:
        """How to set its sensor."""
        return Controls(
            self.exposure_ms,
            self.gain,
            self.white_balance_k,
            self.power_line_hz,
            self.constant_rate,
        )
