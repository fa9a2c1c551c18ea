"""Commands ``sources list`` and ``sources start``."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from duchenne.recorder.ending import ending_signals
from duchenne.recorder.sources.base import serve
from duchenne.recorder.sources.registry import create_source, load_source, source_names
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from types import FrameType

    from duchenne.recorder.sources.base import Source

app = typer.Typer(
    no_args_is_help=True,
    help="Sources of samples: list them, start one.",
    epilog="Example: duchenne sources list --options",
)

POLL_S = 0.05


@app.command("list", epilog="Example: duchenne sources list --options")
def list_sources(
    options: Annotated[
        bool, typer.Option("--options", help="Also show each source's options.")
    ] = False,
) -> None:
    """List the installed sources and whether they can work here."""
    table = Table(box=None, pad_edge=False)
    for heading in ("source", "what", "here"):
        table.add_column(heading, overflow="fold")
    for name in source_names():
        source_class = load_source(name)
        table.add_row(name, source_class.summary, escape(source_class.unavailable() or "available"))
        for key, field in source_class.Options.model_fields.items() if options else ():
            if key != "source_id":
                default = "" if field.default is None else f" ({field.default})"
                table.add_row("", f"--set {key}=…  {field.description or ''}{default}", "")
    Console().print(table)


@app.command(
    epilog="Example: duchenne sources start simulated --source-id tracker --set rate_hz=1200",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def start(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a source; see `duchenne sources list`.")],
    source_id: Annotated[
        str, typer.Option(help="Stable LSL identity of the stream; by default duchenne-NAME.")
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Option of the source, as key=value; repeatable."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(help="Stop after so many seconds of samples.", min=0.0)
    ] = None,
    stop_unheard: Annotated[
        float | None,
        typer.Option(help="Stop so many seconds after the last listener has left.", min=0.0),
    ] = None,
) -> None:
    """Run one source until SIGTERM or Ctrl-C; prints `ready` once its samples flow.

    An option of the source may also be given as --key value.
    """
    pairs = _pairs([*(settings or []), *_direct(context.args)])
    source = create_source(name, source_id or f"duchenne-{name}", pairs)
    _serve_until_told(source, duration, stop_unheard)
    typer.echo(source.result)


def _direct(arguments: list[str]) -> list[str]:
    """Return ``--key value``, ``--key=value`` and a bare ``--key`` (true) as ``key=value``."""
    settings: list[str] = []
    is_open = False
    for argument in arguments:
        if argument.startswith("--") and len(argument) > 2:
            key, equals, value = argument[2:].partition("=")
            settings.append(f"{key}={value if equals else 'true'}")
            is_open = not equals
        elif is_open:
            settings[-1] = f"{settings[-1].removesuffix('=true')}={argument}"
            is_open = False
        else:
            raise UsageError(f"{argument}: give an option of the source as --key value.")
    return settings


def _pairs(settings: list[str]) -> dict[str, str]:
    pairs = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {setting}: write it as key=value, e.g. --set seed=1.")
        pairs[key.strip().replace("-", "_")] = value
    return pairs


def _serve_until_told(
    source: Source, duration_s: float | None, stop_unheard_s: float | None
) -> None:
    """Serve in a thread, so that the signal handlers need no lock that the source may hold."""
    stop = threading.Event()
    told = False
    ready_at: list[float] = []

    def note_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = True

    def announce() -> None:
        ready_at.append(time.monotonic())
        typer.echo("ready")

    previous = {n: signal.signal(n, note_signal) for n in ending_signals()}
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="source") as pool:
            served = pool.submit(serve, source, stop, announce, stop_unheard_s=stop_unheard_s)
            while not served.done():
                over = (
                    duration_s is not None
                    and ready_at
                    and time.monotonic() - ready_at[0] >= duration_s
                )
                if told or over:
                    stop.set()
                time.sleep(POLL_S)
            served.result()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
