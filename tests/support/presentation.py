"""A small protocol with stimuli of its own, and the process that presents it, heard over LSL."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl

from duchenne.protocols.markers import decode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typing_extensions import Self

WIDTH_PX, HEIGHT_PX = 800, 450
FILM_RATE_HZ, FILM_FRAMES = 30, 45
FILM_WIDTH_PX, FILM_HEIGHT_PX, BIT_PX = 320, 240, 32
BITS = 8
COMMAND = (sys.executable, "-m", "duchenne.cli", "protocol", "present")

PROTOCOL = """\
name: small
title: A small protocol
screen: {{width_px: {width}, height_px: {height}, width_cm: 40, height_cm: 22.5, distance_cm: 60}}
stimuli: set
ratings:
  valence: {{dimension: valence, question: "How did you feel?", timeout_s: {timeout_s}}}
  arousal: {{dimension: arousal, question: "How excited were you?"}}
blocks:
  - name: opening
    steps:
      - {{type: instruction, text: Press the space bar.}}
      - {{type: neutral, duration_s: 0.5, text: Look at the cross.}}
  - name: main
    steps:
      - type: trials
        select: {{ids: [{ids}]}}
        order: fixed
        fixation_s: 0.5
        duration_s: 0.7
        iti_s: 0.3
        ratings: [{ratings}]
"""


def burnt_in(frame: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a film frame with its number in black and white squares along the top."""
    image = np.full((FILM_HEIGHT_PX, FILM_WIDTH_PX, 3), 90, np.uint8)
    for bit in range(BITS):
        image[:BIT_PX, bit * BIT_PX : (bit + 1) * BIT_PX] = 255 if frame >> bit & 1 else 0
    return image


def read_burnt_in(
    screen: np.ndarray[Any, np.dtype[np.uint8]], rect_px: tuple[float, float, float, float]
) -> int:
    """Read the number of the film frame from a screenshot."""
    x0, y0, x1, _ = rect_px
    scale = (x1 - x0) / FILM_WIDTH_PX
    y = round(y0 + scale * BIT_PX / 2)
    squares = [screen[y, round(x0 + scale * BIT_PX * (bit + 0.5))].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(squares) if level > 128)


LONG_BITS = 16
"""Binary places of the numbers of long films, in squares along the top."""


def write_numbered_film(path: Path, frames: int, size_px: tuple[int, int] = (512, 128)) -> None:
    """Write a silent film whose frames carry their numbers, up to 65535; see `read_number`."""
    import av

    width, height = size_px
    side = width // LONG_BITS
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FILM_RATE_HZ)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"preset": "ultrafast"}
        image = np.full((height, width, 3), 90, np.uint8)
        for i in range(frames):
            for bit in range(LONG_BITS):
                image[:side, bit * side : (bit + 1) * side] = 255 if i >> bit & 1 else 0
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode())


def read_number(
    screen: np.ndarray[Any, np.dtype[np.uint8]], rect_px: tuple[float, float, float, float]
) -> int:
    """Read the number that `write_numbered_film` wrote from a screenshot."""
    x0, y0, x1, _ = rect_px
    side = (x1 - x0) / LONG_BITS
    y = round(y0 + side / 2)
    squares = [screen[y, round(x0 + side * (bit + 0.5))].mean() for bit in range(LONG_BITS)]
    return sum(1 << bit for bit, level in enumerate(squares) if level > 128)


def write_uneven_film(path: Path, frame_s: Sequence[float]) -> None:
    """Write a silent film with numbered frames, each shown for its own time in seconds."""
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FILM_RATE_HZ)
        video.width, video.height, video.pix_fmt = FILM_WIDTH_PX, FILM_HEIGHT_PX, "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, 1000)
        for i, length_s in enumerate(frame_s):
            frame = av.VideoFrame.from_ndarray(burnt_in(i), format="rgb24")
            frame.pts, frame.time_base = round(1000 * sum(frame_s[:i])), Fraction(1, 1000)
            frame.duration = round(1000 * length_s)
            container.mux(video.encode(frame))
        container.mux(video.encode())


def write_film(path: Path, frames: int = FILM_FRAMES) -> None:
    """Write a film with numbered frames and a quiet tone."""
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FILM_RATE_HZ)
        video.width, video.height, video.pix_fmt = FILM_WIDTH_PX, FILM_HEIGHT_PX, "yuv420p"
        audio = container.add_stream("aac", rate=44100)
        for i in range(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(burnt_in(i), format="rgb24")))
        container.mux(video.encode())
        n = 44100 * frames // FILM_RATE_HZ
        tone = (0.05 * np.sin(2 * np.pi * 440 * np.arange(n) / 44100)).astype(np.float32)
        for start in range(0, n, 1024):
            part = av.AudioFrame.from_ndarray(
                tone[None, start : start + 1024], format="fltp", layout="mono"
            )
            part.sample_rate, part.pts, part.time_base = 44100, start, Fraction(1, 44100)
            container.mux(audio.encode(part))
        container.mux(audio.encode())


