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
            "pupil_loss": "loss of gaze and pupil of both eyes",
            "gaze_loss": "loss of gaze, as the input has no pupil",
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
    "n_gaps": _count("Intervals between samples longer than 3 periods and 10 ms."),
    "longest_gap_s": _number("The longest of them; 0 where there is none.", "s"),
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
}
