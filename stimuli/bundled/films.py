"""Two short films with sound: balloons rising on a bright day, and something coming down a corridor."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from duchenne.stimuli.bundled.festive import FESTIVE
from duchenne.stimuli.bundled.painting import Array, Canvas, colour, gradient, grid, noise
from duchenne.stimuli.bundled.sound import RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from PIL import Image

FILM_WIDTH_PX, FILM_HEIGHT_PX = 640, 480
FRAME_RATE_HZ = 30
DURATION_S = 5.0
N_FRAMES = round(DURATION_S * FRAME_RATE_HZ)
SHAPE = (FILM_HEIGHT_PX, FILM_WIDTH_PX)


def balloons(rng: np.random.Generator) -> Iterator[Image.Image]:
    """Yield the frames of balloons rising past clouds, swaying, ever more of them."""
    wide = (FILM_HEIGHT_PX, FILM_WIDTH_PX * 2)
    _, y = grid(*SHAPE)
    sky = gradient([(0, colour("3fa9f5")), (0.7, colour("a8dcff")), (1, colour("e6f6ff"))], y)
    cloud = np.clip((noise(rng, wide, (5, 9), 5) - 0.55) / 0.3, 0, 1) * 0.9
    n = 46
    start, speed = rng.uniform(0, 4.2, n), rng.uniform(150, 240, n)
    x0, size = rng.uniform(30, FILM_WIDTH_PX - 30, n), rng.uniform(20, 46, n)
    phase, tone = rng.uniform(0, 6, n), rng.integers(0, len(FESTIVE), n)
    start[:10] = -rng.uniform(0.4, 2.0, 10)
    for frame in range(N_FRAMES):
        t = frame / FRAME_RATE_HZ
        canvas = Canvas(sky, scale=1)
        shift = round(16 * t)
        canvas.paint(cloud[:, shift : shift + FILM_WIDTH_PX], (1.0, 1.0, 1.0))
        for i in np.argsort(size):
            age_s = t - start[i]
            y_px = FILM_HEIGHT_PX + 1.3 * size[i] - speed[i] * age_s
            if age_s < 0 or y_px < -4 * size[i]:
                continue
            x_px = x0[i] + 12 * np.sin(1.9 * t + phase[i])
            sway = 6 * np.cos(1.9 * t + phase[i])
            _balloon(
                canvas,
                (float(x_px), float(y_px)),
                float(size[i]),
                float(sway),
                np.array(FESTIVE[tone[i]]),
            )
        yield canvas.finish()


def _balloon(
    canvas: Canvas, at: tuple[float, float], size: float, sway: float, tone: Array
) -> None:
    x, y = at
    knot = y + 1.28 * size
    steps = np.linspace(0, 1, 12)
    string = [
        (x - sway * 1.6 * float(s) * np.sin(2.5 * float(s)), knot + 1.9 * size * float(s))
        for s in steps
    ]
    canvas.paint(canvas.line(string, 1.0), (1.0, 1.0, 1.0), 0.7)
    canvas.paint(
        canvas.polygon(
            [
                (x, knot - 0.12 * size),
                (x - 0.13 * size, knot + 0.08 * size),
                (x + 0.13 * size, knot + 0.08 * size),
            ],
            0.5,
        ),
        tone * 0.8,
    )
    reach = 1.4 * size
    top, left = max(0, int(y - reach)), max(0, int(x - reach))
    window = (slice(top, max(0, int(y + reach))), slice(left, max(0, int(x + reach))))
    rows = np.arange(FILM_HEIGHT_PX)[window[0], None] - y
    columns = np.arange(FILM_WIDTH_PX)[None, window[1]] - x
    taper = 1 + 0.22 * np.clip(rows / (1.2 * size), 0, 1) ** 2
    r = np.hypot(columns * taper / size, rows / (1.2 * size))
    mask = np.clip((1 - r) * size * 0.8, 0, 1)[..., None]
    bright = np.clip(1.12 - 0.5 * r**2 - 0.25 * (columns + rows) / (2 * size), 0.3, 1.25)
    shine = np.exp(
        -(((columns + 0.38 * size) / (0.16 * size)) ** 2)
        - ((rows + 0.5 * size) / (0.26 * size)) ** 2
    )
    skin = np.clip(tone * bright[..., None], 0, 1) * 0.95
    skin = skin + (1 - skin) * 0.85 * shine[..., None]
    canvas.pixels[window] = canvas.pixels[window] * (1 - mask) + skin * mask


def corridor(rng: np.random.Generator) -> Iterator[Image.Image]:
    """Yield the frames of a dark corridor with a failing lamp, in which a figure comes closer."""
    x, y = grid(*SHAPE)
    dx, dy = x - 0.667, y - 0.46
    near = np.maximum(np.abs(dx) / 0.62, np.abs(dy) / 0.52)
    depth = 1 / np.maximum(near, 0.02)
    side = np.abs(dx) / 0.62 > np.abs(dy) / 0.52
    along = np.where(side, dy / np.maximum(np.abs(dx), 1e-3), dx / np.maximum(np.abs(dy), 1e-3))
    dirt = noise(rng, SHAPE, (9, 12), 6)
    flicker = np.clip(noise(rng, (4, N_FRAMES), (2, 26), 3)[1] * 1.4, 0.3, 1)
    for frame in range(N_FRAMES):
        t = frame / FRAME_RATE_HZ
        seams = np.cos(2 * np.pi * (depth + 0.55 * t)) > 0.955
        tiles = np.cos(2 * np.pi * along * 2.5) > 0.97
        wall = 0.42 + 0.3 * dirt - 0.22 * seams - 0.12 * tiles * (dy > 0)
        lamp = flicker[frame] * np.exp(-((depth - 1.9) ** 2) / 3.5) + 0.12
        shade = np.clip(wall * lamp / (1 + 0.22 * depth), 0, 1)
        canvas = Canvas(shade[..., None] * np.array(colour("c9d6b8")), scale=1)
        back = np.clip((0.10 - near) * 40, 0, 1)
        canvas.paint(back, (0.0, 0.0, 0.0))
        _figure(canvas, (t / DURATION_S) ** 2.2, t)
        canvas.vignette(0.75)
        canvas.grain(rng, 0.022)
        yield canvas.finish()


def _figure(canvas: Canvas, nearness: float, t: float) -> None:
    """Paint a hooded shape with lit eyes; `nearness` from 0 (far) to 1 (filling the picture)."""
    size = 26 + 330 * nearness
    cx = 320 + 0.06 * size * float(np.sin(5.2 * t))
    cy = 222 + 0.22 * size
    outline = [
        (0, 1.72),
        (-0.4, 1.68),
        (-0.62, 1.6),
        (-0.58, 0.5),
        (-0.44, 0.12),
        (-0.3, -0.12),
        (-0.27, -0.42),
        (-0.14, -0.66),
        (0, -0.74),
        (0.14, -0.66),
        (0.27, -0.42),
        (0.3, -0.12),
        (0.44, 0.12),
        (0.58, 0.5),
        (0.62, 1.6),
        (0.4, 1.68),
    ]
    body = [(cx + size * px, cy + size * py) for px, py in outline]
    canvas.paint(canvas.polygon(body, 1.0 + 0.015 * size), (0.0, 0.0, 0.0), 0.97)
    open_eyes = min(1.0, 0.25 + 1.2 * nearness)
    for sign in (-1, 1):
        ex, ey = cx + sign * 0.105 * size, cy - 0.36 * size
        glow = canvas.ellipse(ex, ey, 0.07 * size, 0.05 * size, max(1.5, 0.05 * size))
        canvas.light(glow[..., None] * np.array(colour("ff5a36")) * open_eyes)
        canvas.paint(
            canvas.ellipse(ex, ey, 0.036 * size, 0.02 * size, 0.5), colour("fff0c8"), open_eyes
        )


def write_film(path: Path, frames: Iterator[Image.Image], sound: Array, *, crf: int) -> None:
    """Encode frames and sound as H.264 and AAC in MP4, which every player in use decodes.

    Parameters
    ----------
    path : Path
        File to write.
    frames : iterator of PIL.Image
        Pictures of the film size, `FRAME_RATE_HZ` a second.
    sound : array, shape (2, n)
        Stereo samples, -1 to 1, at `sound.RATE_HZ`.
    crf : int
        x264's rate factor; smaller is better and larger.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=FRAME_RATE_HZ)
        video.width, video.height, video.pix_fmt = FILM_WIDTH_PX, FILM_HEIGHT_PX, "yuv420p"
        video.codec_context.gop_size = FRAME_RATE_HZ
        video.codec_context.options = {
            "crf": str(crf),
            "preset": "slow",
            "profile": "main",
            "bf": "0",
            "threads": "1",
        }
        audio = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
        audio.codec_context.bit_rate = 96_000
        for i, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            picture.pts, picture.time_base = i, Fraction(1, FRAME_RATE_HZ)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        _encode_sound(container, audio, sound)


def _encode_sound(container: OutputContainer, stream: AudioStream, sound: Array) -> None:
    block = 1024
    for start in range(0, sound.shape[1], block):
        part = np.ascontiguousarray(sound[:, start : start + block], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
