"""What the columns of the gaze tables mean, as data."""

from __future__ import annotations

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.tables import Column

_SECONDS = "seconds in the time of the input"
_SCREEN = "pixels from the top left corner of the screen, y down"
_DEGREES = "degrees of visual angle from the screen centre, right and up positive"
_EYES = {
    "both": "mean of both eyes",
    "left": "left eye",
    "right": "right eye",
    "unknown": "the input names no eye",
}
_CLIPPED = "It begins or ends at loss, at a gap or at an end of the recording."


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


def _count(description: str) -> Column:
    return Column(description, kind="integer")


def _flag(description: str) -> Column:
    return Column(description, kind="boolean")


def _event(name: str) -> dict[str, Column]:
    return {
        "onset": _number(f"First sample of the {name}, {_SECONDS}.", "s"),
        "duration": _number(f"From the first sample of the {name} to the one after its last.", "s"),
    }


_EYE = Column("Eye measured in most samples of the event.", levels=_EYES, kind="string")

FIXATIONS: dict[str, Column] = {
    **_event("fixation"),
    "eye": _EYE,
    "x_px": _number(f"Mean horizontal position, {_SCREEN}.", "px"),
    "y_px": _number(f"Mean vertical position, {_SCREEN}.", "px"),
    "x_deg": _number(f"Mean horizontal position, {_DEGREES}.", "deg"),
    "y_deg": _number(f"Mean vertical position, {_DEGREES}.", "deg"),
    "x_stim": _number("Mean horizontal position within the stimulus, 0 left to 1 right.", "1"),
    "y_stim": _number("Mean vertical position within the stimulus, 0 top to 1 bottom.", "1"),
    "dispersion_deg": _number("Root mean square distance of the samples from their mean.", "deg"),
    "clipped": _flag(f"{_CLIPPED} The true duration is longer or unknown."),
}

SACCADES: dict[str, Column] = {
    **_event("saccade"),
    "eye": _EYE,
    "amplitude_deg": _number("Straight distance from start to end.", "deg"),
    "peak_velocity_deg_s": _number(
        "Highest speed (Savitzky-Golay, order 2, 11 ms); n/a below 250 Hz.", "deg/s"
    ),
    "direction_deg": _number("Direction from start to end: 0 right, 90 up, -90 down.", "deg"),
    "start_x_deg": _number(f"Horizontal start, {_DEGREES}.", "deg"),
    "start_y_deg": _number(f"Vertical start, {_DEGREES}.", "deg"),
    "end_x_deg": _number(f"Horizontal end, {_DEGREES}.", "deg"),
    "end_y_deg": _number(f"Vertical end, {_DEGREES}.", "deg"),
    "clipped": _flag(_CLIPPED),
}

BLINKS: dict[str, Column] = {
    "onset": _number(f"First lost sample, {_SECONDS}.", "s"),
    "duration": _number("Duration of the loss (50-500 ms), without the guard around it.", "s"),
    "source": Column(
        "What showed the blink.",
        levels={
            "lid": "loss of gaze while the lids were seen to close",
            "pupil_loss": "loss of gaze and pupil of both eyes; nothing is known of the lids",
            "gaze_loss": "loss of gaze, as the input has no pupil; nothing is known of the lids",
        },
        kind="string",
    ),
}

SAMPLES: dict[str, Column] = {
    "time": _number(f"Time of the sample, {_SECONDS}.", "s"),
    **{
        f"{eye}_{axis}": _number(
            f"{axis} of the {eye} eye, 0 to 1 across the screen, origin top left; missing where invalid.",
            "1",
        )
        for eye in ("left", "right")
        for axis in ("x", "y")
    },
    "x_px": _number(f"Horizontal position, eyes combined, {_SCREEN}.", "px"),
    "y_px": _number(f"Vertical position, eyes combined, {_SCREEN}.", "px"),
    "x_deg": _number(f"Horizontal position, eyes combined, {_DEGREES}.", "deg"),
    "y_deg": _number(f"Vertical position, eyes combined, {_DEGREES}.", "deg"),
    "left_pupil": _number("Pupil of the left eye, in the unit of the device."),
    "right_pupil": _number("Pupil of the right eye, in the unit of the device."),
    "pupil": _number("Cleaned pupil, eyes combined, in the unit of the device; missing in blinks."),
    "valid": _flag("Gaze was measured by at least one eye."),
    "label": Column(
        "What the eye does.",
        levels={str(int(item)): item.name.lower() for item in Label},
        kind="integer",
    ),
}

