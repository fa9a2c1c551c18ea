"""Recorded video packets: which codec they are in, which are key frames, and their pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

VideoCodec = Literal["MJPG", "H264"]
_IDR_OR_SLICE = re.compile(rb"\x00\x00\x01([\x01\x05\x21\x25\x41\x45\x61\x65])")
_KEY_SLICE = 5


class PacketDecoder(Protocol):
    """Decodes the packets of one stream in their order."""

    def decode(self, packet: bytes) -> npt.NDArray[np.uint8] | None:
        """Return the picture, (height, width, 3) uint8 RGB, upright; None where it is damaged."""


def codec_of(info: StreamInfo) -> VideoCodec:
    """Return the codec a video stream declares under ``encoding/codec``; MJPG where it does not.

    Raises
    ------
    DuchenneError
        For a codec that we cannot read.
    """
    told = (info.described("encoding/codec") or "").upper()
    if told in {"", "MJPG", "MJPEG", "JPEG"}:
        return "MJPG"
    if told in {"H264", "AVC1"}:
        return "H264"
    raise DuchenneError(f"stream {info.name} holds {told} video: only MJPG and H264 can be read.")


def is_key_frame(packet: bytes, codec: VideoCodec) -> bool:
    """Return whether a packet can be decoded without the ones before it."""
    if codec == "MJPG":
        return True
    slice_header = _IDR_OR_SLICE.search(packet)
    return slice_header is not None and slice_header[1][0] & 31 == _KEY_SLICE


def make_decoder(codec: VideoCodec) -> PacketDecoder:
    """Return a decoder for the packets of one stream."""
    return _H264Decoder() if codec == "H264" else _JpegDecoder()


class _JpegDecoder:
    def decode(self, packet: bytes) -> npt.NDArray[np.uint8] | None:
        import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

        if not packet:
            return None
        try:
            picture = cv2.imdecode(np.frombuffer(packet, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            return None
        if picture is None:
            return None
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


class _H264Decoder:
    """After a packet that cannot be decoded nothing is believed until the next key frame."""

    def __init__(self) -> None:
        self._context = self._new_context()
        self._whole = False

    @staticmethod
    def _new_context() -> Any:
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        context: Any = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        context.options = {"flags": "low_delay"}
        return context

    def decode(self, packet: bytes) -> npt.NDArray[np.uint8] | None:
        import av  # noqa: PLC0415 -- belongs to the extra [camera]
        import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

        if is_key_frame(packet, "H264"):
            if not self._whole:
                self._context = self._new_context()
            self._whole = True
        if not packet or not self._whole:
            self._whole = False
            return None
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError:
            frames = []
        if len(frames) != 1 or frames[0].is_corrupt:
            self._whole = False
            return None
        # OpenCV's conversion rounds; FFmpeg's default one makes the picture darker by 2 of 255.
        planes = frames[0].to_ndarray(format="yuv420p")
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420), np.uint8)
