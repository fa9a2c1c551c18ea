"""Kill an outlet and start it again at once, many times; say what the recorder lost of each new outlet.

``python tests/benchmarks/restart_campaign.py --kills 20``: also streams that appear late. About 4 s a kill.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from duchenne.recorder.lsl_config import lsl_on_this_host

COMMAND = (sys.executable, "-m", "duchenne.cli")
RATE_HZ = 500.0
OUTLET = f"""
import sys, time, pylsl
info = pylsl.StreamInfo(sys.argv[1], "Count", 1, {RATE_HZ}, pylsl.cf_int64, "source-" + sys.argv[1])
outlet = pylsl.StreamOutlet(info)
begun, sent = pylsl.local_clock(), 0
while True:
    while sent < (pylsl.local_clock() - begun) * {RATE_HZ}:
        outlet.push_sample([sent])
        sent += 1
    time.sleep(0.002)
"""


def start_outlet(name: str) -> subprocess.Popen[bytes]:
    """Start a process that counts from 0 on a stream."""
    return subprocess.Popen([sys.executable, "-c", OUTLET, name])


def campaign(folder: Path, kills: int, chance: random.Random) -> tuple[list[float], list[float]]:
    """Return the seconds lost of each restarted outlet and of each that appeared late."""
    from duchenne.recorder.recording import Recording

    out = folder / "restarts.h5"
    outlet = start_outlet("Restarted")
    others = []
    recorder = subprocess.Popen(
        [*COMMAND, "record", "--out", str(out), "--require", "Restarted"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(6)
        for number in range(kills):
            time.sleep(1.5 + chance.uniform(0, 1))
            outlet.kill()
            outlet.wait()
            outlet = start_outlet("Restarted")
            if number % 2 == 0:
                time.sleep(1 + chance.uniform(0, 0.5))
                others.append(start_outlet(f"Late{number}"))
        time.sleep(3)
        recorder.send_signal(signal.SIGTERM)
        assert recorder.wait(60) == 0
    finally:
        for process in [outlet, recorder, *others]:
            process.kill()
            process.wait()
    with Recording.open(out) as recording:
        stream = recording.streams.pop("Restarted")
        numbers = stream.samples()[:, 0]
        starts = [segment.start_index for segment in stream.segments[1:]]
        assert len(starts) == kills, f"{len(starts)} of {kills} restarts are in the file"
        assert np.sum(np.diff(numbers) != 1) == kills, "samples are missing inside"
        late = [other.samples()[0, 0] / RATE_HZ for other in recording.streams.values()]
        assert len(late) == len(others)
        return [float(numbers[start]) / RATE_HZ for start in starts], [float(s) for s in late]


def told(what: str, lost_s: list[float]) -> str:
    """Return one line about the losses."""
    return (
        f"{len(lost_s)} {what}: of the new outlet median {np.median(lost_s):.3f} s, "
        f"at most {max(lost_s):.3f} s lost"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with lsl_on_this_host("restart"), tempfile.TemporaryDirectory() as folder:
        restarted, late = campaign(Path(folder), arguments.kills, random.Random(arguments.seed))
    print(told("restarts", restarted))
    print(told("streams that appeared late", late))


if __name__ == "__main__":
    main()
