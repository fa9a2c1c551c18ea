"""Pictures without what cameras and programs write into them: EXIF, XMP, IPTC, comments, thumbnails.

The pixels stay byte for byte; a picture that is to be turned stays so, and its colour profile is kept.
"""

from __future__ import annotations

import struct

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"})
"""Suffixes of pictures that can hold EXIF."""
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    {
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD",
        b"hIST", b"pHYs", b"cICP", b"acTL", b"fcTL", b"fdAT",
    }
)  # fmt: skip
_ORIENTATION = 0x0112


def without_metadata(content: bytes) -> bytes:
    """Return a JPEG, PNG or WebP picture without metadata.

    Raises
    ------
    ValueError
        It is none of these, or damaged.
    """
    if content.startswith(b"\xff\xd8"):
        return _jpeg(content)
    if content.startswith(_PNG):
        return _png(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    raise ValueError("it is no JPEG, PNG or WebP picture")


def _jpeg(content: bytes) -> bytes:
    kept = bytearray(b"\xff\xd8")
    place = 2
    while True:
        marker, start, place = _segment(content, place)
        if marker == _EOI:
            return bytes(kept + b"\xff\xd9")  # what follows may be a thumbnail
        segment = content[start:place]
        turned = _turned(segment) if marker == _APP1 else None
        if turned is not None:
            kept += turned
        elif _stays(marker, segment):
            kept += segment
        if marker == _SOS:
            end = _end_of_scan(content, place)
            kept += content[place:end]
            place = end


def _segment(content: bytes, place: int) -> tuple[int, int, int]:
    """Return a marker, where its segment starts, and where the next one does."""
    if place + 2 > len(content) or content[place] != 0xFF:
        raise ValueError("the JPEG is damaged")
    while place + 1 < len(content) and content[place + 1] == 0xFF:
        place += 1  # fill bytes
    marker = content[place + 1]
    if marker in {_SOI, _EOI} or 0xD0 <= marker <= 0xD7:
        return marker, place, place + 2
    if place + 4 > len(content):
        raise ValueError("the JPEG is damaged")
    (length,) = struct.unpack(">H", content[place + 2 : place + 4])
    end = place + 2 + length
    if length < 2 or end > len(content):
        raise ValueError("the JPEG is damaged")
    return marker, place, end


def _stays(marker: int, segment: bytes) -> bool:
    if marker == _APP2:
        return segment[4:16] == b"ICC_PROFILE\0"
    if _APP0 <= marker <= _APP15:
        is_plain = marker == _APP0 and segment[4:9] == b"JFIF\0"
        return is_plain or marker == _APP14
    return marker != _COM


def _end_of_scan(content: bytes, place: int) -> int:
    """Return where the marker after a scan begins."""
    while True:
        place = content.find(b"\xff", place)
        if place < 0 or place + 1 >= len(content):
            raise ValueError("the JPEG ends early")
        if content[place + 1] != 0 and not 0xD0 <= content[place + 1] <= 0xD7:
            return place
        place += 2


def _turned(segment: bytes) -> bytes | None:
    """Return an EXIF segment that says how the picture is turned and nothing else; None if it is not."""
    tiff = segment[10:]
    if segment[4:10] != b"Exif\0\0" or tiff[:2] not in {b"II", b"MM"}:
        return None
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (n_entries,) = struct.unpack_from(f"{order}H", tiff, first)
        for i in range(n_entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * i)
            if tag == _ORIENTATION and 2 <= value <= 8:
                entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, value, 0)
                body = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
                return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    except struct.error:
        return None
    return None


def _png(content: bytes) -> bytes:
    kept, place = bytearray(_PNG), len(_PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        name, end = content[place + 4 : place + 8], place + 12 + length
        if end > len(content):
            break
        if name in _PNG_KEPT:
            kept += content[place:end]
        if name == b"IEND":
            return bytes(kept)
        place = end
    raise ValueError("the PNG is damaged")


def _webp(content: bytes) -> bytes:
    kept, place = bytearray(), 12
    while place + 8 <= len(content):
        name = content[place : place + 4]
        (length,) = struct.unpack("<I", content[place + 4 : place + 8])
        end = place + 8 + length + length % 2
        if end > len(content):
            raise ValueError("the WebP is damaged")
        if name == b"VP8X" and length >= 1:
            flags = content[place + 8] & ~0b0000_1100  # EXIF and XMP
            kept += content[place : place + 8] + bytes([flags]) + content[place + 9 : end]
        elif name not in {b"EXIF", b"XMP "}:
            kept += content[place:end]
        place = end
    if not kept:
        raise ValueError("the WebP is damaged")
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + bytes(kept)
