"""One session of a study as a task: what goes to a worker, and what comes back. It never raises."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str, int, int], None]

MEASURE, SUMMARISE, DRAW, NOTHING = "measure", "summarise", "draw", "nothing"


@dataclass(frozen=True)
class SessionTask:
    """What a worker is asked for.

    Attributes
    ----------
    file, folder : str
        The session file, and the folder of its results.
    todo : {"measure", "summarise", "draw", "nothing"}
        Everything; the summary and windows of what was measured; only the report; nothing.
    settings, exclusions, windows, inputs : dict
        As `AnalysisSettings`, `Exclusions`, `WindowPlan` and `SessionInputs` give them.
    report : bool
        Whether to draw the report.
    """

    file: str
    folder: str
    todo: str
    settings: dict[str, Any]
    exclusions: dict[str, Any]
    windows: dict[str, Any]
    inputs: dict[str, Any]
    report: bool = True

    def to_json(self) -> str:
        """Return the task in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SessionTask:
        """Return the task that `to_json` gave."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class SessionOutcome:
    """What became of a task.

    Attributes
    ----------
    file : str
    failure : str or None
        Why it failed, in one line; None where it did not.
    notes : tuple of str
    seconds : float
    peak_mb : float
        Largest memory of the worker's process so far, in megabytes.
    """

    file: str
    failure: str | None = None
    notes: tuple[str, ...] = field(default=())
    seconds: float = 0.0
    peak_mb: float = 0.0

    def to_json(self) -> str:
        """Return the outcome in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SessionOutcome:
        """Return the outcome that `to_json` gave."""
        given = json.loads(text)
        return cls(**(given | {"notes": tuple(given["notes"])}))


def run_task(task: SessionTask, tell: Progress | None = None) -> SessionOutcome:
    """Do a task; whatever goes wrong is told in the outcome.

    Parameters
    ----------
    task : SessionTask
    tell : callable, optional
        Told the name of the stage, what is done, and how much there is.
    """
    begun = time.monotonic()
    failure: str | None = None
    notes: tuple[str, ...] = ()
    try:
        notes = _do(task, tell)
    except DuchenneError as error:
        failure = str(error)
    except MemoryError:
        failure = f"{task.file}: not enough memory; use fewer workers"
    except Exception as error:  # noqa: BLE001 -- one bad session never stops the rest
        failure = f"{task.file}: unexpected {type(error).__name__}: {error}"
    if failure is not None:
        failure = " ".join(failure.split())
    return SessionOutcome(task.file, failure, notes, time.monotonic() - begun, _peak_mb())


def _do(task: SessionTask, tell: Progress | None) -> tuple[str, ...]:
    from duchenne.analysis.exclusions import Exclusions  # noqa: PLC0415
    from duchenne.analysis.inputs import SessionInputs  # noqa: PLC0415
    from duchenne.analysis.session import analyze_session, report_session  # noqa: PLC0415
    from duchenne.analysis.window_plan import WindowPlan  # noqa: PLC0415

    file, folder = Path(task.file), Path(task.folder)
    if task.todo == DRAW:
        return report_session(file, folder, progress=tell).notes
    return analyze_session(
        file,
        folder,
        **task.settings,
        rules=Exclusions.model_validate(task.exclusions).presentation,
        windows=WindowPlan.model_validate(task.windows),
        report=task.report,
        force=task.todo == MEASURE,
        inputs=SessionInputs.from_dict(task.inputs),
        progress=tell,
    ).notes


def _peak_mb() -> float:
    try:
        import resource  # noqa: PLC0415 -- not on Windows
    except ImportError:
        return 0.0
    import sys  # noqa: PLC0415

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
