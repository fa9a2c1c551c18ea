"""The networks that look at pictures in ONNX Runtime, which is several times faster on a processor.

The network is written once as ONNX into the user's cache, under the hash of its checkpoint; without ONNX
Runtime, or where the network cannot be written, PyTorch runs it. An 8-bit network that was exported beside
the checkpoint comes first.
"""

from __future__ import annotations

import json
import os
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from duchenne.analysis.models.exporting import quiet_exporters
from duchenne.analysis.provenance import sha256_of
from duchenne.stimuli.checked_media import cache_folder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

OPSET = 17
INPUT = "images"
MOST_THREADS = 4
_VERSION = 1


def faster(module: nn.Module, checkpoint: Path, px: int) -> Callable[[Tensor], Tensor] | None:
    """Return a network in ONNX Runtime; None where that is not possible here.

    Parameters
    ----------
    module : nn.Module
        Takes (b, 3, px, px) float32 and gives (b, k), for evaluation.
    checkpoint : Path
        Whose weights it has: names the file in the cache.
    px : int
    """
    if find_spec("onnxruntime") is None:
        return None
    name = f"{sha256_of(checkpoint)[:24]}-{type(module).__name__.strip('_')}-{px}-{_VERSION}.onnx"
    try:
        path = cache_folder() / "affect" / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{name}.{os.getpid()}")
            write_network(module, px, aside)
            aside.replace(path)
        return session_of(path)
    except (OSError, ImportError, RuntimeError):  # the exporter lacks a part; no room in the cache
        return None


def write_network(module: nn.Module, px: int, path: Path) -> None:
    """Write a network that takes (b, 3, px, px) float32 as ONNX."""
    with warnings.catch_warnings(), quiet_exporters():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, px, px),),
            str(path),
            dynamo=False,
            input_names=[INPUT],
            output_names=["rows"],
            dynamic_axes={INPUT: {0: "faces"}, "rows": {0: "faces"}},
            opset_version=OPSET,
        )


def eight_bits(checkpoint: Path) -> Callable[[Tensor], Tensor] | None:
    """Return the 8-bit network that ``duchenne models export`` wrote beside these weights; None without.

    Raises
    ------
    DuchenneError
        When it was made of other weights.
    """
    network, card = eight_bit_files(checkpoint)
    if not network.is_file() or find_spec("onnxruntime") is None:
        return None
    try:
        made_of = json.loads(card.read_text("utf-8"))["checkpoint_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        made_of = ""
    if made_of != sha256_of(checkpoint):
        raise DuchenneError(
            f"{network} was not made of {checkpoint.name}: export it again, or remove the file."
        )
    return session_of(network)


def eight_bit_files(checkpoint: Path) -> tuple[Path, Path]:
    """Return where the 8-bit network of these weights and its description lie."""
    return checkpoint.with_suffix(".int8.onnx"), checkpoint.with_suffix(".int8.json")


def session_of(path: Path) -> Callable[[Tensor], Tensor]:
    """Return a network in a file as a function of pictures."""
    import onnxruntime  # noqa: PLC0415 (optional, heavy)

    options: Any = onnxruntime.SessionOptions()
    given = os.environ.get("DUCHENNE_AFFECT_THREADS", "")
    options.intra_op_num_threads = (
        int(given) if given.isdigit() else min(MOST_THREADS, os.cpu_count() or 1)
    )
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait do not keep a core busy: a recording may run beside.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session: Any = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )

    def run(images: Tensor) -> Tensor:
        given = np.ascontiguousarray(images.numpy(), np.float32)
        return torch.from_numpy(session.run(None, {INPUT: given})[0])

    return run
