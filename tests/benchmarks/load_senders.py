"""Send the load of the recorder benchmarks onto LSL, with a ledger of what was sent.

Run by ``load_shared.py``: ``python tests/benchmarks/load_senders.py KIND --ledger FOLDER``. Every sample
carries its sequence number, so that what a recorder lost, doubled or swapped can be counted. It ends with
its standard input.
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pylsl

if TYPE_CHECKING:
    from collections.abc import Callable

GAZE_RATE_HZ, GAZE_CHANNELS = 1200.0, 20
STRESS_RATE_HZ, STRESS_CHANNELS, STRESS_STREAMS = 1000.0, 64, 16
VIDEO_RATE_HZ, VIDEO_SIZE = 30.0, (1280, 720)
MARKER_INTERVAL_S = 0.5
KINDS = ("gaze", "video", "markers", "stress")
TICK_S = {"gaze": 0.002, "stress": 0.01, "video": 0.002, "markers": 0.01}


@dataclass
class Regular:
    """A stream of float32 samples at a fixed rate whose first channel counts them.

    Every sample is stamped with the moment at which it was due.
    """

    name: str
    rate_hz: float
    n_channels: int
    ledger: BinaryIO
    n: int = 0
    begun_s: float = 0.0
    outlet: pylsl.StreamOutlet = field(init=False)

    def __post_init__(self) -> None:
        info = pylsl.StreamInfo(
            self.name, "EEG", self.n_channels, self.rate_hz, pylsl.cf_float32, f"load-{self.name}"
        )
        self.outlet = pylsl.StreamOutlet(info, max_buffered=60)
        noise = np.random.default_rng(7).normal(0, 20, (4096, self.n_channels))
        self._noise = noise.astype(np.float32)
        self.begun_s = pylsl.local_clock()

    def push_due(self) -> None:
        """Push what is due by now."""
        due = int((pylsl.local_clock() - self.begun_s) * self.rate_hz)
        count = due - self.n
        if count <= 0:
            return
        numbers = np.arange(self.n, due)
        samples = self._noise[numbers % len(self._noise)]
        samples[:, 0] = numbers
        stamps = self.begun_s + numbers / self.rate_hz
        self.outlet.push_chunk(samples, stamps.tolist())
        self.ledger.write(stamps.tobytes())
        self.n = due


@dataclass
class Texts:
    """A stream of strings: markers, or pictures in base64 that end with their number."""

    name: str
    kind: str
    interval_s: float
    ledger: BinaryIO
    text_of: Callable[[int], bytes]
    n: int = 0
    begun_s: float = 0.0
    outlet: pylsl.StreamOutlet = field(init=False)

    def __post_init__(self) -> None:
        rate_hz = 1 / self.interval_s if self.kind == "VideoCompressed" else 0.0
        info = pylsl.StreamInfo(
            self.name, self.kind, 1, rate_hz, pylsl.cf_string, f"load-{self.name}"
        )
        if self.kind == "VideoCompressed":
            info.desc().append_child("encoding").append_child_value("codec", "MJPG")
            info.desc().append_child("synchronization").append_child_value(
                "can_drop_samples", "true"
            )
        self.outlet = pylsl.StreamOutlet(info, max_buffered=60)
        self.begun_s = pylsl.local_clock()

    def push_due(self) -> None:
        """Push one sample if it is due."""
        if pylsl.local_clock() < self.begun_s + self.n * self.interval_s:
            return
        stamp_s = pylsl.local_clock()
        self.outlet.push_sample([self.text_of(self.n)], stamp_s)
        self.ledger.write(np.float64(stamp_s).tobytes())
        self.n += 1


def pictures() -> list[bytes]:
    """Return 30 different JPEG pictures of 720 lines, about 100 kB each."""
    from PIL import Image

    chance = np.random.default_rng(3)
    rows, columns = np.mgrid[0 : VIDEO_SIZE[1], 0 : VIDEO_SIZE[0]]
    made = []
    for number in range(30):
        base = 120 + 60 * np.sin(columns / 90 + number / 5) * np.cos(rows / 70)
        noisy = base[..., None] + chance.normal(0, 7, (*base.shape, 3))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=75)
        made.append(buffer.getvalue())
    return made


def senders_of(kind: str, folder: Path) -> list[Regular | Texts]:
    """Return the streams of one sending process."""

    def ledger(name: str) -> BinaryIO:
        return (folder / f"{name}.stamps").open("wb")

    if kind == "gaze":
        return [Regular("LoadGaze", GAZE_RATE_HZ, GAZE_CHANNELS, ledger("LoadGaze"))]
    if kind == "stress":
        names = [f"Stress{number:02d}" for number in range(STRESS_STREAMS)]
        return [Regular(name, STRESS_RATE_HZ, STRESS_CHANNELS, ledger(name)) for name in names]
    if kind == "video":
        shown = pictures()

        def frame(number: int) -> bytes:
            return base64.b64encode(shown[number % len(shown)] + number.to_bytes(8, "big"))

        return [
            Texts("LoadVideo", "VideoCompressed", 1 / VIDEO_RATE_HZ, ledger("LoadVideo"), frame)
        ]
    return [
        Texts(
            "LoadMarkers",
            "Markers",
            MARKER_INTERVAL_S,
            ledger("LoadMarkers"),
            lambda number: f'{{"event":"note","number":{number}}}'.encode(),
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--ledger", type=Path, required=True)
    arguments = parser.parse_args()
    stop = threading.Event()
    senders = senders_of(arguments.kind, arguments.ledger)
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    print("ready", flush=True)
    while not stop.is_set():
        for sender in senders:
            sender.push_due()
        time.sleep(TICK_S[arguments.kind])
    for sender in senders:
        sender.ledger.close()
    time.sleep(0.5)  # so that what was pushed last is delivered


if __name__ == "__main__":
    main()
