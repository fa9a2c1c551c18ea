"""Pictures into packets: JPEG, passed through where the picture is one already, or H.264."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import numpy.typing as npt

Codec = Literal["mjpg", "h264"]

JPEG_QUALITY = 90
"""Costs Action Units no more than a sensor's noise does (docs/decisions/0006-video-codec.md)."""
H264_CRF = 18
H264_OPTIONS = {"preset": "superfast", "tune": "zerolatency", "forced-idr": "1"}
HUFFMAN_TABLES, START_OF_SCAN = b"\xff\xc4", b"\xff\xda"


class Picture(Protocol):
    """A picture that is JPEG already, or can be had as pixels."""

    @property
    def jpeg(self) -> bytes | None:
        """The picture as JPEG, if that is what it is."""

    def bgr(self) -> npt.NDArray[np.uint8] | None:
        """Return it as (height, width, 3) uint8 BGR; None where it cannot be decoded."""


class Encoder(Protocol):
    """Turns each picture into one packet.

    Attributes
    ----------
    codec : str
        Four characters, for the stream's description.
    """

    codec: str

    def encode(self, picture: Picture) -> bytes:
        """Return the packet of a picture.

        Raises
        ------
        DuchenneError
            Where it cannot be encoded.
        """


def make_encoder(
    codec: Codec,
    *,
    width_px: int,
    height_px: int,
    rate_hz: float,
    quality: int = JPEG_QUALITY,
    keyframe_every: int = 1,
) -> Encoder:
    """Return an encoder.

    Parameters
    ----------
    codec : {"mjpg", "h264"}
    width_px, height_px, rate_hz
        Of the pictures to come; H.264 needs an even size.
    quality : int
        Of JPEG, 1 to 100.
    keyframe_every : int
        H.264 only: 1 makes every frame stand for itself.

    Raises
    ------
    DuchenneError
        Where this FFmpeg has no H.264 encoder, or the size is odd.
    """
    if codec == "h264":
        return H264Encoder(width_px, height_px, rate_hz, keyframe_every)
    return JpegEncoder(quality)


class JpegEncoder:
    """JPEG: pictures that are JPEG already are not touched, but for missing standard tables.

    Many cameras leave the Huffman tables out of their JPEG pictures; the standard ones are then
    put in, so that every program can decode them.

    Parameters
    ----------
    quality : int
    """

    codec = "MJPG"

    def __init__(self, quality: int = JPEG_QUALITY) -> None:
        self._quality = quality

    def encode(self, picture: Picture) -> bytes:
        """Return the packet of a picture."""
        if picture.jpeg is not None:
            return with_huffman_tables(picture.jpeg)
        pixels = picture.bgr()
        if pixels is None:
            raise DuchenneError("A picture without pixels cannot be encoded.")
        return encode_jpeg(pixels, self._quality)


class H264Encoder:
    """H.264 in Annex B form with the headers before every key frame; one packet for each picture.

    A picture that cannot be decoded becomes an empty packet.
    """

    codec = "H264"

    def __init__(self, width_px: int, height_px: int, rate_hz: float, keyframe_every: int) -> None:
        import av  # noqa: PLC0415 -- belongs to the extra [camera]

        if width_px % 2 or height_px % 2:
            raise DuchenneError(
                f"codec=h264 needs an even width and height, not {width_px}×{height_px}: use mjpg."
            )
        try:
            context: Any = av.CodecContext.create("libx264", "w")
        except (av.FFmpegError, ValueError):
            raise DuchenneError(
                "This build of PyAV has no H.264 encoder: use codec=mjpg."
            ) from None
        context.width, context.height, context.pix_fmt = width_px, height_px, "yuv420p"
        context.framerate = Fraction(rate_hz).limit_denominator(1001)
        context.time_base = 1 / context.framerate
        context.gop_size, context.max_b_frames, context.thread_count = keyframe_every, 0, 1
        context.options = {**H264_OPTIONS, "crf": str(H264_CRF)}
        self._context = context
        self._size = (height_px, width_px)
        self._n = 0

    def encode(self, picture: Picture) -> bytes:
        """Return the packet of a picture."""
        import av  # noqa: PLC0415 -- belongs to the extra [camera]
        import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

        pixels = picture.bgr()
        if pixels is None or pixels.shape[:2] != self._size:
            return b""
        # OpenCV's conversion rounds; FFmpeg's default one makes the picture darker by 2 of 255.
        planes = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, self._n = self._n, self._n + 1
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise DuchenneError("The H.264 encoder holds frames back: use codec=mjpg.")
        return bytes(packets[0])


def encode_jpeg(picture: npt.NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """Return a BGR picture as JPEG."""
    import cv2  # noqa: PLC0415 -- belongs to the extra [camera]

    ok, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise DuchenneError(f"OpenCV cannot encode a picture of shape {picture.shape} as JPEG.")
    data: bytes = encoded.tobytes()
    return data


def with_huffman_tables(jpeg: bytes) -> bytes:
    """Return a JPEG with the standard Huffman tables put in where it has none."""
    begin = jpeg.find(START_OF_SCAN)
    if begin < 0 or HUFFMAN_TABLES in jpeg[:begin]:
        return jpeg
    return jpeg[:begin] + standard_huffman_tables() + jpeg[begin:]


@lru_cache(maxsize=1)
def standard_huffman_tables() -> bytes:
    """Return the marker segments with the Huffman tables of the JPEG standard, annex K."""
    grey = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    found, position = b"", 2
    while grey[position : position + 2] != START_OF_SCAN:
        length = 2 + int.from_bytes(grey[position + 2 : position + 4], "big")
        if grey[position : position + 2] == HUFFMAN_TABLES:
            found += grey[position : position + length]
        position += length
    return found
