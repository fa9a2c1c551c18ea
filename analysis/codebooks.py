"""What every column of the tables means: the codebooks written beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from duchenne.analysis.face import dynamics_codebook
from duchenne.analysis.face.dynamics import is_lower_face
from duchenne.analysis.face.geometry.reliability import reliability_note
from duchenne.analysis.gaze import codebook as gaze_book
from duchenne.analysis.tables import Column

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duchenne.analysis.tables import Codebook

FACS_NAMES = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    11: "nasolabial deepener",
    12: "lip corner puller",
    13: "sharp lip puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    18: "lip pucker",
    20: "lip stretcher",
    22: "lip funneler",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    28: "lip suck",
    43: "eyes closed",
    45: "blink",
}
"""Action Units of the Facial Action Coding System (Ekman, Friesen & Hager 2002) by number."""

PHASES = {
    "instruction": "text is on the screen",
    "baseline": "declared resting period",
    "neutral": "the participant was asked for a relaxed, neutral face",
    "fixation": "fixation cross before a stimulus",
    "stimulus": "the stimulus is on the screen",
    "rating": "a rating scale is on the screen until it is answered",
    "break": "break",
    "calibration": "calibration of the eye tracker",
    "pause": "the operator paused the session",
}
MARKER_PHASES = {
    "iti": "blank screen between two trials",
    "post": "blank screen after a stimulus",
    "consent": "the participant was asked for consent",
    "form": "a form is on the screen",
    "end": "last page of the session",
    "validation": "validation of the eye tracker",
    "drift_check": "drift check of the eye tracker",
    "light_reflex": "changes of brightness for the light reflex of the pupil",
    "pose": "the participant was asked for an expression",
    "targets": "points to be looked at",
}
"""Further phases that the senders of momentary markers name."""
CATEGORIES = {
    "HVHA": "pleasant, activating",
    "LVHA": "unpleasant, activating",
    "LVLA": "unpleasant, calm",
    "HVLA": "pleasant, calm",
    "neutral": "neutral",
}
PROTOTYPES = {
    "happiness": "AU06 and AU12, both active",
    "sadness": "AU01 and AU04, both active, with AU15",
    "surprise": "AU01 and AU02, both active, with AU05 and with AU26 or AU27",
    "fear": "AU04 and AU20, both active, with AU01, AU02, AU05, AU07, AU26",
    "anger": "AU04 and AU07 or AU05, both active, with the other of these two and with AU23 or AU24",
    "disgust": "AU09 or AU10, active, with AU15 or AU17",
    "contempt": "AU14 active on one side only (the sides differ by at least 1), with AU12 on the same "
    "side; none where AU12 is active on the other side or on both",
    "neutral": "every assessed Action Unit is measured and inactive",
    "none": "some assessed Action Units are active, but match no prototype",
    "not_assessable": "the frame is not usable, or nothing matches and an Action Unit that decides "
    "was not measured in it",
}
"""Prototypes of facial expression: what must be active, and what only adds to the score.

