"""How long each affect system takes for a picture and for a window, in PyTorch and in ONNX Runtime.

    python tests/benchmarks/affect_speed.py [--threads 1] [--out FILE.md] [--runtimes onnx int8] [SYSTEM ...]
    python tests/benchmarks/affect_speed.py --weights runs/*/best.safetensors --data FACES

Fresh weights: speeds only. *picture* is what every frame costs while a film is read (systems of single
pictures look at the picture and at its mirror image); *window* is what comes on top for each window of
frames when the film has been read. ``int8`` is what ``duchenne models export`` writes. Times are those of one
core (processor time, medians), so that a busy machine changes them little. ``--weights`` measures trained
systems, in 8 bits with the faces that they were trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from duchenne.analysis.affect.checkpoint import CheckpointBackend
from duchenne.analysis.affect.network import read_trained
from duchenne.analysis.models.export_affect import WEIGHTS, export_affect
from duchenne.analysis.training.checkpoint import write_checkpoint
from duchenne.analysis.training.prepared import Faces, read_faces
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import build

SYSTEMS: dict[str, tuple[tuple[str, ...], int, dict[str, object]]] = {
    "emofan": (("valence", "arousal", "expression"), 8, {}),
    "deng_cnn": (("valence", "arousal"), 2, {}),
    "deng_rnn": (("valence", "arousal"), 2, {}),
    "vit_se": (("expression",), 8, {}),
    "doe": (("expression",), 8, {}),
    "ddoe": (("expression",), 8, {}),
    "mae_fusion": (("valence", "arousal"), 2, {"encoder": {}}),
}
BATCH = 4
REPEATS = 3


def fresh(name: str, folder: Path) -> Path:
    """Write a checkpoint of a system with fresh weights."""
    labels, n_outputs, own = SYSTEMS[name]
    how = TrainSettings.model_validate({"model": name, "labels": labels, "model_settings": own})
    net = build(how, n_outputs)
    path = folder / f"{name}.safetensors"
    about = {
        "settings": json.loads(how.model_dump_json()),
        "labels": list(labels),
        "n_outputs": n_outputs,
        "data": {"name": "nothing"},
        "split": {"train": ["a"], "validation": [], "test": []},
    }
    write_checkpoint(path, {f"net.{k}": v for k, v in net.state_dict().items()}, about)
    return path


def median_ms(work: object) -> float:
    """Return the median processor time of a call in milliseconds, after one that does not count."""
    assert callable(work)
    work()
    times = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        times.append(1e3 * (time.process_time() - begun))
    return statistics.median(times)


def noise_faces(px: int) -> Faces:
    """Return a few pictures of noise of one person, to set scales that only speed depends on."""
    images = np.random.default_rng(0).integers(0, 255, (4, px, px, 3)).astype(np.uint8)
    return Faces(images, np.zeros((4, 0), np.float32), (), np.repeat("a", 4), None, {})


def row(path: Path, kind: str, faces: Faces | None) -> tuple[str, float, float, int]:
    """Return runtime, milliseconds per picture and per window, and frames of a window."""
    if kind == "int8":
        px = read_trained(path).px
        folder = path.parent / f"{path.stem}-int8"
        export_affect(path, faces or noise_faces(px), folder, n_pictures=64)
        path = folder / WEIGHTS
    backend = CheckpointBackend(str(path), onnx=kind != "torch")
    reading = backend.reading
    px = backend.trained.px
    images = torch.from_numpy(np.random.default_rng(0).random((BATCH, 3, px, px), np.float32))

    def pictures() -> None:
        with torch.no_grad():
            reading.features(images)

    per_picture = median_ms(pictures) / BATCH
    n = max(reading.window, 1)
    features = np.random.default_rng(1).normal(size=(n, reading.n_features))
    usable = np.ones(n, np.bool_)
    per_window = median_ms(lambda: reading.answers(features, usable, features))
    return backend.runtime, per_picture, per_window, n


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runtimes", nargs="*", default=["torch", "onnx", "int8"])
    parser.add_argument("--weights", nargs="*", type=Path, default=[])
    parser.add_argument("--data", type=Path, help="faces that the weights were trained on")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    os.environ["DUCHENNE_AFFECT_THREADS"] = str(asked.threads)
    lines = [
        "| system | runtime | ms per picture | frames of a window | ms per window, pictures aside |",
        "|---|---|---|---|---|",
    ]
    faces = None if asked.data is None else read_faces(asked.data)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DUCHENNE_CACHE"] = folder
        for name in [path.parent.name for path in asked.weights] or asked.systems:
            paths = {path.parent.name: path for path in asked.weights}
            path = Path(folder) / f"{name}.safetensors"
            if name in paths:
                shutil.copyfile(paths[name], path)
            else:
                path = fresh(name, Path(folder))
            for kind in asked.runtimes:
                runtime, picture, window, n = row(path, kind, faces)
                lines.append(f"| {name} | {runtime} | {picture:.1f} | {n} | {window:.1f} |")
                sys.stdout.write(lines[-1] + "\n")
                sys.stdout.flush()
    if asked.out is not None:
        asked.out.write_text("\n".join(lines) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
