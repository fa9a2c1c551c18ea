"""How fast and how large the analysis of a study is.

Run by hand: ``python tests/benchmarks/study_speed.py --out /tmp/study [--sessions 100] [--face]``. Sessions
are simulated: gaze, and Action Units as a recorded stream. ``--face`` adds sessions with a film of a face,
measured with one and two workers; ``--hours 2`` one long session.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import numpy as np  # noqa: E402
from support.studies import STIMULUS_S, onsets_s, study_session  # noqa: E402

from duchenne.analysis.study import analyze_study  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECTION = "## Analysis"
N_TRIALS = 60
GAZE_HZ = 120.0
CLIPS = ROOT / "recorder" / "sources" / "data" / "participant"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="empty folder for the studies")
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--face", action="store_true", help="face analysis with 1 and 2 workers")
    parser.add_argument("--face-seconds", type=float, default=60.0)
    parser.add_argument("--hours", type=float, default=0.0, help="memory of one long session")
    parser.add_argument("--page", type=Path, help="table to write; OUT/study-speed.md")
    given = parser.parse_args()
    if given.out.exists() and any(given.out.iterdir()):
        parser.error(f"{given.out} is not empty")
    given.out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str]] = []
    load = os.getloadavg()[0]  # later it holds the benchmark's own workers
    rows += summaries(given.out / "many", given.sessions)
    rows += cluster(given.out / "cluster")
    if given.face:
        rows += faces(given.out / "faces", given.face_seconds)
    if given.hours:
        rows += long_session(given.out / "long", given.hours)
    target = given.page or given.out / "study-speed.md"
    page(target, rows, load)
    print(f"Wrote {target}")


def summaries(study: Path, n: int) -> list[tuple[str, str, str]]:
    """Measure the first analysis, nothing changed, other windows, and other rules."""
    begun = time.monotonic()
    for i in range(n):
        study_session(study, f"P{i + 1:03d}", n_trials=N_TRIALS, gaze_hz=GAZE_HZ, seed=i)
    say("sessions made", time.monotonic() - begun)
    what = f"{n} sessions x {N_TRIALS} trials"
    first = timed(lambda: analyze_study(study, report=False, workers=2))
    same = timed(lambda: run(["analyze", str(study), "--no-report", "--workers", "2"]))
    (study / "study.yaml").write_text("windows: {early: {start_s: 0, stop_s: 0.5}}\n")
    windows = timed(lambda: analyze_study(study, report=False, workers=2))
    rules = "presentation: {min_gaze_valid_fraction: 0.6}\n"
    (study / "exclusions.yaml").write_text(rules)
    excluded = timed(lambda: analyze_study(study, report=False, workers=2))
    limit = 60 * n / 100
    return [
        (f"{what}: gaze measured, Action Units recorded, 2 workers", str(first), ""),
        (
            f"{what}: summaries and windows from ready frame tables (windows changed), 2 workers",
            str(windows),
            f"< {limit:.0f} s",
        ),
        (f"{what}: the same after changed exclusion rules", str(excluded), f"< {limit:.0f} s"),
        (f"{what}: nothing changed, the whole command", str(same), "< 5 s"),
    ]


def cluster(study: Path, n: int = 6) -> list[tuple[str, str, str]]:
    """Compare the tables of a local run with those of two dask workers and of two processes."""
    for i in range(n):
        study_session(study, f"P{i + 1:02d}", n_trials=6, seed=i)
    analyze_study(study, study / "one", report=False)
    analyze_study(study, study / "two", report=False, workers=2)
    with dask_workers(2) as address:
        analyze_study(study, study / "dask", report=False, scheduler=address)
    one, two, dask = (digest(study / name) for name in ("one", "two", "dask"))
    told = {True: "byte-identical", False: "DIFFERENT"}
    return [
        ("tables of 2 worker processes and of one", told[one == two], "byte-identical"),
        ("tables of 2 dask workers and of a local run", told[one == dask], "byte-identical"),
    ]


def faces(study: Path, length_s: float, n: int = 4) -> list[tuple[str, str, str]]:
    """Measure sessions with a film of a face, with one and with two workers."""
    frames = face_frames(length_s)
    for i in range(n):
        study_session(study, f"P{i + 1:02d}", n_trials=4, au_hz=0, frames=frames, seed=i)
    # A worker process in both cases, so that only their number differs.
    from duchenne.analysis import study as module

    one = timed(lambda: in_workers(module, study, study / "w1", 1))
    two = timed(lambda: in_workers(module, study, study / "w2", 2))
    return [
        (f"face analysis of {n} films of {length_s:.0f} s, 1 worker", str(one), ""),
        (
            "the same, 2 workers",
            f"{two}, {one.wall_s / two.wall_s:.2f} times as fast",
            ">= 1.7 times",
        ),
    ]


def in_workers(module: Any, study: Path, out: Path, n: int) -> None:
    """Analyse a study in `n` worker processes, also where `n` is one."""
    here = module.run_here
    module.run_here = lambda tasks, tell: module.run_in_processes(tasks, tell, 1)
    try:
        module.analyze_study(study, out, report=False, workers=n)
    finally:
        module.run_here = here


def long_session(study: Path, hours: float) -> list[tuple[str, str, str]]:
    """Measure the memory of a worker on one long session: 300 Hz gaze, 30 frames per second of AUs."""
    trials = int(hours * 3600 / (onsets_s(2)[1] - onsets_s(2)[0]))
    study_session(study, "P01", n_trials=trials, gaze_hz=300.0)
    answers = []
    for what in ("", "--summaries"):
        code = (
            "import sys; from pathlib import Path; from duchenne.analysis.study import analyze_study\n"
            "study = Path(sys.argv[1])\n"
            "if len(sys.argv) > 2:\n"
            "    (study / 'study.yaml').write_text('windows: {early: {stop_s: 0.5}}\\n')\n"
            "print(analyze_study(study, report=False).peak_mb)\n"
        )
        command = [sys.executable, "-c", code, str(study), *([what] if what else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        answers.append(float(done.stdout.split()[-1]))
    name = (
        f"memory of a worker, one session of {hours:g} h ({trials} trials, gaze 300 Hz, 30 Hz AUs)"
    )
    return [
        (f"{name}, measuring", f"{answers[0]:.0f} MB", "< 2000 MB"),
        (f"{name}, summaries only", f"{answers[1]:.0f} MB", "< 2000 MB"),
    ]


def face_frames(length_s: float) -> tuple[Any, list[bytes]]:
    """Return a film of the simulated participant's face, 30 JPEG frames per second."""
    import io

    import av

    encoded = []
    for name in ("neutral", "happiness"):
        with av.open(str(CLIPS / f"{name}.mp4")) as container:
            for frame in container.decode(video=0):
                buffer = io.BytesIO()
                frame.to_image().save(buffer, "JPEG", quality=85)
                encoded.append(buffer.getvalue())
    times = np.arange(round(length_s * 30)) / 30
    return times, [encoded[i % len(encoded)] for i in range(times.size)]


