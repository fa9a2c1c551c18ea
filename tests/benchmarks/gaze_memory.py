"""Time and peak memory of the gaze analysis on a long recording, each step in a process of its own.

    python tests/benchmarks/gaze_memory.py [--hours 2] [--rate 1200] [--folder FOLDER]

The recording is synthetic: both eyes, three saccades and a quarter of a blink per second, noise, pupils.
Steps: ``label`` (the event detector alone), ``analyse`` (`analyse_gaze`), ``command`` (``duchenne gaze``
on a Parquet table, tables written), ``session`` (a recorded session's gaze stage with pupil, tables and
``gaze.parquet``). Prints seconds, and the peak resident memory that the process reached in all.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCREEN = {
    "width_px": 1920.0,
    "height_px": 1080.0,
    "width_cm": 53.0,
    "height_cm": 30.0,
    "distance_cm": 65.0,
}
STEPS = ("label", "analyse", "command", "session")
SACCADE_S = 0.040
CHUNK = 2**20


def synthetic(hours: float, rate_hz: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return times and the columns of both eyes (float32, as trackers send them)."""
    n = round(hours * 3600 * rate_hz)
    rng = np.random.default_rng(5)
    times = np.arange(n) / rate_hz
    onset = np.cumsum(rng.uniform(0.2, 0.47, int(hours * 3600 * 3)))
    place = rng.uniform(0.1, 0.9, (onset.size + 1, 2))
    blink = np.arange(3.0, times[-1], 4.0)
    columns = {
        f"{eye}_{part}": np.empty(n, np.float32)
        for eye in ("left", "right")
        for part in ("x", "y", "pupil", "valid")
    }
    for first in range(0, n, CHUNK):
        now = times[first : first + CHUNK]
        row = np.searchsorted(onset, now, side="right") - 1
        share = np.clip((now - onset[np.maximum(row, 0)]) / SACCADE_S, 0, 1)
        share = np.where(row < 0, 1.0, share * share * (3 - 2 * share))[:, None]
        at = place[np.maximum(row, 0)] * (1 - share) + place[np.maximum(row, 0) + 1] * share
        last = np.searchsorted(blink, now, side="right") - 1
        lost = (last >= 0) & (now - blink[np.maximum(last, 0)] < 0.15)
        size = 3.5 + 0.3 * np.sin(now / 7)
        for eye, shift in (("left", -0.002), ("right", 0.002)):
            part = slice(first, first + now.size)
            for axis in (0, 1):
                noisy = at[:, axis] + shift + rng.normal(0, 3e-4, now.size)
                columns[f"{eye}_{'xy'[axis]}"][part] = np.where(lost, np.nan, noisy)
            noisy = size + rng.normal(0, 0.01, now.size)
            columns[f"{eye}_pupil"][part] = np.where(lost, np.nan, noisy)
            columns[f"{eye}_valid"][part] = ~lost
    return times, columns


def write_inputs(folder: Path, hours: float, rate_hz: float) -> None:
    """Write the recording as Parquet and as a session file."""
    import pandas as pd
    from support.sessions import write_session

    times, columns = synthetic(hours, rate_hz)
    np.savez(folder / "arrays.npz", time=times, **columns)
    pd.DataFrame({"time": times, **columns}, copy=False).to_parquet(folder / "table.parquet")
    markers: list[tuple[float, str, dict[str, object]]] = []
    for trial, onset in enumerate(np.arange(10.0, times[-1] - 20, 15.0), 1):
        fields = {"trial": trial, "block": "main", "stimulus": "a", "presentation_id": f"p{trial}"}
        shown = {"kind": "image", "rect_px": [480, 216, 1440, 864], "planned_duration_s": 6.0}
        markers += [
            (onset, "stimulus_onset", fields | shown),
            (onset + 6.0, "stimulus_offset", fields),
        ]
    write_session(
        folder / "s.h5",
        markers=[*markers, (float(times[-1]), "session_end", {})],
        gaze=(times, columns),
        gaze_rate_hz=rate_hz,
        gaze_format="float32",
        screen=SCREEN,
        stimuli={"id": ["a"], "file": ["a.png"], "kind": ["image"]},
    )


def run_step(step: str, folder: Path) -> None:
    """Do one step and print what it took."""
    begun = time.monotonic()
    if step == "command":
        from duchenne.analysis.gaze.command import run_gaze_command

        run_gaze_command(folder / "table.parquet", folder / "out", **SCREEN)
    elif step == "session":
        from duchenne.analysis.session import analyze_session

        analyze_session(folder / "s.h5", folder / "session", report=False)
    else:
        with np.load(folder / "arrays.npz") as arrays:
            columns = {name: arrays[name] for name in arrays}
        times = columns.pop("time")
        begun = time.monotonic()
        if step == "label":
            from duchenne.analysis.gaze.events import label_samples

            x, y = columns["left_x"] * 44, columns["left_y"] * 26
            columns.clear()
            begun = time.monotonic()
            label_samples(x, y, times)
        else:
            from duchenne.analysis.gaze.process import analyse_gaze

            analyse_gaze(times, columns, SCREEN)
    seconds = time.monotonic() - begun
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{step:8} {seconds:6.1f} s  {peak_gb:5.2f} GB", flush=True)


def main() -> None:
    """Write the recording and run every step in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=1200.0)
    parser.add_argument("--folder", type=Path, help="kept, and used again where it has the inputs")
    parser.add_argument("--step", choices=(*STEPS, "write"))
    chosen = parser.parse_args()
    if chosen.step == "write":
        write_inputs(chosen.folder, chosen.hours, chosen.rate)
        return
    if chosen.step:
        run_step(chosen.step, chosen.folder)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = chosen.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        again = [sys.executable, __file__, "--folder", str(folder)]
        if not (folder / "s.h5").exists():
            size = ["--hours", str(chosen.hours), "--rate", str(chosen.rate)]
            tests = str(Path(__file__).resolve().parents[1])
            where = {**os.environ, "PYTHONPATH": tests}
            subprocess.run([*again, *size, "--step", "write"], check=True, env=where)
        for step in STEPS:
            subprocess.run([*again, "--step", step], check=True)


if __name__ == "__main__":
    main()