QUALITY: dict[str, Column] = {
    "n_samples": _count("Samples in the input."),
    "duration_s": _number("From the first sample to one period after the last.", "s"),
    "sampling_rate_hz": _number("Sampling rate from the time stamps, gaps left out.", "Hz"),
    "effective_rate_hz": _number("Valid samples per second of the recording.", "Hz"),
    "valid_fraction": _number("Share of the samples due that are valid; gaps are loss.", "1"),
    "loss_fraction": _number("1 - valid_fraction.", "1"),
    "rms_s2s_deg": _number(
        "Precision: root mean square of sample-to-sample distances, median over fixations.", "deg"
    ),
    "std_deg": _number("Precision: standard deviation of gaze, median over fixations.", "deg"),
    "bcea_deg2": _number(
        "Precision: area of the ellipse that holds 68 % of gaze, median over fixations.", "deg^2"
    ),
    "n_gaps": _count("Intervals between samples longer than 3 periods and 10 ms."),
    "longest_gap_s": _number("The longest of them; 0 where there is none.", "s"),
    "n_backward_stamps": _count("Time stamps that ran backwards and were sorted."),
    "n_duplicate_stamps": _count("Time stamps equal to the one before."),
    "rate_varies": _flag(
        "The sampling rate changed by more than a fifth between blocks of 5 s (a tenth of a shorter "
        "recording); events are found in each stretch of one rate by itself."
    ),
    "n_rates": _count("Stretches of one sampling rate each, in which events were found."),
    "sampling_rate_min_hz": _number("Lowest sampling rate of a block of 5 s.", "Hz"),
    "sampling_rate_max_hz": _number("Highest sampling rate of a block of 5 s.", "Hz"),
    "eye": Column(
        "Eye that positions and events rest on.",
        levels={
            "both": "mean of both eyes; where one is lost the other, moved by half their difference",
            "left": "left eye only",
            "right": "right eye only",
            "unknown": "the input names no eye",
        },
        kind="string",
    ),
    "distance_source": Column(
        "Viewing distance behind degrees.",
        levels={
            "declared": "one distance, as declared with the screen",
            "measured": "the eye tracker's distance at each sample",
        },
        kind="string",
    ),
    "distance_cm": _number("Viewing distance: declared, or the median of those measured.", "cm"),
    "not_measured": Column(
        "Measures that the sampling rate cannot carry, with the reason; n/a where it carries all.",
        kind="string",
    ),
    "n_fixations": _count("Fixations found."),
    "n_saccades": _count("Saccades found."),
    "n_blinks": _count("Blinks found."),
    "detector": Column("Event detector.", kind="string"),
    "pupil_unit": Column("Unit of the pupil as given.", kind="string"),
    "pupil_measure": Column("What of the pupil was measured, as given.", kind="string"),
}

