"""Sound on the clock of a film's frames, and its features for systems that hear.

The features are those of training sets (``duchenne prepare sound``): log-mel energies of one channel at
16 kHz, moved and scaled by fixed numbers so that speech is near 0, where frames without a sound are put.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.training.sound import N_BANDS, WINDOW_S, log_mel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray
    from duchenne.recorder.recording import Recording, Stream

RATE_HZ = 16_000
MIDDLE, SPREAD = -10.0, 5.0
FEATURES = {
    "features": "log-mel",
    "bands": N_BANDS,
    "rate_hz": RATE_HZ,
    "window_s": WINDOW_S,
    "middle": MIDDLE,
    "spread": SPREAD,
}
"""What a training set says of its sound, so that another film can be heard in the same way."""
OF_FILM, OF_SESSION, OF_STIMULI = (
    "the film's own",
    "the session's microphone",
    "the stimulus films'",
)
_GAP_STEPS = 5.0
_AT_ONCE = 2000


@dataclass(frozen=True, eq=False)
class Piece:
    """Sound without a gap.

    Parameters
    ----------
    samples : (n,) float32
        One channel at 16 kHz, -1 to 1.
    start_s : float
        Time of the first one, on the clock of the frames.
    """

    samples: NDArray[np.float32]
    start_s: float

    @property
    def end_s(self) -> float:
        """Time after the last one."""
        return self.start_s + len(self.samples) / RATE_HZ


@dataclass(frozen=True, eq=False)
class Heard:
    """What is heard while a film runs.

    Parameters
    ----------
    pieces : tuple of Piece
    source : str
        Whose sound it is.
    """

    pieces: tuple[Piece, ...]
    source: str

    def features(self, times_s: FloatArray) -> NDArray[np.float32]:
        """Return the features at some times: (n, 64) float32, NaN where nothing was recorded."""
        found = np.full((len(times_s), N_BANDS), np.nan, np.float32)
        for piece in self.pieces:
            rows = np.flatnonzero((times_s >= piece.start_s) & (times_s <= piece.end_s))
            for first in range(0, len(rows), _AT_ONCE):
                some = rows[first : first + _AT_ONCE]
                at = times_s[some] - piece.start_s
                # Only the stretch about these times is looked at: the sound may be hours long.
                begin = max(0, int((at.min() - 1) * RATE_HZ))
                end = int((at.max() + 1) * RATE_HZ) + 1
                stretch = piece.samples[begin:end]
                found[some] = log_mel(stretch, RATE_HZ, at - begin / RATE_HZ)
        return np.asarray((found - MIDDLE) / SPREAD, np.float32)


def film_sound(path: Path) -> Heard | None:
    """Return the sound of a film on the clock of its frames (the first at 0); None where it has none."""
    import av  # noqa: PLC0415 (heavy)

    parts: list[NDArray[np.float32]] = []
    begin_s, first_frame_s = None, 0.0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return None
            if container.streams.video:
                seen = container.streams.video[0]
                first_frame_s = float((seen.start_time or 0) * (seen.time_base or 0))
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
            for frame in container.decode(container.streams.audio[0]):
                if begin_s is None:
                    begin_s = frame.time or 0.0
                parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    except (av.error.FFmpegError, ValueError, OSError):
        pass  # what could be decoded counts
    if begin_s is None or not parts:
        return None
    samples = np.concatenate(parts).astype(np.float32)
    return Heard((Piece(samples, begin_s - first_frame_s),), OF_FILM)


def session_sound(recording: Recording, *, voice: bool) -> Heard | None:
    """Return the sound of a session: of its microphone, else of the films that were shown.

    Parameters
    ----------
    recording : Recording
    voice : bool
        Whether the participant allows the voice to be analysed; else the microphone is not listened to.

    Returns
    -------
    Heard or None
        None where there is neither.
    """
    if voice:
        for stream in recording.of_type("Audio"):
            if stream.n > 1:
                return Heard(tuple(_pieces(stream)), OF_SESSION)
    shown = tuple(_shown(recording))
    return Heard(shown, OF_STIMULI) if shown else None


def _pieces(stream: Stream) -> Iterable[Piece]:
    """Yield a recorded sound where its stamps go on without a gap."""
    from scipy.signal import resample_poly  # noqa: PLC0415 (heavy)

    times = np.asarray(stream.times_s, np.float64)
    rate_hz = stream.info.nominal_srate_hz or 1 / float(np.median(np.diff(times)))
    channels = [np.asarray(stream.column(c.label)) for c in stream.info.channels]
    scale = float(-np.iinfo(channels[0].dtype).min) if channels[0].dtype.kind == "i" else 1.0
    samples = np.mean([channel.astype(np.float32) for channel in channels], axis=0) / scale
    cuts = np.flatnonzero(np.abs(np.diff(times)) > _GAP_STEPS / rate_hz) + 1
    for rows in np.split(np.arange(len(times)), cuts):
        if len(rows) > 1:
            down = resample_poly(samples[rows], RATE_HZ, round(rate_hz))
            yield Piece(np.asarray(down, np.float32), float(times[rows[0]]))


def _shown(recording: Recording) -> Iterable[Piece]:
    """Yield the sound of the films that were shown, as long as they were."""
    from duchenne.analysis.presentations import presentations  # noqa: PLC0415
    from duchenne.analysis.stimulus_files import stimulus_file, stimulus_folder  # noqa: PLC0415
    from duchenne.analysis.values import records  # noqa: PLC0415

    folder = stimulus_folder(recording.stimuli_source)
    rows: dict[str, Mapping[str, Any]] = {
        str(row.get("id")): row for row in records(recording.stimuli)
    }
    known: dict[str, Heard | None] = {}
    for shown in records(presentations(recording)):
        name = str(shown["stimulus_id"])
        if shown["kind"] != "video":
            continue
        if name not in known:
            path, _ = stimulus_file(rows.get(name, {}), folder)
            known[name] = film_sound(path) if path is not None else None
        heard = known[name]
        if heard is not None and shown["offset_s"] > shown["onset_s"]:
            piece = heard.pieces[0]
            n = round((shown["offset_s"] - shown["onset_s"] - piece.start_s) * RATE_HZ)
            start_s = float(shown["onset_s"]) + piece.start_s
            yield Piece(piece.samples[: max(n, 0)], start_s)
