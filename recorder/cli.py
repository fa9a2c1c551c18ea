"""Commands of ``recorder/``: run a session, record any streams, recover, inspect."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from duchenne import __version__
from duchenne.recorder.video_command import video
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.recorder.recording import Recording

app = typer.Typer(no_args_is_help=True)
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


@app.command(
    epilog="Example: duchenne run demo --participant P01 --eyetracker simulated --camera simulated"
)
def run(
    protocol: Annotated[str, typer.Argument(help="Library name or path of a protocol file.")],
    participant: Annotated[str, typer.Option(help="Pseudonymous label, such as P01.")],
    session: Annotated[str, typer.Option(help="Session label.")] = "01",
    run_label: Annotated[
        str | None, typer.Option("--run", help="Run label, for repeats; 01 if not given.")
    ] = None,
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
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="A further source to start and record, as NAME or NAME:key=value,key=value, such as "
            "photodiode:port=/dev/ttyACM0; repeatable.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the schedule; derived if not given.")
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Virtual screen; the simulated participant answers.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on at the next trial of a session that broke off, as a new run."
        ),
    ] = False,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="A try: never enters the study's summaries.")
    ] = False,
    replaces: Annotated[
        str | None,
        typer.Option(help="Participant whose number in the counterbalancing this one inherits."),
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Tell the operator no stimulus and no condition.")
    ] = False,
) -> None:
    """Run a participant session: show, record, seal. Keys: p pause, s skip, c calibrate, a abort."""
    from duchenne.protocols.displays.virtual import has_display
    from duchenne.protocols.labels import check_label
    from duchenne.recorder.devices import ExtraSource
    from duchenne.recorder.session_plan import Wish, plan

    labels = {
        "participant": participant,
        "session": session,
        "run": run_label,
        "replaces": replaces,
    }
    for kind, label in labels.items():
        if label is not None:
            check_label(kind, label)
    if (
        camera.isdigit() is False
        and camera not in {"simulated", "none"}
        and not Path(camera).exists()
    ):
        raise UsageError(f"camera {camera}: no such device or film. Try --camera simulated or 0.")
    extras = tuple(ExtraSource.parse(text) for text in source or ())
    wish = Wish(
        protocol, participant, session, run_label, study, seed, resume, pilot, blind, replaces
    )
    request = plan(wish)
    if not headless and not has_display():
        headless = True
        typer.echo(
            "No display: using a virtual screen; the simulated participant answers.", err=True
        )
    request = replace(
        request, eyetracker=eyetracker, camera=camera, sources=extras, headless=headless
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
    from duchenne.recorder.operator_keys import OperatorKeys
    from duchenne.recorder.recording import Recording
    from duchenne.recorder.session import SessionRunner
    from duchenne.recorder.session_summary import summary_lines

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

        with OperatorKeys(tell=tell) as keys:
            outcome = SessionRunner(request, tell=tell, on_step=on_step, commands=keys.poll).run()
    with Recording.open(outcome.session_file) as recording:
        _print_audit(recording, console, names=not request.blind)
        for line in summary_lines(recording):
            console.print(line, soft_wrap=True, markup=False, highlight=False)
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
    fsync: Annotated[
        bool, typer.Option("--fsync", help="Force every commit to the disk, against power loss.")
    ] = False,
) -> None:
    """Record LSL streams until SIGINT or SIGTERM, then seal the session file."""
    from duchenne.recorder.devices import check_predicate
    from duchenne.recorder.engine import Engine
    from duchenne.recorder.journal import Journal, JournalWriteError
    from duchenne.recorder.journal_format import journal_path_for
    from duchenne.recorder.lsl_config import hasten_discovery

    hasten_discovery()
    if out.suffix != ".h5":
        raise UsageError(f"--out {out}: name a file that ends with .h5.")
    if out.exists():
        raise DuchenneError(f"{out} exists and is never overwritten: choose another name.")
    facts = _facts(meta)
    for predicate in stream or []:
        check_predicate(predicate)
    stop = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # also where a shell has set them to be ignored
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
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
    except JournalWriteError:
        raise  # what it holds is kept, whatever it is worth
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


def _print_audit(recording: Recording, console: Console, *, names: bool = True) -> None:
    """Print what was found; without `names`, nothing that tells a stimulus or a block."""
    from duchenne.recorder.audit import audit
    from duchenne.recorder.inspection import show_findings

    findings = audit(recording)
    shown = [finding for finding in findings if names or finding.about != "markers"]
    show_findings(shown, console)
    if len(shown) < len(findings):
        console.print("findings on the markers are hidden (--blind): `duchenne inspect` shows them")
