"""Everything of a session file that XDF has no place for, carried in a string stream of its own.

The stream ``DuchenneSession`` holds an HDF5 file: the session file without the samples. Its first string is
a JSON object that says what is there, for people and programs that want the protocol, the schedule or the
answers; then come the bytes of the file, packed with zlib, in pieces of base64; the last string is a JSON
object with the digests of all streams.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from duchenne.recorder.streams import StreamInfo
from duchenne.recorder.xdf_chunks import Block
from duchenne.recorder.xdf_payload import PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

NAME = "DuchenneSession"
FORMAT = "duchenne-session-image"
VERSION = 1
LEFT_OUT = "left_out"
"""Group of an image that keeps the attributes of the datasets which are not in it."""
PIECE_BYTES = 192 << 10
COPY_BYTES = 1 << 20
LIBVER = ("earliest", "v110")
"""HDF5 versions of session files."""


@dataclass(frozen=True)
class SessionImage:
    """A session file without its samples, taken out of an XDF file.

    Attributes
    ----------
    path : Path
        Of the HDF5 file.
    streams : dict of int to str
        Group name of each XDF stream.
    digests : dict of str to str
        Of the streams, by group name; empty where the XDF file breaks off.
    """

    path: Path
    streams: dict[int, str]
    digests: dict[str, str]


def image_info(source_id: str) -> StreamInfo:
    """Describe the stream that carries the session."""
    return StreamInfo(NAME, NAME, source_id, channel_format="string")


def write_image(session: h5py.File, path: Path) -> None:
    """Copy a session file without the samples of its streams."""
    with h5py.File(path, "w", libver=LIBVER) as image:
        _copy_attributes(session, image)
        for name, item in session.items():
            if name != "streams":
                session.copy(item, image, name)
        streams = image.create_group("streams")
        _copy_attributes(session["streams"], streams)
        left_out = image.create_group(LEFT_OUT)
        for key, node in session["streams"].items():
            copy = streams.create_group(key)
            _copy_attributes(node, copy)
            for name, item in node.items():
                if name in PAYLOAD:
                    _copy_attributes(item, left_out.create_group(f"{key}/{name}"))
                else:
                    session.copy(item, copy, name)


def restore_attributes(image: h5py.File) -> None:
    """Give the datasets that were left out of an image, and are back, their attributes again."""
    for key, group in image[LEFT_OUT].items():
        for name, kept in group.items():
            if name in image["streams"][key]:
                _copy_attributes(kept, image["streams"][key][name])
    del image[LEFT_OUT]


def _copy_attributes(source: h5py.Group, target: h5py.Group) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value


def image_blocks(
    image: Path, facts: Mapping[str, Any], streams: Mapping[int, str], stamp_s: float
) -> Iterator[Block]:
    """Yield the first string and the pieces of an image; all have the same stamp.

    Parameters
    ----------
    image : Path
        HDF5 file; packed beside it.
    facts : mapping
        JSON-compatible, for the first string.
    streams : mapping of int to str
        Group name of each XDF stream.
    stamp_s : float
    """
    packed, whole = image.with_suffix(".packed"), hashlib.sha256()
    packer = zlib.compressobj(6)
    with image.open("rb") as file, packed.open("wb") as out:
        while data := file.read(COPY_BYTES):
            whole.update(data)
            out.write(packer.compress(data))
        out.write(packer.flush())
    head = {
        "format": FORMAT,
        "version": VERSION,
        "pieces": -(-packed.stat().st_size // PIECE_BYTES),
        "packing": "HDF5 file, zlib, base64",
        "sha256": whole.hexdigest(),
        "streams": {str(number): key for number, key in streams.items()},
        **facts,
    }
    yield one_text(json.dumps(head).encode(), stamp_s)
    with packed.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            yield one_text(base64.b64encode(data), stamp_s)
    packed.unlink()


def end_block(digests: Mapping[str, str], stamp_s: float) -> Block:
    """Return the last string of the stream."""
    return one_text(json.dumps({"format": FORMAT, "digests": dict(digests)}).encode(), stamp_s)


def one_text(text: bytes, stamp_s: float) -> Block:
    """Return a block of one string."""
    return Block(np.array([stamp_s]), [[text]])


def read_image(texts: Iterable[bytes], path: Path) -> SessionImage | None:
    """Unpack an image into a file.

    Parameters
    ----------
    texts : iterable of bytes
        All strings of the stream.
    path : Path
        Of the HDF5 file to write.

    Returns
    -------
    SessionImage or None
        None where the strings are no whole image.
    """
    strings = iter(texts)
    head = _json(next(strings, b""))
    if head.get("format") != FORMAT or head.get("version") != VERSION:
        return None
    whole, unpacker = hashlib.sha256(), zlib.decompressobj()
    try:
        with path.open("wb") as out:
            for _ in range(int(head["pieces"])):
                piece = next(strings, None)
                if piece is None:
                    return (
                        None  # fewer than it says: the number was changed, or the file breaks off
                    )
                data = unpacker.decompress(base64.b64decode(piece, validate=True))
                whole.update(data)
                out.write(data)
        streams = {int(number): str(key) for number, key in head["streams"].items()}
    except (ValueError, KeyError, AttributeError, zlib.error):
        return None
    if whole.hexdigest() != head.get("sha256"):
        return None
    digests = _json(next(strings, b"")).get("digests", {})
    return SessionImage(path, streams, dict(digests) if isinstance(digests, dict) else {})


def _json(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
