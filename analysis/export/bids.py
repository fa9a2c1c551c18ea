"""BIDS 1.11: the study as an official data set, with gaze as ``_physio`` recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from duchenne import __version__
from duchenne.analysis.export.base import exporter
from duchenne.analysis.export.bids_events import HED_VERSION, write_events
from duchenne.analysis.export.bids_files import BidsName, write_json
from duchenne.analysis.export.bids_gaze import write_gaze
from duchenne.analysis.export.bids_people import Answers, write_participants
from duchenne.analysis.export.bids_stimuli import copy_stimuli
from duchenne.analysis.export.bids_streams import write_streams
from duchenne.analysis.export.shared_tables import shared_tables
from duchenne.analysis.export.tables_of_study import study_tables
from duchenne.analysis.export.videos import write_videos
from duchenne.analysis.tables import write_table
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession, Job
    from duchenne.analysis.export.shared_tables import SharedTable
    from duchenne.analysis.export.tables_of_study import StudyTable

BIDS_VERSION = "1.11.1"
README = """# {name}

Recorded with Duchenne {version}: emotion induction with stimuli, gaze, face and ratings on one clock.

- `sub-*/ses-*/beh/*_events.tsv`: phases, stimuli and ratings; seconds from the marker session_start.
- `*_recording-eye1_physio.tsv.gz`, `*_recording-eye2_physio.tsv.gz`: gaze and pupil of each eye; the
  `RecordedEye` of the sidecar says which. Their column `timestamp` is on the same clock as the events.
- `*_physioevents.tsv.gz`: fixations, saccades and blinks found in the recording, and the markers.
- `*_recording-NAME_physio.tsv.gz`: other streams.
- `stimuli/`: the stimuli that may be passed on; a text file stands for each of the others.
- `phenotype/`: answers to forms.
- `derivatives/duchenne/`: one row per stimulus presentation, and tables over participants, with codebooks.

Pilot sessions and participants who withdrew are not part of it. Facial expression is what the face did,
not what was felt.
"""


@exporter("bids")
def export_bids(job: Job) -> None:
    """Write the data set."""
    seen: dict[str, ExportSession] = {}
    stimuli: dict[str, str] = {}
    answers = Answers()
    for done, session in enumerate(job.sessions):
        job.tell(session.paths.stem, done, len(job.sessions))
        name = BidsName.of(session)
        if name.stem in seen:
            raise DuchenneError(
                f"{session.file.name} and {seen[name.stem].file.name} would both be {name.stem} in BIDS, "
                "whose labels hold letters and digits alone: rename one."
            )
        seen[name.stem] = session
        with Recording.open(session.file) as recording:
            files = copy_stimuli(recording, job.out, job.private, stimuli)
            _write_session(recording, session, name, job, files)
            answers.add(recording, session, with_text=job.options.with_text)
    answers.write(job.out / "phenotype", job)
    write_participants(job)
    _write_description(job)
    _write_derivatives(job)
    write_videos(job, _place_of_video)
    job.tell("tables", len(job.sessions), len(job.sessions))


def _write_session(
    recording: Recording, session: ExportSession, name: BidsName, job: Job, files: Mapping[str, str]
) -> None:
    folder = job.out / name.folder / "beh"
    folder.mkdir(parents=True, exist_ok=True)
    write_events(recording, session, job, folder=folder, name=name, files=files)
    if session.scopes.share_signals:
        job.notes.extend(write_gaze(recording, session.paths, folder, name))
        job.notes.extend(write_streams(recording, folder, name))
    else:
        job.notes.append(f"{name.stem}: no samples, the participant did not agree to pass them on.")


def _place_of_video(session: ExportSession, kind: str) -> str:
    """Return where a face video goes: what was recorded is source data, what was made of it a derivative."""
    name = BidsName.of(session)
    if kind == "original":
        return f"sourcedata/{name.folder}/{name.stem}_video.mp4"
    return f"derivatives/deidentified/{name.folder}/{name.stem}_desc-{kind}_video.mp4"


def _write_description(job: Job) -> None:
    study = _study_file(job.study / "study.yaml")
    name = job.private.without_folders(str(study.get("name") or "Duchenne study"))
    authors = study.get("authors")
    made = {
        "Name": "Duchenne",
        "Version": __version__,
        "Description": "duchenne export --format bids",
    }
    description: dict[str, Any] = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "HEDVersion": HED_VERSION,
        "DatasetType": "raw",
        "License": str(study.get("license") or study.get("licence") or "n/a"),
        "Authors": [str(author) for author in authors] if isinstance(authors, list) else None,
        "GeneratedBy": [made],
    }
    write_json(description, job.out / "dataset_description.json")
    readme = README.format(name=name, version=__version__)
    (job.out / "README.md").write_text(readme, encoding="utf-8")


def _write_derivatives(job: Job) -> None:
    folder = job.out / "derivatives" / "duchenne"
    folder.mkdir(parents=True)
    tables: list[StudyTable | SharedTable] = [
        table for table in study_tables(job, samples=False) if table.name == "summary"
    ]
    tables += shared_tables(job)
    for table in tables:
        write_table(table.whole(job), folder / f"{table.name}.tsv", table.book)
    write_json(
        {
            "Name": "Measures per stimulus presentation",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "Duchenne", "Version": __version__}],
        },
        folder / "dataset_description.json",
    )


def _study_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
