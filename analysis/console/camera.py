"""The camera's newest picture as JPEG, and whether the pictures change."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.console.stream_stats import ChangeWatch
from duchenne.recorder.video_packets import codec_of, make_decoder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.recorder.streams import StreamInfo
    from duchenne.recorder.video_packets import PacketDecoder

SEND_WIDTH_PX = 640
JPEG_QUALITY = 80
JPEG_START = b"\xff\xd8"


@dataclass
class CameraView:
    """The pictures of one video stream.

    Attributes
    ----------
    jpeg : bytes
        The newest picture; empty before the first.
    stamp_s : float
        When it was captured, on the sender's clock.
    number : int
        Grows with each picture.
    change : ChangeWatch
        Whether the pictures change.
    needs_all : bool
        The codec has a memory: every packet has to be seen.
    """

    info: StreamInfo
    jpeg: bytes = b""
    stamp_s: float = float("nan")
    number: int = 0
    change: ChangeWatch = field(default_factory=ChangeWatch)
    _decoder: PacketDecoder | None = None
    _sent: tuple[int, bytes, int, int] = (-1, b"", 0, 0)

    def __post_init__(self) -> None:
        try:
            codec = codec_of(self.info)
        except DuchenneError:
            codec = "MJPG"
        self.needs_all = codec != "MJPG"
        self._decoder = make_decoder(codec) if self.needs_all else None

    def see(
        self, packets: Sequence[Sequence[bytes]], stamps_s: Sequence[float], at_s: float
    ) -> None:
        """Take in packets as they are recorded (base64), the newest last."""
        raw = [row[0] for row in packets]
        if not raw:
            return
        self.change.see(zlib.crc32(raw[-1]).to_bytes(4, "big"), at_s)
        if self._decoder is None:
            picture = _bytes_of(raw[-1])
        else:
            images = [self._decoder.decode(_bytes_of(packet)) for packet in raw]
            picture = b"" if images[-1] is None else encoded(images[-1])
        if picture.startswith(JPEG_START):
            self.jpeg, self.stamp_s = picture, float(stamps_s[-1])
            self.number += 1

    def to_send(self) -> tuple[bytes, int, int]:
        """Return the newest picture, not wider than 640 pixels, with its width and height."""
        if self._sent[0] != self.number:
            self._sent = (self.number, *_made_small(self.jpeg))
        return self._sent[1:]


def _bytes_of(packet: bytes) -> bytes:
    try:
        return base64.b64decode(packet, validate=True)
    except (binascii.Error, ValueError):
        return bytes(packet)


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Return width and height from the header of a JPEG picture; 0, 0 where it has none.

    Examples
    --------
    >>> size_of(b"")
    (0, 0)
    """
    at = 2
    while at + 9 < len(jpeg) and jpeg[at] == 0xFF:
        kind, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in {0xC4, 0xC8, 0xCC}:
            height = int.from_bytes(jpeg[at + 5 : at + 7], "big")
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), height
        at += 2 + length
    return 0, 0


def _made_small(jpeg: bytes) -> tuple[bytes, int, int]:
    width, height = size_of(jpeg)
    if width <= SEND_WIDTH_PX:
        return jpeg, width, height
    import cv2  # noqa: PLC0415 -- heavy, and belongs to the extra [camera]

    way = cv2.IMREAD_REDUCED_COLOR_2 if width >= 2 * SEND_WIDTH_PX else cv2.IMREAD_COLOR
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), way)
    if image is None:
        return b"", 0, 0
    if image.shape[1] > SEND_WIDTH_PX:
        lines = round(image.shape[0] * SEND_WIDTH_PX / image.shape[1])
        image = cv2.resize(image, (SEND_WIDTH_PX, lines), interpolation=cv2.INTER_LINEAR)
    _, small = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return small.tobytes(), image.shape[1], image.shape[0]


def encoded(image: Any) -> bytes:
    """Return an RGB picture as JPEG."""
    import cv2  # noqa: PLC0415 -- heavy, and belongs to the extra [camera]

    bgr = cv2.cvtColor(np.asarray(image, np.uint8), cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return jpeg.tobytes()
