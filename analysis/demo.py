"""A whole simulated session, from stimulus to report, without hardware or display."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.recorder.archive import journal_path_for
from duchenne.recorder.layout import SessionName
from duchenne.recorder.session import SessionRequest

if TYPE_CHECKING:
    from pathlib import Path

PROTOCOL = "demo"
PARTICIPANT = "demo"
SESSION = "01"
MAX_RUNS = 99


def demo_request(study: Path) -> SessionRequest:
    """Return the demonstration session: the library's demo protocol, everything simulated.

    Parameters
    ----------
    study : Path
        Study folder; a second demonstration becomes the next run.
    """
    protocol = load_protocol(PROTOCOL)
    return SessionRequest(
        protocol=protocol,
        stimuli=protocol.stimulus_set(verify=True),
        schedule=make_schedule(protocol, participant=PARTICIPANT, session=SESSION),
        name=_next_run(study, protocol.name),
        study=study,
        eyetracker="simulated",
        camera="simulated",
        headless=True,
    )


def _next_run(study: Path, task: str) -> SessionName:
    names = (
        SessionName(PARTICIPANT, SESSION, task, f"{number:02d}") for number in range(1, MAX_RUNS)
    )
    return next(name for name in names if not _taken(name.session_file(study)))


def _taken(session_file: Path) -> bool:
    return session_file.exists() or journal_path_for(session_file).exists()
