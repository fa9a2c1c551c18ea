"""A small file behind a passphrase: scrypt makes the key, AES-256-GCM hides the content and tells changes."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from duchenne.recorder.study_folder import replace_file
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "duchenne-locked"
PASSPHRASE_VARIABLE = "DUCHENNE_PASSPHRASE"  # noqa: S105 -- the name of a variable
LEAST_LENGTH = 8
SCRYPT = {"n": 2**16, "r": 8, "p": 1}
"""Cost of a passphrase: 64 MB and a quarter of a second for each guess (RFC 7914)."""
MOST_SCRYPT = {"n": 2**20, "r": 16, "p": 8}


def read_maybe_locked(path: Path, passphrase: str | None = None) -> bytes:
    """Return the content of a file, unlocked where it is locked.

    Parameters
    ----------
    path : Path
    passphrase : str, optional
        By default the environment variable ``DUCHENNE_PASSPHRASE``.

    Raises
    ------
    DuchenneError
        The file cannot be read, or the passphrase is missing or wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DuchenneError(f"{path} cannot be read: {error.strerror or error}.") from error
    envelope = _envelope(content)
    if envelope is None:
        return content
    told = passphrase or os.environ.get(PASSPHRASE_VARIABLE)
    if not told:
        raise DuchenneError(
            f"{path} is locked: set {PASSPHRASE_VARIABLE}, or call the command with --passphrase."
        )
    return _unlocked(path, envelope, told)


def is_locked(path: Path) -> bool:
    """Whether a file is behind a passphrase."""
    try:
        return _envelope(path.read_bytes()) is not None
    except OSError:
        return False


def write_private(path: Path, content: bytes, passphrase: str | None = None) -> None:
    """Write a file that its owner alone may read; with a passphrase, locked.

    Raises
    ------
    UsageError
        The passphrase is too short.
    DuchenneError
        The file cannot be written; it is then as it was.
    """
    data = content if passphrase is None else _locked(content, passphrase)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        path.chmod(0o600)
        replace_file(path, data)
    except OSError as error:
        raise DuchenneError(f"{path} cannot be written: {error.strerror or error}.") from error


def _envelope(content: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(content)
    except ValueError:
        return None
    return told if isinstance(told, dict) and told.get("format") == FORMAT else None


def _locked(content: bytes, passphrase: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- extra [study]

    if len(passphrase) < LEAST_LENGTH:
        raise UsageError(f"the passphrase is too short: {LEAST_LENGTH} characters or more.")
    salt, nonce = os.urandom(16), os.urandom(12)
    data = AESGCM(_key(passphrase, salt, SCRYPT)).encrypt(nonce, content, FORMAT.encode())
    parts = {
        name: _text(value) for name, value in (("salt", salt), ("nonce", nonce), ("data", data))
    }
    return (json.dumps({"format": FORMAT, "version": 1, "scrypt": SCRYPT, **parts}) + "\n").encode()


def _unlocked(path: Path, envelope: dict[str, Any], passphrase: str) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- extra [study]
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        cost = {name: int(envelope["scrypt"][name]) for name in SCRYPT}
        salt, nonce, data = (
            base64.b64decode(envelope[name], validate=True) for name in ("salt", "nonce", "data")
        )
        return AESGCM(_key(passphrase, salt, cost)).decrypt(nonce, data, FORMAT.encode())
    except InvalidTag:
        raise DuchenneError(f"{path}: the passphrase is wrong, or the file was changed.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DuchenneError(f"{path} is damaged: {error}") from error


def _key(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415 -- extra [study]

    if any(cost[name] > MOST_SCRYPT[name] for name in SCRYPT):
        raise ValueError("its cost is too high")
    kdf = Scrypt(salt=salt, length=32, n=cost["n"], r=cost["r"], p=cost["p"])
    return kdf.derive(passphrase.encode())


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
