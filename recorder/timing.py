"""How late light, sound and camera are behind the markers, measured from a recorded session.

The display marks each stimulus at the flip. A photodiode over the photodiode patch tells when the light
came, a microphone or a line-in when the click or sound came, and a camera that sees the patch, directly or
in a mirror, when its own frames show it: that is how late the camera stamps its frames.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.video_packets import codec_of, make_decoder
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from duchenne.recorder.recorded_stream import Stream
    from duchenne.recorder.recording import Recording

    Floats = npt.NDArray[np.float64]

BEFORE_S, AFTER_S = 0.1, 0.6
"""A change is looked for from so long before a marker to so long after it."""
MIN_CONTRAST = 8.0
"""Light must change by this many times its noise, sound exceed its noise by as much."""
GRID = 8
"""The camera picture is divided into so many rows and columns to find the patch."""


@dataclass(frozen=True)
class Delays:
    """The distribution of the delays of one stream behind the markers.

    Attributes
    ----------
    stream : str
    of : str
        ``photodiode``, ``audio`` or ``camera``.
    n, n_missed : int
        Onsets with and without an answer.
    median_s, iqr_s, min_s, max_s : float
        Seconds; NaN where there is none. Positive: later than the marker.
    resolution_s : float
        Time from sample to sample.
    """

    stream: str
    of: str
    n: int
    n_missed: int
    median_s: float
    iqr_s: float
    min_s: float
    max_s: float
    resolution_s: float

    @classmethod
    def of_values(cls, stream: str, of: str, values: Floats, resolution_s: float) -> Delays:
        """Summarise delays in seconds; NaN is a missed one."""
        known = values[np.isfinite(values)]
        if not len(known):
            nan = float("nan")
            return cls(stream, of, 0, len(values), nan, nan, nan, nan, resolution_s)
        low, middle, high = np.percentile(known, [25, 50, 75])
        return cls(
            stream,
            of,
            len(known),
            len(values) - len(known),
            float(middle),
            float(high - low),
            float(known.min()),
            float(known.max()),
            resolution_s,
        )

    def line(self) -> str:
        """Return it in one line, milliseconds."""
        if not self.n:
            return f"{self.of} ({self.stream}): no answer to any of {self.n_missed} onsets"
        return (
            f"{self.of} ({self.stream}): median {1e3 * self.median_s:.1f} ms, "
            f"interquartile range {1e3 * self.iqr_s:.1f} ms, {1e3 * self.min_s:.1f} to "
            f"{1e3 * self.max_s:.1f} ms; {self.n} onsets, {self.n_missed} missed"
        )


def rises(times_s: Floats, values: Floats, onsets_s: Sequence[float], bound: float) -> Floats:
    """Return, for each onset, how much later the values rise above a bound; NaN where they do not.

    Parameters
    ----------
    times_s, values : ndarray, shape (n,)
        Samples in order of time.
    onsets_s : sequence of float
    bound : float

    Returns
    -------
    ndarray, shape (n_onsets,)
        Seconds to the first sample above the bound whose predecessor was not, interpolated between both.
    """
    above = values > bound
    ups = np.flatnonzero(above[1:] & ~above[:-1])
    share = (bound - values[ups]) / (values[ups + 1] - values[ups])
    at_s = times_s[ups] + share * (times_s[ups + 1] - times_s[ups])
    found = np.full(len(onsets_s), np.nan)
    for i, onset_s in enumerate(onsets_s):
        inside = at_s[(at_s >= onset_s - BEFORE_S) & (at_s <= onset_s + AFTER_S)]
        if len(inside):
            found[i] = inside[0] - onset_s
    return found


def onsets_of(recording: Recording) -> list[float]:
    """Return the LSL times of the stimulus onsets.

    Raises
    ------
    DuchenneError
        There are none.
    """
    events = recording.events
    found = events.loc[events["event"] == "stimulus_onset", "lsl_time_s"].tolist()
    if not found:
        raise DuchenneError(f"{recording.path}: no stimulus was shown: there is nothing to measure")
    return [float(time_s) for time_s in found]


def photodiode_delays(recording: Recording, stream: Stream) -> Delays:
    """Measure how much later than the markers the light rises.

    Raises
    ------
    DuchenneError
        The light does not change: the diode did not see the patch.
    """
    onsets = onsets_of(recording)
    times, values = stream.lsl_times_s, np.asarray(stream.samples()[:, 0], dtype=np.float64)
    known = np.isfinite(times) & np.isfinite(values)
    times, values = times[known], values[known]
    if not len(values):
        raise DuchenneError(f"{stream.key}: holds no numbers")
    dark, bright = np.percentile(values, [5, 95])
    near_dark = values[values < (dark + bright) / 2]
    noise = float(np.std(near_dark)) if len(near_dark) else 0.0
    if bright - dark <= MIN_CONTRAST * noise:
        raise DuchenneError(
            f"{stream.key}: the light does not change with the stimuli; put the photodiode over the patch "
            "(protocol: timing: photodiode_patch)"
        )
    found = rises(times, values, onsets, (dark + bright) / 2)
    return Delays.of_values(stream.key, "photodiode", found, _step_s(times))


def audio_delays(recording: Recording, stream: Stream) -> Delays:
    """Measure how much later than the markers a sound comes: in an audio or in a level stream.

    Raises
    ------
    DuchenneError
        Nothing is heard.
    """
    times, onsets = stream.lsl_times_s, onsets_of(recording)
    if stream.info.type == "AudioLevel":
        peaks = np.asarray(stream.column("peak"), dtype=np.float64)
        loudness = 10.0 ** (np.where(np.isfinite(peaks), peaks, -200.0) / 20.0)
    else:
        loudness = np.abs(np.asarray(stream.samples(), dtype=np.float64)).max(axis=1)
    before = np.concatenate([loudness[_between(times, t - 0.2, t - 0.02)] for t in onsets])
    after = np.concatenate([loudness[_between(times, t, t + AFTER_S)] for t in onsets])
    if not len(before) or not len(after):
        raise DuchenneError(f"{stream.key}: was not recorded while stimuli appeared")
    floor, top = float(np.percentile(before, 99)), float(np.percentile(after, 99.95))
    if top < 2.0 * floor or top <= 0:
        raise DuchenneError(
            f"{stream.key}: no sound is louder at the onsets than before them; switch the click on "
            "(protocol: timing: audio_click)"
        )
    found = _first_above(times, loudness, onsets, floor + 0.25 * (top - floor))
    return Delays.of_values(stream.key, "audio", found, _step_s(times))


def _first_above(
    times_s: Floats, loudness: Floats, onsets_s: Sequence[float], bound: float
) -> Floats:
    found = np.full(len(onsets_s), np.nan)
    for i, onset_s in enumerate(onsets_s):
        inside = np.flatnonzero(_between(times_s, onset_s - BEFORE_S, onset_s + AFTER_S))
        loud = inside[loudness[inside] > bound]
        if len(loud):
            found[i] = times_s[loud[0]] - onset_s
    return found


def camera_delays(
    recording: Recording, stream: Stream, region: tuple[float, float, float, float] | None = None
) -> Delays:
    """Measure how late a camera that sees the patch stamps its frames.

    The light comes up between two frames; half a frame interval is taken off the first bright one, so that
    the median is right although each single value is uncertain by a frame.

    Parameters
    ----------
    recording : Recording
    stream : Stream
        Of type ``VideoCompressed``.
    region : (x0, y0, x1, y1), optional
        Where the patch is in the picture, 0 to 1; by default the part whose brightness follows the stimuli.

    Raises
    ------
    DuchenneError
        No part of the picture follows the stimuli.
    """
    times, onsets = stream.lsl_times_s, onsets_of(recording)
    parts = _brightness(stream, region)
    contrast, middle = _contrast(times, parts, onsets)
    best = int(np.argmax(contrast))
    if not contrast[best] > MIN_CONTRAST:
        raise DuchenneError(
            f"{stream.key}: no part of the picture follows the stimuli; let the camera see the photodiode "
            "patch, directly or in a mirror, or name the region"
        )
    values, step_s = parts[:, best], _step_s(times)
    found = _first_above(times, values, onsets, float(middle[best])) - step_s / 2
    return Delays.of_values(stream.key, "camera", found, step_s)


def _brightness(stream: Stream, region: tuple[float, float, float, float] | None) -> Floats:
    """Return the mean brightness of parts of each frame, shape (n_frames, n_parts); NaN: damaged."""
    decoder = make_decoder(codec_of(stream.info))
    rows: list[npt.NDArray[np.float64] | None] = []
    for packet in stream.packets():
        picture = decoder.decode(packet)
        rows.append(None if picture is None else _parts(picture, region))
    n = next((len(row) for row in rows if row is not None), 0)
    if not n:
        raise DuchenneError(f"{stream.key}: no frame can be decoded")
    return np.array([np.full(n, np.nan) if row is None else row for row in rows])


def _parts(
    picture: npt.NDArray[np.uint8], region: tuple[float, float, float, float] | None
) -> Floats:
    grey = picture.mean(axis=2)
    height, width = grey.shape
    if region is not None:
        x0, y0, x1, y1 = region
        part = grey[
            int(y0 * height) : max(int(y1 * height), int(y0 * height) + 1),
            int(x0 * width) : max(int(x1 * width), int(x0 * width) + 1),
        ]
        return np.array([part.mean()])
    high, wide = height // GRID, width // GRID
    cells = grey[: high * GRID, : wide * GRID].reshape(GRID, high, GRID, wide)
    return np.asarray(cells.mean(axis=(1, 3)).ravel())


def _contrast(times: Floats, parts: Floats, onsets: Sequence[float]) -> tuple[Floats, Floats]:
    """Return how clearly each part is brighter after the onsets than before, and the middle level."""
    dark = np.concatenate([parts[_between(times, t - 0.3, t)] for t in onsets])
    bright = np.concatenate([parts[_between(times, t + 0.3, t + AFTER_S)] for t in onsets])
    if not len(dark) or not len(bright):
        raise DuchenneError("the camera was not recorded while stimuli appeared")
    low, high = np.nanmedian(dark, axis=0), np.nanmedian(bright, axis=0)
    noise = np.nanstd(dark, axis=0) + 0.5
    return (high - low) / noise, (low + high) / 2


def _between(times: Floats, start_s: float, end_s: float) -> npt.NDArray[np.bool_]:
    return np.asarray((times >= start_s) & (times < end_s))


def _step_s(times: Floats) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else float("nan")


def stream_of(recording: Recording, name: str | None, *types: str) -> Stream:
    """Return a stream by its name, or the one of these types.

    Raises
    ------
    DuchenneError
        There is none of that name or type, or several.
    """
    if name is not None:
        if name not in recording.streams:
            known = ", ".join(recording.streams)
            raise DuchenneError(f"{recording.path}: no stream {name}; it has {known}")
        return recording.streams[name]
    found = [s for s in recording.streams.values() if s.info.type in types and s.n]
    if len(found) != 1:
        what = "no stream" if not found else f"{len(found)} streams"
        raise DuchenneError(f"{recording.path}: {what} of type {' or '.join(types)}; name one")
    return found[0]


def write_timing(path: Path, session: Path, delays: Sequence[Delays]) -> Path:
    """Write what was measured beside the session, as ``…_timing.json``.

    The camera's entry says how late its stream is stamped: ``device_latency_s`` by ``camera_flash``; where
    a photodiode was measured too, the display's own delay has been taken off.
    """
    by = {delay.of: delay for delay in delays}
    content: dict[str, Any] = {
        "session": session.name,
        "delays": [_finite(asdict(delay)) for delay in delays],
        "streams": {},
    }
    camera = by.get("camera")
    if camera is not None and camera.n:
        display_s = by["photodiode"].median_s if "photodiode" in by else 0.0
        content["streams"][camera.stream] = {
            "device_latency_s": camera.median_s - (display_s if np.isfinite(display_s) else 0.0),
            "latency_source": "camera_flash",
        }
    photodiode = by.get("photodiode")
    if photodiode is not None and photodiode.n:
        content["display"] = {"latency_s": photodiode.median_s, "latency_source": "photodiode"}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }
