"""What stands behind the console's routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.console.forms import (
        AlarmForm,
        CheckQuery,
        CommandForm,
        JobForm,
        SetupForm,
        StartForm,
    )


class NotThereError(DuchenneError):
    """What was asked for does not exist."""


@dataclass(frozen=True)
class Picture:
    """A JPEG picture for pages.

    Attributes
    ----------
    number : int
        Grows with each new picture of a view.
    header : dict
        Of the binary message; JSON-compatible.
    jpeg : bytes
    """

    number: int
    header: dict[str, Any] = field(default_factory=dict)
    jpeg: bytes = b""


class Backend(Protocol):
    """Everything that pages can see and do; every method is safe to call from any thread."""

    study: Path

    def state(self) -> dict[str, Any]:
        """Return phase, run, preview, preflight, alarms, jobs and the rest of the state."""

    def live(self) -> dict[str, Any] | None:
        """Return the live values; None while there are none."""

    def streams(self) -> list[dict[str, Any]]:
        """Return the table of streams."""

    def log(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of the newest entry of the log, and those after a number."""

    def picture(self, view: str) -> Picture | None:
        """Return the newest picture of ``face`` or ``stage``."""

    def watched(self, views: set[str]) -> None:
        """Note which pictures any page looks at."""

    def setup(self) -> dict[str, Any]:
        """Return what the set-up page can choose from."""

    def check(self, query: CheckQuery) -> dict[str, Any]:
        """Return whether these labels will do."""

    def preview_start(self, form: SetupForm) -> None:
        """Start the chosen devices and look at them."""

    def preview_stop(self) -> None:
        """End the devices of the preview."""

    def preflight_refresh(self) -> None:
        """Check files and disk anew."""

    def start(self, form: StartForm) -> str:
        """Start a session; return its id."""

    def command(self, form: CommandForm, by: str) -> None:
        """Give the session a command."""

    def note(self, run_id: str, text: str, by: str) -> None:
        """Put a note into the session."""

    def close(self) -> None:
        """Leave a session that is over, for the next one."""

    def acknowledge(self, form: AlarmForm, by: str) -> None:
        """Note that alarms have been seen."""

    def au_start(self) -> None:
        """Start measuring Action Units."""

    def au_stop(self) -> None:
        """End measuring Action Units."""

    def study_page(self) -> dict[str, Any]:
        """Return the participants and sessions of the study."""

    def review(self, stem: str) -> dict[str, Any]:
        """Return what the audit says of a session."""

    def job(self, form: JobForm) -> str:
        """Start work on recorded sessions; return the job's id."""

    def cancel(self, job_id: str) -> None:
        """End a job."""

    def thumbnail(self, stimulus: str, run: str | None, protocol: str | None) -> bytes:
        """Return a small JPEG picture of a stimulus."""

    def report(self, stem: str) -> bytes:
        """Return a session's report page."""