@contextmanager
def dask_workers(n: int) -> Iterator[str]:
    """Start a scheduler and worker processes on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    cli = [sys.executable, "-m"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    processes = [subprocess.Popen([*cli, "distributed.cli.dask_scheduler", *where], **quiet)]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        worker = [*cli, "distributed.cli.dask_worker", address, *options]
        processes += [subprocess.Popen(worker, **quiet) for _ in range(n)]
        yield address
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait(30)


def run(command: list[str]) -> None:
    """Run a command of the package."""
    subprocess.run(
        [sys.executable, "-m", "duchenne.cli", *command], check=True, capture_output=True
    )


class Taken(NamedTuple):
    """How long something took.

    Attributes
    ----------
    wall_s : float
    cpu_s : float
        Of this process and of its workers that ended.
    """

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.1f} s ({self.cpu_s:.0f} s of processor)"


def timed(work: Callable[[], object]) -> Taken:
    """Return how long something takes; what an analysis failed at ends the benchmark."""
    begun, cpu = time.monotonic(), processor_s()
    result = work()
    taken = Taken(time.monotonic() - begun, processor_s() - cpu)
    failed = getattr(result, "failed", ())
    if failed:
        raise SystemExit(f"failed: {failed[0]}")
    say(str(taken), taken.wall_s)
    return taken


def processor_s() -> float:
    """Return the processor time of this process and of its children that ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def with_section(path: Path, text: str) -> str:
    """Return a page with its section on the analysis replaced, or added at its end."""
    page = path.read_text(encoding="utf-8") if path.is_file() else "# Study benchmarks\n"
    before, _, rest = page.partition(SECTION)
    _, heading, after = rest.partition("\n## ")
    return f"{before.rstrip()}\n\n{text}\n{heading}{after}"


def digest(folder: Path) -> str:
    """Return one hash of all tables and codebooks of a folder."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".tsv", ".parquet", ".json"} and "provenance" not in path.name:
            relative = path.relative_to(folder)
            if not any(part.startswith(".") for part in relative.parts):
                whole.update(str(relative).encode() + path.read_bytes())
    return whole.hexdigest()


def say(what: str, value: float) -> None:
    """Tell where the benchmark is."""
    print(f"{what} {value:.1f} s (load {os.getloadavg()[0]:.1f})", flush=True)


def page(path: Path, rows: list[tuple[str, str, str]], load: float) -> None:
    """Write the numbers of this run into their section of the page; other sections stay."""
    cores = os.cpu_count() or 1
    state = (
        f"**measured on a loaded machine (load {load:.1f} on {cores} cores): not to be compared with the "
        "targets**"
        if load > 1.5
        else f"on a quiet machine (load {load:.1f} at the start)"
    )
    how = (
        f"Made by `python tests/benchmarks/study_speed.py`, {state}: {platform.machine()}, {cores} cores, "
        f"Python {platform.python_version()}. Sessions are simulated: gaze at {GAZE_HZ:.0f} Hz, {N_TRIALS} "
        f"stimuli of {STIMULUS_S:.0f} s, seventeen Action Units at 30 Hz as a recorded stream; tables "
        "without reports."
    )
    meaning = (
        "From ready frame tables means that nothing is measured again: frames and samples are read from what "
        "the first analysis kept (`.measured/`), and every summary, window and table of the study is made "
        "anew."
    )
    table = [f"| {what} | {value} | {target} |" for what, value, target in rows]
    lines = [
        SECTION,
        "",
        how,
        "",
        "| what | measured | target |",
        "|---|---|---|",
        *table,
        "",
        meaning,
    ]
    path.write_text(with_section(path, "\n".join(lines)), encoding="utf-8")
    print(json.dumps([list(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
