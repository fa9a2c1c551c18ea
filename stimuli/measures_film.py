"""Low-level measures of films and sounds: frame by frame, and over the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.display_profile import Monitor, luminance_map
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.measures import colourfulness

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

FILM_GRID_PX = 320
"""Frames are reduced to so many pixels on their longer side before they are measured."""
CUT_DISTANCE = 0.35
CUT_CHANGE = 0.06
CUT_PROMINENCE = 3.0
SILENCE_DBFS = -120.0
FRAME_COLUMNS = (
    "frame",
    "time_s",
    "luminance",
    "rms_contrast",
    "motion_energy",
    "cut",
    "sound_dbfs",
)


@dataclass(frozen=True, eq=False)
class FilmMeasures:
    """What was measured of a film or sound.

    Attributes
    ----------
    whole : dict of str to float
        Measures of the whole, by name.
    frames : dict of str to ndarray
        The columns `FRAME_COLUMNS`, one value for each frame; empty for sounds.
    """

    whole: dict[str, float]
    frames: dict[str, npt.NDArray[np.float64]]


def film_measures(path: Path, *, monitor: Monitor | None = None) -> FilmMeasures:
    """Measure a film.

    Parameters
    ----------
    path : Path
        A film.
    monitor : Monitor, optional
        Adds ``luminance_cd_m2``.

    Returns
    -------
    FilmMeasures
        Frames reduced to 320 px. ``motion_energy`` is the mean absolute difference of grey levels
        (0 to 1) from
        the frame before, NaN at the first; ``cut`` is 1 at the first frame of a new shot;
        ``sound_dbfs`` is the
        root mean square of the sound while the frame is shown, NaN without sound.

    Raises
    ------
    DuchenneError
        It cannot be decoded.
    """
    import av  # noqa: PLC0415 - not part of the core install

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DuchenneError(f"{path}: has no picture; declare it as audio or replace it")
            has_sound = bool(container.streams.audio)
        frames, colour, cd_m2 = _pictures(path, monitor)
        sound = sound_measures(path, frames["time_s"]) if has_sound else None
    except (av.error.FFmpegError, ValueError) as error:
        raise DuchenneError(f"{path}: cannot be decoded as video ({_line(error)})") from None
    frames["sound_dbfs"] = (
        sound.frames["sound_dbfs"] if sound else np.full(len(frames["time_s"]), np.nan)
    )
    steps = np.diff(frames["time_s"])
    step_s = float(np.median(steps)) if len(steps) else math.nan
    length_s = float(frames["time_s"][-1] - frames["time_s"][0]) + (step_s if len(steps) else 0.0)
    moving = frames["motion_energy"][1:]
    whole = {
        "luminance": float(frames["luminance"].mean()),
        "rms_contrast": float(frames["rms_contrast"].mean()),
        "colourfulness": colour,
        "motion_energy": float(moving.mean()) if len(moving) else math.nan,
        "cuts_per_min": 60.0 * float(frames["cut"].sum()) / length_s if length_s > 0 else math.nan,
        "frame_rate_hz": 1.0 / step_s if step_s > 0 else math.nan,
        "has_sound": float(has_sound),
    }
    whole |= {} if cd_m2 is None else {"luminance_cd_m2": cd_m2}
    return FilmMeasures(whole | (sound.whole if sound else {}), frames)


def _pictures(
    path: Path, monitor: Monitor | None
) -> tuple[dict[str, npt.NDArray[np.float64]], float, float | None]:
    import av  # noqa: PLC0415 - not part of the core install
    import cv2  # noqa: PLC0415 - not part of the core install

    rows: list[tuple[float, float, float, float, float]] = []
    colours, lights = [], []
    last: npt.NDArray[np.float32] | None = None
    last_counts: npt.NDArray[np.float32] | None = None
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for number, frame in enumerate(container.decode(stream)):
            scale = min(1.0, FILM_GRID_PX / max(frame.width, frame.height))
            size = (max(2, round(frame.width * scale)), max(2, round(frame.height * scale)))
            small = frame.reformat(*size, format="rgb24", interpolation="AREA")
            rgb = np.ascontiguousarray(small.to_ndarray(), dtype=np.uint8)
            light = luminance_map(rgb)
            grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
            counts = _colour_counts(rgb)
            change = distance = math.nan
            if last is not None and last_counts is not None:
                change = float(np.abs(grey - last).mean())
                distance = float(cv2.compareHist(counts, last_counts, cv2.HISTCMP_BHATTACHARYYA))
            time_s = frame.time if frame.time is not None else math.nan
            rows.append((time_s, float(light.mean()), float(light.std()), change, distance))
            if number % 10 == 0:
                colours.append(colourfulness(rgb))
                if monitor is not None:
                    lights.append(monitor.cd_m2(rgb))
            last, last_counts = grey, counts
    if not rows:
        raise DuchenneError(f"{path}: holds no frame that can be decoded; replace it")
    time_s, level, contrast, motion, steps = np.asarray(rows, dtype=np.float64).T
    frames = {"frame": np.arange(len(rows), dtype=np.float64), "time_s": time_s - time_s[0]}
    frames |= {"luminance": level, "rms_contrast": contrast, "motion_energy": motion}
    frames["cut"] = cuts(motion, steps).astype(np.float64)
    return frames, float(np.mean(colours)), float(np.mean(lights)) if lights else None


def _colour_counts(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    import cv2  # noqa: PLC0415 - not part of the core install

    counts = cv2.calcHist([rgb], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3)
    return np.asarray(counts, dtype=np.float32)


def cuts(
    motion: npt.NDArray[np.float64], distance: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return where a new shot begins.

    Parameters
    ----------
    motion : ndarray, shape (frames,)
        Mean absolute change of grey level, NaN at the first frame.
    distance : ndarray, shape (frames,)
        Bhattacharyya distance of the colour histogram (8 × 8 × 8) from that of the frame before, 0 to 1.

    Returns
    -------
    ndarray of bool, shape (frames,)
        True where the colours change by 0.35 and the greys by 0.06 at least, and the greys change
        three times as
        much as at any other frame within ± 3. Dissolves and fades are not found.
    """
    found = np.zeros(len(motion), dtype=bool)
    values = np.nan_to_num(motion)
    for i in np.flatnonzero((np.nan_to_num(distance) >= CUT_DISTANCE) & (values >= CUT_CHANGE)):
        around = np.concatenate([values[max(1, i - 3) : i], values[i + 1 : i + 4]])
        found[i] = not len(around) or values[i] >= CUT_PROMINENCE * around.max()
    return found


