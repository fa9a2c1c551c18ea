"""Kill the recorder at random moments while it records gaze and face video; say what each kill cost.

``python tests/benchmarks/kill_campaign.py --kills 20``. Needs no screen; takes about 10 s a kill.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from duchenne.recorder.lsl_config import lsl_on_this_host

COMMAND = (sys.executable, "-m", "duchenne.cli")
START_TIMEOUT_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with lsl_on_this_host("kill"), tempfile.TemporaryDirectory() as folder:
        campaign(Path(folder), arguments.kills, random.Random(arguments.seed))


def campaign(folder: Path, kills: int, chance: random.Random) -> None:
    """Run the sources once and the recorder once for each kill."""
    sources = [
        subprocess.Popen(
            [*COMMAND, "sources", "start", name, "--source-id", name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in ("simulated", "simulated-face")
    ]
    try:
        time.sleep(8)
        costs = [one_kill(folder / f"kill-{number}.h5", chance) for number in range(kills)]
    finally:
        for source in sources:
            source.terminate()
        for source in sources:
            source.wait(10)
    worst = max(costs)
    print(f"{kills} kills: median {np.median(costs):.3f} s lost, at most {worst:.3f} s")


def one_kill(out: Path, chance: random.Random) -> float:
    """Kill one recording; return the seconds of data that are gone, over both streams."""
    import pylsl

    from duchenne.recorder.ending import journal_state
    from duchenne.recorder.recording import Recording

    journal = out.with_suffix(".journal")
    command = [*COMMAND, "record", "--out", str(out), "--require", "Gaze", "--require", "FaceVideo"]
    command += ["--wait", f"{START_TIMEOUT_S:g}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + START_TIMEOUT_S
    while journal_state(journal) != "recording":
        if time.monotonic() > deadline or process.poll() is not None:
            raise TimeoutError("the recorder did not start")
        time.sleep(0.05)
    time.sleep(chance.uniform(1, 6))
    killed = pylsl.local_clock()
    process.kill()
    process.wait()
    subprocess.run([*COMMAND, "recover", str(journal)], check=True, capture_output=True)
    with Recording.open(out) as recording:
        gaze, face = recording.streams["Gaze"], recording.streams["FaceVideo"]
        steps = np.diff(gaze.column("device_time"))
        inside = int(np.sum(np.rint(steps * gaze.info.nominal_srate_hz) != 1))
        costs = [killed - gaze.lsl_times_s[-1], killed - face.lsl_times_s[-1]]
        print(
            f"{out.stem}: gaze {costs[0]:.3f} s, face {costs[1]:.3f} s lost at the end, "
            f"{inside} gaps inside, {gaze.n} samples and {face.n} frames kept",
            flush=True,
        )
    return float(max(costs))


if __name__ == "__main__":
    main()
