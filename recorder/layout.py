"""Where things lie in a study folder (BIDS-like)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SessionName:
    """The labels that name one recording of a study.

    Parameters
    ----------
    participant, session, task, run : str
        Checked BIDS labels, without their prefixes.
    """

    participant: str
    session: str
    task: str
    run: str = "01"

    @property
    def stem(self) -> str:
        """Common start of all file names of the session."""
        return f"sub-{self.participant}_ses-{self.session}_task-{self.task}_run-{self.run}"

    def source_folder(self, study: Path) -> Path:
        """Return the folder of what was recorded."""
        return study / "sourcedata" / f"sub-{self.participant}" / f"ses-{self.session}"

    def session_file(self, study: Path) -> Path:
        """Return the session file."""
        return self.source_folder(study) / f"{self.stem}_session.h5"

    def truth_prefix(self, study: Path) -> Path:
        """Return the start of the simulated participant's truth files."""
        return self.source_folder(study) / f"{self.stem}_truth"
