"""What is measured in the streams of a session, and what of it belongs to each presentation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.affect.registry import DEFAULT_AFFECT_BACKEND
from duchenne.analysis.codebooks import NEUTRAL_PHASE, REFERENCES
from duchenne.analysis.face.au_events import beginnings_s
from duchenne.analysis.presentations import presentations, unplaced_ratings
from duchenne.analysis.privacy.scopes import refusal, scopes_of
from duchenne.analysis.values import records
from duchenne.recorder.video_encryption import MissingKeyError
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.affect.hearing import Heard
    from duchenne.analysis.face.process import FaceResult
    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.pupil_session import SessionPupil
    from duchenne.analysis.lids import LidEvidence
    from duchenne.recorder.recording import Recording, Stream

    Progress = Callable[[str, int, int], None]

GAZE_COLUMNS = frozenset(
    f"{eye}{part}"
    for eye in ("left_", "right_", "")
    for part in ("x", "y", "pupil", "valid", "distance", "openness")
)
"""Channels of a gaze stream that the analysis reads."""
MANY_BLINKS = 5
"""Blinks in the film from which it is told that they do not go with the gaze."""
OPENNESS = frozenset({"left_openness", "right_openness"})


NO_KEY = "No face was measured, the face columns are n/a"
"""How the note on an encrypted film without its key begins."""


def measure_gaze(
    recording: Recording,
    notes: list[str],
    tell: Progress,
    *,
    eye: str = "both",
    lids: LidEvidence | None = None,
) -> tuple[Stream, GazeResult] | None:
    """Analyse the gaze stream; None, with a note, where that cannot be done.

    `lids` are those of a film of the face; a tracker that measures them itself (eye openness) is used
    rather than the film.
    """
    if refused := refusal(recording, "analysis_gaze"):
        notes.append(f"{refused}: the gaze and pupil columns are n/a.")
        return None
    stream = _chosen(recording.of_type("Gaze"), "Gaze", notes)
    if stream is None:
        notes.append("No gaze was recorded: the gaze and pupil columns are n/a.")
        return None
    from duchenne.analysis.gaze.geometry import ScreenGeometry  # noqa: PLC0415
    from duchenne.analysis.gaze.process import analyse_gaze  # noqa: PLC0415
    from duchenne.analysis.gaze.validation import validated, validation_targets  # noqa: PLC0415

    tell("gaze", 0, 1)
    columns = {
        channel.label: np.asarray(stream.column(channel.label), dtype=np.float32)
        for channel in stream.info.channels
        if channel.label in GAZE_COLUMNS
    }
    try:
        screen = ScreenGeometry.from_mapping(recording.screen)
        unit, measure = pupil_of(stream)
        lid, agreement = _lids(stream, columns, lids)
        result = analyse_gaze(
            stream.times_s,
            columns,
            screen,
            stream.info.nominal_srate_hz,
            pupil_unit=unit,
            pupil_measure=measure,
            shown=_kinds_shown(presentations(recording)),
            eye=eye,
            lid=lid,
        )
        result = replace(result, quality={**result.quality, "lid_evidence": agreement})
        _note_lids(agreement, notes)
        result = validated(result, validation_targets(recording.events))
    except DuchenneError as error:
        notes.append(f"Gaze was not analysed, its columns are n/a: {error}")
        return None
    if result.quality["not_measured"]:
        notes.append(f"Gaze measures that are n/a: {result.quality['not_measured']}.")
    if result.quality["rate_varies"]:
        notes.append(
            "The gaze sampling rate changed from {sampling_rate_min_hz:.0f} to "
            "{sampling_rate_max_hz:.0f} Hz within the recording: events are found in {n_rates} "
            "stretches of one rate each.".format(**result.quality)
        )
    tell("gaze", 1, 1)
    return stream, result


def _lids(
    stream: Stream, columns: Mapping[str, NDArray[Any]], lids: LidEvidence | None
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]] | None, dict[str, Any]]:
    """Return the evidence of lids to be used, and what there is to say about it.

    The lids of a simulated tracker are nobody's: those of the film do not belong to them.
    """
    if OPENNESS & columns.keys():
        return None, {"source": "eye openness of the tracker"}
    if lids is None or stream.info.described("acquisition/model") == "simulated":
        return None, {"source": "none"}
    return lids.of_gaze(stream.times_s, columns)


def _note_lids(agreement: Mapping[str, Any], notes: list[str]) -> None:
    """Say where the film of the face does not belong to the gaze well enough."""
    if agreement.get("open_lids_count") is False and agreement["n_film_blinks"] >= MANY_BLINKS:
        notes.append(
            "Only {n_with_loss_of_gaze} of {n_film_blinks} blinks in the film of the face fall together "
            "with a loss of gaze: the two streams may not be in time, and the film is not used to tell "
            "losses of gaze from blinks.".format(**agreement)
        )


def _kinds_shown(shown: pd.DataFrame) -> list[tuple[float, float, str]]:
    """Return when pictures and films were shown, which the event detector treats apart."""
    return [
        (row["onset_s"], row["offset_s"], row["kind"])
        for row in records(shown)
        if row["kind"] in {"image", "video"} and row["offset_s"] > row["onset_s"]
    ]


def gaze_stream(recording: Recording) -> Stream | None:
    """Return the gaze stream that is analysed; None where none has samples."""
    return _chosen(recording.of_type("Gaze"), "Gaze", [])


def measure_face(
    recording: Recording,
    backend: str,
    neutral: list[tuple[float, float]],
    notes: list[str],
    tell: Progress,
    *,
    leave_out_speech: bool = True,
    affect: str = DEFAULT_AFFECT_BACKEND,
) -> tuple[Stream, FaceResult] | None:
    """Analyse the face video; without one, take a recorded stream of Action Units as it is.

    None, with a note, where there is neither.
    """
    if refused := refusal(recording, "analysis_face"):
        notes.append(f"{refused}: the face columns are n/a.")
        return None
    videos = [s for s in recording.of_type("VideoCompressed") if s.info.is_video]
    stream = _chosen(videos, "FaceVideo", notes)
    if stream is None:
        if affect != DEFAULT_AFFECT_BACKEND:
            notes.append(
                f"No face video: the affect backend {affect.partition(':')[0]} was not asked."
            )
        return _recorded_face(recording, neutral, notes, leave_out_speech=leave_out_speech)
    try:
        stream.check_key()
    except MissingKeyError as error:
        notes.append(f"{NO_KEY}: {error}")
        return None
    from duchenne.analysis.face.decode import packet_frames  # noqa: PLC0415
    from duchenne.analysis.face.dynamics import DynamicsOptions  # noqa: PLC0415
    from duchenne.analysis.face.process import analyse_face  # noqa: PLC0415
    from duchenne.recorder.video_packets import codec_of  # noqa: PLC0415

    n_frames = stream.n
    result = analyse_face(
        packet_frames(stream.packets(), stream.times_s, codec_of(stream.info)),
        backend=backend,
        neutral=neutral,
        n_frames=n_frames,
        progress=lambda done: tell("face", done, n_frames),
        sound=_sound_level(recording) if scopes_of(recording).analysis_voice else None,
        options=DynamicsOptions(leave_out_speech=leave_out_speech),
        affect=affect,
        listen=partial(_sound, recording),
    )
    if result.calibration.source != NEUTRAL_PHASE:
        why = (
            "No frames of a neutral-face phase could be used"
            if neutral
            else "No neutral-face phase"
        )
        notes.append(f"{why}: {REFERENCES[result.calibration.source]}")
    if undecodable := int(result.quality["n_undecodable"]):
        notes.append(f"{undecodable} of {n_frames} video frames could not be decoded.")
    return stream, result


def _recorded_face(
    recording: Recording,
    neutral: list[tuple[float, float]],
    notes: list[str],
    *,
    leave_out_speech: bool,
) -> tuple[Stream, FaceResult] | None:
    """Return the recorded Action Units; None, with a note, where there are none."""
    from duchenne.analysis.face.dynamics import DynamicsOptions  # noqa: PLC0415
    from duchenne.analysis.face.recorded import (  # noqa: PLC0415
        AFFECT_STREAM_TYPE,
        AU_STREAM_TYPES,
        au_channels,
        recorded_face,
    )

    live = [s for kind in AU_STREAM_TYPES for s in recording.of_type(kind) if au_channels(s)]
    stream = _chosen(live, "AU", notes)
    if stream is None:
        notes.append("No face video was recorded: the face columns are n/a.")
        return None
    affect = _chosen(recording.of_type(AFFECT_STREAM_TYPE), "Affect", notes)
    notes.append(
        f"No face video was recorded: Action Units are those of the recorded stream {stream.key} (backend "
        "recorded)."
    )
    options = DynamicsOptions(leave_out_speech=leave_out_speech)
    return stream, recorded_face(stream, affect, neutral=neutral, options=options)


def _sound(recording: Recording) -> Heard | None:
    """Return what was heard in the session, as far as the participant allows."""
    from duchenne.analysis.affect.hearing import session_sound  # noqa: PLC0415

    return session_sound(recording, voice=scopes_of(recording).analysis_voice)


def _sound_level(recording: Recording) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return times and level in dBFS of the microphone, where its level was recorded."""
    for stream in recording.of_type("AudioLevel"):
        if stream.n > 0 and any(channel.label == "rms" for channel in stream.info.channels):
            return stream.times_s, np.asarray(stream.column("rms"), np.float64)
    return None


