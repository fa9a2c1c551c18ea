"""Printing a page to PDF with Chromium, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

from duchenne.analysis.tables import replacing
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MOST_S = 180
_OFFLINE = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-pdf-header-footer",
)  # fmt: skip


def browser() -> str | None:
    """Return the Chromium that is installed; None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def print_to_pdf(page: Path) -> Path:
    """Print an HTML page to a PDF of the same name beside it.

    Raises
    ------
    DuchenneError
        If there is no Chromium, or it does not print the page within three minutes.
    """
    program = browser()
    if program is None:
        raise DuchenneError(
            f"{page.name} cannot be printed: no Chromium found ({', '.join(BROWSERS)}). Install it, or open "
            "the page in any browser and print it there."
        )
    target = page.with_suffix(".pdf")
    # Chromium refuses its sandbox to the superuser, as in containers; the page is our own.
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with replacing(target) as aside, tempfile.TemporaryDirectory() as profile:
        command = [
            program, *_OFFLINE, *sandbox, f"--user-data-dir={profile}",
            f"--print-to-pdf={aside}", page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=MOST_S)
        except (subprocess.SubprocessError, OSError) as error:
            raise DuchenneError(
                f"{page.name} could not be printed by {program}: {error}"
            ) from error
        if not aside.is_file():
            raise DuchenneError(f"{page.name} could not be printed by {program}: it wrote nothing.")
    return target
