"""What the comparisons of systems share: common settings, and a training that can be broken off."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GENTLE = {"crop": 0.9, "brightness": 0.12, "contrast": 0.12, "colour": 0.0, "noise": 0.012}
"""Variation of pictures that were varied when they were rendered."""


def common(model: str, labels: Sequence[str], px: int, epochs: int, size: str) -> dict[str, Any]:
    """Return the settings of `duchenne train` that all trainings begin with."""
    return {
        "model": model,
        "labels": list(labels),
        "input_px": px,
        "epochs": epochs,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "warmup_epochs": 0.3,
        "precision": "bf16",
        "validation": 0.12,
        "test": 0,
        "ema": 0.95 if size == "cpu" else 0.999,
        "augmentation": GENTLE,
        "checkpoint_minutes": 3,
    }


def train_once(
    name: str,
    settings: Mapping[str, Any],
    data: Sequence[Path],
    out: Path,
    places: Mapping[str, Path | None],
) -> float:
    """Train, unless that was done; return the minutes of a processor core that it took, 0 where it was done.

    Parameters
    ----------
    name : str
        Settings are written to ``out/NAME.yaml``, weights and log to ``out/NAME``.
    settings : mapping
        Of `duchenne train`; names in braces stand for places.
    data : sequence of Path
        Prepared sets.
    out : Path
    places : mapping of str to Path
        What ``{NAME}`` in the settings stands for; ``{runs}`` is `out`.
    """
    done = out / name / "finished"
    if done.is_file():
        return 0.0
    text = yaml.safe_dump(dict(settings), sort_keys=False)
    for place, path in {"runs": out, **places}.items():
        text = text.replace(f"{{{place}}}", str(path))
    told = out / f"{name}.yaml"
    told.write_text(text, "utf-8")
    command = [sys.executable, "-m", "duchenne.cli", "train", str(told)]
    for folder in data:
        command += ["--data", str(folder)]
    print(
        f"{name}: {settings['model']}, {settings['input_px']} px, {settings['epochs']} epochs",
        flush=True,
    )
    before_s = _used_s()
    subprocess.run([*command, "--out", str(out / name), "--resume"], check=True, env=os.environ)
    minutes = (_used_s() - before_s) / 60
    done.write_text(f"{minutes:.1f} min\n", "utf-8")
    print(f"{name}: {minutes:.1f} core-minutes", flush=True)
    return minutes


def _used_s() -> float:
    used = os.times()
    return used.children_user + used.children_system
