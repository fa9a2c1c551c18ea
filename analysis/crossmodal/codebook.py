"""What the columns of the cross-modal tables mean."""

from __future__ import annotations

from duchenne.analysis.codebooks import IDENTITY
from duchenne.analysis.crossmodal.content import OUTSIDE
from duchenne.analysis.crossmodal.lagged import MAX_LAG_S, WINDOW_S
from duchenne.analysis.crossmodal.reactions import DEFAULT_REACTION as RULE
from duchenne.analysis.tables import Column


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


def _count(description: str) -> Column:
    return Column(description, kind="integer")


def _label(description: str) -> Column:
    return Column(description, kind="string")


def _flag(description: str) -> Column:
    return Column(description, kind="boolean")


_WHERE = IDENTITY | {
    "presentation_id": _label("Presentation: the key to the other tables."),
    "trial": _count("Number of the trial within the run, from 1."),
    "stimulus_id": _label("Identifier of the stimulus in its manifest."),
    "category": _label("Category of the stimulus."),
}
_AU = "Action Unit; `face`: {}."
_REASON = _label("Why values are n/a; n/a where they are not.")
_MOVED = (
    "moved around the film in time (as a circle, by 5 s and more, or a quarter of a film below 20 s; and "
    "run backwards)"
)
_P = (
    "Probability of such a value by chance, one-sided: (1 + m f) / (1 + m), where f is the share of "
    "movements in time that reach {} and m is n_independent: a short film cannot reach a small p"
)
_RISE = (
    f"a rise of at least {RULE.min_rise:g} and of {RULE.noise_factor:g} robust standard deviations above "
    f"the median of the last {RULE.baseline_s:g} s before the stimulus; of the mouth, without speech"
)

