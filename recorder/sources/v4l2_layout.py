"""The part of Linux's video API (V4L2) that a camera needs: structures, request numbers, constants.

Sizes and numbers are those of ``linux/videodev2.h`` on 64-bit machines; the names follow it.
"""

from __future__ import annotations

import ctypes as c
from typing import Any, ClassVar

_WRITE, _READ = 1, 2


def _request(direction: int, number: int, argument: type[Any]) -> int:
    return direction << 30 | c.sizeof(argument) << 16 | ord("V") << 8 | number


class Capability(c.Structure):
    """``v4l2_capability``."""

    _fields_: ClassVar = [
        ("driver", c.c_char * 16),
        ("card", c.c_char * 32),
        ("bus_info", c.c_char * 32),
        ("version", c.c_uint32),
        ("capabilities", c.c_uint32),
        ("device_caps", c.c_uint32),
        ("reserved", c.c_uint32 * 3),
    ]


class FormatDescription(c.Structure):
    """``v4l2_fmtdesc``."""

    _fields_: ClassVar = [
        ("index", c.c_uint32),
        ("type", c.c_uint32),
        ("flags", c.c_uint32),
        ("description", c.c_char * 32),
        ("pixelformat", c.c_uint32),
        ("mbus_code", c.c_uint32),
        ("reserved", c.c_uint32 * 3),
    ]


class Format(c.Structure):
    """``v4l2_format`` with a ``v4l2_pix_format`` inside."""

    _fields_: ClassVar = [
        ("type", c.c_uint32),
        ("padding", c.c_uint32),
        ("width", c.c_uint32),
        ("height", c.c_uint32),
        ("pixelformat", c.c_uint32),
        ("field", c.c_uint32),
        ("bytesperline", c.c_uint32),
        ("sizeimage", c.c_uint32),
        ("colorspace", c.c_uint32),
        ("rest", c.c_uint8 * 172),
    ]


class Fraction(c.Structure):
    """``v4l2_fract``."""

    _fields_: ClassVar = [("numerator", c.c_uint32), ("denominator", c.c_uint32)]


class StreamParameters(c.Structure):
    """``v4l2_streamparm`` with a ``v4l2_captureparm`` inside."""

    _fields_: ClassVar = [
        ("type", c.c_uint32),
        ("capability", c.c_uint32),
        ("capturemode", c.c_uint32),
        ("timeperframe", Fraction),
        ("rest", c.c_uint8 * 184),
    ]


class BufferRequest(c.Structure):
    """``v4l2_requestbuffers``."""

    _fields_: ClassVar = [
        ("count", c.c_uint32),
        ("type", c.c_uint32),
        ("memory", c.c_uint32),
        ("capabilities", c.c_uint32),
        ("flags", c.c_uint32),
    ]


class Buffer(c.Structure):
    """``v4l2_buffer``; the kernel's time stamp is ``sec`` and ``usec``."""

    _fields_: ClassVar = [
        ("index", c.c_uint32),
        ("type", c.c_uint32),
        ("bytesused", c.c_uint32),
        ("flags", c.c_uint32),
        ("field", c.c_uint32),
        ("sec", c.c_int64),
        ("usec", c.c_int64),
        ("timecode", c.c_uint32 * 4),
        ("sequence", c.c_uint32),
        ("memory", c.c_uint32),
        ("offset", c.c_uint64),
        ("length", c.c_uint32),
        ("reserved2", c.c_uint32),
        ("request_fd", c.c_int32),
    ]


class BufferType(c.Structure):
    """The integer that starts and stops a stream."""

    _fields_: ClassVar = [("type", c.c_int32)]


class FrameSize(c.Structure):
    """``v4l2_frmsizeenum``: discrete sizes use `width` and `height`; others all six."""

    _fields_: ClassVar = [
        ("index", c.c_uint32),
        ("pixel_format", c.c_uint32),
        ("type", c.c_uint32),
        ("width", c.c_uint32),
        ("height", c.c_uint32),
        ("rest", c.c_uint32 * 6),
    ]


class FrameInterval(c.Structure):
    """``v4l2_frmivalenum``: discrete intervals use `interval`; others begin with the shortest."""

    _fields_: ClassVar = [
        ("index", c.c_uint32),
        ("pixel_format", c.c_uint32),
        ("width", c.c_uint32),
        ("height", c.c_uint32),
        ("type", c.c_uint32),
        ("interval", Fraction),
        ("rest", c.c_uint32 * 6),
    ]


class ControlQuery(c.Structure):
    """``v4l2_queryctrl``."""

    _fields_: ClassVar = [
        ("id", c.c_uint32),
        ("type", c.c_uint32),
        ("name", c.c_char * 32),
        ("minimum", c.c_int32),
        ("maximum", c.c_int32),
        ("step", c.c_int32),
        ("default_value", c.c_int32),
        ("flags", c.c_uint32),
        ("reserved", c.c_uint32 * 2),
    ]


class Control(c.Structure):
    """``v4l2_control``."""

    _fields_: ClassVar = [("id", c.c_uint32), ("value", c.c_int32)]


QUERYCAP = _request(_READ, 0, Capability)
ENUM_FMT = _request(_READ | _WRITE, 2, FormatDescription)
S_FMT = _request(_READ | _WRITE, 5, Format)
REQBUFS = _request(_READ | _WRITE, 8, BufferRequest)
QUERYBUF = _request(_READ | _WRITE, 9, Buffer)
QBUF = _request(_READ | _WRITE, 15, Buffer)
DQBUF = _request(_READ | _WRITE, 17, Buffer)
STREAMON = _request(_WRITE, 18, BufferType)
STREAMOFF = _request(_WRITE, 19, BufferType)
S_PARM = _request(_READ | _WRITE, 22, StreamParameters)
G_CTRL = _request(_READ | _WRITE, 27, Control)
S_CTRL = _request(_READ | _WRITE, 28, Control)
QUERYCTRL = _request(_READ | _WRITE, 36, ControlQuery)
ENUM_FRAMESIZES = _request(_READ | _WRITE, 74, FrameSize)
ENUM_FRAMEINTERVALS = _request(_READ | _WRITE, 75, FrameInterval)

VIDEO_CAPTURE = 1
MEMORY_MMAP = 1
FIELD_ANY = 0
DISCRETE = 1

CAP_VIDEO_CAPTURE = 0x1
CAP_STREAMING = 0x0400_0000
CAP_DEVICE_CAPS = 0x8000_0000

FLAG_ERROR = 0x40
FLAG_TIMESTAMP_MASK = 0xE000
FLAG_TIMESTAMP_MONOTONIC = 0x2000
FLAG_SOURCE_MASK = 0x70000
FLAG_SOURCE_START_OF_EXPOSURE = 0x10000

CONTROL_DISABLED = 0x1

CID_AUTO_WHITE_BALANCE = 0x0098_090C
CID_AUTOGAIN = 0x0098_0912
CID_GAIN = 0x0098_0913
CID_POWER_LINE_FREQUENCY = 0x0098_0918
CID_WHITE_BALANCE_TEMPERATURE = 0x0098_091A
CID_EXPOSURE_AUTO = 0x009A_0901
CID_EXPOSURE_ABSOLUTE = 0x009A_0902
CID_EXPOSURE_AUTO_PRIORITY = 0x009A_0903
CID_FOCUS_ABSOLUTE = 0x009A_090A
CID_FOCUS_AUTO = 0x009A_090C

EXPOSURE_MANUAL = 1
EXPOSURE_UNIT_S = 100e-6


def fourcc(text: str) -> int:
    """Return the number of a four-character pixel format.

    Examples
    --------
    >>> hex(fourcc("MJPG"))
    '0x47504a4d'
    """
    return int.from_bytes(text.encode("ascii"), "little")


def fourcc_text(number: int) -> str:
    """Return a pixel format's four characters."""
    return number.to_bytes(4, "little").decode("ascii", "replace")
