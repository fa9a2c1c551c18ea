"""Which codec for the face video? Bytes, CPU time and Action Unit error against raw frames.

    python tests/benchmarks/codecs.py --media ../shared/media [--out codecs.tsv]

The decoded frames of the test films are the raw frames. As these films were denoised by the codec
they were stored with, each is also measured with the noise of a camera's sensor added (normal, 3 of
255 grey levels, seeded). Every codec encodes with one thread. AU error is that of
``analyse_face`` on decoded against raw frames, over frames usable in both.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.process import analyse_face

os.environ.setdefault("SVT_LOG", "1")  # errors only

FILMS = ("face_real.mp4", "participant/happiness.mp4", "participant/surprise.mp4")
N_FRAMES = 150
NOISE_SD = 3.0
RATE_HZ = 30
LOW_DELAY = {"preset": "superfast", "tune": "zerolatency", "threads": "1"}


@dataclass(frozen=True)
class Codec:
    """A codec with its settings; `encoder` is OpenCV's JPEG or the name of one of FFmpeg's."""

    name: str
    encoder: str
    options: dict[str, str]
    keyframe_every: int = 1


CODECS = (
    *(Codec(f"MJPEG quality {q}", "jpeg", {"quality": str(q)}) for q in (75, 85, 90, 95)),
    *(Codec(f"H.264 intra crf {c}", "libx264", {"crf": str(c), **LOW_DELAY}) for c in (18, 23)),
    *(
        Codec(f"H.264 GOP 15 crf {c}", "libx264", {"crf": str(c), **LOW_DELAY}, 15)
        for c in (18, 23)
    ),
    Codec(
        "VP9 intra crf 24",
        "libvpx-vp9",
        {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    ),
    Codec(
        "AV1 intra crf 24",
        "libsvtav1",
        {"crf": "24", "preset": "12", "svtav1-params": "lp=1:keyint=1"},
    ),
)


@dataclass(frozen=True)
class Encoded:
    """The frames as they come back, and what they cost."""

    pictures: list[np.ndarray]
    bytes_per_frame: float
    encode_ms: float
    decode_ms: float


def encode(codec: Codec, pictures: list[np.ndarray]) -> Encoded:
    """Encode and decode RGB pictures with one thread; CPU time in ms per frame."""
    begun = time.process_time()
    packets = _jpeg(codec, pictures) if codec.encoder == "jpeg" else _ffmpeg(codec, pictures)
    encoded = time.process_time()
    decoded = _unjpeg(packets) if codec.encoder == "jpeg" else _unffmpeg(codec, packets)
    done = time.process_time()
    n = len(pictures)
    size = sum(len(bytes(packet)) for packet in packets) / n
    assert len(decoded) == n, f"{codec.name}: {len(decoded)} of {n} frames came back"
    return Encoded(decoded, size, 1e3 * (encoded - begun) / n, 1e3 * (done - encoded) / n)


def _jpeg(codec: Codec, pictures: list[np.ndarray]) -> list[bytes]:
    settings = [cv2.IMWRITE_JPEG_QUALITY, int(codec.options["quality"])]
    return [cv2.imencode(".jpg", p[..., ::-1], settings)[1].tobytes() for p in pictures]


def _unjpeg(packets: list[bytes]) -> list[np.ndarray]:
    pictures = (cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_COLOR) for p in packets)
    return [np.ascontiguousarray(p[..., ::-1]) for p in pictures]


def _ffmpeg(codec: Codec, pictures: list[np.ndarray]) -> list[av.Packet]:
    context = av.CodecContext.create(codec.encoder, "w")
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, RATE_HZ)
    context.framerate = Fraction(RATE_HZ)
    context.gop_size, context.thread_count = codec.keyframe_every, 1
    context.options = dict(codec.options)
    packets = []
    for number, picture in enumerate(pictures):
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    return [packet for packet in packets if packet.size]


def _unffmpeg(codec: Codec, packets: list[av.Packet]) -> list[np.ndarray]:
    names = {"libx264": "h264", "libvpx-vp9": "vp9", "libsvtav1": "libdav1d"}
    context = av.CodecContext.create(names[codec.encoder], "r")
    context.thread_count = 1
    frames = []
    for packet in packets:
        frames += context.decode(packet)
    frames += context.decode(None)
    planes = (frame.to_ndarray(format="yuv420p") for frame in frames)
    return [cv2.cvtColor(plane, cv2.COLOR_YUV2RGB_I420) for plane in planes]


def noisy(pictures: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Add a sensor's noise."""
    rng = np.random.default_rng(seed)
    return [
        np.clip(np.rint(p + NOISE_SD * rng.standard_normal(p.shape, np.float32)), 0, 255).astype(
            np.uint8
        )
        for p in pictures
    ]


