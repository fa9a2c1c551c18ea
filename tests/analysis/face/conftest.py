"""The rendered participant whose Action Units, pose and gaze are known in every frame."""

from __future__ import annotations

from importlib.resources import files
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.process import FaceResult, analyse_face

EXPRESSIONS = [
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
]
CLIP_S = 6.0
EVERY = 4


@pytest.fixture(scope="session")
def clips() -> Path:
    """Return the folder of rendered clips that ships with the simulated camera."""
    return Path(str(files("duchenne.recorder.sources"))) / "data" / "participant"


@pytest.fixture(scope="session")
def truth(clips: Path) -> pd.DataFrame:
    """Return the truth of all clips in one table, every fourth frame."""
    tables = [pd.read_csv(clips / f"{name}.csv").iloc[::EVERY] for name in EXPRESSIONS]
    return pd.concat(tables, keys=EXPRESSIONS, names=["clip", None]).reset_index("clip")


@pytest.fixture(scope="session")
def measured(clips: Path) -> FaceResult:
    """Return all clips analysed as one video, calibrated on the neutral one."""

    def frames():
        for i, name in enumerate(EXPRESSIONS):
            video = video_frames(clips / f"{name}.mp4")
            for index, time_s, image in islice(video, 0, None, EVERY):
                yield index, i * CLIP_S + time_s, image

    return analyse_face(frames(), neutral=[(0.0, CLIP_S)])


@pytest.fixture
def write_video(tmp_path: Path):
    """Return a function that writes pictures as a video."""

    def write(name, images, *, rate=10, rotation_deg=0, times=None):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=rate)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
            if rotation_deg:
                stream.set_display_rotation(rotation_deg)
            for i, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.pts = i if times is None else times[i]
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def still(clips: Path):
    """Return a function that gives one frame of a clip as a picture."""

    def picture(name, index=90):
        return next(islice(video_frames(clips / f"{name}.mp4"), index, None))[2]

    return picture