FEATURES: dict[str, Column] = {
    "gaze_valid_fraction": _number(
        "Share of the gaze samples due in the window that are valid.", "1"
    ),
    "n_fixations": _count("Fixations that begin in the window; n/a without valid gaze."),
    "fixation_rate_hz": _number("n_fixations per second of analysable gaze.", "Hz"),
    "mean_fixation_duration_s": _number(
        "Mean duration of the fixations that begin and end in the window and touch no loss.", "s"
    ),
    "n_saccades": _count("Saccades that begin in the window; n/a without valid gaze."),
    "saccade_rate_hz": _number("n_saccades per second of analysable gaze.", "Hz"),
    "mean_saccade_amplitude_deg": _number(
        "Mean amplitude of those saccades that touch no loss.", "deg"
    ),
    "saccade_peak_velocity_deg_s": _number(
        "Mean peak velocity of those saccades that touch no loss; n/a below 250 Hz.", "deg/s"
    ),
    "n_blinks": _count("Blinks that begin in the window; n/a without valid gaze."),
    "blink_rate_hz": _number("n_blinks per second of the window.", "Hz"),
    "pupil_baseline": _number(
        "Median pupil of the last 500 ms before onset, in pupil_unit; n/a where less than half is valid "
        "or it is below half of the recording's median."
    ),
    "pupil_change_mean": _number(
        "Mean pupil from 220 ms after onset to offset, minus pupil_baseline; n/a where less than half is "
        "valid. Luminance is not accounted for."
    ),
    "pupil_change_peak": _number(
        "Largest pupil (mean over 100 ms) from 220 ms after onset to offset, minus pupil_baseline."
    ),
    "pupil_unit": Column("Unit of the pupil as the device gives it.", kind="string"),
    "pupil_measure": Column("What the device measures: diameter or area.", kind="string"),
    "gaze_entropy": _number(
        "Stationary gaze entropy of dwell time on a 4 x 4 grid over the stimulus, 0 to 4; n/a for fewer "
        "than 3 fixations on it. Biased downwards by few fixations: compare windows of equal length.",
        "bit",
    ),
    "median_fixation_duration_s": _number(
        "Median duration of the fixations that begin and end in the window and touch no loss.", "s"
    ),
    "sd_fixation_duration_s": _number(
        "Standard deviation of their duration; n/a for fewer than 2.", "s"
    ),
    "mean_fixation_dispersion_deg": _number(
        "Mean spread within fixations (root mean square distance of samples from their mean).",
        "deg",
    ),
    "gaze_dispersion_deg": _number(
        "Spread of fixations: root mean square distance from their centre; n/a for fewer than 2.",
        "deg",
    ),
    "gaze_bcea_deg2": _number(
        "Bivariate contour ellipse area (68 %) of all fixation samples in the window: how large the "
        "region is that gaze covers (Crossland & Rubin 2002).",
        "deg^2",
    ),
    "first_fixation_latency_s": _number(
        "From the onset of the window to the first fixation that begins in it; the fixation under way "
        "at onset does not count.",
        "s",
    ),
    "first_fixation_on_stimulus_latency_s": _number(
        "The same for the first fixation that lies on the stimulus.", "s"
    ),
    "first_saccade_latency_s": _number(
        "From the onset of the window to the first saccade; n/a below 50 Hz.", "s"
    ),
    "on_stimulus_fraction": _number("Share of fixation time that lies on the stimulus.", "1"),
    "centre_bias_deg": _number(
        "Mean distance of fixations on the stimulus from its centre, weighted by duration; small: "
        "gaze stays at the centre (Tatler 2007).",
        "deg",
    ),
    "scanpath_length_deg": _number(
        "Sum of the distances between consecutive fixations; n/a for fewer than 2.", "deg"
    ),
    "coefficient_k": _number(
        "Coefficient K: mean of z(fixation duration) - z(amplitude of the next saccade), z over the "
        "recording; above 0 focal, below 0 ambient viewing; n/a for fewer than 3 pairs and below 50 "
        "Hz (Krejtz et al. 2016)."
    ),
    "gaze_entropy_normalised": _number("gaze_entropy divided by its maximum, 4 bits.", "1"),
    "gaze_entropy_miller_madow": _number(
        "Entropy of the number of fixations by cell, with the Miller-Madow correction of the bias by "
        "few fixations, at most 4 bits; too low still where fixations are fewer than cells.",
        "bit",
    ),
    "gaze_transition_entropy": _number(
        "Entropy of the next cell given the present one, over transitions between consecutive "
        "fixations on the stimulus, 0 to 4; n/a for fewer than 3 transitions. Biased strongly "
        "downwards by few transitions (Krejtz et al. 2014).",
        "bit",
    ),
    "gaze_transition_entropy_normalised": _number(
        "gaze_transition_entropy divided by its maximum, 4 bits.", "1"
    ),
    "median_saccade_amplitude_deg": _number(
        "Median amplitude of the saccades that touch no loss; n/a below 50 Hz.", "deg"
    ),
    "mean_saccade_duration_s": _number(
        "Mean duration of the saccades that touch no loss; n/a below 200 Hz (Andersson et al. 2010).",
        "s",
    ),
    "saccade_direction_mean_deg": _number(
        "Circular mean of the directions of saccades: 0 right, 90 up, -90 down; means little where "
        "saccade_direction_resultant is small.",
        "deg",
    ),
    "saccade_direction_resultant": _number(
        "Length of the mean direction vector: 0 all directions alike, 1 one direction.", "1"
    ),
    "saccade_horizontal_share": _number(
        "Share of saccades within 45 degrees of left or right.", "1"
    ),
    "main_sequence_vmax_deg_s": _number(
        "Main sequence, peak velocity = vmax * (1 - exp(-amplitude / scale)), fitted by least squares "
        "to the saccades that touch no loss; n/a for fewer than 5, amplitudes within a factor of 2, "
        "no bend, and below 250 Hz (Baloh et al. 1975). With few saccades it is rough.",
        "deg/s",
    ),
    "main_sequence_scale_deg": _number("Scale of the main sequence; n/a as above.", "deg"),
    "main_sequence_r2": _number(
        "Share of the variance of peak velocity that the main sequence explains.", "1"
    ),
    "n_microsaccades": _count(
        "Movements below 1 degree within fixations, of both eyes at once where there are two (Engbert "
        "& Kliegl 2003, lambda 6); n/a below 300 Hz, or where noise puts the threshold above 50 deg/s."
    ),
    "microsaccade_rate_hz": _number(
        "n_microsaccades per second of analysable gaze outside saccades of 1 degree and more.", "Hz"
    ),
    "mean_blink_duration_s": _number(
        "Mean duration of the blinks that begin in the window; n/a without any and below 50 Hz.",
        "s",
    ),
    "pursuit_fraction": _number(
        "Share of analysable gaze that is smooth pursuit; 0 for still images, where none is looked "
        "for; n/a with a detector that knows no pursuit and below 50 Hz.",
        "1",
    ),
    "pursuit_speed_deg_s": _number("Median speed of the eye in pursuit.", "deg/s"),
    "pursuit_gain": _number(
        "Median of eye velocity along the target's motion divided by target speed; n/a where no "
        "target was given.",
        "1",
    ),
}

