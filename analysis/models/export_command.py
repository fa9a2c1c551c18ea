"""The command ``duchenne models export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXPORT_EXAMPLE = (
    "Example: duchenne models export runs/student/best.safetensors --data faces --out my-student "
    "&& duchenne au film.mp4 --backend student:my-student"
)


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="Weights of a trained resnet18_student.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the student's files.")],
    data: Annotated[
        Path, typer.Option(help="The prepared faces it was trained on: they set the 8-bit scales.")
    ],
    *,
    pictures: Annotated[
        int, typer.Option(min=8, max=10_000, help="How many pictures set the scales.")
    ] = 256,
    keep_float: Annotated[
        bool, typer.Option("--float", help="Write the network in single precision, too.")
    ] = False,
) -> None:
    """Write a trained student as files that the backend `student:FOLDER` runs (8-bit ONNX)."""
    import onnx  # noqa: F401  (the quantiser needs it: missing, it is said before the work begins)

    from duchenne.analysis.models.export import export_student
    from duchenne.analysis.training.prepared import read_faces

    written = export_student(
        checkpoint, read_faces(data), out, n_pictures=pictures, keep_float=keep_float
    )
    figures, files = written.card["int8"], written.card["files"]
    for name, row in files.items():
        typer.echo(f"{name}: {row['bytes'] / 1e6:.1f} MB")
    if "pcc_int8" in figures:
        typer.echo(
            f"On {figures['n_pictures']} pictures of validation subjects: mean PCC "
            f"{figures['pcc_fp32']} in single precision, {figures['pcc_int8']} in 8 bits."
        )
    typer.echo(f"Written: {written.folder}")
