"""From the frames of a video to a table with one row per frame."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND
from duchenne.analysis.face.calibration import DEFAULT_RULE, OccurrenceRule
from duchenne.analysis.face.dynamics import DEFAULT_OPTIONS, DynamicsOptions
from duchenne.analysis.face.features import face_features
from duchenne.analysis.face.film import joined, measure_faces
from duchenne.analysis.face.measured import Measured
from duchenne.analysis.face.quality import DEFAULT_LIMITS, QualityLimits
from duchenne.analysis.face.result import FaceResult, frame_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duchenne.analysis.affect.base import AffectBackend
    from duchenne.analysis.affect.hearing import Heard
    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.film import Sound
    from duchenne.analysis.face.measured import Frame

__all__ = [
    "FaceResult",
    "Measured",
    "analyse_face",
    "analyse_pictures",
    "face_features",
    "frame_result",
]


def analyse_face(
    frames: Iterable[Frame],
    *,
    backend: str | AUBackend = DEFAULT_BACKEND,
    neutral: Sequence[tuple[float, float]] = (),
    n_frames: int | None = None,
    progress: Callable[[int], object] | None = None,
    limits: QualityLimits = DEFAULT_LIMITS,
    sound: Sound | None = None,
    options: DynamicsOptions = DEFAULT_OPTIONS,
    affect: str | AffectBackend = DEFAULT_AFFECT_BACKEND,
    listen: Callable[[], Heard | None] | None = None,
    rule: OccurrenceRule = DEFAULT_RULE,
) -> FaceResult:
    """Measure one person's face in every frame of a video.

    The frames are read once and let go; what is kept until the end is the table, about half a kilobyte
    per frame. :func:`~duchenne.analysis.face.film.measure_faces` gives the same table in parts, for
    films of many hours.

    Parameters
    ----------
    frames : iterable of (frame index, time in seconds, (height, width, 3) uint8 RGB or None)
        In the order of time; None stands for a frame that could not be decoded.
    backend : str or AUBackend
        Estimator of the Action Units, by name or itself.
    neutral : sequence of (start, end)
        The neutral phase in the seconds of the frames; empty where there is none.
    n_frames : int, optional
        How many frames to read at most; all of them where absent.
    progress : callable, optional
        Told the number of frames done, after each batch.
    limits : QualityLimits
        What counts as usable.
    sound : (times_s, level_dbfs), optional
        Level of a microphone on the clock of the frames, to tell speech.
    options : DynamicsOptions
        Settings of the temporal measures.
    affect : str or AffectBackend
        What tells valence and arousal, by name or itself.
    listen : callable, optional
        Returns the sound on the clock of the frames; called where the affect model hears.
    rule : OccurrenceRule
        When an Action Unit occurs: from intensity 2, and above the 97.5th percentile of the neutral phase.

    Raises
    ------
    DuchenneError
        When the face model is missing, or the backend is not known.
    """
    with measure_faces(
        islice(iter(frames), n_frames),
        backend=backend,
        affect=affect,
        progress=progress,
        limits=limits,
    ) as film:
        parts = film.results(neutral, sound=sound, options=options, listen=listen, rule=rule)
        return joined(list(parts))


def analyse_pictures(
    pictures: Iterable[Frame],
    *,
    backend: str | AUBackend = DEFAULT_BACKEND,
    progress: Callable[[int], object] | None = None,
    limits: QualityLimits = DEFAULT_LIMITS,
    affect: str | AffectBackend = DEFAULT_AFFECT_BACKEND,
) -> FaceResult:
    """Measure the largest face of each of several pictures that have nothing to do with each other.

    Parameters and result are those of :func:`analyse_face`; every picture is compared with a
    typical neutral face.
    """
    with measure_faces(
        pictures, backend=backend, affect=affect, progress=progress, limits=limits, still=True
    ) as film:
        return joined(list(film.results()))