def note_neutral(spans: pd.DataFrame, notes: list[str]) -> None:
    """Say which neutral-face phases are not used because their end was not marked."""
    lost = spans[(spans["phase"] == "neutral") & spans["interrupted"].astype(bool)]
    notes.extend(
        f"The neutral-face phase from {onset:.1f} s has no marked end and is not used."
        for onset in lost["onset_s"]
    )


def note_ratings(recording: Recording, notes: list[str]) -> None:
    """Say which ratings are in the table of events alone."""
    if names := unplaced_ratings(recording.events):
        notes.append(
            f"Ratings without a column in the summary, see the table of events: {', '.join(names)}."
        )


def _chosen(streams: list[Stream], name: str, notes: list[str]) -> Stream | None:
    """Return the stream of that name, else any; the fullest where there are several.

    None where none has samples; a note where others that have some are left out.
    """
    filled = [stream for stream in streams if stream.n > 0]
    named = [stream for stream in filled if stream.info.name == name]
    chosen = max(named or filled, key=lambda stream: stream.n, default=None)
    if chosen is not None and len(filled) > 1:
        others = ", ".join(f"{s.key} ({s.n} samples)" for s in filled if s is not chosen)
        notes.append(
            f"Several {chosen.info.type} streams: {chosen.key} was analysed, not {others}."
        )
    return chosen


