"""Commands of ``protocols/``: look at protocols, check them, print their schedules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from duchenne.protocols.schedule import Schedule, Step
    from duchenne.protocols.schema import Protocol

PLAIN_WIDTH = 140
"""Columns of a table that is not written to a terminal."""

app = typer.Typer(
    no_args_is_help=True,
    help="Look at protocols, check them, print their schedules.",
    epilog="Example: duchenne protocol check my-study.yaml",
)

ProtocolArgument = Annotated[
    str,
    typer.Argument(help="A name shown by `duchenne protocol list`, or the path of a YAML file."),
]
ParticipantOption = Annotated[str, typer.Option(help="Label of letters and digits, such as P01.")]
SessionOption = Annotated[str, typer.Option(help="Label of letters and digits.")]
SeedOption = Annotated[
    int | None,
    typer.Option(
        help="Draw from this seed; by default from the protocol, participant and session."
    ),
]

NumberOption = Annotated[
    int | None,
    typer.Option(help="Place in the counterbalancing; by default the number in the label."),
]


@app.command("list", epilog="Example: duchenne protocol list")
def list_() -> None:
    """Show the protocols that ship with Duchenne."""
    from rich.table import Table

    from duchenne.protocols.schedule import make_schedule
    from duchenne.protocols.schema import library, load_protocol

    table = Table()
    for name in ("name", "title", "trials", "about"):
        table.add_column(name, justify="right" if name == "trials" else "left")
    table.add_column("minutes", justify="right")
    for name, path in library().items():
        protocol = load_protocol(path)
        schedule = make_schedule(protocol, participant="P01", session="01")
        minutes = f"{schedule.planned_duration_s / 60:.1f}"
        trials = str(len(schedule.trials))
        table.add_row(name, protocol.title, trials, " ".join(protocol.description.split()), minutes)
    _print_table(table)


@app.command(epilog="Example: duchenne protocol check my-study.yaml")
def check(protocol: ProtocolArgument) -> None:
    """Check a protocol, its schedule and every stimulus file it uses."""
    from duchenne.protocols.schedule import make_schedule
    from duchenne.protocols.schema import load_protocol
    from duchenne.protocols.trigger_codes import trigger_codes

    loaded = load_protocol(protocol)
    stimuli = loaded.stimulus_set(verify=True)
    from duchenne.protocols.screens import check_screens

    check_screens(loaded, stimuli)
    schedule = make_schedule(loaded, participant="P01", session="01", stimuli=stimuli)
    trigger_codes(loaded, stimuli)
    typer.echo(
        f"{loaded.source_path}: in order; {len(schedule.trials)} trials, "
        f"about {schedule.planned_duration_s / 60:.1f} minutes"
    )


@app.command(epilog="Example: duchenne protocol copy film-clips my-study.yaml")
def copy(
    name: Annotated[str, typer.Argument(help="A name shown by `duchenne protocol list`.")],
    file: Annotated[Path, typer.Argument(help="New file, such as my-study.yaml.")],
) -> None:
    """Copy a protocol of the library, with its comments, to make it your own."""
    from duchenne.protocols.schema import library_path

    _write(file, library_path(name).read_text(encoding="utf-8"))


@app.command(epilog="Example: duchenne protocol shorten my-study.yaml --out rehearsal.yaml")
def shorten(
    protocol: ProtocolArgument,
    out: Annotated[Path, typer.Option(help="New file, such as rehearsal.yaml.")],
    longest: Annotated[
        float, typer.Option(min=0.1, help="No phase that has a length lasts longer, in seconds.")
    ] = 1.0,
) -> None:
    """Write a short form of a protocol, for a rehearsal: every screen once, each for a moment.

    One stimulus of each category is shown, few targets, one question of each kind. Films last as long
    as they are.
    """
    from duchenne.protocols.schema import load_protocol
    from duchenne.protocols.shortened import shortened

    _write(out, shortened(load_protocol(protocol), longest_s=longest))


@app.command(epilog="Example: duchenne protocol schema --out protocol.schema.json")
def schema(
    out: Annotated[Path | None, typer.Option(help="File to write; printed if not given.")] = None,
) -> None:
    """Print the JSON Schema of the protocol file, by which editors complete and check."""
    from duchenne.protocols.json_schema import json_schema_text

    if out is None:
        typer.echo(json_schema_text(), nl=False)
    else:
        _write(out, json_schema_text(), replace=True)


@app.command(epilog="Example: duchenne protocol schedule demo --participant P07 --seed 5")
def schedule(
    protocol: ProtocolArgument,
    participant: ParticipantOption,
    session: SessionOption = "01",
    seed: SeedOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print what a session would show, in order, without running it."""
    from duchenne.protocols.schedule import make_schedule
    from duchenne.protocols.schema import load_protocol

    loaded = load_protocol(protocol)
    planned = make_schedule(loaded, participant=participant, session=session, seed=seed)
    if json:
        typer.echo(planned.to_json(), nl=False)
        return
    _print_table(_schedule_table(planned))
    if loaded.triggers is not None:
        _print_table(_trigger_table(loaded))
    typer.echo(
        f"{len(planned.trials)} trials, about {planned.planned_duration_s / 60:.1f} minutes, "
        f"seed {planned.seed}"
    )


