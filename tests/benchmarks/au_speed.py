"""Speed and memory of ``duchenne au`` beside a bare MediaPipe loop, in one run.

Each case is a process of its own, whose CPU time and largest memory the operating system tells; cases
take turns, so that other work on the machine meets all of them alike. Start-up is included unless the
row says otherwise.

Usage: python tests/benchmarks/au_speed.py FILM [--repeats 3] [--loops 20] [--bare]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import av

# Measured once on one machine: OpenFace 2 processed 54–56 frames per CPU second where the bare MediaPipe
# loop processed 133–141.
OPENFACE_RATIO = 0.405
GOALS = {"bare": 0.8, "openface": 1.5, "rss_mb": 700, "startup_s": 2.5, "two": 1.7}


def bare_loop(film: str) -> None:
    """Decode a film and track its face by MediaPipe's own Python package, keeping nothing."""
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    from duchenne.analysis.face.model import face_model_path

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(face_model_path())),
        running_mode=vision.RunningMode.VIDEO,
        num_faces=1,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    with vision.FaceLandmarker.create_from_options(options) as task, av.open(film) as container:
        begin = time.process_time()
        for frame in container.decode(video=0):
            picture = mp.Image(
                image_format=mp.ImageFormat.SRGB, data=frame.to_ndarray(format="rgb24")
            )
            task.detect_for_video(picture, round(frame.time * 1000))
        print(time.process_time() - begin)


def run(command: list[str]) -> tuple[float, float, float, str]:
    """Return CPU seconds, wall seconds, largest memory (MB) and the output of a process."""
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - begin
        told.seek(0)
        output = told.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024, output


def two_at_once(commands: list[list[str]]) -> tuple[float, float]:
    """Return the wall seconds and the CPU seconds of processes that run together."""
    begin = time.monotonic()
    processes = [
        subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in commands
    ]
    cpu_s = 0.0
    for process in processes:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_s += usage.ru_utime + usage.ru_stime
    return time.monotonic() - begin, cpu_s


def au_command(film: Path, out: Path, backend: str) -> list[str]:
    """Return the command line of ``duchenne au``."""
    program = [sys.executable, "-m", "duchenne.cli"]
    return [*program, "au", str(film), "--out", str(out), "--backend", backend]


def looped(film: Path, loops: int, out: Path) -> int:
    """Write a film several times in a row, without encoding it again; return its frames."""
    n_frames = 0
    with av.open(str(out), "w") as target:
        stream, shift = None, 0
        for _ in range(loops):
            last = 0
            with av.open(str(film)) as source:
                track = source.streams.video[0]
                stream = stream or target.add_stream_from_template(track)
                for packet in source.demux(track):
                    if packet.dts is None:
                        continue
                    last = max(last, packet.pts + (packet.duration or 1))
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    target.mux(packet)
                    n_frames += 1
            shift += last
    return n_frames


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loops", type=int, default=20, help="length of the long film")
    parser.add_argument("--backends", nargs="+", default=["blendshapes", "geometry"])
    parser.add_argument("--bare", action="store_true", help="only the bare loop")
    told = parser.parse_args()
    if told.bare:
        bare_loop(str(told.film))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(told, Path(folder))


def measure(told: argparse.Namespace, folder: Path) -> None:
    """Run all cases in turn."""
    with av.open(str(told.film)) as container:
        n_frames = sum(1 for _ in container.decode(video=0))
    one = folder / "one.mp4"
    with av.open(str(told.film)) as source, av.open(str(one), "w") as target:
        track = source.streams.video[0]
        stream = target.add_stream_from_template(track)
        packet = next(p for p in source.demux(track) if p.dts is not None)
        packet.stream = stream
        target.mux(packet)
    cases = {"bare": [sys.executable, __file__, str(told.film), "--bare"]}
    for backend in told.backends:
        cases[backend] = au_command(told.film, folder / f"{backend}.csv", backend)
        cases[f"{backend}, one frame"] = au_command(one, folder / f"{backend}1.csv", backend)
    cpu_s, wall_s, rss_mb = defaultdict(list), defaultdict(list), defaultdict(list)
    for _ in range(told.repeats):
        for name, command in cases.items():
            cpu, wall, rss, output = run(command)
            cpu_s[name].append(cpu)
            wall_s[name].append(wall)
            rss_mb[name].append(rss)
            if name == "bare":
                cpu_s["loop"].append(float(output))
    best = {name: min(values) for name, values in cpu_s.items()}
    print(f"{n_frames} frames, {told.repeats} repeats; CPU seconds: smallest (median)\n")
    print("| case | CPU s | frames per CPU s | of the bare loop | of OpenFace | wall s | RSS MB |")
    print("|---|---|---|---|---|---|---|")
    reference = n_frames / best["loop"]
    for name in ("loop", *cases):
        if "one frame" in name:
            continue
        rate = n_frames / best[name]
        label = {"loop": "bare MediaPipe loop, start-up left out", "bare": "bare MediaPipe loop"}
        print(
            f"| {label.get(name, f'`duchenne au`, {name}')} | {best[name]:.2f} "
            f"({statistics.median(cpu_s[name]):.2f}) | {rate:.0f} | {rate / reference:.2f} | "
            f"{rate / (OPENFACE_RATIO * reference):.2f} | "
            f"{min(wall_s[name]) if wall_s[name] else float('nan'):.1f} | "
            f"{max(rss_mb[name], default=float('nan')):.0f} |"
        )
    for backend in told.backends:
        name = f"{backend}, one frame"
        print(
            f"\nStart-up and one frame, {backend}: {best[name]:.2f} s CPU, {min(wall_s[name]):.2f} s wall"
        )
    backend = told.backends[-1]
    single_s = min(run(cases[backend])[1] for _ in range(2))
    commands = [au_command(told.film, folder / f"two{i}.csv", backend) for i in range(2)]
    both_s, both_cpu_s = min(two_at_once(commands) for _ in range(2))
    print(
        f"\nTwo processes at once ({backend}): {2 * single_s / both_s:.2f} × one "
        f"({both_s:.1f} s together, {single_s:.1f} s alone; CPU {both_cpu_s:.1f} s, "
        f"{2 * best[backend]:.1f} s for two alone)"
    )
    if told.loops > 1:
        long = folder / "long.mp4"
        n_long = looped(told.film, told.loops, long)
        cpu, wall, rss, _ = run(au_command(long, folder / "long.csv", backend))
        print(
            f"\n{n_long} frames ({backend}): {n_long / cpu:.0f} frames per CPU s, {wall:.0f} s wall, "
            f"{rss:.0f} MB"
        )
    print(f"\nGoals: {GOALS}")


if __name__ == "__main__":
    main()
