"""The reporting checklist: what guidelines ask for, filled from the records of the study.

Items follow, in our words, what these ask for; read them before you submit:
Dunn et al. (2024), Minimal reporting guideline for research involving eye tracking (2023 edition), Behavior
Research Methods 56, 4351-4357; Holmqvist et al. (2023), Behavior Research Methods 55, 364-416; Meteyard &
Davies (2020), Best practice guidance for linear mixed-effects models in psychological science, Journal of
Memory and Language 112, 104092.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.analysis.reports.exclusion_flow import reasons_of
from duchenne.analysis.reports.methods_facts import NOT_RECORDED, Facts, median_and_range
from duchenne.analysis.reports.methods_text import (
    reliability_said,
    rules_said,
    screen_said,
    windows_said,
)

if TYPE_CHECKING:
    from duchenne.analysis.reports.study_data import StudyData
    from duchenne.analysis.statistics.results import StudyStatistics

SOURCES = (
    "Dunn et al. (2024), Behavior Research Methods 56, 4351–4357 (eye tracking, 2023 edition)",
    "Holmqvist et al. (2023), Behavior Research Methods 55, 364–416 (eye tracking)",
    "Meteyard & Davies (2020), Journal of Memory and Language 112, 104092 (mixed models)",
)


@dataclass(frozen=True)
class Item:
    """One item: its name, and what the study has to say."""

    name: str
    told: str

    @property
    def filled(self) -> bool:
        """Whether the records of the study fill it."""
        return self.told != NOT_RECORDED


Groups = tuple[tuple[str, tuple[Item, ...]], ...]


def checklist(data: StudyData, facts: Facts, statistics: StudyStatistics | None) -> Groups:
    """Return the checklist by group."""
    return (
        ("Participants and design", _participants(data, facts)),
        ("Eye tracking", _eye_tracking(facts)),
        ("Eye tracking: data quality and processing", _eye_quality(facts)),
        ("Face: automated coding of Action Units", _face(facts)),
        ("Exclusions", _exclusions(data, facts)),
        ("Statistics", _statistics(statistics)),
        ("Reproducibility", _reproducibility(facts)),
    )


def _item(name: str, told: Any) -> Item:
    return Item(name, str(told) if told not in (None, "", ()) else NOT_RECORDED)


def _participants(data: StudyData, facts: Facts) -> tuple[Item, ...]:
    columns = {str(name).lower() for name in data.people.columns}
    rooms = [data.plan.get(key) for key in ("room", "environment", "lighting")]
    return (
        _item("Number of participants", len({one.participant for one in data.counted})),
        _item("Age", "in participants.tsv" if "age" in columns else ""),
        _item("Sex or gender", "in participants.tsv" if columns & {"sex", "gender"} else ""),
        _item(
            "Vision and its correction",
            "in participants.tsv" if columns & {"vision", "glasses"} else "",
        ),
        _item("Ethics approval and consent", data.plan.get("ethics") or ""),
        _item(
            "Instructions to participants",
            "in the protocol of each session file" if facts.provenances else "",
        ),
        _item("Room and lighting", "; ".join(str(room) for room in rooms if room)),
        _item(
            "Stimuli: number and categories",
            f"{data.summary['stimulus_id'].nunique()} in {len(data.categories)} categories",
        ),
    )


def _eye_tracking(facts: Facts) -> tuple[Item, ...]:
    screens = facts.each("screen")
    calibrated = facts.calibrations
    points = facts.measured("Gaze", "n_validation_points")
    points = points[points > 0]
    return (
        _item("Eye tracker: maker and model", ", ".join(facts.devices.get("Gaze", ()))),
        _item("Firmware and software of its maker", ""),
        _item(
            "Sampling rate, measured",
            median_and_range(facts.measured("Gaze", "effective_rate_hz"), "Hz", 1),
        ),
        _item("Eye that gaze rests on", facts.told("gaze_eye")),
        _item(
            "Screen: size, resolution, refresh rate", "; ".join(screen_said(one) for one in screens)
        ),
        _item("Viewing distance", _distance(facts)),
        _item("Head stabilisation", ""),
        _item(
            "Calibration",
            ""
            if calibrated is None
            else f"recorded in {calibrated} of {len(facts.provenances)} sessions",
        ),
        _item("Validation: number of points", median_and_range(points, "", 0)),
    )


def _distance(facts: Facts) -> str:
    cm = facts.told("gaze", "distance_cm")
    return f"{cm} cm ({facts.told('gaze', 'distance_source')})" if cm else ""


def _eye_quality(facts: Facts) -> tuple[Item, ...]:
    measured = facts.measured
    areas = facts.told("aois")
    return (
        _item("Accuracy", median_and_range(measured("Gaze", "accuracy_deg"), "°")),
        _item(
            "Precision, RMS sample to sample",
            median_and_range(measured("Gaze", "precision_rms_deg"), "°", 3),
        ),
        _item(
            "Precision, standard deviation",
            median_and_range(measured("Gaze", "precision_sd_deg"), "°", 3),
        ),
        _item("Data loss", median_and_range(measured("Gaze", "loss_fraction"), "%", 1, scale=100)),
        _item("Event detector and its parameters", _detector(facts)),
        _item(
            "Blinks",
            "found in the pupil and gaze signals, with margins"
            if facts.each("gaze_stream")
            else "",
        ),
        _item("Areas of interest: source and margin", areas),
        _item("Windows of time", windows_said(facts) or "the whole stimulus"),
        _item("Pupil: unit and measure", "; ".join(facts.pupil)),
        _item(
            "Pupil: baseline",
            "median of the 500 ms before onset, at least half valid" if facts.pupil else "",
        ),
    )


def _detector(facts: Facts) -> str:
    name = facts.told("gaze_detector")
    return f"{name}; its constants are in docs/reference/gaze-measures.md" if name else ""


def _face(facts: Facts) -> tuple[Item, ...]:
    has_face = bool(facts.each("face_stream"))
    backends = facts.backends() if has_face else []
    source = facts.told("face_calibration", "source")
    return (
        _item("Camera: maker and model", ", ".join(facts.devices.get("VideoCompressed", ()))),
        _item(
            "Frame rate, measured",
            median_and_range(facts.numbers("face", "sampling_rate_hz"), "Hz", 1),
        ),
        _item("Software that estimates Action Units", ", ".join(backends)),
        _item("Its reliability, and on which faces", reliability_said(backends)),
        _item("Agreement with human FACS coders in this sample", ""),
        _item("What intensities are measured from", source),
        _item(
            "Frames that can be measured",
            median_and_range(
                facts.measured("VideoCompressed", "valid_fraction"), "%", 0, scale=100
            ),
        ),
        _item("Frames with speech", _speech(facts) if has_face else ""),
        _item(
            "What expressions are taken to mean",
            "prototype match: what the face did, not what was felt" if has_face else "",
        ),
    )


def _speech(facts: Facts) -> str:
    left = facts.leaves_out_speech()
    if left is None:
        return ""
    return "left out of the mouth's Action Units" if left else "kept"


def _exclusions(data: StudyData, facts: Facts) -> tuple[Item, ...]:
    lock = facts.exclusions
    reasons = "; ".join(f"{n}: {why}" for why, n in reasons_of(data).most_common())
    changes = lock.get("changes") or ()
    return (
        _item("Rules", "; or ".join(rules_said(rule) for rule in facts.each("exclusion_rules"))),
        _item(
            "Fixed before the data were analysed",
            f"since {lock.get('locked_utc')}, SHA-256 {lock.get('sha256')}; changed {len(changes)} times"
            if lock
            else "",
        ),
        _item("Presentations excluded, by reason", reasons or "none"),
        _item("Sessions not analysed", ", ".join(data.not_analyzed) or "none"),
    )


def _statistics(statistics: StudyStatistics | None) -> tuple[Item, ...]:
    if not statistics or not statistics.contrasts:
        return (_item("Contrasts", ""),)
    contrasts, declared = statistics.contrasts, statistics.declaration
    primary = [one.name for one in contrasts if one.family == "primary"]
    notes = "; ".join(f"{one.name}: {one.note}" for one in contrasts if one.note)
    singular = [one.name for one in contrasts if one.singular]
    return (
        _item("Hypotheses declared", f"{declared.status}, SHA-256 {declared.hash}"),
        _item("Primary contrasts", ", ".join(primary)),
        _item(
            "Model",
            "linear mixed model; participants (intercept, slope) and stimuli (intercept) random, crossed",
        ),
        _item("Singular fits", ", ".join(singular) or "none"),
        _item("Convergence and other notes", notes or "none"),
        _item("Degrees of freedom and p", "per contrast in contrasts.tsv, with permutation p"),
        _item(
            "Random-effect variances",
            "the columns sd_… of contrasts.tsv",
        ),
        _item(
            "Correction for the number of tests",
            "Holm (primary), Benjamini & Hochberg (exploratory)",
        ),
        _item("Effect sizes with intervals", "estimate, 95 % interval and d per contrast"),
        _item("Sample size and sensitivity", "smallest detectable effect per contrast"),
        _item(
            "Robustness", f"{len(statistics.multiverse)} analyses" if statistics.multiverse else ""
        ),
    )


def _reproducibility(facts: Facts) -> tuple[Item, ...]:
    versions = sorted({str(one.get("software", {}).get("duchenne")) for one in facts.provenances})
    hashed = sum(bool(one.get("session", {}).get("sha256")) for one in facts.provenances)
    return (
        _item("Software", f"Duchenne {', '.join(versions)}; {facts.packages()}"),
        _item("Files behind the tables", f"SHA-256 of {hashed} session files in their provenance"),
        _item("Streams whose device latency is not known", facts.told("latency_unknown")),
        _item("Where data and code can be had", ""),
    )
