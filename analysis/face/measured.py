"""What was measured in every frame of a film, before it is compared with a neutral face."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from duchenne.analysis.affect.rule import RuleBackend
from duchenne.analysis.face.blinks import usual_openness
from duchenne.analysis.face.flow import NAMES as FLOW_REGIONS
from duchenne.analysis.face.flow import FlowReader
from duchenne.analysis.face.frames import BoolArray, FloatArray, Image
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.microexpressions import fast_enough
from duchenne.analysis.face.quality import DEFAULT_LIMITS, QualityLimits, confidence, usable
from duchenne.analysis.face.signals import FaceSignals
from duchenne.analysis.face.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import Self

    from duchenne.analysis.affect.base import AffectBackend
    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.frames import FaceFrames

Frame = tuple[int, float, Image | None]
RowNumbers: TypeAlias = NDArray[np.intp]

BATCH = 32
# The rate of a film is taken from so many frames at its beginning.
RATE_FRAMES = 8
# A neutral face is the median of at most so many frames, evenly spread over those there are.
MAX_REFERENCE_FRAMES = 20_000
# The same of an affect backend, which may keep a thousand numbers of each.
MAX_AT_REST = 1_000
N_POSE, N_SIGNALS, N_FLOW = 3, 4, 2 * len(FLOW_REGIONS)


@dataclass(frozen=True)
class Measured:
    """Numbers per frame, before calibration.

    Parameters
    ----------
    frame : (n,) float64
        Index of the frame.
    time_s, confidence : (n,) float64
    readable, found, usable : (n,) bool
        The frame could be decoded; a face was found in it; the face can be measured.
    pose_deg : (n, 3) float64
        Pitch, yaw, roll.
    features : (n, n_features) float64
        As the backend gives them.
    """

    frame: FloatArray
    time_s: FloatArray
    readable: BoolArray
    found: BoolArray
    usable: BoolArray
    confidence: FloatArray
    pose_deg: FloatArray
    features: FloatArray


@dataclass(frozen=True)
class Part:
    """Consecutive frames of a film: their numbers, and what the temporal measures need besides.

    Parameters
    ----------
    measured : Measured
    signals : FaceSignals
        NaN where not usable.
    flow : (n, 14, 2) float64 or None
        None below 60 frames per second, and of pictures.
    affect : (n, n_affect) float64
        As the affect backend gives it.
    """

    measured: Measured
    signals: FaceSignals
    flow: FloatArray | None
    affect: FloatArray


class MeasuredFilm:
    """All frames of a film; what is large waits in a spool, some 20 bytes per frame stay in memory.

    Parameters
    ----------
    n_features : int
        Columns that the backend measures.
    has_flow : bool
        Whether optical flow is kept too.
    n_affect : int
        Columns that the affect backend keeps.

    Attributes
    ----------
    frame, time_s : (n,) float64
    readable, found, usable : (n,) bool
        See :class:`Measured`; complete after `done`.
    """

    def __init__(self, n_features: int, *, has_flow: bool = False, n_affect: int = 0) -> None:
        self._n_features = n_features
        self._has_flow = has_flow
        width = n_features + 1 + N_POSE + N_SIGNALS + (N_FLOW if has_flow else 0)
        self._affect = slice(width, width + n_affect)
        self._spool = Spool(width + n_affect)
        self._times: list[FloatArray] = []
        self._flags: list[BoolArray] = []
        self.frame: FloatArray = np.zeros(0)
        self.time_s: FloatArray = np.zeros(0)
        none = np.zeros(0, np.bool_)
        self.readable: BoolArray = none
        self.found: BoolArray = none
        self.usable: BoolArray = none

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what waits in the spool."""
        self._spool.close()

    def __len__(self) -> int:
        return len(self._spool)

    def add(
        self,
        faces: FaceFrames,
        features: FloatArray,
        limits: QualityLimits,
        flow: FloatArray | None = None,
        affect: FloatArray | None = None,
    ) -> None:
        """Add a batch of tracked frames."""
        confidences = confidence(faces, limits)
        signals = FaceSignals.of(faces)
        columns = [
            features,
            confidences,
            faces.pose_deg,
            signals.eye_left,
            signals.eye_right,
            signals.lip_gap,
            signals.mouth_width,
        ]
        if flow is not None:
            columns.append(flow.reshape(len(flow), N_FLOW))
        if affect is not None and affect.shape[1]:
            columns.append(affect)
        self._spool.append(np.column_stack(columns))
        self._times.append(np.stack([faces.frame.astype(np.float64), faces.time_s]))
        readable = np.isfinite(faces.size_px[:, 0])
        self._flags.append(np.stack([readable, faces.found, usable(faces, confidences, limits)]))

    def done(self) -> Self:
        """Close the list of frames."""
        if self._times:
            self.frame, self.time_s = np.concatenate(self._times, axis=1)
            self.readable, self.found, self.usable = np.concatenate(self._flags, axis=1)
        self._times, self._flags = [], []
        return self

    def part(self, first: int, last: int) -> Part:
        """Return the frames from `first` up to, not including, `last`."""
        rows, n = self._spool.read(first, last), self._n_features
        some = slice(first, first + len(rows))
        pose = rows[:, n + 1 : n + 1 + N_POSE]
        others = rows[:, n + 1 + N_POSE : self._affect.start]
        measured = Measured(
            frame=self.frame[some],
            time_s=self.time_s[some],
            readable=self.readable[some],
            found=self.found[some],
            usable=self.usable[some],
            confidence=rows[:, n],
            pose_deg=pose,
            features=rows[:, :n],
        )
        left, right, lips, mouth = others[:, :N_SIGNALS].T
        signals = FaceSignals(left, right, lips, mouth, pose)
        flow = others[:, N_SIGNALS:].reshape(-1, len(FLOW_REGIONS), 2) if self._has_flow else None
        return Part(measured, signals.where(measured.usable), flow, rows[:, self._affect])

    def reference(
        self, windows_s: Sequence[tuple[float, float]]
    ) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return features, times and usability of the frames that a neutral face is looked for in.

        All usable ones, up to 20,000; of more, so many evenly spread in the windows, and over the film.
        """
        candidates = np.flatnonzero(self.usable)
        inside = np.zeros(len(candidates), np.bool_)
        for start, end in windows_s:
            times = self.time_s[candidates]
            inside |= (times >= start) & (times < end)
        rows = np.union1d(_spread(candidates[inside]), _spread(candidates))
        features = self._spool.columns(rows, 0, self._n_features)
        return features, self.time_s[rows], np.ones(len(rows), np.bool_)

    def affect_at_rest(self, windows_s: Sequence[tuple[float, float]]) -> FloatArray:
        """Return what the affect backend kept of the usable frames of the neutral phase, some of many."""
        inside = np.zeros(len(self.time_s), np.bool_)
        for start, end in windows_s:
            inside |= (self.time_s >= start) & (self.time_s < end)
        rows = _spread(np.flatnonzero(inside & self.usable), MAX_AT_REST)
        return self._spool.columns(rows, self._affect.start, self._affect.stop)

    def usual_eyes(self) -> tuple[float, float]:
        """Return how open the left and the right eye usually are, from at most 20,000 usable frames."""
        left = self._n_features + 1 + N_POSE
        eyes = self._spool.columns(_spread(np.flatnonzero(self.usable)), left, left + 2)
        return usual_openness(eyes[:, 0], eyes[:, 1])


def measure_film(
    frames: Iterable[Frame],
    backend: AUBackend,
    *,
    limits: QualityLimits = DEFAULT_LIMITS,
    progress: Callable[[int], object] | None = None,
    still: bool = False,
    affect: AffectBackend | None = None,
) -> MeasuredFilm:
    """Read all frames once and let go of each.

    Parameters
    ----------
    frames : iterable of (frame index, time in seconds, (height, width, 3) uint8 RGB or None)
    backend : AUBackend
    limits : QualityLimits
    progress : callable, optional
        Told the number of frames done, after each batch.
    still : bool
        Pictures that have nothing to do with each other.
    affect : AffectBackend, optional
        The rule on Action Units where absent.

    Returns
    -------
    MeasuredFilm
        To be closed by the caller.
    """
    rest = iter(frames)
    begin = [] if still else list(islice(rest, RATE_FRAMES))
    is_fast = bool(begin) and fast_enough(np.array([time_s for _, time_s, _ in begin]))
    reader = FlowReader() if is_fast else None
    rest = _chained(begin, rest)
    affect = affect or RuleBackend()
    film = MeasuredFilm(
        len(backend.feature_names), has_flow=reader is not None, n_affect=affect.n_features
    )
    keep_images = backend.needs_images or affect.needs_images or reader is not None
    try:
        with FaceTracker(still=still) as tracker:
            while len(faces := tracker.track(islice(rest, BATCH), keep_images=keep_images)):
                flow = None if reader is None else reader.read(faces)
                film.add(faces, backend.features(faces), limits, flow, affect.features(faces))
                if progress is not None:
                    progress(len(film))
    except BaseException:
        film.close()
        raise
    return film.done()


def _chained(begin: list[Frame], rest: Iterator[Frame]) -> Iterator[Frame]:
    """Give the frames that were looked at already, and let go of each, then the others."""
    begin.reverse()
    while begin:
        yield begin.pop()
    yield from rest


def _spread(rows: RowNumbers, at_most: int | None = None) -> RowNumbers:
    at_most = MAX_REFERENCE_FRAMES if at_most is None else at_most
    if len(rows) <= at_most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, at_most).astype(np.intp)]
