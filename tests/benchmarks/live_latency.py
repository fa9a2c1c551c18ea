"""Rate, latency, drops and CPU time of the live Action Units beside a running recorder.

``python tests/benchmarks/live_latency.py --seconds 60`` starts a camera (the simulated face, 30 frames/s,
640 × 480, as an LSL stream of its own; ``--camera FILE`` plays a film), ``duchenne sources start au`` on
that stream, and ``duchenne record`` of everything, each in a process of its own, all on the CPUs given by
``--cpus``. The figures come from the recorded file: the channel ``latency_s`` (from the capture of a
picture to the publication of its Action Units) and the stamps.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from load_shared import usage

from duchenne.recorder.lsl_config import lsl_on_this_host

COMMAND = (sys.executable, "-m", "duchenne.cli")
CAMERA = "BenchFace"
WARM_UP_S = 3.0
STOP_S = 120.0


def start(arguments: list[str], *, until: str | None = None) -> subprocess.Popen[str]:
    """Start a command; wait for the line that says it is ready."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while until is not None:
        line = process.stdout.readline()
        if line.strip() == until:
            break
        if not line:
            raise SystemExit(f"{' '.join(arguments)} ended with {process.wait()}")
    return process


def end(process: subprocess.Popen[str]) -> str:
    """Stop a command in good order; return what it said last."""
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=STOP_S)
    return out.strip().splitlines()[-1] if out.strip() else ""


def measure(seconds: float, camera: str | None, backend: str, folder: Path) -> dict[str, object]:
    """Run the three processes; return CPU shares and what they said."""
    arguments = ["sources", "start", "simulated-face", "--set", f"name={CAMERA}"]
    if camera is not None:
        arguments = ["sources", "start", "camera", "--set", f"name={CAMERA}"]
        arguments += ["--set", f"device={camera}"]
    processes = {"camera": start([*arguments, "--source-id", CAMERA], until="ready")}
    live = ["sources", "start", "au", "--stream", CAMERA, "--backend", backend]
    processes["live AU"] = start(live, until="ready")
    processes["recorder"] = start(["record", "--out", str(folder / "live.h5")])
    time.sleep(WARM_UP_S)
    before = {name: usage(process.pid) for name, process in processes.items()}
    load_before = os.getloadavg()[0]
    begun = time.monotonic()
    time.sleep(seconds)
    lasted_s = time.monotonic() - begun
    after = {name: usage(process.pid) for name, process in processes.items()}
    said = {name: end(processes[name]) for name in ("recorder", "live AU", "camera")}
    cpu = {name: (after[name].cpu_s - before[name].cpu_s) / lasted_s for name in processes}
    return {
        "cpu": cpu,
        "rss": {name: after[name].peak_rss_mb for name in processes},
        "said": said,
        "load": (load_before, os.getloadavg()[0]),
    }


def figures(file: Path) -> dict[str, float]:
    """Return rate, latency and drops from the recorded streams."""
    from duchenne.recorder.recording import Recording

    with Recording.open(file) as recording:
        video = recording.streams[CAMERA].timestamps
        affect = recording.streams["Affect"]
        stamps, samples = affect.timestamps, np.asarray(affect.samples())
    labels = [channel.label for channel in affect.info.channels]
    latency_s = samples[:, labels.index("latency_s")]
    inside = (video >= stamps[0]) & (video <= stamps[-1])
    return {
        "camera_hz": 1 / float(np.median(np.diff(video))),
        "measured_hz": (len(stamps) - 1) / float(stamps[-1] - stamps[0]),
        "n": len(stamps),
        "dropped": int(inside.sum()) - len(stamps),
        "foreign_stamps": int((~np.isin(stamps[stamps >= video[0]], video)).sum()),
        "latency_median_ms": 1e3 * float(np.median(latency_s)),
        "latency_95_ms": 1e3 * float(np.percentile(latency_s, 95)),
        "latency_max_ms": 1e3 * float(latency_s.max()),
        "below_100_ms": float((latency_s < 0.1).mean()),
        "usable": float(np.mean(samples[:, labels.index("usable")])),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--camera", help="film in place of the simulated face")
    parser.add_argument("--backend", default="geometry")
    parser.add_argument("--cpus", default="0,1", help="CPUs that all processes share")
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    with tempfile.TemporaryDirectory() as folder, lsl_on_this_host("live-latency"):
        run = measure(options.seconds, options.camera, options.backend, Path(folder))
        found = figures(Path(folder) / "live.h5")
    for key, value in found.items():
        print(f"{key:20} {value:.2f}")
    for key, value in run["cpu"].items():
        print(f"CPU {key:16} {100 * value:.0f} % of a core, peak {run['rss'][key]:.0f} MB")
    print(f"load average before and after: {run['load'][0]:.1f}, {run['load'][1]:.1f}")
    print(run["said"]["live AU"])


if __name__ == "__main__":
    main()
