"""Keep LSL on this host: for demonstrations and tests that must not meet a lab's network."""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "LSLAPICFG"
_TEMPLATE = """\
[ports]
IPv6=disable
[multicast]
ResolveScope=machine
AddressesOverride={{127.0.0.1}}
ListenAddress=127.0.0.1
[lab]
KnownPeers={{127.0.0.1}}
SessionID={session_id}
[log]
level=-3
"""


@contextmanager
def lsl_on_this_host(prefix: str) -> Iterator[None]:
    """Confine LSL to this host and to a network of its own.

    Takes effect in child processes, and in this one if liblsl was not loaded yet. A configuration that
    the user has set already is left alone.

    Parameters
    ----------
    prefix : str
        Start of the name of the LSL session.
    """
    if VARIABLE in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="duchenne-lsl-") as folder:
        path = Path(folder) / "lsl_api.cfg"
        path.write_text(
            _TEMPLATE.format(session_id=f"{prefix}-{uuid.uuid4().hex}"), encoding="utf-8"
        )
        os.environ[VARIABLE] = str(path)
        try:
            yield
        finally:
            del os.environ[VARIABLE]
