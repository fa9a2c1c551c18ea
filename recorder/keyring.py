"""The key file of a study: one key for each participant, so that one of them can be destroyed.

It lies outside the study. ``DUCHENNE_KEY`` or the option ``--key`` names it.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from duchenne.recorder.locked_file import PASSPHRASE_VARIABLE, read_maybe_locked, write_private
from duchenne.stimuli.errors import DuchenneError

FORMAT = "duchenne-keys"
VARIABLE = "DUCHENNE_KEY"
KEY_BYTES = 32
ID_BYTES = 8


@dataclass(frozen=True)
class Key:
    """A secret of 256 bits.

    Attributes
    ----------
    id : str
        Says which key it is; not secret.
    secret : bytes
    made : str
        Day, ``YYYY-MM-DD``.
    """

    id: str
    secret: bytes = field(repr=False)
    made: str = ""

    @classmethod
    def new(cls) -> Key:
        """Return a key drawn from the system's source of randomness."""
        today = datetime.now(timezone.utc).date().isoformat()
        return cls(os.urandom(ID_BYTES).hex(), os.urandom(KEY_BYTES), today)


@dataclass(frozen=True)
class KeyRing:
    """Keys by the label of their participant.

    Attributes
    ----------
    path : Path
    keys : dict of str to Key
        By label, without ``sub-``.
    """

    path: Path
    keys: dict[str, Key] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, passphrase: str | None = None) -> KeyRing:
        """Read a key file.

        Raises
        ------
        DuchenneError
            It cannot be read, is none, or the passphrase is missing or wrong.
        """
        content = read_maybe_locked(path, passphrase)
        try:
            return cls(path, _keys_of(json.loads(content)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DuchenneError(f"{path} is no key file of Duchenne ({error}).") from error

    @classmethod
    def of_environment(cls) -> KeyRing | None:
        """Read the key file that ``DUCHENNE_KEY`` names; None where it names none."""
        named = os.environ.get(VARIABLE)
        if not named:
            return None
        try:
            told = Path(named).stat()
        except OSError as error:
            raise DuchenneError(f"{VARIABLE} names {named}: {error.strerror or error}.") from error
        return _read_once(named, told.st_mtime_ns, os.environ.get(PASSPHRASE_VARIABLE))

    def with_key_of(self, label: str) -> KeyRing:
        """Return the ring with a key for a participant, new where there was none."""
        return self if label in self.keys else replace(self, keys=self.keys | {label: Key.new()})

    def without(self, label: str) -> KeyRing:
        """Return the ring without the key of a participant."""
        return replace(self, keys={name: key for name, key in self.keys.items() if name != label})

    def by_id(self, key_id: str) -> Key | None:
        """Return the key of that id."""
        return next((key for key in self.keys.values() if key.id == key_id), None)

    def write(self, passphrase: str | None = None) -> None:
        """Write the key file; its owner alone may read it.

        Raises
        ------
        DuchenneError
            If that fails; the file is then as it was.
        """
        entries = {
            label: {"id": key.id, "key": base64.b64encode(key.secret).decode(), "made": key.made}
            for label, key in self.keys.items()
        }
        text = json.dumps({"format": FORMAT, "version": 1, "keys": entries}, indent=2) + "\n"
        write_private(self.path, text.encode(), passphrase)


@lru_cache(1)
def _read_once(path: str, _changed_ns: int, passphrase: str | None) -> KeyRing:
    return KeyRing.read(Path(path), passphrase)


def _keys_of(told: dict[str, Any]) -> dict[str, Key]:
    if told["format"] != FORMAT:
        raise ValueError("another format")
    keys = {
        label: Key(entry["id"], base64.b64decode(entry["key"]), entry.get("made", ""))
        for label, entry in told["keys"].items()
    }
    if any(len(key.secret) != KEY_BYTES for key in keys.values()):
        raise ValueError("a key of another length")
    return keys
