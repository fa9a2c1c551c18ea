"""How long does it take to measure 500 pictures of 1024 × 768?

    python tests/benchmarks/measure_images.py [--n 500] [--workers 2]

Pictures are 1/f noise with colour, saved as JPEG of quality 90; 20 different ones, each read many times.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from duchenne.stimuli.measures_set import measure_one, measure_set
from duchenne.stimuli.stimulus import Stimulus

WIDTH_PX, HEIGHT_PX, N_DIFFERENT = 1024, 768, 20


def picture(rng: np.random.Generator) -> np.ndarray:
    """Return one picture whose amplitude falls with spatial frequency, as in natural scenes."""
    fy = np.fft.fftfreq(HEIGHT_PX)[:, None]
    fx = np.fft.rfftfreq(WIDTH_PX)[None]
    fall = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / WIDTH_PX)
    planes = []
    for _ in range(3):
        spectrum = fall * np.exp(2j * np.pi * rng.random(fall.shape))
        plane = np.fft.irfft2(spectrum, s=(HEIGHT_PX, WIDTH_PX))
        planes.append(128 + 50 * (plane - plane.mean()) / plane.std())
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def main() -> None:
    """Make the pictures, measure them and print the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        stimuli = []
        for i in range(N_DIFFERENT):
            path = Path(folder) / f"{i}.jpg"
            Image.fromarray(picture(rng)).save(path, quality=90)
            stimuli.append(Stimulus(str(i), path.name, path, "image", "c", "0" * 64))
        repeated = [
            dataclasses.replace(stimuli[i % N_DIFFERENT], id=str(i)) for i in range(arguments.n)
        ]
        start, cpu_start = time.perf_counter(), time.process_time()
        done = list(track(measure_set(repeated, measure_one, arguments.workers), total=arguments.n))
        wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert all(m.problem is None for m in done)
    print(
        f"{arguments.n} pictures of {WIDTH_PX} x {HEIGHT_PX}, {arguments.workers} threads: "
        f"{wall_s:.1f} s ({1000 * wall_s / arguments.n:.0f} ms each, {cpu_s:.1f} s of processor time), "
        f"peak RSS {peak_mb:.0f} MB"
    )


if __name__ == "__main__":
    main()