@app.command(epilog="Example: duchenne protocol preview demo --out screens")
def preview(
    protocol: ProtocolArgument,
    out: Annotated[Path, typer.Option(help="New folder for the PNG files.")],
    participant: ParticipantOption = "P01",
    session: SessionOption = "01",
    seed: SeedOption = None,
    headless: Annotated[bool, typer.Option("--headless", help="Use a virtual screen.")] = False,
) -> None:
    """Render every different screen of a session to a PNG file, without running it."""
    from duchenne.protocols.preview import preview as render
    from duchenne.protocols.schedule import make_schedule
    from duchenne.protocols.schema import load_protocol

    loaded = load_protocol(protocol)
    stimuli = loaded.stimulus_set(verify=True)
    planned = make_schedule(
        loaded, participant=participant, session=session, seed=seed, stimuli=stimuli
    )
    written = render(loaded, planned, stimuli, out, headless=headless, on_screen=typer.echo)
    typer.echo(f"{len(written)} screens in {out}")


@app.command(
    hidden=True, epilog="Example: duchenne protocol present demo --participant P01 --headless"
)
def present(
    protocol: ProtocolArgument,
    participant: ParticipantOption,
    session: SessionOption = "01",
    run: Annotated[str, typer.Option(help="Label of letters and digits.")] = "01",
    source_id: Annotated[str, typer.Option(help="What the streams' ids begin with.")] = "duchenne",
    seed: SeedOption = None,
    number: NumberOption = None,
    checked: Annotated[
        bool, typer.Option("--checked", help="Do not open every stimulus file once more.")
    ] = False,
    simulated: Annotated[bool, typer.Option("--simulated", help="Answer by itself.")] = False,
    headless: Annotated[bool, typer.Option("--headless", help="Use a virtual screen.")] = False,
    gaze_stream: Annotated[
        str | None,
        typer.Option(help="Condition of the eye tracker's stream, such as source_id='tracker'."),
    ] = None,
) -> None:
    """Show a protocol: the display process of a session, led by lines on its standard input."""
    from duchenne.protocols.present import present as show

    code = show(
        protocol,
        participant=participant,
        session=session,
        run=run,
        source_id=source_id,
        seed=seed,
        number=number,
        simulated=simulated,
        headless=headless,
        checked=checked,
        gaze_stream=gaze_stream,
    )
    raise typer.Exit(code)


def _write(file: Path, text: str, *, replace: bool = False) -> None:
    """Write a text file and say so; refuse one that is there unless it may be replaced."""
    from duchenne.stimuli.errors import DuchenneError

    try:
        with file.open("w" if replace else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise DuchenneError(f"{file} is there already; name a new file") from None
    except OSError as error:
        raise DuchenneError(f"{file} cannot be written: {error.strerror}") from None
    typer.echo(f"Wrote {file}")


def _schedule_table(planned: Schedule) -> Table:
    from rich.table import Table

    table = Table(title=f"{planned.protocol_name}, participant {planned.participant}")
    for name in ("block", "step", "stimulus", "ratings"):
        table.add_column(name, no_wrap=True)
    for name in ("fixation s", "duration s", "interval s", "start s"):
        table.add_column(name, justify="right", no_wrap=True)
    start_s = 0.0
    for step in planned.steps:
        if step.kind not in ("block_start", "block_end"):
            table.add_row(*_cells(step), f"{start_s:.1f}")
        start_s += step.planned_duration_s
    return table


def _trigger_table(protocol: Protocol) -> Table:
    from rich.table import Table

    from duchenne.protocols.trigger_codes import trigger_codes

    table = Table(title="trigger codes")
    table.add_column("code", justify="right")
    table.add_column("event")
    table.add_column("category or stimulus")
    for code, event, name in trigger_codes(protocol, protocol.stimulus_set()).rows():
        table.add_row(str(code), event, name)
    return table


def _cells(step: Step) -> tuple[str, ...]:
    if step.trial is None:
        length = "key" if step.duration_s is None else f"{step.duration_s:g}"
        return step.block, step.kind, "", "", "", length, ""
    t = step.trial
    lengths = (f"{t.fixation_s:g}", f"{t.duration_s:g}", f"{t.iti_s:g}")
    return t.block, f"trial {t.trial}", t.stimulus_id, ", ".join(t.ratings), *lengths


def _print_table(table: Table) -> None:
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=PLAIN_WIDTH)).print(table)
