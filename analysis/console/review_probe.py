"""Audits a session file in a process of its own and says what was found as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from duchenne.recorder.audit import audit, verdict_of
from duchenne.recorder.recording import Recording
from duchenne.recorder.session_summary import summary_lines
from duchenne.stimuli.errors import DuchenneError


def review(file: Path, *, blind: bool = False) -> dict[str, Any]:
    """Return verdict, findings and summary of a session file.

    Parameters
    ----------
    file : Path
    blind : bool
        Leave out what tells a stimulus or block.
    """
    with Recording.open(file) as recording:
        findings = audit(recording)
        shown = [finding for finding in findings if not (blind and finding.about == "markers")]
        return {
            "state": "done",
            "verdict": verdict_of(findings),
            "summary": summary_lines(recording),
            "findings": [{"level": f.level, "text": f.what, "about": f.about} for f in shown],
            "withdrawn": recording.withdrawn,
        }


if __name__ == "__main__":
    try:
        told = review(Path(sys.argv[1]), blind="--blind" in sys.argv)
    except DuchenneError as problem:
        told = {"state": "failed", "error": str(problem)}
    sys.stdout.write(json.dumps(told) + "\n")
