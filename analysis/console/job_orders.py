"""What a page orders on recorded sessions, as a ``duchenne`` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.console.backend import NotThereError
from duchenne.analysis.console.reviews import session_path
from duchenne.analysis.console.study_page import EXPORTS
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.console.forms import JobForm

OF_STUDY = {"analyze": "Analyse the study", "report": "Reports of the study"}
OF_SESSION = {"analyze": "Analyse", "report": "Report of", "recover": "Recover"}


def order_of(form: JobForm, study: Path) -> tuple[str, str, list[str], str | None]:
    """Return kind, title, arguments and the address of the result of a job.

    Raises
    ------
    UsageError
        Something is missing in the form.
    NotThereError
        There is no such session.
    """
    if form.kind == "export":
        if form.format is None:
            raise UsageError("format: say what to export")
        out = study / EXPORTS / form.format
        arguments = [str(study), f"--format={form.format}", f"--out={out}", "--replace"]
        return "export", f"Export as {form.format}", ["export", *arguments], None
    if form.stem is None:
        if form.kind not in OF_STUDY:
            raise UsageError("stem: say which session")
        return form.kind, OF_STUDY[form.kind], [form.kind, str(study)], None
    path = session_path(study, form.stem)
    path = path.with_suffix(".journal") if form.kind == "recover" else path
    if not path.is_file():
        raise NotThereError(f"no file {path.name}")
    result = None if form.kind == "recover" else f"/reports/{form.stem}"
    title = f"{OF_SESSION[form.kind]} {form.stem}"
    return form.kind, title, [form.kind, str(path)], result
