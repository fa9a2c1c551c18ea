"""Looks at the participant's screen for a second, in a process of its own, and says what it is as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from duchenne.stimuli.errors import DuchenneError


def probe(protocol_name: str) -> dict[str, Any]:
    """Open the display of a protocol and measure it.

    Parameters
    ----------
    protocol_name : str
        Library name or path.

    Returns
    -------
    dict
        ``fits``: the screen has the declared size; ``refresh_hz`` as measured. Or ``error``, and whether that
        is ``fatal``.
    """
    from duchenne.protocols.displays.virtual import has_display  # noqa: PLC0415
    from duchenne.protocols.present import open_display  # noqa: PLC0415 -- the display is heavy
    from duchenne.protocols.schema import load_protocol  # noqa: PLC0415

    if not has_display():
        return {
            "error": "no screen here: a virtual one, and the simulated participant, will be used"
        }
    try:
        with open_display(load_protocol(protocol_name)) as display:
            told = display.description()
    except DuchenneError as error:
        return {"error": str(error), "fatal": True}
    return {"fits": bool(told["fullscreen"]), "refresh_hz": float(told["measured_flip_hz"])}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(sys.argv[1])) + "\n")
