"""What the columns of the temporal measures of the face mean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from duchenne.analysis.face.dynamics_features import EVENT_AUS
from duchenne.analysis.face.microexpressions import DEFAULT_RULE as BURSTS
from duchenne.analysis.face.microexpressions import MIN_RATE_HZ
from duchenne.analysis.face.smoothing import DEFAULT_SMOOTHING
from duchenne.analysis.tables import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.tables import Codebook

_SECONDS = "seconds from session_start on the recorder's clock"
SMOOTHED = (
    f"smoothed by local parabolas of {DEFAULT_SMOOTHING.window_s:g} s (Savitzky-Golay on the frames' "
    f"times; frames without a measurement are bridged over at most {DEFAULT_SMOOTHING.bridge_s:g} s)"
)


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


def _count(description: str) -> Column:
    return Column(description, kind="integer")


AU_EVENTS: dict[str, Column] = {
    "au": Column("Action Unit whose intensity rose and fell.", kind="string"),
    "onset_s": _number(
        f"When the intensity, {SMOOTHED}, rises above a tenth of the event's peak (at least 0.25), "
        f"{_SECONDS}.",
        "s",
    ),
    "apex_s": _number(f"When it first reaches 95 % of the peak, {_SECONDS}.", "s"),
    "offset_s": _number(f"When it falls below the level of the onset, {_SECONDS}.", "s"),
    "rise_time_s": _number("From onset to apex; n/a: the onset was not seen.", "s"),
    "duration_s": _number("From onset to offset; n/a: one of them was not seen.", "s"),
    "peak": _number("Highest smoothed intensity, 1 to 5."),
    "area": _number("Integral of the smoothed intensity from onset to offset.", "s"),
    "onset_speed_per_s": _number(
        "Steepest rise from onset to apex, intensity per second; n/a: the onset was not seen.",
        "1/s",
    ),
    "complete": Column(
        "Onset and offset were both seen; false: the event was under way when measurement began or "
        "ended.",
        kind="boolean",
    ),
    "symmetry": _number(
        "Weaker side divided by stronger side, mean of the 0.2 s from the apex; n/a: the sides are not "
        "measured.",
        "1",
    ),
    "duchenne": Column(
        "AU12 with AU06 of at least 1 at the apex and sides that are even (symmetry at least 0.5): the "
        "form of a Duchenne smile, not a felt emotion; n/a: other Action Units, or the backend does not "
        "tell AU06 apart from AU12 well enough.",
        kind="boolean",
    ),
    "in_speech": Column("The mouth speaks at some time of the event.", kind="boolean"),
    "latency_s": _number(
        "From the onset of the stimulus to the onset of the event; n/a: no stimulus was shown then, or the "
        "beginning was not measured.",
        "s",
    ),
}

MICROEXPRESSIONS: dict[str, Column] = {
    "onset": _number(f"When a seventh of the rise is reached, {_SECONDS}.", "s"),
    "duration": _number(
        "From there until a seventh of the fall is left, of the clearest Action Unit "
        f"({1000 * BURSTS.duration_s[0]:g} to {1000 * BURSTS.duration_s[1]:g} ms).",
        "s",
    ),
    "apex_s": _number(f"Time of the highest intensity, {_SECONDS}.", "s"),
    "apex_frame": _count("Index of the video frame at that time, from 0."),
    "aus": Column("Action Units that burst together, such as AU01+AU02.", kind="string"),
    "peak": _number("Rise of the clearest Action Unit above its running median, 0 to 5."),
    "flow_agreement": _number(
        "How far the skin moved there and back as these Action Units move it, by optical flow, in standard "
        "deviations of the recording; n/a: no region of the face tells them.",
    ),
    "confidence": _number(
        "Rank of the candidate, 0 to 1, from its height above the noise and its flow; no probability.",
        "1",
    ),
}

_DURING = "while the stimulus was shown"
_HALF = "n/a: less than half of the frames to be expected are usable"


def _event_columns(au: str) -> dict[str, Column]:
    lower = " Events during speech are left out." if au == "AU12" else ""
    return {
        f"{au}_n_events": _count(
            f"{au}: events (see au_events) that began {_DURING}.{lower} {_HALF}, or {au} is measured in "
            "less than half of those."
        ),
        f"{au}_event_rate_hz": _number(
            f"{au}: the same per second of frames in which it is measured.", "Hz"
        ),
        f"{au}_first_latency_s": _number(
            f"{au}: from the onset of the stimulus to that of the first event; n/a: no event, or its "
            "beginning was not measured.",
            "s",
        ),
        f"{au}_event_peak": _number(f"{au}: highest peak of these events, 1 to 5; n/a: no event."),
        f"{au}_event_area": _number(f"{au}: sum of the areas of these events; 0: no event.", "s"),
    }


FEATURES: dict[str, Column] = {
    **{name: column for au in EVENT_AUS for name, column in _event_columns(au).items()},
    "smile_onset_speed_per_s": _number(
        "Mean of the steepest rises of the events of AU12, intensity per second; n/a: no event.",
        "1/s",
    ),
    "smile_symmetry": _number(
        "Mean symmetry of the events of AU12: weaker by stronger side, 0 to 1; n/a: no event.", "1"
    ),
    "n_duchenne_smiles": _count(
        "Events of AU12 with AU06 and even sides; a form, not a felt emotion. n/a: the backend does not "
        "tell AU06 apart from AU12 well enough, too few frames, or a smile of which the cheeks or the sides "
        "were not measured."
    ),
    "face_n_blinks": _count(
        f"Blinks that began {_DURING}, from how far the lids are apart in the film of the face (n_blinks "
        f"is the eye tracker's). {_HALF}, or fewer than 15 frames per second."
    ),
    "face_blink_rate_hz": _number("The same per second of usable frames.", "Hz"),
    "face_blink_duration_s": _number(
        "Mean time in which the lids are beyond half of their way; n/a: no blink.", "s"
    ),
    "head_speed_mean_deg_s": _number(
        f"Mean speed of the turning head (pitch, yaw and roll together), {SMOOTHED}.", "deg/s"
    ),
    **{
        f"head_range_{axis}_deg": _number(
            f"Range of the head's {axis}, 5th to 95th percentile of the usable frames.", "deg"
        )
        for axis in ("pitch", "yaw", "roll")
    },
    "microexpression_candidate_rate_hz": _number(
        "n_microexpression_candidates per second of usable frames.", "Hz"
    ),
}
N_CANDIDATES = _count(
    f"Brief bursts of Action Units (40 to 500 ms) that began {_DURING}, outside of blinks, speech and fast "
    "turns of the head: candidates of micro-expressions, which does not imply that anything was concealed. "
    f"n/a below {MIN_RATE_HZ:g} video frames per second, or where less than half of the frames to be "
    "expected are usable."
)


def with_reasons(book: Codebook, not_measured: Mapping[str, str]) -> dict[str, Column]:
    """Return a codebook of the summary that says why temporal measures are n/a in this session.

    Parameters
    ----------
    book : Codebook
    not_measured : mapping of str to str
        As in :class:`~duchenne.analysis.face.dynamics.Dynamics`.
    """
    about = {
        "microexpressions": ("n_microexpression_candidates", "microexpression_candidate_rate_hz"),
        "duchenne": ("n_duchenne_smiles",),
        "speaking": ("speaking_fraction",),
        "blinks": ("face_n_blinks", "face_blink_rate_hz", "face_blink_duration_s"),
    }
    said = dict(book)
    for measure, why in not_measured.items():
        for name in about.get(measure, ()):
            if name in said:
                told = f"{said[name].description} In this session n/a: {why}."
                said[name] = replace(said[name], description=told)
    return said
