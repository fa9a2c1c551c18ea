"""Encrypt the face videos of session files at rest, and decrypt them again.

The new file is written beside the old one, read back and compared with it, and only then takes its name:
whatever interrupts that, one whole file is there.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from duchenne.analysis.privacy.identity import ATTRIBUTE as IDENTITY
from duchenne.analysis.privacy.identity import session_digest
from duchenne.recorder.recording import Recording
from duchenne.recorder.sample_writers import CRC_ATTRIBUTE, crc_of
from duchenne.recorder.sealed_image import SealedImage
from duchenne.recorder.video_encryption import (
    ATTRIBUTE,
    DATASET,
    ChunkCipher,
    EncryptedPackets,
    Header,
    encrypted_chunks,
    is_encrypted,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.recorder.keyring import Key, KeyRing

    Progress = Callable[[int, int], object]
    Payload = tuple[str, Iterator[bytes], dict[str, Any]]

PACKETS = "packets"
SUFFIX = ".encrypting"
BLOCK_BYTES = 1 << 22
HDF5_CHUNK = 1 << 20


@dataclass(frozen=True)
class Changed:
    """What was done with one session file: how many videos were changed, and how many bytes they have."""

    path: Path
    n_videos: int
    n_bytes: int


def encrypt_file(path: Path, key: Key, progress: Progress | None = None) -> Changed:
    """Encrypt the videos of a session file; those that are encrypted already stay.

    Parameters
    ----------
    path : Path
        A sealed session file.
    key : Key
    progress : callable, optional
        Called with bytes done and bytes in all.

    Raises
    ------
    DuchenneError
        It is no session file, cannot be written, or did not come out right; it is then as it was.
    """

    def payload(node: h5py.Group) -> Payload | None:
        if PACKETS not in node:
            return None
        clear = node[PACKETS]
        header = Header.new(key, str(node.attrs["uid"]), len(clear), crc_of(clear))
        parts = encrypted_chunks(_blocks(clear), ChunkCipher(key, header))
        return DATASET, parts, {ATTRIBUTE: header.to_json()}

    def verify(old: h5py.Group, new: h5py.Group) -> bool:
        return _crc(_clear_blocks(new, key)) == crc_of(old[PACKETS])

    return _rewrite(path, payload, verify, progress)


def decrypt_file(path: Path, ring: KeyRing, progress: Progress | None = None) -> Changed:
    """Decrypt the videos of a session file; those that are not encrypted stay.

    Raises
    ------
    DuchenneError
        As `encrypt_file`, or the key is not in the key file.
    """

    def key_of(node: h5py.Group) -> Key:
        header = Header.of(node)
        key = ring.by_id(header.key_id)
        if key is None:
            raise DuchenneError(
                f"{path}: the key {header.key_id} is not in {ring.path}: it is in another key file, or "
                "was destroyed."
            )
        return key

    def payload(node: h5py.Group) -> Payload | None:
        if not is_encrypted(node):
            return None
        return PACKETS, _clear_blocks(node, key_of(node)), {}

    def verify(old: h5py.Group, new: h5py.Group) -> bool:
        return crc_of(new[PACKETS]) == Header.of(old).crc32

    return _rewrite(path, payload, verify, progress)


def _rewrite(
    path: Path,
    payload: Callable[[h5py.Group], Payload | None],
    verify: Callable[[h5py.Group, h5py.Group], bool],
    progress: Progress | None,
) -> Changed:
    with Recording.open(path):
        pass  # a session, and whole
    path = path.resolve()
    aside = path.with_name(path.name + SUFFIX)
    try:
        aside.unlink(missing_ok=True)
        digest = session_digest(path)
        with h5py.File(path, "r") as source:
            changed = {key: payload(node) for key, node in source["streams"].items()}
            videos = {key: found for key, found in changed.items() if found is not None}
            if not videos:
                return Changed(path, 0, 0)
            n_bytes = _write(source, aside, videos, digest, progress)
            _verify(source, aside, set(videos), verify)
        aside.chmod(path.stat().st_mode & 0o777)
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise DuchenneError(
            f"{path} could not be rewritten ({error.strerror or error}); it is as it was."
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return Changed(path, len(videos), n_bytes)


def _write(
    source: h5py.File,
    aside: Path,
    videos: dict[str, Payload],
    digest: str,
    progress: Progress | None,
) -> int:
    """Copy a session file with other packets; an error of the disk ends it without disturbing HDF5."""
    image = SealedImage(aside)
    total = sum(_n_bytes(source["streams"][key]) for key in videos)
    done = 0
    try:
        with h5py.File(image, "w", libver=("earliest", "v110")) as target:
            _copy_attrs(source, target)
            target.attrs[IDENTITY] = digest
            for name, item in source.items():
                if name != "streams":
                    source.copy(item, target, name)
            group = target.create_group("streams")
            _copy_attrs(source["streams"], group)
            for key, node in source["streams"].items():
                if key not in videos:
                    source.copy(node, group, key)
                    continue
                copied = group.create_group(key)
                _copy_attrs(node, copied)
                for name, item in node.items():
                    if name not in {PACKETS, DATASET}:
                        source.copy(item, copied, name)
                name, parts, attrs = videos[key]
                for n in _write_payload(copied, name, parts, attrs):
                    done += n
                    image.check()
                    if progress is not None:
                        progress(done, total)
    finally:
        image.close()
    return done


def _write_payload(
    node: h5py.Group, name: str, parts: Iterator[bytes], attrs: dict[str, Any]
) -> Iterator[int]:
    data = node.create_dataset(
        name, shape=(0,), maxshape=(None,), chunks=(HDF5_CHUNK,), dtype=np.uint8, fletcher32=True
    )
    checksum = 0
    for part in parts:
        start = data.shape[0]
        data.resize(start + len(part), axis=0)
        data[start:] = np.frombuffer(part, np.uint8)
        checksum = zlib.crc32(part, checksum)
        yield len(part)
    data.attrs[CRC_ATTRIBUTE] = np.uint32(checksum)
    for key, value in attrs.items():
        data.attrs[key] = value


def _verify(
    source: h5py.File,
    aside: Path,
    videos: set[str],
    verify: Callable[[h5py.Group, h5py.Group], bool],
) -> None:
    """Compare what was written with what it was made from."""
    with h5py.File(aside, "r") as target:
        wrong = next(_differences(source, target), None)
        for key in videos:
            if not verify(source["streams"][key], target["streams"][key]):
                wrong = f"the video {key}"
    if wrong is not None:
        raise DuchenneError(
            f"{source.filename}: {wrong} did not come out the same; the file is as it was."
        )


def _differences(source: h5py.Group, target: h5py.Group) -> Iterator[str]:
    """Yield everything but packets in which two groups differ, in words."""
    if _attrs(source) != _attrs(target):
        yield f"the attributes of {source.name}"
    for name, item in source.items():
        if name in {PACKETS, DATASET}:
            continue
        other = target.get(name)
        if isinstance(item, h5py.Group):
            if not isinstance(other, h5py.Group):
                yield item.name
            else:
                yield from _differences(item, other)
        elif not isinstance(other, h5py.Dataset) or not _same(item, other):
            yield item.name


def _same(one: h5py.Dataset, other: h5py.Dataset) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype or _attrs(one) != _attrs(other):
        return False
    if one.shape == ():
        return bool(one[()] == other[()])
    return crc_of(one) == crc_of(other)


def _attrs(node: h5py.Group | h5py.Dataset) -> dict[str, str]:
    return {key: repr(value) for key, value in node.attrs.items() if key != IDENTITY}


def _copy_attrs(source: h5py.Group, target: h5py.Group) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value


def _n_bytes(node: h5py.Group) -> int:
    return len(node[DATASET if is_encrypted(node) else PACKETS])


def _blocks(data: h5py.Dataset) -> Iterator[bytes]:
    for first in range(0, data.shape[0], BLOCK_BYTES):
        yield data[first : first + BLOCK_BYTES].tobytes()


def _clear_blocks(node: h5py.Group, key: Key) -> Iterator[bytes]:
    packets = EncryptedPackets(node, key)
    for first in range(0, packets.header.n_bytes, BLOCK_BYTES):
        yield packets.read(first, first + BLOCK_BYTES)


def _crc(parts: Iterator[bytes]) -> int:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
