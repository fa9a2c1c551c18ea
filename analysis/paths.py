"""Where the results of a session and of a study are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.recorder.tombstones import forgotten_labels
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

SESSION_SUFFIX = "_session.h5"
PIPELINE = "duchenne"
TABLES = ("events", "fixations", "saccades", "blinks", "au", "summary", "quality")


@dataclass(frozen=True)
class AnalysisPaths:
    """The files that one session's analysis writes.

    Parameters
    ----------
    folder : Path
        Folder of all of them.
    stem : str
        What their names begin with, such as ``sub-P01_ses-01_task-demo_run-01``.
    notes : tuple of str
        What an analysis could not do, and why, one sentence each.
    """

    folder: Path
    stem: str
    notes: tuple[str, ...] = ()

    @property
    def events(self) -> Path:
        """Phases and markers."""
        return self.table("events")

    @property
    def fixations(self) -> Path:
        """Fixations; not written for a session without gaze."""
        return self.table("fixations")

    @property
    def saccades(self) -> Path:
        """Saccades; not written for a session without gaze."""
        return self.table("saccades")

    @property
    def blinks(self) -> Path:
        """Blinks; not written for a session without gaze."""
        return self.table("blinks")

    @property
    def au(self) -> Path:
        """Action Units of each video frame; not written for a session without face video."""
        return self.table("au")

    @property
    def summary(self) -> Path:
        """One row per stimulus presentation."""
        return self.table("summary")

    @property
    def quality(self) -> Path:
        """One row per stream."""
        return self.table("quality")

    @property
    def gaze(self) -> Path:
        """Gaze samples with their labels, as Parquet; not written for a session without gaze."""
        return self.folder / f"{self.stem}_gaze.parquet"

    @property
    def windows(self) -> Path:
        """The measures of the summary in shorter windows, as Parquet."""
        return self.folder / f"{self.stem}_windows.parquet"

    @property
    def measured(self) -> Path:
        """Folder of the measurement, exact, so that summaries can be made again without measuring."""
        return self.folder / ".measured" / self.stem

    @property
    def report(self) -> Path:
        """The session's report."""
        return self.folder / f"{self.stem}_report.html"

    @property
    def provenance(self) -> Path:
        """Configuration, versions and hashes behind the tables."""
        return self.folder / f"{self.stem}_provenance.json"

    def table(self, name: str) -> Path:
        """Return the path of a table by its name."""
        return self.folder / f"{self.stem}_{name}.tsv"

    @property
    def complete(self) -> bool:
        """Whether an analysis finished here."""
        return self.summary.is_file() and self.provenance.is_file()


def study_of(session_file: Path) -> Path | None:
    """Return the study that a session file lies in, or None.

    Parameters
    ----------
    session_file : Path
        In a study it lies in ``STUDY/sourcedata/sub-…/ses-…/``.
    """
    parents = session_file.resolve().parents
    if len(parents) > 3 and parents[2].name == "sourcedata" and parents[1].name.startswith("sub-"):
        return parents[3]
    return None


def derivatives_of(study: Path) -> Path:
    """Return the folder of a study's results."""
    return study / "derivatives" / PIPELINE


def analysis_paths(session_file: Path, out_dir: Path | None = None) -> AnalysisPaths:
    """Return where the results of a session are written.

    Parameters
    ----------
    session_file : Path
        The session's ``.h5`` file.
    out_dir : Path, optional
        Folder to write to instead of the one derived from the location of the file: within a study
        ``STUDY/derivatives/duchenne/sub-…/ses-…``, elsewhere ``FILE_derivatives`` beside the file.
    """
    stem = session_file.stem.removesuffix("_session")
    if out_dir is not None:
        return AnalysisPaths(out_dir, stem)
    study = study_of(session_file)
    if study is None:
        return AnalysisPaths(session_file.parent / f"{session_file.stem}_derivatives", stem)
    subject, session = session_file.resolve().parent.parent.name, session_file.resolve().parent.name
    return AnalysisPaths(derivatives_of(study) / subject / session, stem)


def session_files(study: Path) -> list[Path]:
    """Return the session files of a study, in order; none of a participant who was forgotten.

    Raises
    ------
    DuchenneError
        If the folder does not exist or holds no session.
    """
    if not study.is_dir():
        raise DuchenneError(f"No study or session at {study}.")
    root = study / "sourcedata"
    found = sorted(root.glob(f"sub-*/ses-*/*{SESSION_SUFFIX}")) if root.is_dir() else []
    gone = {f"sub-{label}" for label in forgotten_labels(study)}
    found = [file for file in found if file.parent.parent.name not in gone]
    if not found:
        raise DuchenneError(
            f"No sessions in {study}: a study holds sourcedata/sub-…/ses-…/…_session.h5. "
            "Record one with `duchenne run PROTOCOL --participant LABEL --study DIR`."
        )
    return found


def session_folder(study_out: Path, session_file: Path) -> Path:
    """Return the folder of one session's results below another folder of results."""
    return study_out / session_file.parent.parent.name / session_file.parent.name
