"""The commands ``duchenne models list`` and ``duchenne models info``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from duchenne.analysis.models.registry import ModelEntry

app = typer.Typer(no_args_is_help=True, help="Systems of the field that train and run from here.")

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
