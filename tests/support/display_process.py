"""Lines of a test that run with an open PsychoPy display, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.presentation import write_protocol

if TYPE_CHECKING:
    from collections.abc import Callable

PRELUDE = """
import json, sys
import numpy as np
import pylsl
from duchenne.protocols.displays.base import *
from duchenne.protocols.present import open_display
from duchenne.protocols.ratings import SamScale
from duchenne.protocols.schema import load_protocol
from support.presentation import read_burnt_in
protocol = load_protocol(sys.argv[1])
stimuli = protocol.stimulus_set()
result = {}
with open_display(protocol, headless=True) as display:
"""


def in_process(tmp_path: Path, script: str, change: Callable[[str], str] = str) -> dict[str, Any]:
    """Run lines with an open `display`; return what they left in `result`.

    `change` changes the text of the protocol.
    """
    protocol = write_protocol(tmp_path)
    protocol.write_text(change(protocol.read_text(encoding="utf-8")), encoding="utf-8")
    code = (
        PRELUDE + textwrap.indent(textwrap.dedent(script), "    ") + "\nprint(json.dumps(result))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(protocol)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
