"""A trained system of affect with the network that looks at pictures in 8 bits, for its backend.

Convolutions are made 8-bit with scales from pictures of the training's own subjects (static quantisation);
transformers with scales that are found anew for every picture (dynamic), because few of their activations
stay in one range. What sees the features afterwards (recurrent layers, fusion, the layers upon a difference)
stays as it is.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from duchenne.analysis.affect.network import AFFECT, OURS, read_trained
from duchenne.analysis.affect.runtime import INPUT, eight_bit_files, session_of, write_network
from duchenne.analysis.affect.systems import reading_of
from duchenne.analysis.models.export import quantise
from duchenne.analysis.models.exporting import quiet_exporters
from duchenne.analysis.provenance import sha256_of
from duchenne.analysis.tables import write_json
from duchenne.analysis.training.augment import plain_batch
from duchenne.analysis.training.checkpoint import read_about
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from duchenne.analysis.affect.network import Trained
    from duchenne.analysis.training.prepared import Faces

FORMAT = "duchenne-affect-1"
WEIGHTS = f"affect{OURS}"
TRANSFORMERS = ("vit_se", "mae_fusion")
N_CHECKED = 200
_AT_ONCE = 16


def is_of_affect(checkpoint: Path) -> bool:
    """Return whether weights are of a system that tells classes of expression, valence or arousal."""
    if checkpoint.suffix.lower() != OURS:
        return False
    return bool(set(read_about(checkpoint).get("labels", ())) & {*AFFECT, "expression"})


def export_affect(
    checkpoint: Path, faces: Faces, out: Path, *, n_pictures: int = 256
) -> dict[str, Any]:
    """Write ``affect.safetensors`` (a copy), ``affect.int8.onnx`` and ``affect.int8.json``.

    Parameters
    ----------
    checkpoint : Path
        Of ``duchenne train``.
    faces : Faces
        The prepared set that it was trained on: pictures of its training subjects set the scales, those of
        its validation subjects tell what 8 bits cost.
    out : Path
        Folder; files of the same names are replaced.
    n_pictures : int
        How many pictures set the scales.

    Returns
    -------
    dict
        The description that was written, with ``bytes`` of each file.

    Raises
    ------
    DuchenneError
        When the weights do not fit, the faces are not those it was trained on, or the folder cannot be
        written.
    UsageError
        When the folder is that of the checkpoint under the same name.
    """
    trained = read_trained(checkpoint)
    about = read_about(checkpoint)
    ranged = _some(about, faces, "train", n_pictures)
    if not len(ranged):
        raise DuchenneError(
            f"the prepared faces hold none of the subjects that {checkpoint} was trained on"
        )
    weights = out / WEIGHTS
    if weights.resolve() == checkpoint.resolve():
        raise UsageError(f"{out} holds {WEIGHTS} itself: name another folder with --out.")
    network, card = eight_bit_files(weights)
    module: Any = reading_of(trained).picture
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as aside:
            plain = Path(aside) / "plain.onnx"
            write_network(module, trained.px, plain)
            if trained.entry.name in TRANSFORMERS:
                _quantise_dynamically(plain, network)
            else:
                quantise(plain, network, _pictures(trained, faces, ranged), INPUT)
        rows = _some(about, faces, "validation", N_CHECKED)
        figures = _compared(trained, module, network, faces, rows) if len(rows) else {}
        shutil.copyfile(checkpoint, weights)
        told = {
            "format": FORMAT,
            "model": trained.entry.name,
            "input_px": trained.px,
            "alignment": trained.alignment,
            "checkpoint_sha256": sha256_of(weights),
            "int8": {"n_scale_pictures": len(ranged), **figures},
        }
        write_json(told, card)
    except OSError as error:
        raise DuchenneError(f"{out} cannot be written ({error.strerror or error}).") from error
    return told | {"bytes": {path.name: path.stat().st_size for path in (weights, network)}}


def _some(about: dict[str, Any], faces: Faces, part: str, n: int) -> NDArray[np.intp]:
    """Return up to ``n`` pictures of a part of the subjects, spread over all of them."""
    subjects = list(about.get("split", {}).get(part, ()))
    rows = np.flatnonzero(np.isin(faces.subject, subjects))
    some = np.linspace(0, max(len(rows) - 1, 0), min(n, len(rows))).round().astype(np.intp)
    return rows[some].astype(np.intp)


def _pictures(trained: Trained, faces: Faces, rows: Sequence[int] | NDArray[np.intp]) -> Any:
    """Return pictures as the network gets them: (k, 3, px, px) float32."""
    some = np.asarray(rows, np.intp)
    batch = plain_batch(faces, some, trained.px, trained.entry.preprocessing)
    return np.ascontiguousarray(batch.images.numpy(), np.float32)


def _quantise_dynamically(plain: Path, path: Path) -> None:
    from onnxruntime.quantization import (  # noqa: PLC0415  (needed to export alone)
        QuantType,
        quantize_dynamic,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    prepared = plain.with_name("prepared.onnx")
    with warnings.catch_warnings(), quiet_exporters():
        warnings.simplefilter("ignore")
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(
            str(prepared),
            str(path),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )


def _compared(
    trained: Trained, module: nn.Module, path: Path, faces: Faces, rows: NDArray[np.intp]
) -> dict[str, Any]:
    """Return what 8 bits cost on pictures of subjects that were not trained on."""
    small: Callable[[Tensor], Tensor] = session_of(path)
    answers: list[list[NDArray[np.float64]]] = [[], []]
    for first in range(0, len(rows), _AT_ONCE):
        images = torch.from_numpy(_pictures(trained, faces, rows[first : first + _AT_ONCE]))
        with torch.inference_mode():
            answers[0].append(module(images).double().numpy())
        answers[1].append(small(images).double().numpy())
    whole, eight = (np.concatenate(some) for some in answers)
    moving = np.flatnonzero((whole.std(axis=0) > 0) & (eight.std(axis=0) > 0))
    r = [float(np.corrcoef(whole[:, i], eight[:, i])[0, 1]) for i in moving]
    return {
        "n_pictures": len(rows),
        "mean_difference": round(float(np.abs(whole - eight).mean()), 5),
        "correlation": round(float(np.mean(r)), 4) if r else None,
    }
