"""What happens over time in a film of a face: events, blinks, speech, head movement, brief bursts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.au_events import DEFAULT_RULE as EVENT_RULE
from duchenne.analysis.face.au_events import EventRule, au_events
from duchenne.analysis.face.backends.base import MIN_RELIABILITY
from duchenne.analysis.face.blinks import eye_closure, fast_enough_for_blinks, find_blinks
from duchenne.analysis.face.flow_evidence import FlowEvidence
from duchenne.analysis.face.head_movement import head_speed_deg_s
from duchenne.analysis.face.microexpressions import DEFAULT_RULE as BURST_RULE
from duchenne.analysis.face.microexpressions import LOWER_FACE, BurstRule, spot
from duchenne.analysis.face.smiles import duchenne_reliable, with_smiles
from duchenne.analysis.face.smoothing import DEFAULT_SMOOTHING, Smoothing
from duchenne.analysis.face.speech import DEFAULT_RULE as SPEECH_RULE
from duchenne.analysis.face.speech import SpeechRule, speaking

if TYPE_CHECKING:
    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.frames import FloatArray
    from duchenne.analysis.face.signals import FaceSignals


@dataclass(frozen=True)
class DynamicsOptions:
    """Every setting of the temporal measures.

    Parameters
    ----------
    smoothing : Smoothing
        Of intensities and pose, before events and features are read from them.
    events, speech, bursts
        What counts as an event of an Action Unit, as speech, as a brief burst.
    leave_out_speech : bool
        Whether Action Units of the mouth are left out of the features of a stimulus while the
        participant speaks.
    """

    smoothing: Smoothing = DEFAULT_SMOOTHING
    events: EventRule = EVENT_RULE
    speech: SpeechRule = SPEECH_RULE
    bursts: BurstRule = BURST_RULE
    leave_out_speech: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return {
            "smoothing": self.smoothing.to_dict(),
            "events": self.events.to_dict(),
            "speech": self.speech.to_dict(),
            "bursts": self.bursts.to_dict(),
            "leave_out_speech": self.leave_out_speech,
        }


DEFAULT_OPTIONS = DynamicsOptions()


def _no_rows(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({name: np.zeros(0) for name in columns})


@dataclass(frozen=True)
class Dynamics:
    """What was found over time in one film.

    Parameters
    ----------
    speaking : (n,) float64
        Per frame 1, 0 or NaN.
    eye_closure : (n,) float64
        Per frame, 0 open to 1 shut, NaN where not measured.
    head_speed_deg_s : (n,) float64
    blinks, events, microexpressions : pandas.DataFrame
        See :func:`~duchenne.analysis.face.blinks.find_blinks`,
        :func:`~duchenne.analysis.face.au_events.au_events` (with ``symmetry duchenne in_speech``) and
        :class:`~duchenne.analysis.face.microexpressions.Spotting`.
    not_measured : dict of str to str
        Measures that are n/a, each with the reason.
    report : dict
        Settings and counts, as they are written beside the results.
    """

    speaking: FloatArray
    eye_closure: FloatArray
    head_speed_deg_s: FloatArray
    blinks: pd.DataFrame = field(default_factory=lambda: _no_rows("onset", "duration", "closure"))
    events: pd.DataFrame = field(default_factory=lambda: _no_rows("au", "onset_s"))
    microexpressions: pd.DataFrame = field(default_factory=lambda: _no_rows("onset", "duration"))
    not_measured: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    options: DynamicsOptions = DEFAULT_OPTIONS


def whole_units(backend: AUBackend) -> list[str]:
    """Return the Action Units of a backend, those of single sides aside."""
    return [au for au in backend.au_names if au[-1] not in "LR"]


def unit_events(
    table: pd.DataFrame, backend: AUBackend, options: DynamicsOptions = DEFAULT_OPTIONS
) -> pd.DataFrame:
    """Return the events of all Action Units, with ``symmetry`` and ``duchenne``.

    Parameters
    ----------
    table : pandas.DataFrame
        ``time`` and ``AUxx_r``, one row per frame.
    backend : AUBackend
        What measured the intensities.
    options : DynamicsOptions
    """
    events = au_events(
        table, whole_units(backend), smoothing=options.smoothing, rule=options.events
    )
    is_reliable = duchenne_reliable(backend)
    return with_smiles(events, table, duchenne_reliable=is_reliable, smoothing=options.smoothing)


def face_dynamics(
    table: pd.DataFrame,
    signals: FaceSignals,
    backend: AUBackend,
    *,
    flow: FloatArray | None = None,
    sound: tuple[FloatArray, FloatArray] | None = None,
    usual_eyes: tuple[float, float] | None = None,
    events: pd.DataFrame | None = None,
    options: DynamicsOptions = DEFAULT_OPTIONS,
) -> Dynamics:
    """Measure what happens over time.

    Parameters
    ----------
    table : pandas.DataFrame
        ``time frame`` and ``AUxx_r``, one row per frame.
    signals : FaceSignals
        Of the same frames, NaN where not usable.
    backend : AUBackend
        What measured the intensities.
    flow : (n, 14, 2) float64, optional
        Optical flow of the same frames.
    sound : (times_s, level_dbfs), optional
        Level of a microphone, on the clock of the frames.
    usual_eyes : (left, right), optional
        How open the eyes usually are, where the frames are part of a longer film; see
        :func:`~duchenne.analysis.face.blinks.eye_closure`.
    events : pandas.DataFrame, optional
        Of :func:`unit_events` in the whole film, where the frames are part of a longer one.
    options : DynamicsOptions
    """
    times_s = table["time"].to_numpy(np.float64)
    talks = speaking(times_s, signals, sound, options.speech)
    closure = eye_closure(signals, usual_eyes)
    blinks = find_blinks(times_s, closure)
    head = head_speed_deg_s(times_s, signals.pose_deg, options.smoothing)
    whole = whole_units(backend)
    is_reliable = duchenne_reliable(backend)
    events = unit_events(table, backend, options) if events is None else events
    events = events.assign(in_speech=_in_speech(events, times_s, talks))
    found = spot(
        times_s,
        {
            au: table[f"{au}_r"].to_numpy(np.float64)
            for au in whole
            if backend.reliability.get(au, 1.0) >= MIN_RELIABILITY
        },
        speaking=talks,
        blinks=blinks,
        head_speed_deg_s=head_speed_deg_s(
            times_s,
            signals.pose_deg,
            replace(options.smoothing, window_s=options.bursts.head_window_s),
        ),
        flow=None if flow is None or not len(flow) else FlowEvidence(flow),
        rule=options.bursts,
    )
    bursts = found.candidates
    numbers = table["frame"].to_numpy(np.int64)
    bursts = bursts.assign(apex_frame=numbers[bursts["apex_frame"].to_numpy(np.intp)])
    not_measured = {}
    if found.not_measured:
        not_measured["microexpressions"] = found.not_measured
    if not is_reliable:
        not_measured["duchenne"] = "the backend's card does not vouch for AU06 apart from AU12"
    if not fast_enough_for_blinks(times_s):
        not_measured["blinks"] = (
            "blinks need 15 frames per second: one of 150 ms falls between slower"
        )
    if len(times_s) and not np.isfinite(talks).any():
        not_measured["speaking"] = (
            "the lips were not measured, or at less than 15 frames per second"
        )
    return Dynamics(
        speaking=talks,
        eye_closure=closure,
        head_speed_deg_s=head,
        blinks=blinks,
        events=events,
        microexpressions=bursts,
        not_measured=not_measured,
        options=options,
        report={
            **options.to_dict(),
            "speech_evidence": "lips" if sound is None else "lips and sound",
            "optical_flow": flow is not None and bool(np.isfinite(flow).any()),
            "bursts_left_out": found.excluded,
            "not_measured": not_measured,
        },
    )


def is_lower_face(au: str) -> bool:
    """Return whether speech moves what this Action Unit (or one side of it) is measured by."""
    return au[:4] in LOWER_FACE


def _in_speech(events: pd.DataFrame, times_s: FloatArray, talks: FloatArray) -> list[bool]:
    """Return for each event whether the mouth speaks at any time from its onset to its offset."""
    order = np.argsort(times_s, kind="stable")
    at = times_s[order]
    spoken = np.concatenate([[0], np.cumsum(talks[order] == 1.0)])
    first = np.searchsorted(at, events["onset_s"].to_numpy(np.float64))
    last = np.searchsorted(at, events["offset_s"].to_numpy(np.float64), side="right")
    return [bool(value) for value in spoken[last] > spoken[first]]