AOIS: dict[str, Column] = {
    "aoi": Column("Area of interest.", kind="string"),
    "basis": Column(
        "What dwell is counted by.",
        levels={
            "fixations": "fixations that begin in the window, as the areas stand still",
            "samples": "samples in fixation or pursuit, as the areas move",
        },
        kind="string",
    ),
    "dwell_s": _number("Time that gaze was in the area.", "s"),
    "dwell_fraction": _number(
        "Its share of the time of all fixations (samples) in the window, also those beside all areas.",
        "1",
    ),
    "first_fixation_latency_s": _number(
        "From the onset of the window until gaze was first in the area; n/a if never.", "s"
    ),
    "n_fixations": _count("Fixations in the area; n/a for areas that move."),
    "n_visits": _count("Stays in the area: runs of fixations (samples) without leaving it."),
    "n_revisits": _count("Visits after the first."),
    "area_fraction": _number(
        "Share of the stimulus that the area covers with its margin (mean over the film): the dwell "
        "share of gaze that knows nothing of the areas.",
        "1",
    ),
    "dwell_over_chance": _number(
        "dwell_fraction divided by area_fraction: 1 is chance, if gaze were spread evenly.", "1"
    ),
    "margin_deg": _number(
        "Margin around the area; should be the validated accuracy or more.", "deg"
    ),
    "smallest_side_deg": _number("The area's smaller side, without margin.", "deg"),
    "smaller_than_margin": _flag(
        "The area is smaller than its margin: the tracker cannot tell gaze on it from gaze beside it."
    ),
}
