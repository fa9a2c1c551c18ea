"""Action Units that were measured while the session ran: a recorded stream, as frames of a face.

A stream of type ``ActionUnits`` (or ``AU``) has one channel per Action Unit, 0 to 5, as our live source
sends it (:mod:`duchenne.analysis.face.live_streams`); a stream of type ``Affect`` beside it says how well
the face was seen and how the head was turned.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.calibration import calibrate
from duchenne.analysis.face.dynamics import DEFAULT_OPTIONS, DynamicsOptions, face_dynamics
from duchenne.analysis.face.geometry.reliability import shipped_card
from duchenne.analysis.face.live_streams import AFFECT_TYPE, AU_TYPE
from duchenne.analysis.face.process import Measured, frame_result
from duchenne.analysis.face.signals import FaceSignals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray
    from duchenne.analysis.face.process import FaceResult
    from duchenne.recorder.recording import Stream

RECORDED = "recorded"
"""Name of the backend, and source of the calibration, of Action Units that were recorded."""
AU_STREAM_TYPES = (AU_TYPE, "AU")
AFFECT_STREAM_TYPE = AFFECT_TYPE
MAX_DISTANCE_S = 0.1
"""A sample of the affect stream belongs to the nearest sample of Action Units within this time."""
NO_EYELIDS = "the recorded stream holds Action Units alone, not how far the lids are apart"
_AU = re.compile(r"AU\d\d[LR]?$")


class RecordedBackend:
    """Intensities that are there already, behind the seam of the estimators.

    Parameters
    ----------
    au_names : tuple of str
        Channels of the stream.
    reliability : dict of str to float
        Of the estimator that sent them, where it is known.

    Attributes
    ----------
    partial : bool
        Units may be missing one by one.
    """

    partial = True

    def __init__(self, au_names: tuple[str, ...], reliability: dict[str, float]) -> None:
        self.name = RECORDED
        self.au_names = au_names
        self.feature_names = au_names
        self.needs_images = False
        self.typical_neutral: FloatArray = np.zeros(len(au_names))
        self.personal: BoolArray = np.zeros(len(au_names), np.bool_)
        self.reliability = reliability

    def features(self, frames: FaceFrames) -> FloatArray:
        """Refuse: there are no frames to measure."""
        raise NotImplementedError("recorded Action Units are not measured again")

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return the intensities as they were recorded."""
        del neutral
        return features


def au_channels(stream: Stream) -> tuple[str, ...]:
    """Return the channels of a stream that are Action Units."""
    return tuple(c.label for c in stream.info.channels if _AU.match(c.label))


def _measured_channels(stream: Stream) -> tuple[str, ...]:
    """Return the Action Units that were measured at least once; all of them where none was."""
    names = au_channels(stream)
    return tuple(au for au in names if np.isfinite(stream.column(au)).any()) or names


def recorded_face(
    stream: Stream,
    affect: Stream | None = None,
    *,
    neutral: Sequence[tuple[float, float]] = (),
    options: DynamicsOptions = DEFAULT_OPTIONS,
) -> FaceResult:
    """Return a recorded stream of Action Units as the measurement of a film would be.

    Parameters
    ----------
    stream : Stream
        One channel per Action Unit, 0 to 5; NaN where it was not measured.
    affect : Stream, optional
        ``usable confidence pose_pitch_deg pose_yaw_deg pose_roll_deg`` of the same pictures.
    neutral : sequence of (start, end)
        The neutral phase, seconds; only the limits of occurrences come from it.
    options : DynamicsOptions
        Settings of the temporal measures.

    Returns
    -------
    FaceResult
        Intensities are those of the stream, clipped to 0 to 5; channels that never hold one are left out
        where others do. Without an affect stream a sample is
        usable where any Action Unit was measured, with confidence 1, and the pose is NaN. Speech and
        blinks are not measured. Samples whose stamps run backwards are sorted.
    """
    names = _measured_channels(stream)
    times = np.asarray(stream.times_s, np.float64)
    order = np.argsort(times, kind="stable")
    order = order[np.isfinite(times[order])]
    times = times[order]
    values = np.stack([np.asarray(stream.column(au), np.float64)[order] for au in names], axis=1)
    values = np.clip(values, 0.0, 5.0)
    seen = np.isfinite(values).any(axis=1)
    usable, confidence, pose = _quality(times, seen, affect)
    measured = Measured(
        frame=np.arange(len(times), dtype=np.float64),
        time_s=times,
        readable=np.ones(len(times), np.bool_),
        found=seen,
        usable=usable,
        confidence=confidence,
        pose_deg=pose,
        features=values,
    )
    backend = RecordedBackend(names, _reliability(stream, names))
    calibration = replace(calibrate(backend, values, times, usable, neutral), source=RECORDED)
    result = frame_result(measured, backend, calibration)
    nothing = np.full(len(times), np.nan)
    signals = FaceSignals(nothing, nothing, nothing, nothing, pose)
    dynamics = face_dynamics(result.table, signals, backend, options=options)
    not_measured = dynamics.not_measured | {"blinks": NO_EYELIDS}
    report = dynamics.report | {"not_measured": not_measured}
    dynamics = replace(dynamics, not_measured=not_measured, report=report)
    return replace(result, quality=result.quality | {"dynamics": report}, dynamics=dynamics)


def _quality(
    times: FloatArray, seen: BoolArray, affect: Stream | None
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Return which samples are usable, their confidence, and the pose of the head in degrees."""
    n = len(times)
    usable, confidence = seen, np.where(seen, 1.0, np.nan)
    pose = np.full((n, 3), np.nan)
    if affect is None or not affect.n or not n:
        return usable, confidence, pose
    own = np.asarray(affect.times_s, np.float64)
    sort = np.argsort(own, kind="stable")
    own = own[sort]
    after = np.clip(np.searchsorted(own, times), 0, len(own) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(own[before] - times) <= np.abs(own[after] - times), before, after)
    near = np.abs(own[nearest] - times) <= MAX_DISTANCE_S
    labels = {channel.label for channel in affect.info.channels}

    def column(name: str) -> FloatArray:
        values = np.asarray(affect.column(name), np.float64)[sort][nearest]
        return np.where(near, values, np.nan)

    if "usable" in labels:
        usable = seen & (column("usable") > 0)
    if "confidence" in labels:
        confidence = column("confidence")
    for i, name in enumerate(("pose_pitch_deg", "pose_yaw_deg", "pose_roll_deg")):
        if name in labels:
            pose[:, i] = column(name)
    return usable, confidence, pose


def _reliability(stream: Stream, names: tuple[str, ...]) -> dict[str, float]:
    """Return the correlation with the truth of each Action Unit, where the estimator is ours."""
    if stream.info.described("acquisition/model") != "geometry":
        return {}
    card = shipped_card()["reliability"]
    return {au: float(card[au]["pcc"]) for au in names if "pcc" in card.get(au, {})}
