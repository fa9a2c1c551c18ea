"""Memory of ``duchenne au`` on hours of film.

A real film is tracked and measured once; its frames are then put into the spool again and again with
running times, as a film of so many hours would be, and what follows (calibration, tables, events, files) is
done as the command does it. Run for each length in a process of its own.

Usage: python tests/benchmarks/au_memory.py FILM [--hours 0.1 1 4 8] [--rate 30] [--backend geometry]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.film import FaceFilm, measure_faces
from duchenne.analysis.face.measured import MeasuredFilm
from duchenne.analysis.face.table_file import TableInParts


def lengthened(short: FaceFilm, hours: float, rate_hz: float) -> FaceFilm:
    """Return a film of so many hours that repeats a short one."""
    n = len(short.film)
    long = MeasuredFilm(len(short.backend.feature_names))
    rows = short.film._spool.read(0, n)
    total = int(hours * 3600 * rate_hz)
    for first in range(0, total, n):
        some = rows[: min(n, total - first)]
        long._spool.append(some)
    repeats = -(-total // n)
    long.frame = np.arange(total, dtype=np.float64)
    long.time_s = long.frame / rate_hz
    for name in ("readable", "found", "usable"):
        setattr(long, name, np.tile(getattr(short.film, name), repeats)[:total])
    return FaceFilm(long, short.backend)


def one(film: str, hours: float, rate_hz: float, backend: str) -> None:
    """Measure one length and print a row."""
    with measure_faces(video_frames(Path(film)), backend=load_backend(backend)) as short:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begun = time.monotonic()
        with (
            lengthened(short, hours, rate_hz) as long,
            tempfile.TemporaryDirectory() as folder,
        ):
            out = Path(folder) / "au.csv"
            with TableInParts(out, "tidy") as table:
                for result in long.results():
                    table.add(result.table.assign(input="film"))
            size = out.stat().st_size / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"| {hours:g} h | {int(hours * 3600 * rate_hz):,} | {before:.0f} MB | {peak:.0f} MB | "
        f"{time.monotonic() - begun:.0f} s | {size:.0f} MB |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film")
    parser.add_argument("--hours", type=float, nargs="+", default=[0.1, 1.0, 4.0, 8.0])
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--backend", default="geometry")
    arguments = parser.parse_args()
    print(
        "| film | frames | memory before | largest | tables after | table |\n|---|---|---|---|---|---|"
    )
    context = multiprocessing.get_context("spawn")
    for hours in arguments.hours:
        process = context.Process(
            target=one, args=(arguments.film, hours, arguments.rate, arguments.backend)
        )
        process.start()
        process.join()


if __name__ == "__main__":
    main()