def units(pictures: list[np.ndarray]) -> pd.DataFrame:
    """Return the Action Units of consecutive frames; NaN where the face is not usable."""
    frames = ((n, n / RATE_HZ, picture) for n, picture in enumerate(pictures))
    table = analyse_face(frames).table
    return table[[c for c in table.columns if c.startswith("AU") and c.endswith("_r")]]


def compare(
    raw: pd.DataFrame, decoded: pd.DataFrame, keys: dict[str, object], cost: dict[str, float]
) -> dict[str, object]:
    """Return one row: AU error over all units, the worst unit, and each unit's mean and maximum."""
    error = (raw - decoded).abs()
    both = error.notna().all(axis=1)
    one = int((raw.notna().all(axis=1) != decoded.notna().all(axis=1)).sum())
    mean, largest = error[both].mean(), error[both].max()
    row = keys | cost | {"au_mean": mean.mean(), "au_p99": float(np.nanquantile(error[both], 0.99))}
    row |= {"au_max": largest.max(), "worst_unit": largest.idxmax(), "usable_in_one": one}
    row |= {f"{name[:-2]}_mean": mean[name] for name in error}
    return row | {f"{name[:-2]}_max": largest[name] for name in error}


def measure(film: str, pictures: list[np.ndarray], grain: str) -> list[dict[str, object]]:
    """Measure every codec on one film."""
    raw = units(pictures)
    keys: dict[str, object] = {"film": film, "grain": grain, "frames": len(pictures)}
    none = {"bytes_per_frame": float(pictures[0].nbytes), "encode_ms": 0.0, "decode_ms": 0.0}
    rows = [compare(raw, units(pictures), keys | {"codec": "raw, measured again"}, none)]
    other = units(noisy(pictures, 99))
    rows.append(compare(raw, other, keys | {"codec": "raw, sensor noise added"}, none))
    for codec in CODECS:
        result = encode(codec, pictures)
        cost = {
            "bytes_per_frame": result.bytes_per_frame,
            "encode_ms": result.encode_ms,
            "decode_ms": result.decode_ms,
        }
        rows.append(compare(raw, units(result.pictures), keys | {"codec": codec.name}, cost))
        print(film, grain, codec.name, {k: round(float(v), 2) for k, v in cost.items()}, flush=True)
    return rows


def large(pictures: list[np.ndarray]) -> list[dict[str, object]]:
    """Return bytes and CPU time at 1280 × 720 with sensor noise."""
    sized = [cv2.resize(p, (1280, 720), interpolation=cv2.INTER_CUBIC) for p in pictures]
    grainy = noisy(sized, 2)
    rows = []
    for codec in CODECS:
        result = encode(codec, grainy)
        rows.append(
            {
                "codec": codec.name,
                "bytes_per_frame": result.bytes_per_frame,
                "encode_ms": result.encode_ms,
                "decode_ms": result.decode_ms,
            }
        )
    return rows


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, required=True, help="folder of the test films")
    parser.add_argument("--frames", type=int, default=N_FRAMES)
    parser.add_argument("--out", type=Path, help="also write every row as TSV")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rows: list[dict[str, object]] = []
    first: list[np.ndarray] = []
    for film in FILMS:
        read = (p for _, _, p in video_frames(arguments.media / film) if p is not None)
        pictures = [picture for picture, _ in zip(read, range(arguments.frames), strict=False)]
        first = first or pictures
        rows += measure(film, pictures, "as filmed")
        rows += measure(film, noisy(pictures, 1), "sensor noise")
    table = pd.DataFrame(rows)
    if arguments.out is not None:
        table.to_csv(arguments.out, sep="\t", index=False, float_format="%.4f")
    shown = ["bytes_per_frame", "encode_ms", "decode_ms", "au_mean", "au_p99", "au_max"]
    print(table.groupby(["grain", "codec"], sort=False)[shown].mean().round(3).to_string())
    print(pd.DataFrame(large(first[:60])).round(2).to_string(index=False))
    maxima = [c for c in table.columns if c.endswith("_max") and c.startswith("AU")]
    print(table.groupby("codec", sort=False)[maxima].max().T.round(2).to_string())


if __name__ == "__main__":
    main()
