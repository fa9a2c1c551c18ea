"""A film of a face, measured in parts, so that hours of it need no more memory than minutes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.affect.base import HearingRun, with_affect
from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND, load_affect_backend
from duchenne.analysis.affect.rule import RuleBackend
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND, load_backend
from duchenne.analysis.face.calibration import DEFAULT_RULE, Calibration, OccurrenceRule, calibrate
from duchenne.analysis.face.dynamics import (
    DEFAULT_OPTIONS,
    Dynamics,
    DynamicsOptions,
    face_dynamics,
    unit_events,
)
from duchenne.analysis.face.frames import FloatArray
from duchenne.analysis.face.measured import Frame, MeasuredFilm, measure_film
from duchenne.analysis.face.quality import DEFAULT_LIMITS, QualityLimits
from duchenne.analysis.face.result import (
    BLOCK,
    FaceResult,
    film_quality,
    frame_result,
    usable_intensities,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import Self

    from duchenne.analysis.affect.base import AffectBackend
    from duchenne.analysis.affect.hearing import Heard
    from duchenne.analysis.face.backends.base import AUBackend

Sound = tuple[FloatArray, FloatArray]

# A quarter of an hour at 30 frames per second, and so many frames before and after it that what is brief
# (blinks, speech, closed eyes, bursts) is seen whole. Events last as long as they last: they are found in
# the whole film at once.
PART_FRAMES = 27_000
MARGIN_FRAMES = 1_800


@dataclass(frozen=True)
class FaceFilm:
    """All frames of a film, measured and not yet compared with a neutral face.

    Parameters
    ----------
    film : MeasuredFilm
    backend : AUBackend
        What measured them.
    still : bool
        They are pictures that have nothing to do with each other.
    part_frames, margin_frames : int
        Frames of a part, and how many before and after it are looked at besides.
    affect : AffectBackend
        What tells valence and arousal.
    """

    film: MeasuredFilm
    backend: AUBackend
    still: bool = False
    part_frames: int = PART_FRAMES
    margin_frames: int = MARGIN_FRAMES
    affect: AffectBackend = field(default_factory=RuleBackend)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.film.close()

    @property
    def quality(self) -> dict[str, Any]:
        """Return what `FaceResult.quality` says of the whole film."""
        return film_quality(self.film, self.backend)

    def calibrated(
        self, neutral: Sequence[tuple[float, float]] = (), rule: OccurrenceRule = DEFAULT_RULE
    ) -> Calibration:
        """Return the neutral face of the film; see :func:`~duchenne.analysis.face.calibration.calibrate`."""
        reference = self.film.reference(neutral)
        return calibrate(self.backend, *reference, neutral, still=self.still, rule=rule)

    def results(
        self,
        neutral: Sequence[tuple[float, float]] = (),
        *,
        sound: Sound | None = None,
        options: DynamicsOptions = DEFAULT_OPTIONS,
        listen: Callable[[], Heard | None] | None = None,
        rule: OccurrenceRule = DEFAULT_RULE,
    ) -> Iterator[FaceResult]:
        """Yield the tables of a quarter of an hour each; at least one, which may be empty.

        Calibration and quality are those of the whole film, and the same in every part. What the temporal
        measures learn from a recording (how open the eyes usually are) comes from the whole film too, but for
        the noise that brief bursts must beat, which is that of the part.

        Parameters
        ----------
        neutral : sequence of (start, end)
            The neutral phase in the seconds of the frames.
        sound, options, listen, rule
            See :func:`~duchenne.analysis.face.process.analyse_face`.
        """
        calibration = self.calibrated(neutral, rule)
        quality, usual_eyes = self.quality, self.film.usual_eyes()
        n = len(self.film)
        affect = self.affect.start(self.film.affect_at_rest(neutral), still=self.still)
        hears = listen is not None and bool(getattr(self.affect, "hears", False))
        heard = listen() if hears and listen is not None else None
        if heard is not None and isinstance(affect, HearingRun):
            affect.hear(heard)
        quality |= {"affect": affect.report()}
        before: FloatArray | None = None
        occurs = [f"{name}_c" for name in self.backend.au_names]
        events = self._events(calibration, options) if n > self.part_frames else None
        for first in range(0, max(n, 1), self.part_frames):
            last = min(first + self.part_frames, n)
            begin, end = max(0, first - self.margin_frames), min(n, last + self.margin_frames)
            part = self.film.part(begin, end)
            result = frame_result(part.measured, self.backend, calibration, before)
            table = with_affect(result.table, affect, part.affect, first - begin, last - begin)
            result = replace(result, table=table, quality=result.quality | quality)
            following = last - self.margin_frames - 1
            if following >= begin:
                before = result.table[occurs].to_numpy(np.float64)[following - begin]
            if not self.still:
                dynamics = face_dynamics(
                    result.table,
                    part.signals,
                    self.backend,
                    flow=part.flow,
                    sound=sound,
                    usual_eyes=usual_eyes,
                    events=None if events is None else _near(events, part.measured.time_s),
                    options=options,
                )
                result = _with_dynamics(result, dynamics)
            yield _cut(result, first - begin, last - begin, is_first=first == 0, is_last=last == n)

    def _events(self, calibration: Calibration, options: DynamicsOptions) -> pd.DataFrame | None:
        """Return the events of the whole film; its intensities are held in single precision for it."""
        if self.still:
            return None
        n = len(self.film)
        curves = np.empty((n, len(self.backend.au_names)), np.float32)
        for first in range(0, n, BLOCK):
            last = min(first + BLOCK, n)
            measured = self.film.part(first, last).measured
            curves[first:last] = usable_intensities(measured, self.backend, calibration)
        columns = {f"{au}_r": curves[:, i] for i, au in enumerate(self.backend.au_names)}
        return unit_events(
            pd.DataFrame({"time": self.film.time_s} | columns), self.backend, options
        )


def _near(events: pd.DataFrame, times_s: FloatArray) -> pd.DataFrame:
    """Return the events that begin within these times."""
    onsets = events["onset_s"].to_numpy(np.float64)
    near = (onsets >= times_s.min()) & (onsets <= times_s.max())
    return pd.DataFrame(events.loc[near]).reset_index(drop=True)


def measure_faces(
    frames: Iterable[Frame],
    *,
    backend: str | AUBackend = DEFAULT_BACKEND,
    affect: str | AffectBackend = DEFAULT_AFFECT_BACKEND,
    progress: Callable[[int], object] | None = None,
    limits: QualityLimits = DEFAULT_LIMITS,
    still: bool = False,
) -> FaceFilm:
    """Measure every frame of a film; see :func:`~duchenne.analysis.face.process.analyse_face`.

    Returns
    -------
    FaceFilm
        A context manager: what waits on the disk is gone at its end.

    Raises
    ------
    DuchenneError
        When the face model is missing, a backend is not known or its file cannot be read, or there is no
        room for temporary files.
    """
    estimator = load_backend(backend) if isinstance(backend, str) else backend
    feeling = load_affect_backend(affect) if isinstance(affect, str) else affect
    film = measure_film(
        frames, estimator, limits=limits, progress=progress, still=still, affect=feeling
    )
    return FaceFilm(film, estimator, still=still, affect=feeling)


def joined(results: Sequence[FaceResult]) -> FaceResult:
    """Return the parts of a film as one result."""
    first = results[0]
    if len(results) == 1:
        return first
    table = pd.concat([result.table for result in results], ignore_index=True)
    parts = [result.dynamics for result in results if result.dynamics is not None]
    if not parts:
        return replace(first, table=table)
    dynamics = replace(
        parts[0],
        speaking=np.concatenate([part.speaking for part in parts]),
        eye_closure=np.concatenate([part.eye_closure for part in parts]),
        head_speed_deg_s=np.concatenate([part.head_speed_deg_s for part in parts]),
        blinks=_stacked([part.blinks for part in parts]),
        events=_stacked([part.events for part in parts]),
        microexpressions=_stacked([part.microexpressions for part in parts]),
        not_measured={name: why for part in parts for name, why in part.not_measured.items()},
        report=_report([part.report for part in parts]),
    )
    return _with_dynamics(replace(first, table=table), dynamics)


def _with_dynamics(result: FaceResult, dynamics: Dynamics) -> FaceResult:
    return replace(
        result,
        table=result.table.assign(speaking=dynamics.speaking),
        quality=result.quality | {"dynamics": dynamics.report},
        dynamics=dynamics,
    )


def _cut(result: FaceResult, first: int, last: int, *, is_first: bool, is_last: bool) -> FaceResult:
    """Return a part without its margins; an event belongs to the part in which it begins."""
    if is_first and is_last:
        return result
    times = result.table["time"].to_numpy(np.float64)
    from_s = -np.inf if is_first else times[first]
    until_s = np.inf if is_last else times[last]
    table = result.table.iloc[first:last].reset_index(drop=True)
    dynamics = result.dynamics
    if dynamics is None:
        return replace(result, table=table)

    def begun(events: pd.DataFrame, onset: str) -> pd.DataFrame:
        at = events[onset].to_numpy(np.float64)
        return events[(at >= from_s) & (at < until_s)].reset_index(drop=True)

    dynamics = replace(
        dynamics,
        speaking=dynamics.speaking[first:last],
        eye_closure=dynamics.eye_closure[first:last],
        head_speed_deg_s=dynamics.head_speed_deg_s[first:last],
        blinks=begun(dynamics.blinks, "onset"),
        events=begun(dynamics.events, "onset_s"),
        microexpressions=begun(dynamics.microexpressions, "onset"),
    )
    return replace(result, table=table, dynamics=dynamics)


def _stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True)


def _report(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the settings of the first part, and what all of them have left out."""
    together = dict(reports[0])
    names = [name for report in reports for name in report["bursts_left_out"]]
    together["bursts_left_out"] = {
        name: sum(report["bursts_left_out"].get(name, 0) for report in reports)
        for name in dict.fromkeys(names)
    }
    together["optical_flow"] = any(report["optical_flow"] for report in reports)
    together["not_measured"] = {
        name: why for report in reports for name, why in report["not_measured"].items()
    }
    return together
