"""Participants and their answers to forms, in BIDS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from duchenne.analysis.export.bids_files import label, write_json, write_tsv

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession, Job
    from duchenne.recorder.recording import Recording

OLDEST = 89
COLUMNS = {
    "age": {"Description": "Age of the participant; 89 stands for 89 and more.", "Units": "year"},
    "sex": {"Description": "Sex, as the participant says."},
    "handedness": {"Description": "Handedness, as the participant says."},
    "group": {"Description": "Group of the study that the participant belongs to."},
}
"""Columns of the study's list of participants that leave it; no other does."""


@dataclass
class Answers:
    """Answers to forms, gathered over the sessions."""

    forms: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, recording: Recording, session: ExportSession, *, with_text: bool) -> None:
        """Take the answers of one session: numbers and choices; what was typed only when asked for."""
        for form, answers in recording.participant_answers.items():
            if not isinstance(answers, dict) or form.startswith("consent"):
                continue
            row: dict[str, Any] = {}
            for name, value in answers.items():
                if name == "scores" and isinstance(value, dict):
                    row |= {f"score_{label(k)}": v for k, v in value.items()}
                elif (
                    isinstance(value, int | float)
                    or f"{form}.{name}" in session.chosen_fields
                    or with_text
                ):
                    row[name] = str(value) if isinstance(value, list | dict) else value
            if row:
                who = {
                    "participant_id": f"sub-{label(session.participant)}",
                    "session_id": f"ses-{label(session.session)}",
                    "task": label(session.task),
                    "run": session.run,
                }
                self.forms.setdefault(label(form), []).append(who | row)

    def write(self, folder: Path, job: Job) -> None:
        """Write ``phenotype/FORM.tsv`` with a sidecar for each form."""
        for form, rows in self.forms.items():
            folder.mkdir(exist_ok=True)
            frame = job.private.clean_table(pd.DataFrame(rows), {})
            write_tsv(frame, folder / f"{form}.tsv")
            described = {
                str(name): {
                    "Description": _MEANING.get(str(name), f"Answer to {name} of the form.")
                }
                for name in frame.columns
            }
            tool = {"MeasurementToolMetadata": {"Description": f"The form {form} of the protocol."}}
            write_json(tool | described, folder / f"{form}.json")


_MEANING = {
    "participant_id": "Label of the participant.",
    "session_id": "Label of the session.",
    "task": "Label of the protocol that was run.",
    "run": "Label of the run.",
}


def write_participants(job: Job) -> None:
    """Write ``participants.tsv``: whoever is exported, and what `COLUMNS` allows of the study's list."""
    shown = pd.DataFrame(
        {"participant_id": list(dict.fromkeys(f"sub-{label(s.participant)}" for s in job.sessions))}
    )
    known = _study_list(job.study / "participants.tsv")
    described: dict[str, Any] = {"participant_id": {"Description": "Label of the participant."}}
    if known is not None:
        left = [n for n in known.columns if n not in COLUMNS and n != "participant_id"]
        if left:
            job.notes.append(
                f"participants.tsv: {', '.join(left)} not exported (only {', '.join(COLUMNS)} are)."
            )
        for name in [name for name in COLUMNS if name in known.columns]:
            values = known.set_index("participant_id")[name].reindex(shown["participant_id"])
            if name == "age":
                values = pd.to_numeric(values, errors="coerce").clip(upper=OLDEST)
            shown[name] = values.to_numpy()
            described[name] = COLUMNS[name]
    write_tsv(job.private.clean_table(shown, {}), job.out / "participants.tsv")
    write_json(described, job.out / "participants.json")


def _study_list(path: Path) -> pd.DataFrame | None:
    try:
        found = pd.read_csv(path, sep="\t", dtype=str, na_values=["n/a"], encoding="utf-8-sig")
    except (OSError, ValueError):
        return None
    if "participant_id" not in found.columns:
        return None
    found["participant_id"] = [
        f"sub-{label(str(i).removeprefix('sub-'))}" for i in found["participant_id"]
    ]
    return found.drop_duplicates("participant_id")
