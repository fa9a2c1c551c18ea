"""The command ``duchenne models export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXPORT_EXAMPLE = (
    "Example: duchenne models export runs/student/best.safetensors --data faces --out my-student "
    "&& duchenne au film.mp4 --backend student:my-student. A system of affect: duchenne models export "
    "runs/doe/best.safetensors --data faces --out my-doe && duchenne affect film.mp4 --affect-backend "
    "checkpoint:my-doe/affect.safetensors"
)


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="Weights of a trained resnet18_student, or of affect."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    data: Annotated[
        list[Path],
        typer.Option(
            help="The prepared faces it was trained on: they set the 8-bit scales. Repeat it where "
            "it was trained on several."
        ),
    ],
    *,
    pictures: Annotated[
        int, typer.Option(min=8, max=10_000, help="How many pictures set the scales.")
    ] = 256,
    keep_float: Annotated[
        bool, typer.Option("--float", help="Write the network in single precision, too.")
    ] = False,
) -> None:
    """Write trained weights as files that a backend runs in 8 bits (ONNX).

    Of a student for `student:FOLDER`; of a system of affect for `checkpoint:FOLDER/affect.safetensors`.
    """
    import onnx  # noqa: F401  (the quantiser needs it: missing, it is said before the work begins)

    from duchenne.analysis.models.export import export_student
    from duchenne.analysis.models.export_affect import export_affect, is_of_affect
    from duchenne.analysis.training.together import read_together

    faces = read_together(data)
    if is_of_affect(checkpoint):
        card = export_affect(checkpoint, faces, out, n_pictures=pictures)
        for name, n_bytes in card["bytes"].items():
            typer.echo(f"{name}: {n_bytes / 1e6:.1f} MB")
        if "correlation" in card["int8"]:
            typer.echo(
                f"On {card['int8']['n_pictures']} pictures of validation subjects, answers in single "
                f"precision and in 8 bits correlate {card['int8']['correlation']}."
            )
        typer.echo(f"Written: {out}")
        return
    written = export_student(checkpoint, faces, out, n_pictures=pictures, keep_float=keep_float)
    figures, files = written.card["int8"], written.card["files"]
    for name, row in files.items():
        typer.echo(f"{name}: {row['bytes'] / 1e6:.1f} MB")
    if "pcc_int8" in figures:
        typer.echo(
            f"On {figures['n_pictures']} pictures of validation subjects: mean PCC "
            f"{figures['pcc_fp32']} in single precision, {figures['pcc_int8']} in 8 bits."
        )
    typer.echo(f"Written: {written.folder}")
