"""How long the student takes for a face, on one core: torch, ONNX Runtime and OpenVINO; 32, 16 and 8 bits.

    python tests/benchmarks/student_speed.py --student FOLDER [--media FOLDER] [--repeats 200]

FOLDER is of ``duchenne models export --float``; OpenVINO comes from the extra ``peers``. The ways take turns,
face by face, so that other work on the machine meets all alike. Times are of the thread's CPU clock (what a
busy machine takes away is not counted) and of the wall clock. ``--media`` adds the whole backend on the real
film: crop, resizing and network, beside ``geometry``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from duchenne.analysis.face.backends.fusion import TABLE, FusionBackend
from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.backends.student import StudentBackend
from duchenne.analysis.face.backends.student_model import NETWORK, WEIGHTS
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.models.export import FLOAT_NETWORK
from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import build

BATCHES = (1, 8)
WARM_UP = 5
Run = Callable[[], Any]


def torch_ways(folder: Path, px: int, batch: int) -> dict[str, Run]:
    """Return torch in single and in half precision."""
    torch.set_num_threads(1)
    tensors, about = read_checkpoint(folder / WEIGHTS)
    net = build(TrainSettings.model_validate(about["settings"]), int(about["n_outputs"]))
    load_fitting(net, {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    net = net.eval().to(memory_format=torch.channels_last)
    faces = torch.rand(batch, 3, px, px).contiguous(memory_format=torch.channels_last)

    def single() -> None:
        with torch.inference_mode():
            net(faces)

    def half() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            net(faces)

    return {"torch fp32": single, "torch bf16": half}


def onnx_ways(folder: Path, px: int, batch: int) -> dict[str, Run]:
    """Return ONNX Runtime in single precision and in 8 bits."""
    import onnxruntime

    faces = np.random.default_rng(0).random((batch, 1, px, px), np.float32)
    ways: dict[str, Run] = {}
    for name, file in (("fp32", FLOAT_NETWORK), ("int8", NETWORK)):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(folder / file), options, providers=["CPUExecutionProvider"]
        )
        ways[f"ONNX Runtime {name}"] = lambda s=session: s.run(None, {"grey": faces})
    return ways


def openvino_ways(folder: Path, px: int, batch: int) -> dict[str, Run]:
    """Return OpenVINO in single precision, in half, and in 8 bits; nothing where it is not installed."""
    try:
        import openvino
    except ModuleNotFoundError:
        return {}
    core, ways = openvino.Core(), {}
    faces = np.random.default_rng(0).random((batch, 1, px, px), np.float32)
    kinds = (
        ("fp32", FLOAT_NETWORK, "f32"),
        ("bf16", FLOAT_NETWORK, "bf16"),
        ("int8", NETWORK, "f32"),
    )
    for name, file, hint in kinds:
        net = core.read_model(folder / file)
        net.reshape([batch, 1, px, px])
        how = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
        request = core.compile_model(net, "CPU", how).create_infer_request()
        ways[f"OpenVINO {name}"] = lambda r=request: r.infer({0: faces})
    return ways


def timed(ways: dict[str, Run], repeats: int, batch: int) -> list[list[Any]]:
    """Return median and 95th percentile per face in milliseconds, CPU and wall clock."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(repeats + WARM_UP):
        for name, run in ways.items():
            wall, cpu = time.perf_counter(), time.thread_time()
            run()
            if turn >= WARM_UP:
                spent[name].append((time.thread_time() - cpu, time.perf_counter() - wall))
    rows = []
    for name, pairs in spent.items():
        cpu_ms, wall_ms = 1e3 / batch * np.array(pairs).T
        figures = (
            *np.percentile(cpu_ms, (50, 95)),
            *np.percentile(wall_ms, (50, 95)),
            wall_ms.min(),
        )
        rows.append([name, *(float(v) for v in figures)])
    return rows


def whole(folder: Path, film: Path, repeats: int) -> list[list[Any]]:
    """Return the same of whole backends on frames of a film, one frame at a time."""
    with FaceTracker() as tracker:
        frames = [
            tracker.track([frame], keep_images=True) for frame in islice(video_frames(film), 40)
        ]
    rows = []
    backends: list[Any] = [GeometryBackend(), StudentBackend(str(folder))]
    if (folder / TABLE).is_file():
        backends.append(FusionBackend(str(folder)))
    for backend in backends:
        spent = []
        for turn in range(repeats + WARM_UP):
            wall, cpu = time.perf_counter(), time.thread_time()
            features = backend.features(frames[turn % len(frames)])
            backend.intensities(features, backend.typical_neutral)
            if turn >= WARM_UP:
                spent.append((time.thread_time() - cpu, time.perf_counter() - wall))
        cpu_ms, wall_ms = 1e3 * np.array(spent).T
        figures = (
            *np.percentile(cpu_ms, (50, 95)),
            *np.percentile(wall_ms, (50, 95)),
            wall_ms.min(),
        )
        rows.append([f"{backend.name}, crop to intensities", *(float(v) for v in figures)])
    return rows


def started(words: list[str]) -> float:
    """Return the wall seconds of a Python program."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", *words], check=True)
    return time.perf_counter() - begin


def show(rows: list[list[Any]], title: str) -> None:
    """Print a Markdown table."""
    print(
        f"\n{title}\n\n| ms per face | CPU, median | CPU, 95 % | wall, median | wall, 95 % | wall, least |"
    )
    print("|---|---|---|---|---|---|")
    for name, *figures in rows:
        print(f"| {name} | " + " | ".join(f"{v:.2f}" for v in figures) + " |")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--media", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=200)
    given = parser.parse_args()
    px = int(StudentBackend(str(given.student)).card["input_px"])
    for batch in BATCHES:
        ways = torch_ways(given.student, px, batch)
        ways |= onnx_ways(given.student, px, batch) | openvino_ways(given.student, px, batch)
        show(
            timed(ways, max(20, given.repeats // batch), batch), f"Network alone, {batch} at a time"
        )
    if given.media is not None:
        show(whole(given.student, given.media / "face_real.mp4", given.repeats), "Whole backends")
    begin = started(["import numpy"])
    for package in ("onnxruntime", "openvino", "torch"):
        print(f"import {package}: {started([f'import numpy, {package}']) - begin:.2f} s")


if __name__ == "__main__":
    main()
