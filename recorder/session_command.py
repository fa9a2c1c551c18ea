"""The command ``duchenne run``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from duchenne.recorder.recording import Recording

RUN_EXAMPLE = (
    "Example: duchenne run demo --participant P01 --eyetracker tobii --eyetracker-set rate_hz=600 "
    "--camera 0 --camera-set exposure_ms=10; without devices: --eyetracker simulated --camera simulated"
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
    eyetracker_set: Annotated[
        list[str] | None,
        typer.Option(
            "--eyetracker-set",
            metavar="KEY=VALUE",
            help="Option of the eye tracker's source, such as rate_hz=600; repeatable "
            "(`duchenne sources list --options`).",
        ),
    ] = None,
    camera: Annotated[
        str, typer.Option(help="Device number or path, film path, `simulated`, or `none`.")
    ] = "0",
    camera_set: Annotated[
        list[str] | None,
        typer.Option(
            "--camera-set",
            metavar="KEY=VALUE",
            help="Option of the camera, such as exposure_ms=10; repeatable.",
        ),
    ] = None,
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
    console: Annotated[
        bool,
        typer.Option("--console", help="Also open the operator's console; its address is printed."),
    ] = False,
    control_id: Annotated[str | None, typer.Option("--control-id", hidden=True)] = None,
    override_reason: Annotated[
        str | None,
        typer.Option(
            "--override-reason",
            help="Why it is begun although a check was not green; kept in the session file.",
            hidden=True,
        ),
    ] = None,
) -> None:
    """Run a session: show, record, seal. Keys: p pause, s skip, c calibrate, n note, a abort."""
    from duchenne.protocols.displays.virtual import has_display
    from duchenne.protocols.labels import check_label
    from duchenne.recorder.devices import ExtraSource, parse_settings
    from duchenne.recorder.session_devices import CAMERA_SET, EYETRACKER_SET, check_choice
    from duchenne.recorder.session_plan import Wish, plan
    from duchenne.recorder.study_folder import study_warnings

    labels = {
        "participant": participant,
        "session": session,
        "run": run_label,
        "replaces": replaces,
    }
    for kind, label in labels.items():
        if label is not None:
            check_label(kind, label)
    for warning in study_warnings(study, participant):
        typer.echo(warning, err=True)
    if (
        camera.isdigit() is False
        and camera not in {"simulated", "none"}
        and not Path(camera).exists()
    ):
        raise UsageError(f"camera {camera}: no such device or film. Try --camera simulated or 0.")
    chosen: dict[str, Any] = {
        "eyetracker": eyetracker,
        "camera": camera,
        "sources": tuple(ExtraSource.parse(text) for text in source or ()),
        "eyetracker_settings": parse_settings(eyetracker_set or (), EYETRACKER_SET),
        "camera_settings": parse_settings(camera_set or (), CAMERA_SET),
    }
    check_choice(eyetracker, chosen["eyetracker_settings"], camera, chosen["camera_settings"])
    wish = Wish(
        protocol, participant, session, run_label, study, seed, resume, pilot, blind, replaces
    )
    request = plan(wish)
    if not headless and not has_display():
        headless = True
        typer.echo(
            "No display: using a virtual screen; the simulated participant answers.", err=True
        )
    request = replace(request, headless=headless, override_reason=override_reason, **chosen)
    run_session(request, control_id=control_id, console=console)


def run_session(request: Any, *, control_id: str | None = None, console: bool = False) -> Path:
    """Run a session with progress on the console; print the audit; return the session file.

    Parameters
    ----------
    request : duchenne.recorder.session.SessionRequest
    control_id : str, optional
        Under which its control channel is found; a new one by default.
    console : bool, default False
        Also start the operator's console, which ends by itself some time after the session.

    Raises
    ------
    DuchenneError
        If the session could not start, or was aborted (what was recorded is kept and named).
    """
    from duchenne.recorder.operator_keys import OperatorKeys
    from duchenne.recorder.recording import Recording
    from duchenne.recorder.session import SessionRunner
    from duchenne.recorder.session_control import control_post, start_console
    from duchenne.recorder.session_summary import summary_lines, withdrawal_lines

    terminal = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=terminal, transient=True, disable=not terminal.is_terminal
    ) as progress:
        task = progress.add_task("starting the sources, the recorder and the display", total=None)

        def show(line: str) -> None:
            terminal.print(line, soft_wrap=True, markup=False, highlight=False)

        with control_post(request, control_id, show) as post, OperatorKeys(tell=show) as keys:

            def on_step(step: int, of: int, label: str) -> None:
                progress.update(task, completed=step, total=of or None, description=label)
                post.step(step, of, label)

            def tell(line: str) -> None:
                post.tell(line)
                show(line)

            if console:
                start_console(request.study, show)
            outcome = SessionRunner(
                request, tell=tell, on_step=on_step, commands=lambda: [*keys.poll(), *post.poll()]
            ).run()
            post.say(state="aborted" if outcome.aborted else "finished")
    with Recording.open(outcome.session_file) as recording:
        _print_audit(recording, terminal, names=not request.blind)
        for line in [*summary_lines(recording), *withdrawal_lines(recording, outcome.session_file)]:
            terminal.print(line, soft_wrap=True, markup=False, highlight=False)
    if outcome.aborted:
        raise DuchenneError(
            f"the session was aborted; what was recorded is in {outcome.session_file}"
        )
    typer.echo(f"Recorded {outcome.session_file}")
    return outcome.session_file


def _print_audit(recording: Recording, console: Console, *, names: bool = True) -> None:
    """Print what was found; without `names`, nothing that tells a stimulus or a block."""
    from duchenne.recorder.audit import audit
    from duchenne.recorder.inspection import show_findings

    findings = audit(recording)
    shown = [finding for finding in findings if names or finding.about != "markers"]
    show_findings(shown, console)
    if len(shown) < len(findings):
        console.print("findings on the markers are hidden (--blind): `duchenne inspect` shows them")
