"""The commands ``duchenne models``: list, info and import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duchenne.analysis.models.export_command import EXPORT_EXAMPLE, export
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from duchenne.analysis.models.registry import ModelEntry

app = typer.Typer(
    no_args_is_help=True,
    help="Systems of the field that train and run from here.",
    epilog="Example: duchenne models info jaa_net",
)
app.command(epilog=EXPORT_EXAMPLE)(export)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command(name="list", epilog="Example: duchenne models list --json")
def list_models(*, as_json: AsJson = False) -> None:
    """List the systems: what they learn, their input and how many parameters they have."""
    from duchenne.analysis.models.registry import model_entries

    rows = [_row(entry) for entry in model_entries().values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1))
    for heading in ("name", "learns", "outputs", "input", "parameters", "from"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row["name"],
            row["task"],
            str(row["n_outputs"]),
            f"{row['input_px']} px",
            f"{row['parameters']:,}",
            row["paper"],
        )
    Console().print(table)


@app.command(epilog="Example: duchenne models info jaa_net")
def info(
    name: Annotated[str, typer.Argument(help="Name of a system (`duchenne models list`).")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what one system is, what it needs, and under which terms its weights stand."""
    from duchenne.analysis.models.registry import model_entry

    row = _row(model_entry(name))
    if as_json:
        typer.echo(json.dumps(row, indent=1))
        return
    for key, value in row.items():
        typer.echo(f"{key:>14}  {value:,}" if isinstance(value, int) else f"{key:>14}  {value}")


@app.command(
    name="import",
    epilog="Example: duchenne models import me_graphau MEFARG_resnet50.pth --out me_graphau.safetensors",
)
def import_model(
    name: Annotated[str, typer.Argument(help="Name of a system (`duchenne models list`).")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE ...", help="Checkpoint that you have obtained.")
    ],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the weights here (.safetensors).")] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="AU01,AU02,…", help="What it answers, in its order."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only tell what matches.")] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Write what matches, as `initial` weights of a training."),
    ] = False,
) -> None:
    """Take over published weights that you have obtained; tell what matched. Code in them is refused."""
    from duchenne.analysis.models.import_checkpoint import imported, write_imported
    from duchenne.analysis.models.importing import (
        IN_PLACE,
        licence_of,
        load_published_emofan,
        read_several,
    )
    from duchenne.analysis.models.registry import model_entry

    entry = model_entry(name)
    if not check and out is None:
        raise UsageError("name a file with --out, or only look with --check.")
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UsageError(f"there is no file {', '.join(missing)}.")
    if name in IN_PLACE and not check:
        raise UsageError(
            f"{name} is used where its file lies, since its licence allows no changed copy: look with "
            f"--check, and name {files[0]} itself where a model is asked for."
        )
    if name in IN_PLACE:
        for line in load_published_emofan(files[0])[1]:
            typer.echo(line)
        typer.echo(f"Usable in place: {files[0]}")
        return
    wanted = tuple(labels.split(",")) if labels else None
    found = imported(entry, read_several(files), wanted)
    for line in found.matched.lines():
        typer.echo(line)
    typer.echo(f"Licence: {licence_of(name)}")
    if check or out is None:
        return
    if not found.matched.n_found:
        raise DuchenneError(f"nothing of {files[0]} fits {name}: is it of another system?")
    if not found.matched.is_complete and not partial:
        raise DuchenneError(
            f"{files[0]} does not fill {name}: {len(found.matched.missing)} tensors are missing, so it "
            "cannot answer. Add --partial to train from what matches (`initial` in the settings)."
        )
    write_imported(out, found, files)
    typer.echo(f"Weights: {out}")


def _row(entry: ModelEntry) -> dict[str, Any]:
    import torch

    from duchenne.analysis.models.registry import n_parameters

    with torch.device("meta"):  # shapes alone: nothing is computed or held
        net = entry.build(n_outputs=entry.default_n_outputs)
    return {
        "name": entry.name,
        "task": entry.task,
        "n_outputs": entry.default_n_outputs,
        "input_px": entry.input_px,
        "alignment": entry.alignment,
        "preprocessing": entry.preprocessing,
        "parameters": n_parameters(net),
        "trainable": n_parameters(net, trainable=True),
        "paper": entry.paper,
        "weights": entry.weights,
    }
