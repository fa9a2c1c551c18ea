"""Small checkpoints with fresh weights, written as a training would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from duchenne.analysis.training.checkpoint import write_checkpoint
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import build

if TYPE_CHECKING:
    from pathlib import Path

SMALL_VIT = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
    "patch_size": 16,
}  # fmt: skip
PX = 32


def checkpoint(
    folder: Path,
    name: str,
    labels: tuple[str, ...],
    n_outputs: int,
    *,
    data: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Write fresh weights as a training would; `data` is what their data said of themselves."""
    torch.manual_seed(3)
    how = TrainSettings(model=name, labels=labels, input_px=PX, model_settings=settings)
    net = build(how, n_outputs)
    path = folder / f"{name}.safetensors"
    about = {
        "settings": json.loads(how.model_dump_json()),
        "labels": list(labels),
        "n_outputs": n_outputs,
        "data": {"name": "fresh", "alignment": "crop"} | (data or {}),
    }
    write_checkpoint(path, {f"net.{k}": v for k, v in net.state_dict().items()}, about)
    return path
