"""The Methods paragraph: what a paper says of recording, measurement and analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.analysis.codebooks import REFERENCES
from duchenne.analysis.exclusions import ExclusionRules
from duchenne.analysis.face.geometry.reliability import shipped_card
from duchenne.analysis.reports.methods_facts import (
    RECORDED,
    Facts,
    as_said,
    distinct,
    median_and_range,
)
from duchenne.analysis.reports.study_data import StudyData, excluded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.statistics.results import StudyStatistics

_DETECTORS = {
    "adaptive": "an adaptive velocity detector (thresholds from the noise around each moment, with "
    "post-saccadic oscillations and smooth pursuit as states of their own)",
    "ivt": "a velocity-threshold detector (I-VT)",
}
_EYES = {
    "both": "the mean of both eyes",
    "cyclopean": "the mean of both eyes",
    "left": "the left eye",
    "right": "the right eye",
}


def paragraphs(
    data: StudyData, facts: Facts, statistics: StudyStatistics | None
) -> tuple[str, ...]:
    """Return the Methods section, a paragraph per topic; what was not recorded is left out."""
    made = (
        _design(data, facts),
        _setup(facts),
        _gaze(facts),
        _pupil(facts),
        _face(facts),
        _windows(facts),
        _exclusions(data, facts),
        _models(statistics),
        _software(facts),
    )
    return tuple(paragraph for paragraph in made if paragraph)


def _sentences(*parts: str) -> str:
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


def _design(data: StudyData, facts: Facts) -> str:
    protocols = sorted(
        {
            str(one.get("protocol", {}).get("name"))
            for one in facts.provenances
            if one.get("protocol")
        }
    )
    who = {session.participant for session in data.counted}
    n_stimuli = data.summary["stimulus_id"].nunique()
    kinds = ", ".join(f"{n} {kind}" for kind, n in _kinds(data).items())
    groups = ", ".join(data.categories)
    return _sentences(
        f"{len(who)} participants took part in {len(data.counted)} sessions of the protocol "
        f"{', '.join(protocols)}",
        f"They were shown {n_stimuli} stimuli ({kinds})"
        + (f" of the categories {groups}" if groups else ""),
        f"{len(data.summary)} presentations were recorded",
    )


def _kinds(data: StudyData) -> dict[str, int]:
    names = {"image": "pictures", "video": "films", "audio": "sounds"}
    first = data.summary.drop_duplicates("stimulus_id")
    kinds = [str(kind) for kind in first["kind"]] if "kind" in first else []
    return {names.get(kind, kind): kinds.count(kind) for kind in sorted(set(kinds))}


def _setup(facts: Facts) -> str:
    screens = facts.each("screen")
    if not screens:
        return ""
    said = "; ".join(screen_said(screen) for screen in screens)
    return _sentences(f"Stimuli were shown on a screen of {said}")


def screen_said(screen: Mapping[str, Any]) -> str:
    """Return a screen in words."""
    return (
        f"{as_said(screen.get('width_px'))} × {as_said(screen.get('height_px'))} px "
        f"({as_said(screen.get('width_cm'))} × {as_said(screen.get('height_cm'))} cm, "
        f"{as_said(screen.get('refresh_hz'))} Hz) at {as_said(screen.get('distance_cm'))} cm"
    )


def _gaze(facts: Facts) -> str:
    rates = facts.measured("Gaze", "effective_rate_hz")
    if not len(rates):
        return "Gaze was not recorded."
    device = " and ".join(facts.devices.get("Gaze", ()))
    detector = ", ".join(_DETECTORS.get(str(n), str(n)) for n in facts.each("gaze_detector"))
    eye = ", ".join(_EYES.get(str(name), str(name)) for name in facts.each("gaze_eye"))
    accuracy = median_and_range(facts.measured("Gaze", "accuracy_deg"), "°")
    precision = median_and_range(facts.measured("Gaze", "precision_rms_deg"), "°", 3)
    lost = median_and_range(facts.measured("Gaze", "loss_fraction"), "%", 1, scale=100)
    return _sentences(
        f"Gaze was recorded with {device or 'an eye tracker (model not recorded)'} at "
        f"{median_and_range(rates, 'Hz', 0)}, measured from its time stamps",
        f"Gaze rests on {eye}" if eye else "",
        f"Accuracy at validation was {accuracy} (median, range over sessions)"
        if accuracy
        else "Accuracy was not recorded",
        f"Precision (root mean square of sample-to-sample distances in fixations) was {precision}"
        if precision
        else "",
        f"{lost} of the samples were lost" if lost else "",
        f"Fixations and saccades were found by {detector}" if detector else "",
        "Saccade peak velocities are reported from 250 Hz on, microsaccades from 300 Hz on",
        f"Areas of interest: {facts.told('aois')}" if facts.told("aois") else "",
    )


def _pupil(facts: Facts) -> str:
    if not facts.pupil:
        return ""
    return _sentences(
        f"Pupils were recorded as {' and '.join(facts.pupil)}, as the device gives them",
        "Pupil change is the pupil minus the median of the 500 ms before onset, where at least half of "
        "these samples are valid; implausibly small baselines count as missing",
    )


def _face(facts: Facts) -> str:
    backends = facts.backends()
    if not facts.each("face_stream"):
        return "The face was not recorded."
    rate = median_and_range(facts.numbers("face", "sampling_rate_hz"), "Hz", 0)
    usable = median_and_range(facts.numbers("face", "usable_fraction"), "%", 0, scale=100)
    references = [REFERENCES.get(str(one), "") for one in facts.each("face_calibration", "source")]
    speech = facts.leaves_out_speech()
    was = f"The face was measured at {rate}; {usable} of the frames could be used" if rate else ""
    if backends == [RECORDED]:
        how = (
            "Facial Action Units (Ekman, Friesen & Hager 2002), 0 (absent) to 5, are those of the recorded "
            "stream, as its sender estimated them; its reliability is not known here"
        )
    else:
        how = (
            "Facial Action Units (Ekman, Friesen & Hager 2002) were estimated, not coded by humans, with the "
            f"backend {', '.join(backends)} of Duchenne, from 0 (absent) to 5"
        )
    return _sentences(
        was,
        how,
        reliability_said(backends),
        *(reference for reference in references if reference),
        "Frames in which the participant spoke are left out of the mouth's Action Units"
        if speech
        else "",
        "Intensities are reported as they are and as the change from the second before onset",
        "Expressions are matched to prototypes of Action Units: a match describes the face, not a feeling",
    )


def reliability_said(backends: list[str]) -> str:
    """Return how reliable the measurement of Action Units is, in a sentence; empty where unknown."""
    if "geometry" not in backends:
        return ""
    card = shipped_card()
    known = [
        row["icc"] for row in card["reliability"].values() if row.get("reliable") and "icc" in row
    ]
    poor = [au for au, row in card["reliability"].items() if row.get("reliable") is False]
    left_out = f"; {', '.join(poor)} are not reliable and kept out of prototypes" if poor else ""
    return (
        f"On {card['n_test_pictures']} rendered faces of {card['n_test_identities']} identities never "
        f"trained on, the intraclass correlation with the true intensity was {min(known):.2f} to "
        f"{max(known):.2f} for {len(known)} Action Units{left_out}; agreement with human FACS coders was "
        "not measured by this software"
    )


def _windows(facts: Facts) -> str:
    said = windows_said(facts)
    also = f", and within {said}" if said else ""
    return _sentences(f"Measures are taken over the whole stimulus, from onset to offset{also}")


def _exclusions(data: StudyData, facts: Facts) -> str:
    rules = "; or ".join(rules_said(rule) for rule in facts.each("exclusion_rules"))
    n = int(excluded(data.summary).sum())
    lock = facts.exclusions
    declared = (
        f"The rules (SHA-256 {str(lock.get('sha256'))[:12]}…) have been fixed since "
        f"{str(lock.get('locked_utc'))[:10]}"
        if lock.get("locked_utc")
        else ""
    )
    changes = len(lock.get("changes") or ())
    return _sentences(
        f"A presentation was excluded where {rules}" if rules else "",
        declared + (f" and were changed {changes} times after" if declared and changes else ""),
        f"{n} of {len(data.summary)} presentations ({100 * n / max(len(data.summary), 1):.0f} %) were "
        "excluded",
    )


def rules_said(rules: Mapping[str, Any]) -> str:
    """Return the rules on presentations in words; as they are written where they are of another version."""
    try:
        return ExclusionRules.model_validate(dict(rules)).in_words()
    except ValueError:
        return as_said(dict(rules))


def windows_said(facts: Facts) -> str:
    """Return the windows of time that were measured besides the whole stimulus; empty where none were."""
    found = []
    for one in distinct(provenance.get("windows") for provenance in facts.provenances):
        found += [
            f"{window.get('name')} ({_span_said(window)})" for window in one.get("windows") or ()
        ]
        sliding = one.get("sliding_windows")
        if sliding:
            found.append(f"sliding windows of {as_said(sliding.get('width_s'))} s")
    return ", ".join(dict.fromkeys(found))


def _span_said(window: Mapping[str, Any]) -> str:
    start, stop = as_said(window.get("start_s")), window.get("stop_s")
    origin = window.get("relative_to", "onset")
    if stop is None:
        return f"from {start} s after {origin} to the end of the stimulus"
    return f"{start} to {as_said(stop)} s after {origin}"


def _models(statistics: StudyStatistics | None) -> str:
    if not statistics or not statistics.contrasts:
        return ""
    families = {
        name: sum(one.family == name for one in statistics.contrasts)
        for name in ("primary", "exploratory")
    }
    counts = " and ".join(f"{n} {name}" for name, n in families.items() if n)
    declaration = statistics.declaration
    permuted = max((one.n_permutations for one in statistics.contrasts), default=0)
    date = f" on {declaration.declared_utc[:10]}" if declaration.declared_utc else ""
    return _sentences(
        f"{counts} contrasts were {declaration.status}{date} (SHA-256 {str(declaration.hash)[:12]}…)",
        "Each was estimated with a linear mixed model with random intercepts and slopes of participants "
        "and crossed random intercepts of stimuli",
        f"p values of small samples come from {permuted} permutations as well" if permuted else "",
        "They are corrected by Holm's method among primary and by Benjamini and Hochberg's among exploratory "
        "contrasts",
        "Time courses were compared by cluster permutation" if statistics.curves else "",
        "Sensitivity is the smallest effect that this design finds with the declared power (in four of five "
        "studies where none was declared); power was not computed from observed effects",
    )


def _software(facts: Facts) -> str:
    recorded = sorted(
        {
            str(one.get("software", {}).get("recorded_with"))
            for one in facts.provenances
            if one.get("software", {}).get("recorded_with")
        }
    )
    analysed = sorted({str(one.get("software", {}).get("duchenne")) for one in facts.provenances})
    pythons = sorted({str(one.get("software", {}).get("python")) for one in facts.provenances})
    return _sentences(
        f"Sessions were recorded with Duchenne {', '.join(recorded)}" if recorded else "",
        f"They were analysed with Duchenne {', '.join(analysed)} on Python {', '.join(pythons)} "
        f"({facts.packages()})",
        f"This text was written by Duchenne {__version__}",
    )
