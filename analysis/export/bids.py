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
from duchenne.analysis.export.private import may_share_video
from duchenne.analysis.export.tables_of_study import study_tables
from duchenne.analysis.tables import write_table
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession, Job

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
- `derivatives/duchenne/`: one row per stimulus presentation, with its codebook.

Pilot sessions and participants who withdrew are not part of it. Facial expression is what the face did,
not what was felt.
"""


@exporter("bids")
def export_bids(job: Job) -> None:
    """Write the data set."""
    seen: dict[str, ExportSession] = {}
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
            _write_session(recording, session, name, job)
            answers.add(recording, session, with_text=job.options.with_text)
    answers.write(job.out / "phenotype", job)
    write_participants(job)
    _write_description(job)
    _write_summary(job)
    job.tell("tables", len(job.sessions), len(job.sessions))


def _write_session(recording: Recording, session: ExportSession, name: BidsName, job: Job) -> None:
    folder = job.out / name.folder / "beh"
    folder.mkdir(parents=True, exist_ok=True)
    files = copy_stimuli(recording, job.out)
    write_events(recording, session, job, folder=folder, name=name, files=files)
    job.notes.extend(write_gaze(recording, session.paths, folder, name))
    job.notes.extend(write_streams(recording, folder, name))
    if job.options.with_video:
        _write_video(recording, name, job)


def _write_video(recording: Recording, name: BidsName, job: Job) -> None:
    if not any(stream.info.is_video for stream in recording.streams.values()):
        return
    if not may_share_video(recording):
        job.notes.append(f"{name.stem}: no face video, the session records no consent to share it.")
        return
    from duchenne.recorder.video_export import export_video  # noqa: PLC0415

    folder = job.out / "sourcedata" / name.folder
    folder.mkdir(parents=True, exist_ok=True)
    export_video(recording, folder / f"{name.stem}_video.mp4")


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


def _write_summary(job: Job) -> None:
    folder = job.out / "derivatives" / "duchenne"
    folder.mkdir(parents=True)
    for table in study_tables(job, samples=False):
        if table.name == "summary":
            write_table(table.whole(job), folder / "summary.tsv", table.book)
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
