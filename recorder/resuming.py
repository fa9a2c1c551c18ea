"""Where a session that broke off goes on: no trial is lost and none is shown twice.

A trial counts as shown as soon as its stimulus has appeared, however long: what has been seen is not shown
again. A trial that broke off before, during its fixation, is repeated; so is any other step that broke
off, such as an instruction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from duchenne.protocols.markers import decode
from duchenne.protocols.schedule import Schedule
from duchenne.recorder.archive import journal_path_for
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from duchenne.protocols.plan import Step
    from duchenne.recorder.layout import SessionName
    from duchenne.recorder.recording import Recording

SEEN = frozenset({"stimulus_onset", "skip"})
BLOCK_MARKS = ("block_start", "block_end")


@dataclass(frozen=True)
class Resumption:
    """How an earlier run of a session goes on.

    Attributes
    ----------
    schedule : Schedule
        The one that was run.
    step : int
        Number of the step to go on with, from 1.
    run : str
        Label of the new run.
    resumed_from : str
        Label of the run that broke off.
    pilot : bool
        It was a pilot, and so is what goes on from it.
    """

    schedule: Schedule
    step: int
    run: str
    resumed_from: str
    pilot: bool = False


def next_step(
    steps: Sequence[Step], markers: Iterable[Mapping[str, Any]], last_begun: int = 1
) -> int:
    """Return the number of the step to go on with, from 1; one more than there are if all are over.

    Parameters
    ----------
    steps : sequence of Step
        Of the schedule.
    markers : iterable of mapping
        The markers that were recorded, decoded, of all runs of this schedule.
    last_begun : int, default 1
        Number of the last step that is known to have begun.
    """
    seen: set[int] = set()
    blocks: set[tuple[str, str]] = set()
    aborted = False
    for marker in markers:
        event, trial = marker.get("event"), marker.get("trial")
        aborted = event == "abort" or (aborted and event != "session_start")
        if event in SEEN and isinstance(trial, int):
            seen.add(trial)
        if event in BLOCK_MARKS and not aborted:  # an abort ends blocks that are not over
            blocks.add((str(event), str(marker.get("block"))))
    over = [number for number, step in enumerate(steps, start=1) if _is_over(step, seen, blocks)]
    return max(max(over, default=0) + 1, last_begun)


def _is_over(step: Step, seen: set[int], blocks: set[tuple[str, str]]) -> bool:
    if step.trial is not None:
        return step.trial.trial in seen
    return (step.kind, step.block) in blocks


def journal_markers(journal: Path, source_id: str) -> list[dict[str, Any]]:
    """Return the markers that a journal holds so far of one sender, decoded, in their order."""
    from duchenne.recorder.journal_reader import JournalReader  # noqa: PLC0415 - sqlite is only needed here

    with JournalReader(journal) as reader:
        return [
            decode(_text(sample))
            for stream in reader.streams
            if stream.info.type == "Markers" and stream.info.source_id == source_id
            for chunk in reader.chunks(stream)
            for sample in chunk.samples
        ]


def _text(sample: Any) -> str:
    value = sample if isinstance(sample, (bytes, str)) else sample[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def find_resumption(study: Path, name: SessionName, protocol_hash: str) -> Resumption:
    """Find the last run of a session and where it goes on.

    Parameters
    ----------
    study : Path
    name : SessionName
        Its run is not looked at.
    protocol_hash : str
        Of the protocol as it is now.

    Raises
    ------
    DuchenneError
        There is no earlier run, it was not sealed or holds no schedule, it ran another text of the
        protocol, it is complete, or the participant does not want the data used.
    """
    from duchenne.recorder import recording as files  # noqa: PLC0415 - only where resumed

    runs = [run for run in _runs() if _exists(study, name, run)]
    if not runs:
        raise DuchenneError(
            f"there is no run of participant {name.participant}, session {name.session}, task {name.task} "
            f"in {study} to resume; run it without --resume"
        )
    markers: list[dict[str, Any]] = []
    schedule, run, pilot = None, runs[-1], False
    while run:
        with files.Recording.open(_sealed(study, _named(name, run))) as recording:
            if schedule is None:
                schedule = _schedule_of(recording)
                pilot = bool(recording.attrs.get("pilot"))
            if recording.withdrawn is not None:
                raise DuchenneError(
                    f"run {run} ended with: {recording.withdrawn}. It is not resumed; a new beginning "
                    "needs a new consent and another --session"
                )
            fields = recording.events["fields"].tolist()
        markers += fields
        run = _earlier(fields, run)
    assert schedule is not None
    if schedule.protocol_hash != protocol_hash:
        raise DuchenneError(
            f"the protocol has changed since run {runs[-1]}: a session is resumed with the file it began with"
        )
    step = next_step(schedule.steps, markers)
    if step > len(schedule.steps):
        raise DuchenneError(f"run {runs[-1]} is complete: there is nothing to resume")
    new = next((run for run in _runs() if run > runs[-1]), None)
    if new is None:
        raise DuchenneError(f"there is no run label left behind {runs[-1]}: use another --session")
    return Resumption(schedule, step, new, runs[-1], pilot)


def _schedule_of(recording: Recording) -> Schedule:
    """Return the schedule that was run.

    Raises
    ------
    DuchenneError
        The file holds none: it was not recorded by ``duchenne run``.
    """
    try:
        return Schedule.from_json(json.dumps(recording.schedule))
    except DuchenneError:
        raise DuchenneError(
            f"{recording.path} holds no schedule: only what `duchenne run` recorded can be resumed"
        ) from None


def _earlier(markers: Iterable[Mapping[str, Any]], run: str) -> str:
    """Return the label of the run that this one goes on from; empty where it began anew."""
    starts = [marker for marker in markers if marker.get("event") == "session_start"]
    told = str(starts[0].get("resumed_from") or "") if starts else ""
    return told if told < run else ""


def _sealed(study: Path, name: SessionName) -> Path:
    file = name.session_file(study)
    journal = journal_path_for(file)
    if not file.exists():
        raise DuchenneError(
            f"{journal} was not sealed: run `duchenne recover {journal}` first, then resume"
        )
    return file


def _runs() -> list[str]:
    return [f"{number:02d}" for number in range(1, 100)]


def _named(name: SessionName, run: str) -> SessionName:
    return replace(name, run=run)


def _exists(study: Path, name: SessionName, run: str) -> bool:
    file = _named(name, run).session_file(study)
    return file.exists() or journal_path_for(file).exists()
