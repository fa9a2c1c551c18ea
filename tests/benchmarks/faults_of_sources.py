"""Faults of the sources: they die, come back, under another name or with another clock."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from fault_runs import NAME, RATE_HZ, Cost, Run, now_s, recorded

if TYPE_CHECKING:
    from duchenne.recorder.certificate import StreamCertificate

SMALLEST_STEP_S, LARGEST_STEP_S = 0.05, 5.0


@recorded()
def outlet_restart(run: Run) -> Cost:
    """SIGKILL of the source, which starts again at once."""
    from duchenne.recorder.recording import Recording

    run.wait()
    run.restart_source()
    run.wait(2.0, 3.0)
    run.end()
    with Recording.open(run.out) as recording:
        (stream,) = recording.streams.values()
        numbers = stream.samples()[:, 0]
        starts = [segment.start_index for segment in stream.segments]
    return _of_two(numbers, starts)


def _of_two(numbers: np.ndarray, starts: list[int], note: str = "") -> Cost:
    if len(starts) != 2:
        return Cost(0, 0.0, f"{len(starts)} segments")
    both = (numbers[: starts[1]], numbers[starts[1] :])
    missing = sum(int(np.sum(np.diff(part) - 1)) for part in both)
    return Cost(missing, float(both[1][0]) / RATE_HZ, note)


@recorded()
def outlet_new_identity(run: Run) -> Cost:
    """SIGKILL of the source, which starts again at once under a new identity."""
    from duchenne.recorder.recording import Recording

    run.wait()
    run.restart_source("another")
    run.wait(2.0, 3.0)
    run.end()
    with Recording.open(run.out) as recording:
        if set(recording.streams) != {NAME, f"{NAME}-2"}:
            return Cost(0, 0.0, f"streams {sorted(recording.streams)}")
        old, new = (recording.streams[key].samples()[:, 0] for key in (NAME, f"{NAME}-2"))
        verdict = recording.certificate[NAME].verdict
    numbers = np.concatenate([old, new])
    return _of_two(numbers, [0, len(old)], "" if verdict == "fail" else "its end is not told")


@recorded()
def stamps_step(run: Run) -> Cost:
    """The stamps of the source step by 0.05 to 5 s, forth or back."""
    from duchenne.recorder.recording import Recording

    run.wait()
    size_s = math.exp(run.chance.uniform(math.log(SMALLEST_STEP_S), math.log(LARGEST_STEP_S)))
    step_s = run.chance.choice((-1, 1)) * size_s
    assert run.source.stdin is not None
    run.source.stdin.write(f"{step_s}\n")
    run.source.stdin.flush()
    run.wait()
    asked_s = now_s()
    run.end()
    with Recording.open(run.out) as recording:
        stream = recording.streams[NAME]
        numbers, stamps = stream.samples()[:, 0], stream.timestamps
        certificate = recording.certificate[NAME]
    steps = np.diff(stamps) - 1 / RATE_HZ
    kept = np.abs(steps) > SMALLEST_STEP_S / 2
    as_sent = np.sum(kept) == 1 and abs(float(steps[kept][0]) - step_s) < 1e-6
    note = _told(certificate, step_s) if as_sent else "stamps not as they were sent"
    last_s = float(stamps[0] + (numbers[-1] - numbers[0]) / RATE_HZ)
    return Cost(int(np.sum(np.diff(numbers) - 1)), max(0.0, asked_s - last_s), note)


def _told(certificate: StreamCertificate, step_s: float) -> str:
    """Return what the certificate fails to tell of a step of the stamps."""
    if certificate.n_lost:
        return f"{certificate.n_lost} counted as lost"
    if step_s < 0:
        return "" if certificate.n_backwards == 1 else f"step of {step_s:.2f} s not told"
    found = abs(certificate.longest_gap_s - step_s - 1 / RATE_HZ) < 0.01
    return "" if found else f"step of {step_s:.2f} s not told"


@recorded()
def machine_restart(run: Run) -> Cost:
    """The source's machine starts again: same identity, another clock (Linux time namespace; needs root)."""
    from duchenne.recorder.recording import Recording

    run.wait()
    most_s = min(3600, int(time.monotonic()) - 10)
    shift_s = run.chance.choice((-1, 1)) * run.chance.randint(1, most_s)
    run.restart_source(before=("unshare", "--time", "--monotonic", str(shift_s)))
    run.wait(2.0, 3.0)
    run.end()
    with Recording.open(run.out) as recording:
        stream = recording.streams[NAME]
        numbers, stamps, times = stream.samples()[:, 0], stream.timestamps, stream.lsl_times_s
        starts = [segment.start_index for segment in stream.segments]
        steps = recording.certificate[NAME].n_clock_steps
    cost = _of_two(numbers, starts, "" if steps == 1 else f"{steps} steps of the clock told")
    if len(starts) != 2:
        return cost
    true_s = stamps - np.where(np.arange(len(stamps)) >= starts[1], shift_s, 0)
    cost.also = {"error of the times (ms)": 1e3 * float(np.max(np.abs(times - true_s)))}
    return cost