def sound_measures(path: Path, frames_s: npt.NDArray[np.float64] | None = None) -> FilmMeasures:
    """Measure the sound of a file.

    Parameters
    ----------
    path : Path
        A film or sound.
    frames_s : ndarray, optional
        When frames begin, from the start (s): adds the sound level of each.

    Returns
    -------
    FilmMeasures
        ``sound_dbfs``: root mean square over all channels in dB of full scale (a full-scale sine is -3);
        ``loudness_lufs``: integrated loudness by EBU R 128, measured by FFmpeg, NaN for less than
        0.4 s or silence.
        Digital silence is -120 dBFS.

    Raises
    ------
    DuchenneError
        It cannot be decoded.
    """
    import av  # noqa: PLC0415 - not part of the core install

    squares: list[npt.NDArray[np.float64]] = []
    loudness = math.nan
    rate = 48_000
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DuchenneError(f"{path}: has no sound; replace it")
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp", rate=rate)
            meter = _Meter()
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    samples = part.to_ndarray().astype(np.float64)
                    squares.append((samples**2).mean(axis=0))
                    meter.push(part)
            loudness = meter.lufs
    except (av.error.FFmpegError, ValueError) as error:
        raise DuchenneError(f"{path}: cannot be decoded as audio ({_line(error)})") from None
    if not squares:
        raise DuchenneError(f"{path}: holds no sound that can be decoded; replace it")
    power = np.concatenate(squares)
    whole = {"sound_dbfs": _dbfs(float(power.mean())), "loudness_lufs": loudness}
    frames = {}
    if frames_s is not None:
        starts = np.clip(np.rint(frames_s * rate).astype(np.intp), 0, len(power))
        ends = np.append(starts[1:], len(power))
        total = np.concatenate([[0.0], np.cumsum(power)])
        sums = total[ends] - total[starts]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(ends > starts, sums / (ends - starts), np.nan)
        frames["sound_dbfs"] = np.array([_dbfs(float(m)) for m in means])
    return FilmMeasures(whole, frames)


class _Meter:
    """EBU R 128 loudness by FFmpeg's filter."""

    def __init__(self) -> None:
        from av.filter import Graph  # noqa: PLC0415 - not part of the core install

        self._graph = Graph()
        self._ready = False
        self.lufs = math.nan

    def push(self, frame: object) -> None:
        """Hear one more frame."""
        import av  # noqa: PLC0415 - not part of the core install

        assert isinstance(frame, av.AudioFrame)
        if not self._ready:
            source = self._graph.add_abuffer(
                sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name
            )
            meter = self._graph.add("ebur128", "metadata=1")
            sink = self._graph.add("abuffersink")
            source.link_to(meter)
            meter.link_to(sink)
            self._graph.configure()
            self._ready = True
        self._graph.push(frame)
        while True:
            try:
                heard = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            known = getattr(heard, "metadata", {})  # not in every version of PyAV
            value = float(known.get("lavfi.r128.I", "nan"))
            self.lufs = value if value > -69.9 else math.nan


def _dbfs(power: float) -> float:
    if math.isnan(power):
        return math.nan
    return max(SILENCE_DBFS, 10.0 * math.log10(power)) if power > 0 else SILENCE_DBFS


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
