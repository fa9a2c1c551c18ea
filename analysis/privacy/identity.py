"""Which recording a session file is: the same before and after its video is encrypted.

Results name a recording by the SHA-256 of its file. A file whose video was encrypted or decrypted keeps
that of the file as it was recorded, in its root attribute ``recorded_sha256``. Without this, an encrypted
study would count as changed, and an analysis without the key would replace the measures of every face by
n/a.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py

from duchenne.analysis.provenance import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

ATTRIBUTE = "recorded_sha256"
HEX_DIGITS = 64


def session_digest(file: Path) -> str:
    """Return the SHA-256 of a session file as it was recorded, in hexadecimal.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    try:
        with h5py.File(file, "r") as content:
            told = content.attrs.get(ATTRIBUTE)
    except OSError:  # no HDF5 file
        told = None
    return told if isinstance(told, str) and len(told) == HEX_DIGITS else sha256_of(file)
