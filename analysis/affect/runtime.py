"""The networks that look at pictures in ONNX Runtime, which is several times faster on a processor.

The network is written once as ONNX into the user's cache, under the hash of its checkpoint; without ONNX
Runtime, or where the network cannot be written, PyTorch runs it.
"""

from __future__ import annotations

import os
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from duchenne.analysis.models.exporting import quiet_exporters
from duchenne.analysis.provenance import sha256_of
from duchenne.stimuli.checked_media import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

OPSET = 17
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
            _write(module, px, aside)
            aside.replace(path)
        return _session(path)
    except (OSError, ImportError, RuntimeError):  # the exporter lacks a part; no room in the cache
        return None


def _write(module: nn.Module, px: int, path: Path) -> None:
    with warnings.catch_warnings(), quiet_exporters():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, px, px),),
            str(path),
            dynamo=False,
            input_names=["images"],
            output_names=["rows"],
            dynamic_axes={"images": {0: "faces"}, "rows": {0: "faces"}},
            opset_version=OPSET,
        )


def _session(path: Path) -> Callable[[Tensor], Tensor]:
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
        return torch.from_numpy(session.run(None, {"images": given})[0])

    return run
