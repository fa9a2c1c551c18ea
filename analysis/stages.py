"""What is measured in the streams of a session, and what of it belongs to each presentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.values import records
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from duchenne.analysis.face.process import FaceResult
    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.recorder.recording import Recording, Stream

    Progress = Callable[[str, int, int], None]


def measure_gaze(
    recording: Recording, notes: list[str], tell: Progress
) -> tuple[Stream, GazeResult] | None:
    """Analyse the fullest gaze stream; None, with a note, where that cannot be done."""
    stream = _fullest(recording.of_type("Gaze"))
    if stream is None:
        notes.append("No gaze was recorded: the gaze and pupil columns are n/a.")
        return None
    from duchenne.analysis.gaze.geometry import ScreenGeometry  # noqa: PLC0415
    from duchenne.analysis.gaze.process import analyse_gaze  # noqa: PLC0415

    tell("gaze", 0, 1)
    samples = stream.samples()
    columns = {channel.label: samples[:, i] for i, channel in enumerate(stream.info.channels)}
    try:
        screen = ScreenGeometry.from_mapping(recording.screen)
        unit, measure = pupil_of(stream)
        result = analyse_gaze(
            stream.times_s,
            columns,
            screen,
            stream.info.nominal_srate_hz,
            pupil_unit=unit,
            pupil_measure=measure,
        )
    except DuchenneError as error:
        notes.append(f"Gaze was not analysed, its columns are n/a: {error}")
        return None
    tell("gaze", 1, 1)
    return stream, result


def measure_face(
    recording: Recording,
    backend: str,
    neutral: list[tuple[float, float]],
    notes: list[str],
    tell: Progress,
) -> tuple[Stream, FaceResult] | None:
    """Analyse the fullest face video; None, with a note, where there is none."""
    stream = _fullest([s for s in recording.of_type("VideoCompressed") if s.info.is_video])
    if stream is None:
        notes.append("No face video was recorded: the face columns are n/a.")
        return None
    from duchenne.analysis.face.decode import jpeg_frames  # noqa: PLC0415
    from duchenne.analysis.face.process import analyse_face  # noqa: PLC0415

    if not neutral:
        notes.append("No neutral-face phase: Action Units are not calibrated to the participant.")
    n_frames = stream.n
    result = analyse_face(
        jpeg_frames(stream.packets(), stream.times_s),
        backend=backend,
        neutral=neutral,
        n_frames=n_frames,
        progress=lambda done: tell("face", done, n_frames),
    )
    return stream, result


def _fullest(streams: list[Stream]) -> Stream | None:
    """Return the stream with most samples; None where there is none with any."""
    filled = [stream for stream in streams if stream.n > 0]
    return max(filled, key=lambda stream: stream.n, default=None)


def gaze_features_of(result: GazeResult, shown: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the gaze and pupil features of each presentation."""
    from duchenne.analysis.gaze.features import gaze_features  # noqa: PLC0415

    return [
        dict(gaze_features(result, row["onset_s"], row["offset_s"], rect_px=row["rect_px"]))
        if row["offset_s"] > row["onset_s"]
        else {}
        for row in records(shown)
    ]


def face_features_of(result: FaceResult, shown: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the face features of each presentation."""
    from duchenne.analysis.face.process import face_features  # noqa: PLC0415

    return [
        dict(face_features(result.table, row["onset_s"], row["offset_s"]))
        if row["offset_s"] > row["onset_s"]
        else {}
        for row in records(shown)
    ]


def pupil_of(stream: Stream) -> tuple[str | None, str | None]:
    """Return unit and measure of the pupil as the device gives them."""
    for channel in stream.info.channels:
        if channel.label in {"left_pupil", "right_pupil"}:
            return channel.unit or None, channel.type.lower() or None
    return None, None


def place_in_stimulus(fixations: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """Return the fixations with their place within the stimulus, after ``y_deg``."""
    x_stim = np.full(len(fixations), np.nan)
    y_stim = np.full(len(fixations), np.nan)
    onset = fixations["onset"].to_numpy(dtype=np.float64)
    for row in records(shown):
        if row["rect_px"] is None:
            continue
        x0, y0, x1, y1 = row["rect_px"]
        inside = (onset >= row["onset_s"]) & (onset < row["offset_s"])
        x_stim[inside] = (fixations["x_px"].to_numpy(dtype=np.float64)[inside] - x0) / (x1 - x0)
        y_stim[inside] = (fixations["y_px"].to_numpy(dtype=np.float64)[inside] - y0) / (y1 - y0)
    placed = fixations.copy()
    after = list(placed.columns).index("y_deg") + 1
    placed.insert(after, "x_stim", x_stim)
    placed.insert(after + 1, "y_stim", y_stim)
    return placed