def measure_pupil(
    recording: Recording, result: GazeResult, shown: pd.DataFrame, notes: list[str]
) -> SessionPupil:
    """Clean the pupil of a session and tell it apart from light and gaze position."""
    from duchenne.analysis.gaze.pupil_session import correct_pupil  # noqa: PLC0415

    pupil = correct_pupil(recording, result, shown)
    notes.extend(f"Pupil: {note}" for note in pupil.notes)
    return pupil


def place_events(
    result: FaceResult, place: Callable[[pd.DataFrame, str], pd.DataFrame]
) -> pd.DataFrame | None:
    """Return the events of Action Units with their place in the session and their latency."""
    if result.dynamics is None:
        return None
    events = place(result.dynamics.events, "onset_s")
    shown = (events["phase"] == "stimulus").to_numpy(np.bool_)
    began = beginnings_s(events).notna().to_numpy(np.bool_)
    since = events["t_from_onset_s"].to_numpy(np.float64)
    return events.assign(latency_s=np.where(shown & began, since, np.nan))


def place_candidates(
    result: FaceResult, place: Callable[[pd.DataFrame, str], pd.DataFrame]
) -> pd.DataFrame | None:
    """Return the candidates of micro-expressions with their place; None where none were looked for."""
    if result.dynamics is None or "microexpressions" in result.dynamics.not_measured:
        return None
    return place(result.dynamics.microexpressions, "onset")


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
