"""Encrypted video packets of a session file (docs/session-format.md).

A stream whose video is encrypted holds ``packets_encrypted`` instead of ``packets``: the bytes that
``packets`` would hold, in chunks of 1 MiB, each encrypted with AES-256-GCM and followed by its tag of 16
bytes. The key of a stream is derived (HKDF, SHA-256) from the participant's key and a salt of its own, so
that the number of the chunk may serve as the nonce. Number, total size and stream are authenticated with
each chunk: none can be changed, exchanged or left out unseen. The sizes of the frames (``packet_offsets``)
stay readable.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from duchenne.recorder.keyring import VARIABLE, KeyRing
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import h5py

    from duchenne.recorder.keyring import Key

DATASET = "packets_encrypted"
ATTRIBUTE = "encryption"
CIPHER = "AES-256-GCM"
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
CACHED_CHUNKS = 4


class MissingKeyError(DuchenneError):
    """A video is encrypted, and its key is not at hand."""


@dataclass(frozen=True)
class Header:
    """What is needed besides the key.

    Attributes
    ----------
    key_id : str
        Which key.
    uid : str
        Of the stream.
    n_bytes : int
        Of the packets in clear.
    salt : bytes
    crc32 : int
        Of the packets in clear.
    chunk_bytes : int
    """

    key_id: str
    uid: str
    n_bytes: int
    salt: bytes
    crc32: int
    chunk_bytes: int = CHUNK_BYTES

    @classmethod
    def new(cls, key: Key, uid: str, n_bytes: int, crc32: int) -> Header:
        """Return the header of a stream that is to be encrypted."""
        return cls(key.id, uid, n_bytes, os.urandom(32), crc32)

    @classmethod
    def of(cls, node: h5py.Group) -> Header:
        """Read the header of a stream's group.

        Raises
        ------
        DuchenneError
            If it is damaged, or of a newer kind.
        """
        try:
            return cls._from_json(json.loads(node[DATASET].attrs[ATTRIBUTE]))
        except (KeyError, TypeError, ValueError) as error:
            raise DuchenneError(
                f"{node.file.filename}: the encryption of {node.name} cannot be read ({error})."
            ) from error

    @classmethod
    def _from_json(cls, told: Mapping[str, Any]) -> Header:
        if told["cipher"] != CIPHER:
            raise ValueError(f"cipher {told['cipher']}")
        return cls(
            told["key_id"],
            told["uid"],
            int(told["n_bytes"]),
            base64.b64decode(told["salt"]),
            int(told["crc32"]),
            int(told["chunk_bytes"]),
        )

    def to_json(self) -> str:
        """Return the attribute of the dataset."""
        return json.dumps(
            {
                "cipher": CIPHER,
                "kdf": "HKDF-SHA256",
                "key_id": self.key_id,
                "uid": self.uid,
                "n_bytes": self.n_bytes,
                "salt": base64.b64encode(self.salt).decode(),
                "crc32": self.crc32,
                "chunk_bytes": self.chunk_bytes,
            }
        )

    @property
    def n_chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.n_bytes // self.chunk_bytes)


class ChunkCipher:
    """Encrypts and decrypts the chunks of one stream.

    Parameters
    ----------
    key : Key
    header : Header
    """

    def __init__(self, key: Key, header: Header) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- [study]
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        kdf = HKDF(SHA256(), length=32, salt=header.salt, info=b"duchenne face video 1")
        self._cipher = AESGCM(kdf.derive(key.secret))
        self._header = header

    def encrypt(self, index: int, clear: bytes) -> bytes:
        """Return a chunk with its tag."""
        return self._cipher.encrypt(_nonce(index), clear, self._about(index))

    def decrypt(self, index: int, data: bytes) -> bytes:
        """Return a chunk in clear.

        Raises
        ------
        ValueError
            If it was changed, or belongs elsewhere.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- extra [study]

        try:
            return self._cipher.decrypt(_nonce(index), data, self._about(index))
        except InvalidTag:
            raise ValueError(f"chunk {index} was changed, or the key is another one") from None

    def _about(self, index: int) -> bytes:
        return f"{self._header.uid} {self._header.n_bytes} {index}".encode()


def encrypted_chunks(parts: Iterable[bytes], cipher: ChunkCipher) -> Iterator[bytes]:
    """Yield chunks of 1 MiB, encrypted, of bytes that come in parts of any size."""
    rest, index = b"", 0
    for part in parts:
        rest += part
        while len(rest) >= CHUNK_BYTES:
            yield cipher.encrypt(index, rest[:CHUNK_BYTES])
            rest, index = rest[CHUNK_BYTES:], index + 1
    if rest:
        yield cipher.encrypt(index, rest)


class EncryptedPackets:
    """The packets of an encrypted stream, as if they were not.

    Parameters
    ----------
    node : h5py.Group
        Of the stream.
    key : Key
    """

    def __init__(self, node: h5py.Group, key: Key) -> None:
        self._data = node[DATASET]
        self._name = f"{node.file.filename}: {node.name}/{DATASET}"
        self.header = Header.of(node)
        self._cipher = ChunkCipher(key, self.header)
        self._chunk = lru_cache(CACHED_CHUNKS)(self._read_chunk)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes of the packets in clear.

        Raises
        ------
        DuchenneError
            If they are damaged or were changed.
        """
        size = self.header.chunk_bytes
        stop = min(stop, self.header.n_bytes)
        if stop <= start:
            return b""
        chunks = [self._chunk(index) for index in range(start // size, (stop - 1) // size + 1)]
        first = start // size * size
        return b"".join(chunks)[start - first : stop - first]

    def _read_chunk(self, index: int) -> bytes:
        size = self.header.chunk_bytes + TAG_BYTES
        try:
            data = self._data[index * size : (index + 1) * size].tobytes()
            return self._cipher.decrypt(index, data)
        except (OSError, RuntimeError, ValueError) as error:
            raise DuchenneError(f"{self._name} cannot be decrypted: {error}.") from error


def is_encrypted(node: h5py.Group) -> bool:
    """Whether the video of a stream's group is encrypted."""
    return DATASET in node


def encrypted_packets(node: h5py.Group) -> EncryptedPackets:
    """Open the encrypted packets of a stream with the key file that ``DUCHENNE_KEY`` names.

    Raises
    ------
    MissingKeyError
        No key file is named, or it does not hold the key.
    DuchenneError
        The key file cannot be read.
    """
    header = Header.of(node)
    ring = KeyRing.of_environment()
    name = node.name.rpartition("/")[2]
    if ring is None:
        raise MissingKeyError(
            f"the video {name} of {node.file.filename} is encrypted: name its key file with --key, or in "
            f"{VARIABLE}."
        )
    key = ring.by_id(header.key_id)
    if key is None:
        raise MissingKeyError(
            f"the video {name} of {node.file.filename} is encrypted with the key {header.key_id}, which is "
            f"not in {ring.path}: it is in another key file, or was destroyed."
        )
    return EncryptedPackets(node, key)


def packet_bytes(node: h5py.Group, start: int, stop: int) -> bytes:
    """Return a stretch of the packets of a stream, decrypted where they are encrypted.

    Raises
    ------
    DuchenneError
        If they are encrypted and cannot be decrypted.
    """
    if is_encrypted(node):
        return encrypted_packets(node).read(start, stop)
    return bytes(node["packets"][start:stop].tobytes())


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")