def write_stimuli(folder: Path) -> None:
    """Write two pictures, a film and their manifest."""
    from PIL import Image

    folder.mkdir()
    for name, colour in (("red", (200, 60, 40)), ("blue", (40, 60, 200))):
        Image.new("RGB", (400, 300), colour).save(folder / f"{name}.png")
    write_film(folder / "count.mp4")
    columns = "id file kind category sha256 valence arousal norm_min norm_max duration_s"
    rows = [
        ["red", "red.png", "image", "HVHA", "", "8", "7", "1", "9", "n/a"],
        ["blue", "blue.png", "image", "LVLA", "", "2", "3", "1", "9", "n/a"],
        ["count", "count.mp4", "video", "neutral", "", "5", "3", "1", "9", "1.5"],
    ]
    for row in rows:
        row[4] = hashlib.sha256((folder / row[1]).read_bytes()).hexdigest()
    lines = [columns.replace(" ", "\t"), *("\t".join(row) for row in rows)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"name": "test"}), encoding="utf-8")


def write_protocol(
    folder: Path,
    *,
    ids: str = "red, count",
    ratings: str = "valence, arousal",
    timeout_s: float = 30.0,
) -> Path:
    """Write the protocol and its stimuli; return the path of the protocol."""
    if not (folder / "set").exists():
        write_stimuli(folder / "set")
    path = folder / "small.yaml"
    text = PROTOCOL.format(
        width=WIDTH_PX, height=HEIGHT_PX, ids=ids, ratings=ratings, timeout_s=timeout_s
    )
    path.write_text(text, encoding="utf-8")
    return path


class Presentation:
    """The presenting process, with its two streams recorded from before the start.

    Parameters
    ----------
    protocol : Path
        What to present.
    source_id : str
        Of the streams; nobody else's.
    *options : str
        More options of the command.
    """

    def __init__(self, protocol: Path, source_id: str, *options: str) -> None:
        self._arguments = [*COMMAND, str(protocol), "--participant", "P01"]
        self._arguments += ["--source-id", source_id, *options]
        self._source_id = source_id
        self._lines: list[str] = []
        self._inlets: dict[str, pylsl.StreamInlet] = {}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reader.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self._reader.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        for inlet in self._inlets.values():
            inlet.close_stream()
        self._inlets.clear()

    def _read(self, stream: Any) -> None:
        for line in stream:
            self._lines.append(line.rstrip("\n"))

    @property
    def lines(self) -> list[str]:
        """What the process has written to its standard output so far."""
        return list(self._lines)

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for_line(self, text: str, timeout_s: float = 40.0) -> str:
        """Wait for a line with this text in it."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for line in self.lines:
                if text in line:
                    return line
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.02)
        stderr = ""
        if self.process.poll() is not None and self.process.stderr is not None:
            stderr = self.process.stderr.read()
        raise AssertionError(f"no line {text!r} in {self.lines}; standard error: {stderr}")

    def listen(self) -> None:
        """Wait until the process is ready, and connect to its streams."""
        self.wait_for_line("ready")
        for name in ("markers", "shown"):
            found = pylsl.resolve_byprop("source_id", f"{self._source_id}-{name}", 1, 10.0)
            assert found, f"no stream {name}"
            inlet = pylsl.StreamInlet(found[0], max_buflen=360, recover=False)
            inlet.open_stream(10.0)
            self._inlets[name] = inlet

    def start(self) -> None:
        """Listen and let it begin."""
        self.listen()
        self.say("start")

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for the end of the process; return its exit code."""
        return self.process.wait(timeout_s)

    def pull(self, name: str, timeout_s: float = 2.0) -> tuple[list[Any], list[float]]:
        """Return all samples that have come, with their time stamps."""
        samples: list[Any] = []
        stamps: list[float] = []
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                chunk, times = self._inlets[name].pull_chunk(timeout=0.05)
            except pylsl.LostError:
                break
            samples += chunk
            stamps += times
            if not times and samples:
                break
        return samples, stamps

    def wait_for_marker(self, event: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """Pull markers until one of this event comes; return it."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            sample, stamp = self._inlets["markers"].pull_sample(timeout=0.5)
            if sample is None:
                continue
            marker = decode(sample[0]) | {"lsl_time_s": stamp}
            if marker["event"] == event:
                return marker
        raise AssertionError(f"no marker {event}")

    def markers(self) -> list[dict[str, Any]]:
        """Return the markers that have come, decoded, with ``lsl_time_s``."""
        samples, stamps = self.pull("markers")
        return [
            decode(text) | {"lsl_time_s": t} for (text,), t in zip(samples, stamps, strict=True)
        ]