Action Units whose estimate is too unreliable (AU07 and AU23 of the ``blendshapes`` backend) count as
not measured; the codebook of the column says so.
"""
SECONDS = "seconds from session_start on the recorder's clock"


def _label(description: str) -> Column:
    return Column(description, kind="string")


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


def _count(description: str) -> Column:
    return Column(description, kind="integer")


def _flag(description: str) -> Column:
    return Column(description, kind="boolean")


IDENTITY = {
    "participant": _label("Label of the participant."),
    "session": _label("Label of the session."),
    "task": _label("Name of the protocol that was run."),
    "run": _label("Label of the run."),
}
PLACE = IDENTITY | {
    "presentation_id": _label(
        "Presentation (participant-session-run-trial) that the row belongs to; n/a outside."
    ),
    "stimulus_id": _label("Identifier of the stimulus in its manifest; n/a outside presentations."),
    "phase": Column(
        "Phase of the session at the time of the row; n/a between phases.",
        levels=PHASES,
        kind="string",
    ),
    "trial": _count("Number of the trial within the run, from 1; n/a outside trials."),
    "t_from_onset_s": _number(
        "Time from the onset of the presentation's stimulus, negative before it; n/a outside "
        "presentations.",
        "s",
    ),
    "media_time_s": _number(
        "Position in the film of the frame on the screen; n/a where no film is shown.", "s"
    ),
}
EVENTS = PLACE | {
    "phase": Column(
        "Phase of the session at the time of the row; of a momentary marker, as its sender says; n/a "
        "between phases.",
        levels=PHASES | MARKER_PHASES,
        kind="string",
    ),
    "onset": _number(f"Onset of the phase or marker, {SECONDS}.", "s"),
    "duration": _number("Duration of the phase; 0 for a momentary marker.", "s"),
    "trial_type": Column(
        "Phase that begins here, or the momentary marker.",
        levels=PHASES
        | {
            "session_start": "the session begins: zero of all times",
            "session_end": "the session ends",
            "block_start": "a block of trials begins",
            "block_end": "a block of trials ends",
            "rating_response": "a rating was given",
            "abort": "the session was aborted",
            "skip": "a trial was skipped",
            "note": "note of the operator",
            "drift_check": "drift check of the eye tracker",
            "validation_point": "point of a calibration validation",
        },
        kind="string",
    ),
    "block": _label("Block of the protocol."),
    "stim_file": _label("File of the stimulus, relative to its manifest."),
    "category": Column(
        "Category of the stimulus as its manifest says.", levels=CATEGORIES, kind="string"
    ),
    "scale": _label("Rating scale, as the protocol calls it."),
    "value": _number("Rating that was given, where it is a number; n/a where time ran out."),
    "rt_s": _number("Response time of the rating from the onset of its scale.", "s"),
    "response": _label(
        "Answer that is no number: words as they were chosen or typed, several values as a JSON object; n/a "
        "for numbers."
    ),
    "passed": _flag(
        "Whether an attention check was answered as required; n/a for what is no check."
    ),
    **{
        f"stim_{edge}_px": _number(
            f"{edge.capitalize()} edge of the stimulus on the screen, origin at the top left; n/a for "
            "other rows.",
            "px",
        )
        for edge in ("left", "top", "right", "bottom")
    },
    "interrupted": _flag(
        "The end of the phase was not marked (abort, crash, lost marker); its duration runs to the "
        "next onset, the abort or the end of the recording."
    ),
}
_ONSET = {"onset": _number(f"Onset, {SECONDS}.", "s")}
FIXATIONS = PLACE | gaze_book.FIXATIONS | _ONSET
SACCADES = PLACE | gaze_book.SACCADES | _ONSET
BLINKS = PLACE | gaze_book.BLINKS | _ONSET
BLINKS["source"] = replace(
    BLINKS["source"],
    levels={
        **(BLINKS["source"].levels or {}),
        "face": "lids seen to close and open in the film of the face; no gaze was analysed",
    },
)
GAZE = PLACE | gaze_book.SAMPLES | {"time": _number(f"Time of the sample, {SECONDS}.", "s")}
AU_FRAME = PLACE | {
    "frame": _count("Index of the video frame, from 0."),
    "time": _number(f"Time of the video frame, {SECONDS}.", "s"),
    "face": _flag("A face was found in the frame."),
    "confidence": _number(
        "How well the face could be measured, 0 to 1: size, turn, place in the picture, light, sharpness, "
        "what covers it, trembling of the landmarks; the worst of these counts.",
        "1",
    ),
    "pose_pitch_deg": _number("Head pitch; positive: the face turned up.", "deg"),
    "pose_yaw_deg": _number(
        "Head yaw; positive: the face turned to the participant's left.", "deg"
    ),
    "pose_roll_deg": _number(
        "Head roll; positive: the head tilted to the participant's right.", "deg"
    ),
    "usable": _flag("The face can be measured: found, and with a confidence of at least 0.5."),
    "expr_valence": _number(
        "Valence of the expression by the rule on Action Units, or by the affect model that was given, -1 to "
        "1; not felt valence. n/a: not measured; by the rule, where one of its Action Units was not.",
        "1",
    ),
    "expr_arousal": _number(
        "Arousal of the expression, -1 to 1; n/a unless an affect model was given that measures it.",
        "1",
    ),
    "expr_prototype": Column(
        "Prototype of facial expression that the active Action Units match best (weighted mean "
        "intensity of its Action Units; active: as in the columns _c); not a felt emotion. Action "
        "Units that the backend estimates too unreliably (blendshapes: AU07, AU23) are left out.",
        levels=PROTOTYPES,
        kind="string",
    ),
    "speaking": _flag(
        "The lips open and close in the rhythm of speech (at least three times, each within 0.13 to 0.56 s "
        "of the last; with a microphone, twice and with a voice); Action Units of the mouth are not "
        "reliable then. n/a: not measured, or fewer than 15 frames per second."
    ),
}
AU_EVENTS = PLACE | dynamics_codebook.AU_EVENTS
MICROEXPRESSIONS = PLACE | dynamics_codebook.MICROEXPRESSIONS
QUALITY = IDENTITY | {
    "stream": _label("Name of the stream."),
    "type": _label("Type of the stream."),
    "n_samples": _count("Samples in the file."),
    "duration_s": _number("Time from the first to the last sample.", "s"),
    "nominal_rate_hz": _number("Declared sampling rate; n/a for an irregular stream.", "Hz"),
    "effective_rate_hz": _number("Measured sampling rate.", "Hz"),
    "jitter_ms": _number("Median absolute deviation of the sample intervals.", "ms"),
    "n_gaps": _count("Steps between samples that are longer than 1.9 nominal periods."),
    "longest_gap_s": _number("Longest such step; 0 where there is none.", "s"),
    "missing_samples": _count("Samples that would fit into the gaps."),
    "clock_offset_ms": _number("Offset of the sender's clock from the recorder's.", "ms"),
    "clock_offset_uncertainty_ms": _number("Half of the round-trip bound of that offset.", "ms"),
    "valid_fraction": _number("Share of valid samples (gaze) or usable frames (face).", "1"),
    "precision_rms_deg": _number("Gaze: root mean square of sample-to-sample distances.", "deg"),
    "precision_sd_deg": _number("Gaze: standard deviation during fixations.", "deg"),
    "precision_bcea_deg2": _number("Gaze: median area that holds 68 % of a fixation.", "deg^2"),
    "loss_fraction": _number("Gaze: share of the samples due that are lost, gaps counted.", "1"),
    "valid_rate_hz": _number("Gaze: valid samples per second of the recording.", "Hz"),
    "accuracy_deg": _number(
        "Gaze: mean angle between validation points and gaze on them; n/a without a validation.",
        "deg",
    ),
    "accuracy_left_deg": _number("Gaze: the same of the left eye.", "deg"),
    "accuracy_right_deg": _number("Gaze: the same of the right eye.", "deg"),
    "validation_rms_left_deg": _number(
        "Gaze: mean over validation points of the left eye's sample-to-sample root mean square.",
        "deg",
    ),
    "validation_rms_right_deg": _number("Gaze: the same of the right eye.", "deg"),
    "validation_sd_left_deg": _number(
        "Gaze: mean over validation points of the left eye's standard deviation.", "deg"
    ),
    "validation_sd_right_deg": _number("Gaze: the same of the right eye.", "deg"),
    "n_validation_points": _count("Gaze: validation points with a fixation on them."),
    "eye": Column(
        "Gaze: eye that positions and events rest on.",
        levels={
            "both": "mean of both eyes; where one is lost the other, moved by half their difference",
            "left": "left eye only",
            "right": "right eye only",
            "unknown": "the tracker names no eye",
        },
        kind="string",
    ),
    "rate_varies": Column(
        "Gaze: the sampling rate changed by more than a fifth between blocks of 5 s; events are found "
        "in each stretch of one rate by itself.",
        kind="boolean",
    ),
    "sampling_rate_min_hz": _number("Gaze: lowest sampling rate of a block of 5 s.", "Hz"),
    "sampling_rate_max_hz": _number("Gaze: highest sampling rate of a block of 5 s.", "Hz"),
    "pupil_unit": _label("Gaze: unit of the pupil as the device gives it."),
    "pupil_measure": _label("Gaze: what of the pupil was measured (diameter or area)."),
    "grade": Column(
        "Overall grade of the stream.",
        levels={
            "good": "can be used as it is",
            "fair": "usable; read the reasons first",
            "poor": "do not use without a close look",
        },
        kind="string",
    ),
    "reasons": _label("Why the grade is not good; n/a where it is."),
}

_AU_COLUMN = re.compile(
    r"AU(\d\d)([LR]?)_(r|c|mean|peak|change_mean|mean_se|coverage|baseline|change_peak|area|"
    r"active_fraction|latency_s)$"
)
_AU_UNITS = {"coverage": "1", "active_fraction": "1", "area": "s", "latency_s": "s"}
_AU_MEANINGS = {
    "r": "Intensity, 0 (absent) to 5 (maximal), measured from the neutral phase where it can be used; "
    "n/a: not measured.",
    "c": "Occurrence in the frame: 1 where the intensity is at least 2 and above the 97.5th percentile "
    "of the neutral phase (AU43 and AU45, and all without a neutral phase: at least 2; in pictures of people "
    "whose neutral face is not known: above what the backend measured in others at rest); it "
    "goes on until 0.5 below that (AU45: at once), else 0; n/a: not measured.",
    "mean": "Mean intensity while the stimulus was shown, 0 to 5, usable frames only.",
    "peak": "95th percentile of the intensity, smoothed by local parabolas of 0.2 s (Savitzky-Golay) and not "
    "across gaps, while the stimulus was shown, 0 to 5.",
    "change_mean": "Mean intensity while the stimulus was shown minus its mean in the last second "
    "before onset, which holds part of a rating or of the previous stimulus where the fixation is "
    "shorter; n/a: it was measured in less than half of the frames to be expected in that second.",
    "mean_se": "Standard error of that mean over the frames, neighbours being alike (first-order "
    "autoregression); it says nothing of the error of the model. n/a: fewer than 8 measured frames.",
    "coverage": "Share of the frames to be expected while the stimulus was shown in which the Action Unit "
    "was measured: what its mean, peak and area rest on.",
    "baseline": "Mean intensity in the last second before onset: the mean minus change_mean; n/a as there.",
    "change_peak": "The peak minus the baseline.",
    "area": "Integral of the intensity over the measured frames while the stimulus was shown, intensity "
    "times seconds; n/a: coverage below 0.5.",
    "active_fraction": "Share of the measured frames with an intensity of at least 1 (FACS level A).",
    "latency_s": "Reaction latency: from the onset of the stimulus to that of the first event of the Action "
    "Unit that began while it was shown (see au_events); n/a: no event, or its beginning was not measured.",
}


_SPEECH = (
    "Frames in which the participant speaks are left out (unless the configuration says otherwise)."
)

NEUTRAL_PHASE = "neutral phase"
REFERENCES = {
    NEUTRAL_PHASE: "Action Units are measured from the participant's neutral-face phase.",
    "habitual face": "Action Units are measured from the participant's median face over the whole "
    "recording (anatomy) and a typical neutral face (the rest), occurrences from intensity 2 on.",
    "typical face": "Action Units are measured from a typical neutral face, not the participant's, "
    "occurrences from intensity 2 on.",
    "recorded": "Action Units are those of a stream that was recorded with the session, measured from what "
    "its sender took as the neutral face.",
}
"""What Action Units are measured from, by the source that the calibration names."""


def with_reference(book: Codebook, source: str | None) -> dict[str, Column]:
    """Return a codebook whose Action Units say what they were measured from.

    Parameters
    ----------
    book : Codebook
        Any columns; those of Action Units are changed.
    source : str or None
        A key of `REFERENCES`; None where no face was analysed.
    """
    said = REFERENCES.get(source or "")
    if said is None:
        return dict(book)
    return {
        name: replace(column, description=f"{column.description} In this session: {said}")
        if _AU_COLUMN.match(name)
        else column
        for name, column in book.items()
    }


def au_columns(names: Iterable[str]) -> dict[str, Column]:
    """Return the codebook entries of those columns that are about one Action Unit.

    Parameters
    ----------
    names : iterable of str
        Column names; others than ``AU12_r``, ``AU12_c``, ``AU14L_r`` and the measures of the summary
        (``AU12_mean``, ``AU12_change_mean``, ``AU12_area`` …) are passed over.
    """
    found = {}
    for name in names:
        match = _AU_COLUMN.match(name)
        if match is None:
            continue
        number, side, measure = match.groups()
        facs = FACS_NAMES.get(int(number), "not named")
        where = {"": "", "L": ", the participant's own left", "R": ", the participant's own right"}[
            side
        ]
        description = f"AU{number} {facs}{where}. {_AU_MEANINGS[measure]}"
        if measure not in {"r", "c"} and is_lower_face(f"AU{number}"):
            description += f" {_SPEECH}"
        found[name] = Column(
            f"{description} {reliability_note(f'AU{number}{side}')}".strip(),
            unit=_AU_UNITS.get(measure),
            kind="integer" if measure == "c" else "number",
            long_name=f"AU{number}{side} {facs}",
            digits=5,
        )
    return found
