"""Commands of ``recorder/``: run a session, record any streams, recover, inspect."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from duchenne import __version__
from duchenne.recorder.session_command import RUN_EXAMPLE, run, run_session
from duchenne.recorder.video_command import video
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["app", "run_session"]

app = typer.Typer(no_args_is_help=True)
app.command(epilog=RUN_EXAMPLE)(run)
app.command(epilog="Example: duchenne video P01.h5 --out P01.mp4")(video)


@contextmanager
def _bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on standard error; the yielded function takes done and total."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@app.command(epilog="Example: duchenne record --out P01.h5 --require Gaze --duration 60")
def record(
    out: Annotated[Path, typer.Option(help="Session file to write (….h5).")],
    stream: Annotated[
        list[str] | None,
        typer.Option(help="LSL predicate, such as \"name='Gaze'\"; all if not given."),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help="Name of a stream that must deliver before recording starts."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Seconds; until SIGINT if not given.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for required streams.")] = 15.0,
    until_gone: Annotated[
        str | None, typer.Option(help="Name of a stream whose end also ends the recording.")
    ] = None,
    meta: Annotated[
        Path | None, typer.Option(help="JSON file of facts to store.", hidden=True)
    ] = None,
    discard_unstarted: Annotated[
        bool,
        typer.Option(
            "--discard-unstarted",
            help="Drop what came before every required stream was there.",
            hidden=True,
        ),
    ] = False,
    notes: Annotated[
        bool,
        typer.Option("--notes", help="Take rows of the log from the input.", hidden=True),
    ] = False,
    keep_journal: Annotated[
        bool, typer.Option("--keep-journal", help="Keep it after sealing.")
    ] = False,
    fsync: Annotated[
        bool, typer.Option("--fsync", help="Force every commit to the disk, against power loss.")
    ] = False,
) -> None:
    """Record LSL streams until SIGINT or SIGTERM, then seal the session file."""
    from duchenne.recorder.devices import check_predicate
    from duchenne.recorder.engine import Engine
    from duchenne.recorder.journal import JournalWriteError
    from duchenne.recorder.journal_format import journal_path_for
    from duchenne.recorder.lsl_config import hasten_discovery
    from duchenne.recorder.noted_journal import NotedJournal, listen

    hasten_discovery()
    if out.suffix != ".h5":
        raise UsageError(f"--out {out}: name a file that ends with .h5.")
    if out.exists():
        raise DuchenneError(f"{out} exists and is never overwritten: choose another name.")
    facts = _facts(meta)
    for predicate in stream or []:
        check_predicate(predicate)
    stop = threading.Event()
    # Also where a shell has set them to be ignored; Windows has SIGBREAK for the second and third.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    journal_path = journal_path_for(out)
    is_new = not journal_path.exists()
    engine: Engine | None = None
    try:
        with NotedJournal.create(journal_path, facts, fsync=fsync) as journal:
            if notes and isinstance(journal, NotedJournal):
                listen(sys.stdin.fileno(), journal.note)
            engine = Engine(
                journal,
                stream or [],
                require or [],
                deadline_s=wait,
                until_gone=until_gone,
                tell=_tell_operator,
            )
            typer.echo(f"Recording to {journal_path}; end with Ctrl-C.", err=True)
            engine.run(stop, duration_s=duration)
    except DuchenneError as refusal:
        if engine is None and is_new:
            _drop_half_made(journal_path)
        if isinstance(refusal, JournalWriteError) or engine is None or engine.started:
            raise  # what the journal holds is kept, whatever it is worth
        kept = _settle_unstarted(journal_path, discard=discard_unstarted)
        raise DuchenneError(f"{refusal} {kept}".rstrip()) from refusal
    if not engine.started:
        kept = _settle_unstarted(journal_path, discard=discard_unstarted)
        raise DuchenneError(
            f"stopped before the required streams were there; {kept or 'nothing was recorded.'}"
        )
    from duchenne.recorder.archive import seal  # only now: HDF5 takes memory while it records

    with _bar("sealing") as progress:
        seal(journal_path, out, keep_journal=keep_journal, progress=progress)
    typer.echo(f"Recorded {out}")


def _facts(meta: Path | None) -> dict[str, Any]:
    """Return the facts to store with a recording, those of a JSON file last."""
    facts: dict[str, Any] = {
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "software_version": __version__,
    }
    if meta is None:
        return facts
    try:
        told = json.loads(meta.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--meta {meta}: cannot be read as JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"--meta {meta}: holds no JSON object ({{…}}).")
    return facts | told


def _settle_unstarted(journal: Path, *, discard: bool) -> str:
    """Remove a journal that never became a recording and is empty, or return where it is kept."""
    from duchenne.recorder.archive import remove_journal
    from duchenne.recorder.journal_reader import JournalReader

    if not discard:
        with suppress(DuchenneError, sqlite3.Error), JournalReader(journal) as reader:
            discard = sum(reader.counts().values()) == 0
    if not discard:
        return f"What arrived while waiting is kept: run `duchenne recover {journal}`."
    remove_journal(journal)
    return ""


def _drop_half_made(journal: Path) -> None:
    """Remove a journal that could not be made, e.g. on a full disk: it would only block its name."""
    from duchenne.recorder.archive import remove_journal
    from duchenne.recorder.ending import journal_state
    from duchenne.recorder.lock import locked

    with (
        suppress(DuchenneError, OSError),
        locked(journal),
    ):  # one that somebody records is left alone
        if not journal_state(journal):
            remove_journal(journal)


def _tell_operator(line: str) -> None:
    with suppress(OSError):  # nobody may be listening any more; the recording goes on
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


@app.command(
    epilog="Example: duchenne recover study/sourcedata/sub-P01/ses-01/sub-P01_…_session.journal"
)
def recover(
    journal: Annotated[Path, typer.Argument(help="The .journal that a crash left.")],
    keep_journal: Annotated[
        bool, typer.Option("--keep-journal", help="Keep it afterwards.")
    ] = False,
) -> None:
    """Turn the journal of a crashed recording into its session file."""
    from duchenne.recorder import archive

    with _bar("recovering") as progress:
        target = archive.recover(journal, keep_journal=keep_journal, progress=progress)
    typer.echo(f"Recovered {target}")


@app.command(epilog="Example: duchenne convert sub-P001_task-Default_eeg.xdf P001.h5")
def convert(
    source: Annotated[Path, typer.Argument(help="XDF file (.xdf, .xdfz) or session file (.h5).")],
    target: Annotated[Path, typer.Argument(help="File to write: .h5 from XDF, .xdf from .h5.")],
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Streams alone: no protocol, log or answers in the .xdf."),
    ] = False,
) -> None:
    """Convert XDF to a session file, or a session file to XDF, without loss."""
    from duchenne.recorder.convert import convert as convert_file

    with _bar("converting") as progress:
        result = convert_file(source, target, plain=plain, progress=progress)
    for problem in result.damaged:
        typer.echo(f"not read: {problem}", err=True)
    typer.echo(f"Converted {source} to {result.path}")


@app.command(epilog="Example: duchenne inspect P01.h5 --json")
def inspect(
    file: Annotated[Path, typer.Argument(help="Session file.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Decode every frame; search large streams too.")
    ] = False,
) -> None:
    """Show what a session file holds, how well it is aligned, and what is missing; exit 1 if it fails."""
    from duchenne.recorder.audit import audit, verdict_of
    from duchenne.recorder.inspection import content_of, page_console, show
    from duchenne.recorder.recording import Recording

    with Recording.open(file) as recording:
        with _bar("inspecting"):
            findings = audit(recording, thorough=thorough)
        if as_json:
            typer.echo(json.dumps(content_of(recording, findings), indent=2))
        else:
            show(recording, findings, page_console())
    if verdict_of(findings) == "fail":
        raise typer.Exit(1)
