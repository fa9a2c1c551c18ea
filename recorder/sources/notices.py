"""What a running source tells the operator without ending: one line on standard error."""

from __future__ import annotations

import sys

NOTICE = "notice: "
"""How such a line begins; a session shows it, and leaves everything else in the log."""


def notice(text: str) -> None:
    """Tell the operator something, in one line; a closed standard error is no reason to stop."""
    try:
        sys.stderr.write(f"{NOTICE}{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
