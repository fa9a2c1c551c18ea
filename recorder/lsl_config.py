"""Set LSL up: kept on this host for demonstrations and tests, quick to find streams for recording."""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "LSLAPICFG"
DISCOVERY: Mapping[str, str] = {
    "MulticastMinRTT": "0.01",
    "UnicastMinRTT": "0.5",
    "ContinuousResolveInterval": "1.5",
}
"""Settings of liblsl under which a search asks known hosts at once, not after half a second."""
FIRST_PORT, N_PORT_GROUPS, PORTS_IN_GROUP = 17000, 200, 66
_SECTION = "[tuning]"
_TUNING = "\n".join([_SECTION, *(f"{key}={value}" for key, value in DISCOVERY.items()), ""])
_TEMPLATE = """\
[ports]
IPv6=disable
MulticastPort={port}
BasePort={first_port}
PortRange=64
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
        session = uuid.uuid4()
        port = (
            FIRST_PORT + session.int % N_PORT_GROUPS * PORTS_IN_GROUP
        )  # apart from other networks
        content = _TEMPLATE.format(
            session_id=f"{prefix}-{session.hex}", port=port, first_port=port + 1
        )
        path.write_text(content + _TUNING, encoding="utf-8")
        os.environ[VARIABLE] = str(path)
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def hasten_discovery() -> None:
    """Let this process find streams faster; whatever else the user's configuration says stays.

    Without effect once liblsl was used in this process, and with versions of it before 1.17.7.
    """
    import pylsl  # noqa: PLC0415 -- the module is also used where no LSL is

    with suppress(RuntimeError, AttributeError, NotImplementedError):
        pylsl.set_config_content(with_discovery(_user_configuration()))


def with_discovery(content: str) -> str:
    r"""Add the settings for quick discovery to a configuration that does not have them.

    Examples
    --------
    >>> with_discovery("[tuning]\nUnicastMinRTT=2").splitlines()[-1]
    'UnicastMinRTT=2'
    """
    present = {line.split("=")[0].strip() for line in content.splitlines()}
    missing = [f"{key}={value}" for key, value in DISCOVERY.items() if key not in present]
    lines = content.splitlines()
    places = [number for number, line in enumerate(lines) if line.strip() == _SECTION]
    if places:
        return "\n".join([*lines[: places[0] + 1], *missing, *lines[places[0] + 1 :]])
    return "\n".join([*lines, _SECTION, *missing, ""])


def _user_configuration() -> str:
    """Return the configuration that liblsl would read, empty if there is none."""
    places = [Path("lsl_api.cfg"), Path.home() / "lsl_api" / "lsl_api.cfg"]
    places.append(Path("/etc/lsl_api/lsl_api.cfg"))
    if os.environ.get(VARIABLE):
        places.insert(0, Path(os.environ[VARIABLE]))
    for path in places:
        with suppress(OSError, UnicodeDecodeError):
            return path.read_text(encoding="utf-8")
    return ""
