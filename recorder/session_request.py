"""What a session is asked to do, what it must not overwrite, and what its file should know of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.recorder.archive import journal_path_for
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.recorder.devices import ExtraSource
    from duchenne.recorder.layout import SessionName
    from duchenne.stimuli.manifest import StimulusSet


@dataclass(frozen=True)
class SessionRequest:
    """What to run.

    Parameters
    ----------
    protocol : Protocol
    stimuli : StimulusSet
    schedule : Schedule
    name : SessionName
    study : Path
        Study folder; made where it is missing.
    eyetracker : str
        A source's name, ``lsl`` for a tracker that is on the network already, or ``none``.
    camera : str
        ``simulated``, ``none``, a device number, or a device or film path.
    sources : tuple of ExtraSource
        What else to start, record and require.
    headless : bool
        Virtual screen; the simulated participant answers.
    pilot : bool
        Not to enter the study's results.
    blind : bool
        Tell the operator no stimulus, category or block.
    first_step : int
        Number of the step to begin with, from 1.
    resumed_from : str or None
        Label of the run that is continued.
    eyetracker_settings, camera_settings : mapping of str to str
        Options of the eye tracker's and the camera's source.
    override_reason : str or None
        Why it is begun although a check before it was not green; goes into the log of the session file.
    """

    protocol: Protocol
    stimuli: StimulusSet
    schedule: Schedule
    name: SessionName
    study: Path
    eyetracker: str = "lsl"
    camera: str = "0"
    sources: tuple[ExtraSource, ...] = ()
    headless: bool = False
    pilot: bool = False
    blind: bool = False
    first_step: int = 1
    resumed_from: str | None = None
    eyetracker_settings: Mapping[str, str] = field(default_factory=dict)
    camera_settings: Mapping[str, str] = field(default_factory=dict)
    override_reason: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes
    ----------
    session_file : Path
        Sealed and verified.
    aborted : bool
        The operator or a failure ended it early.
    """

    session_file: Path
    aborted: bool


def refuse_existing(target: Path) -> None:
    """Refuse a session that was recorded before.

    Raises
    ------
    DuchenneError
        If the session file or its journal exists.
    """
    if target.exists():
        raise DuchenneError(
            f"{target} exists and is never overwritten: choose another --session or --run."
        )
    journal = journal_path_for(target)
    if journal.exists():
        raise DuchenneError(
            f"{journal} is left from a recording that was not sealed: run `duchenne recover {journal}`, "
            "then choose another --session or --run."
        )


def session_facts(request: SessionRequest) -> dict[str, Any]:
    """Return what the session file should know of its origin, JSON-compatible."""
    protocol, name = request.protocol, request.name
    used = {trial.stimulus_id for trial in request.schedule.trials}
    frame = request.stimuli.to_frame()
    rows = json.loads(frame[frame["id"].isin(used)].to_json(orient="split", double_precision=15))
    return {
        "participant": name.participant,
        "session": name.session,
        "task": name.task,
        "run": name.run,
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "software_version": __version__,
        "protocol_name": protocol.name,
        "protocol_yaml": protocol.source_yaml,
        "protocol_hash": protocol.hash,
        "screen": protocol.screen.model_dump(mode="json"),
        "schedule_json": request.schedule.to_json(),
        "stimuli": {
            column: [row[index] for row in rows["data"]]
            for index, column in enumerate(rows["columns"])
        },
        "stimuli_source": "bundled"
        if protocol.stimuli == "bundled"
        else str(request.stimuli.folder),
        "participant_answers": {},
        "pilot": request.pilot,
        "resumed_from": request.resumed_from or "",
    }