REACTIONS: dict[str, Column] = _WHERE | {
    "au": _label(_AU.format("the first reaction of any that is reliable, eyelids aside")),
    "reacted": _flag(
        f"The Action Unit rose while the stimulus was shown ({_RISE}); n/a: less than half of baseline or "
        "stimulus was measured."
    ),
    "latency_s": _number(
        "From the onset of the stimulus to that of the rise: a tenth of its peak above the baseline, at "
        "least 0.25; n/a: no reaction, or its beginning was not measured.",
        "s",
    ),
    "uncertainty_s": _number(
        "Time between the two measured video frames around the reaction: the latency is no finer.",
        "s",
    ),
    "latency_known": _flag(
        "How late the camera stamps its frames was declared or measured; false: the latency contains it "
        "(USB cameras: 36 to 150 ms, different at each start)."
    ),
    "early": _flag(f"It began within {1000 * RULE.early_s:g} ms: too soon to answer the stimulus."),
    "rise": _number("Peak of the rise above the baseline, intensity."),
    "apex_latency_s": _number("From the onset of the stimulus to 95 % of the peak.", "s"),
    "baseline": _number("Median intensity in the second before the stimulus, 0 to 5."),
    "threshold": _number("Intensity that a reaction had to reach."),
    "measured_fraction": _number("Share of the stimulus' video frames that were measured.", "1"),
    "first_au": _label("Action Unit of the reaction; of the face, the one that was first."),
    "x_stim": _number(
        "Fixation at the reaction: horizontal position in the stimulus, 0 left to 1 right; n/a in a "
        "saccade, a blink or loss.",
        "1",
    ),
    "y_stim": _number("The same, vertical, 0 top to 1 bottom.", "1"),
    "aoi": _label(
        f"Area of interest that gaze was in at the reaction; {OUTSIDE}: beside all; n/a: no areas, or gaze "
        "in none of its stays."
    ),
    "aoi_before": _label("Area that gaze was in for longest in the second before the reaction."),
    "aoi_before_fraction": _number("Its share of the gaze in that second.", "1"),
    "since_first_fixation_s": _number(
        "From the first look at `aoi` (where it is n/a, at `aoi_before`) to the reaction.", "s"
    ),
    "reason": _REASON,
}
REACTION_AOIS: dict[str, Column] = _WHERE | {
    "au": _label(_AU.format("the first reaction of any")),
    "latency_s": _number("As in the table of reactions; only reactions with a latency.", "s"),
    "aoi": _label("Area of interest."),
    "fixated": _flag("Gaze was in it at the reaction; n/a: gaze was in none of its stays."),
    "dwell_before_fraction": _number(
        "Share of the gaze in the second before the reaction (from the onset where that is shorter).",
        "1",
    ),
    "dwell_fraction": _number(
        "Share of the gaze in the whole presentation: what to expect where a reaction has nothing to do "
        "with the area.",
        "1",
    ),
    "first_fixation_s": _number("From the onset to the first look at the area; n/a: never.", "s"),
    "since_first_fixation_s": _number(
        "From that look to the reaction; negative: looked at only afterwards.", "s"
    ),
}
MIMICRY: dict[str, Column] = _WHERE | {
    "au": _label(_AU.format("all that move in the film together")),
    "r": _number(
        f"Correlation with the same Action Unit of the face in the film within windows of {WINDOW_S:g} s, "
        f"mean over the windows in which it moves, at the lag (0 to {MAX_LAG_S:g} s) where it is highest. "
        "Highest of many: compare it with r_chance, not with 0."
    ),
    "lag_s": _number("How much later than the face in the film, at that lag.", "s"),
    "z": _number("(r - r_chance) in standard deviations of r over the movements in time."),
    "p": _number(
        f"{_P.format('r')}, not corrected for the number of Action Units and films.",
        "1",
    ),
    "r_chance": _number(
        f"Mean of r, searched in the same way, with the participant's curve {_MOVED}."
    ),
    "r_chance_q95": _number("95th percentile of the same."),
    "n_shifts": _count("Movements in time, one each half second, forwards and backwards."),
    "n_independent": _number(
        "How many independent movements these are worth: slow curves change little in half a second."
    ),
    "r_other_films": _number(
        "Mean of r with the faces of other films that the participant saw, each cut to the shorter length "
        "(`face`: mean over the Action Units); n/a: no other with a face that moves."
    ),
    "n_other_films": _count("How many other films, at most 5."),
    "n_windows": _count("Windows in which the face in the film moves and both are measured."),
    "measured_fraction": _number("Share of the film with a measurement of the participant.", "1"),
    "reason": _REASON,
}
SIGNAL_SYNCHRONY: dict[str, Column] = IDENTITY | {
    "presentation_id": _label("Presentation: the key to the other tables."),
    "stimulus_id": _label("The film, by its identifier in the manifest."),
    "signal": _label("Action Unit, or `pupil` (standardised within each participant)."),
    "isc": _number(
        "Correlation over the film with the mean of all others (leave one out), -1 to 1, at 25 Hz."
    ),
    "isc_chance": _number(f"Mean of isc with the participant's own curve {_MOVED}."),
    "isc_chance_q95": _number("95th percentile of the same."),
    "z": _number("(isc - isc_chance) in standard deviations of isc over these movements."),
    "p": _number(
        f"{_P.format('isc')}, not corrected for the number of signals and films.",
        "1",
    ),
    "n_shifts": _count("Movements in time, one each half second, forwards and backwards."),
    "n_independent": _number(
        "How many independent movements these are worth: slow curves change little in half a second."
    ),
    "n_others": _count("Other participants whose signal on this film could be used."),
    "film_s": _number("How much of the film anybody was shown.", "s"),
    "known_fraction": _number("Share of the film during which the signal was measured.", "1"),
    "reason": _REASON,
}

FEATURES: dict[str, Column] = {
    "face_reacted": _flag(
        f"The face reacted while the stimulus was shown: {_RISE}. Any Action Unit that is reliable, "
        "eyelids aside. n/a: not measured well enough."
    ),
    "face_reaction_latency_s": _number(
        "From the onset of the stimulus to the first reaction; n/a: none, its beginning was not measured, "
        f"or within {1000 * RULE.early_s:g} ms.",
        "s",
    ),
    "face_reaction_uncertainty_s": _number(
        "Time between the two measured video frames around it.", "s"
    ),
    "face_reaction_au": _label("Action Unit that reacted first."),
    "face_reaction_aoi": _label(
        f"Area of interest that gaze was in at that moment; {OUTSIDE}: beside all."
    ),
    "mimicry_r": _number(
        "How the face followed the face in the film: mean windowed correlation of all Action Units that "
        f"move in it, at the best lag of 0 to {MAX_LAG_S:g} s; n/a: no film with a face. Compare with "
        "chance: mimicry_z."
    ),
    "mimicry_lag_s": _number("That lag.", "s"),
    "mimicry_z": _number(
        "mimicry_r against the same with the participant's curves moved around in time, in standard "
        "deviations."
    ),
}
