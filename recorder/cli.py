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
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from duchenne import __version__
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.recorder.recording import Recording

app = typer.Typer(no_args_is_help=True)

COLOURS = {"ok": "green", "pass": "green", "warn": "yellow", "fail": "red"}


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


@app.command(
    epilog="Example: duchenne run demo --participant P01 --eyetracker simulated --camera simulated"
)
def run(
    protocol: Annotated[str, typer.Argument(help="Library name or path of a protocol file.")],
    participant: Annotated[str, typer.Option(help="Pseudonymous label, such as P01.")],
    session: Annotated[str, typer.Option(help="Session label.")] = "01",
    run_label: Annotated[str, typer.Option("--run", help="Run label, for repeats.")] = "01",
    study: Annotated[Path, typer.Option(help="Study folder.")] = Path("study"),
    eyetracker: Annotated[
        str,
        typer.Option(
            help="A source (`duchenne sources list`), `lsl` for one already streaming, or `none`."
        ),
    ] = "lsl",
    camera: Annotated[
        str, typer.Option(help="Device number or path, film path, `simulated`, or `none`.")
    ] = "0",
    seed: Annotated[
        int | None, typer.Option(help="Seed of the schedule; derived if not given.")
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Virtual screen; the simulated participant answers.")
    ] = False,
) -> None:
    """Run a participant session: show, record, seal."""
    from duchenne.protocols.displays.virtual import has_display
    from duchenne.protocols.labels import check_label
    from duchenne.protocols.schedule import make_schedule
    from duchenne.protocols.schema import load_protocol
    from duchenne.recorder.layout import SessionName
    from duchenne.recorder.session import SessionRequest

    for kind, label in (("participant", participant), ("session", session), ("run", run_label)):
        check_label(kind, label)
    if (
        camera.isdigit() is False
        and camera not in {"simulated", "none"}
        and not Path(camera).exists()
    ):
        raise UsageError(f"camera {camera}: no such device or film. Try --camera simulated or 0.")
    loaded = load_protocol(protocol)
    stimuli = loaded.stimulus_set(verify=True)
    schedule = make_schedule(loaded, participant=participant, session=session, seed=seed)
    if not headless and not has_display():
        headless = True
        typer.echo(
            "No display: using a virtual screen; the simulated participant answers.", err=True
        )
    name = SessionName(participant, session, loaded.name, run_label)
    request = SessionRequest(
        loaded,
        stimuli,
        schedule,
        name,
        study,
        eyetracker=eyetracker,
        camera=camera,
        headless=headless,
    )
    run_session(request)


