"""The command ``duchenne console``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = "Example: duchenne console --study study"


def console(
    *,
    study: Annotated[Path, typer.Option(help="Study folder; made where it is missing.")] = Path(
        "study"
    ),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free.")
    ] = 0,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDR",
            help="Address to listen on; anything but 127.0.0.1 opens it to the network.",
        ),
    ] = "127.0.0.1",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    linger: Annotated[bool, typer.Option("--linger", hidden=True)] = False,
) -> None:
    """Open the operator's console: a page that checks, watches and steers sessions."""
    from duchenne.analysis.console.start import run_console  # noqa: PLC0415

    run_console(study, port=port, host=host, browser=not no_browser, lingers=linger)
