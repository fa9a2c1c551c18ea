"""Render short films with brief bursts of Action Units, for the micro-expression benchmark.

    LP_NUM_THREADS=1 OMP_NUM_THREADS=1 python tests/benchmarks/microexpressions_render.py \
        --renderer FOLDER --out FOLDER --first 0 --clips 8

FOLDER of the renderer holds ``render.py`` and its head model (ICT-FaceKit, MIT, © 2020 USC Institute
for Creative Technologies); it is no part of the package. Each clip is ``clip_NNN.mp4`` (60 frames/s,
10 s, another person each) and ``clip_NNN.json`` with the truth. Even clips show a still person, odd
ones a talking person. All have blinks, gaze shifts, a swaying head, a nod, one expression that is held,
sensor noise and the losses of H.264.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ = 60.0
DURATION_S = 10.0
BURST_S = 0.2
SIZE_PX = 320
UPPER = ({"AU1": 1.0, "AU2": 0.9}, {"AU4": 1.0}, {"AU1": 1.0, "AU4": 0.7}, {"AU2": 1.0, "AU1": 0.5})
LOWER = (
    {"AU12": 1.0},
    {"AU6": 0.8, "AU12": 1.0},
    {"AU9": 1.0},
    {"AU10": 1.0},
    {"AU15": 1.0},
    {"AU20": 1.0},
    {"AU14": 1.0},
    {"AU17": 1.0},
)
GAZE_DEG = 30.0


def bump(time_s: np.ndarray, start_s: float, duration_s: float) -> np.ndarray:
    """Return a rise and fall of sine-squared shape: 0 outside, 1 in the middle."""
    phase = (time_s - start_s) / duration_s
    return np.where((phase > 0) & (phase < 1), np.sin(np.pi * np.clip(phase, 0, 1)) ** 2, 0.0)


def held(time_s: np.ndarray, start_s: float, rise_s: float, hold_s: float) -> np.ndarray:
    """Return an expression that rises, is held, and falls."""
    shape = np.interp(
        time_s - start_s, [0, rise_s, rise_s + hold_s, 2 * rise_s + hold_s], [0, 1, 1, 0]
    )
    return (1 - np.cos(np.pi * shape)) / 2


class Script:
    """What the person of one clip does: weights 0 to 1 of Action Units, pose and gaze per frame."""

    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng([77, number])
        self.time_s = np.arange(int(DURATION_S * RATE_HZ)) / RATE_HZ
        self.au: dict[str, np.ndarray] = {}
        self.side: dict[str, str] = {}
        self.pose = np.zeros((len(self.time_s), 3))
        self.gaze = np.zeros((len(self.time_s), 2))
        self.bursts: list[dict[str, Any]] = []
        self.speech: list[list[float]] = []
        self.blinks: list[float] = []
        self.nods: list[float] = []
        self._move()
        if number % 2:
            self._talk(2.2, 7.4)
            slots = [1.1, 2.9, 3.9, 5.0, 6.1, 8.2, 9.1]
        else:
            slots = [1.2, 2.3, 3.4, 4.5, 5.6, 8.3, 9.2]
        for slot in slots:
            self._burst(slot + float(self.rng.uniform(0, 0.35)))
        self._hold(6.6)
        self._blink()

    def _add(self, unit: str, values: np.ndarray) -> None:
        self.au[unit] = np.clip(np.maximum(self.au.get(unit, 0.0 * values), values), 0, 1)

    def _move(self) -> None:
        rng, t = self.rng, self.time_s
        for axis, size in enumerate((2.5, 1.5, 1.2)):
            for _ in range(3):
                rate, phase = rng.uniform(0.1, 0.6), rng.uniform(0, 6)
                self.pose[:, axis] += rng.normal(0, size / 1.7) * np.sin(
                    2 * np.pi * rate * t + phase
                )
        nod_s = float(rng.uniform(7.6, 7.7))
        self.nods = [nod_s]
        self.pose[:, 1] -= 7 * bump(t, nod_s, 0.5)
        look = np.zeros(2)
        at_s = 0.0
        while at_s < DURATION_S:
            look = np.clip(rng.normal(0, 0.12, 2), -0.35, 0.35)
            self.gaze[t >= at_s] = look
            at_s += float(rng.uniform(0.4, 1.6))

    def _talk(self, first_s: float, last_s: float) -> None:
        rng, t = self.rng, self.time_s
        at_s, began_s = first_s, first_s
        while at_s < last_s:
            length_s = float(np.clip(rng.normal(0.21, 0.04), 0.13, 0.32))
            opening = float(rng.uniform(0.15, 0.6))
            self._add("AU26", opening * bump(t, at_s, length_s * 1.25))
            self._add("AU25", (0.3 + opening / 2) * bump(t, at_s, length_s * 1.25))
            unit = str(rng.choice(["AU18", "AU20", "AU16", "AU22", "AU17", "AU24"]))
            self._add(unit, float(rng.uniform(0.1, 0.4)) * bump(t, at_s, length_s * 1.4))
            at_s += length_s
            if rng.random() < 0.06:
                self.speech.append([began_s, at_s])
                at_s += float(rng.uniform(0.2, 0.4))
                began_s = at_s
        self.speech.append([began_s, at_s])
        self.pose[:, 1] += np.where((t > first_s) & (t < last_s), 1.2 * np.sin(7 * t), 0.0)

    def _speaks(self, at_s: float) -> bool:
        return any(a - 0.3 < at_s < b + 0.3 for a, b in self.speech)

    def _burst(self, start_s: float) -> None:
        rng = self.rng
        kinds = UPPER if self._speaks(start_s) else UPPER + LOWER
        units = kinds[int(rng.integers(len(kinds)))]
        size = float(rng.uniform(0.4, 0.85))
        for unit, share in units.items():
            self._add(unit, size * share * bump(self.time_s, start_s, BURST_S))
        self.bursts.append(
            {
                "onset_s": start_s,
                "apex_s": start_s + BURST_S / 2,
                "offset_s": start_s + BURST_S,
                "units": sorted(units),
                "size": size,
                "in_speech": self._speaks(start_s),
            }
        )

    def _hold(self, start_s: float) -> None:
        """Hold a smile, or raise the brows, for more than half a second."""
        rng = self.rng
        shape = held(self.time_s, start_s, float(rng.uniform(0.25, 0.4)), 0.6)
        for unit in ("AU12", "AU6") if rng.random() < 0.5 else ("AU1", "AU2"):
            self._add(unit, float(rng.uniform(0.4, 0.8)) * shape)

    def _blink(self) -> None:
        rng = self.rng
        at_s = float(rng.uniform(0.3, 0.7))
        while at_s < DURATION_S - 0.3:
            clear = all(abs(at_s + 0.1 - b["apex_s"]) > 0.35 for b in self.bursts)
            if clear:
                self._add("AU45", bump(self.time_s, at_s, float(rng.uniform(0.16, 0.28))))
                self.blinks.append(at_s)
                at_s += float(rng.uniform(1.5, 3.5))
            else:
                at_s += 0.1


def render_clip(renderer: Any, studio: Any, number: int, path: Path) -> None:
    """Render and encode one clip."""
    import av

    script, rng = Script(number), np.random.default_rng([78, number])
    person = renderer.m.identity(900_000 + number, scale=float(rng.uniform(0.6, 1.0)))
    appearance = studio.Appearance(seed=910_000 + number)
    appearance.wrinkle *= float(rng.uniform(0.2, 1.0))
    light, behind = studio.Lighting(rng), studio.background(rng, SIZE_PX, SIZE_PX)
    camera = {
        "dist": float(rng.uniform(55, 100)),
        "face_frac": float(rng.uniform(0.6, 0.85)),
        "asym": float(rng.uniform(-1, 1)),
        "coeffs": person,
        "light": light,
        "bg": behind,
    }
    noise = float(rng.uniform(1.5, 4.0))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=int(RATE_HZ), options={"crf": "18"})
        stream.width = stream.height = SIZE_PX
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for i in range(len(script.time_s)):
            au = {unit: float(w[i]) for unit, w in script.au.items() if w[i] > 0}
            image, _ = renderer.render(
                appearance, au, None, gaze=tuple(script.gaze[i]), yaw=script.pose[i, 0],
                pitch=script.pose[i, 1], roll=script.pose[i, 2], **camera,
            )  # fmt: skip
            noisy = image + rng.normal(0, noise, image.shape)
            frame = av.VideoFrame.from_ndarray(
                np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24"
            )
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    truth = {
        "rate_hz": RATE_HZ,
        "bursts": script.bursts,
        "speech": script.speech,
        "blinks": script.blinks,
        "nods": script.nods,
    }
    path.with_suffix(".json").write_text(json.dumps(truth, indent=1), "utf-8")


def main() -> None:
    """Render the clips asked for that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--renderer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--clips", type=int, default=8)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(given.renderer))
    import render

    renderer = render.Renderer(SIZE_PX, SIZE_PX, ss=1.0, tex=512)
    for number in range(given.first, given.first + given.clips):
        path = given.out / f"clip_{number:03d}.mp4"
        if path.with_suffix(".json").exists():
            continue
        start_s = time.monotonic()
        render_clip(renderer, render, number, path)
        print(path.name, f"{time.monotonic() - start_s:.0f} s", flush=True)
    print(f"Written: {given.out}")


if __name__ == "__main__":
    main()