def run_session(request: Any) -> Path:
    """Run a session with progress on the console; print the audit; return the session file.

    Parameters
    ----------
    request : duchenne.recorder.session.SessionRequest

    Raises
    ------
    DuchenneError
        If the session could not start, or was aborted (what was recorded is kept and named).
    """
    from duchenne.recorder.recording import Recording
    from duchenne.recorder.session import SessionRunner

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("starting the sources, the recorder and the display", total=None)

        def on_step(step: int, of: int, label: str) -> None:
            progress.update(task, completed=step, total=of or None, description=label)

        def tell(line: str) -> None:
            console.print(line, soft_wrap=True, markup=False, highlight=False)

        outcome = SessionRunner(request, tell=tell, on_step=on_step).run()
    with Recording.open(outcome.session_file) as recording:
        _print_audit(recording, console)
    if outcome.aborted:
        raise DuchenneError(
            f"the session was aborted; what was recorded is in {outcome.session_file}"
        )
    typer.echo(f"Recorded {outcome.session_file}")
    return outcome.session_file


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
    keep_journal: Annotated[
        bool, typer.Option("--keep-journal", help="Keep it after sealing.")
    ] = False,
    fsync: Annotated[bool, typer.Option("--fsync", help="Force every commit to the disk.")] = False,
) -> None:
    """Record LSL streams until SIGINT or SIGTERM, then seal the session file."""
    from duchenne.recorder.archive import journal_path_for, seal
    from duchenne.recorder.devices import check_predicate
    from duchenne.recorder.engine import Engine
    from duchenne.recorder.journal import Journal

    if out.suffix != ".h5":
        raise UsageError(f"--out {out}: name a file that ends with .h5.")
    if out.exists():
        raise DuchenneError(f"{out} exists and is never overwritten: choose another name.")
    facts = _facts(meta)
    for predicate in stream or []:
        check_predicate(predicate)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    journal_path = journal_path_for(out)
    engine: Engine | None = None
    try:
        with Journal.create(journal_path, facts, fsync=fsync) as journal:
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
    except sqlite3.Error as error:
        raise DuchenneError(
            f"cannot write {journal_path}: {error}. What was recorded before is safe in it: make room, "
            f"then run `duchenne recover {journal_path}`."
        ) from error
    except DuchenneError as refusal:
        if engine is None or engine.started:
            raise
        kept = _settle_unstarted(journal_path, discard=discard_unstarted)
        raise DuchenneError(f"{refusal} {kept}".rstrip()) from refusal
    if not engine.started:
        kept = _settle_unstarted(journal_path, discard=discard_unstarted)
        raise DuchenneError(
            f"stopped before the required streams were there; {kept or 'nothing was recorded.'}"
        )
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
    from duchenne.recorder.journal import JournalReader

    if not discard:
        with suppress(DuchenneError, sqlite3.Error), JournalReader(journal) as reader:
            discard = sum(reader.counts().values()) == 0
    if not discard:
        return f"What arrived while waiting is kept: run `duchenne recover {journal}`."
    remove_journal(journal)
    return ""


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


@app.command(epilog="Example: duchenne inspect P01.h5 --json")
def inspect(
    file: Annotated[Path, typer.Argument(help="Session file.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what a session file holds, how well it is aligned, and what is missing."""
    from duchenne.recorder.audit import audit
    from duchenne.recorder.recording import Recording

    with Recording.open(file) as recording:
        if as_json:
            content = {
                "attributes": recording.attrs,
                "streams": {key: value.to_json() for key, value in recording.certificate.items()},
                "audit": [{"level": f.level, "what": f.what} for f in audit(recording)],
            }
            typer.echo(json.dumps(content, indent=2))
            return
        console = Console()
        facts = recording.attrs
        console.print(
            f"[bold]{file.name}[/bold]  participant {facts['participant'] or '–'}, session "
            f"{facts['session'] or '–'}, task {facts['task'] or '–'}, run {facts['run'] or '–'}, "
            f"{facts['created_utc']}"
        )
        console.print(_stream_table(recording))
        _print_audit(recording, console)


def _stream_table(recording: Recording) -> Table:
    table = Table(
        "stream", "type", "samples", "rate (Hz)", "jitter (ms)", "gaps", "offset (ms)", "verdict"
    )
    for key, value in recording.certificate.items():
        nominal = value.nominal_srate_hz
        rate = f"{value.effective_srate_hz:.2f} / {nominal:g}" if nominal else "irregular"
        gaps = f"{value.n_gaps} (longest {value.longest_gap_s:.3f} s)" if value.n_gaps else "0"
        offset = f"{value.offset_ms:+.3f} ± {value.offset_uncertainty_ms:.3f}"
        colour = COLOURS[value.verdict]
        table.add_row(
            key,
            recording.streams[key].info.type,
            str(value.n_samples),
            rate,
            f"{value.jitter_ms:.3f}" if nominal else "–",
            gaps,
            offset,
            f"[{colour}]{value.verdict}[/{colour}]",
        )
    return table


def _print_audit(recording: Recording, console: Console) -> None:
    from duchenne.recorder.audit import audit

    for finding in audit(recording):
        colour = COLOURS[finding.level]
        mark = f"[{colour}]{finding.level:4}[/{colour}]"
        console.print(f"{mark} {escape(finding.what)}", highlight=False, soft_wrap=True)
