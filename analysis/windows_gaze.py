"""What the eyes and the pupil did in a window of time, from arrays: many short windows are cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.limits import carried
from duchenne.analysis.gaze.pupil import BASELINE_MIN_VALID, BASELINE_S, CHANGE_MIN_VALID
from duchenne.analysis.gaze.pupil_features import measured_share
from duchenne.analysis.gaze.signal import sampling_rate_hz
from duchenne.analysis.windows_face import standard_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.pupil_session import SessionPupil

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

BLOCK_S = 0.1
"""The standard error of a pupil rests on means of this long: nothing in it is quicker."""
GAZE_WINDOW_MEASURES = (
    "gaze_valid_fraction", "n_fixations", "fixation_rate_hz", "mean_fixation_duration_s",
    "gaze_dispersion_deg", "n_saccades", "saccade_rate_hz", "mean_saccade_amplitude_deg",
    "n_blinks", "blink_rate_hz",
)  # fmt: skip
PUPIL_WINDOW_MEASURES = (
    "pupil_valid_fraction", "pupil_change_clean_mean", "pupil_change_clean_mean_se",
    "pupil_change_clean_peak", "pupil_change_mean_light_corrected",
)  # fmt: skip


@dataclass(frozen=True)
class GazeSeries:
    """Samples and events of a gaze stream as arrays.

    Parameters
    ----------
    times_s : (n,) float64
    valid, analysable : (n,) bool
        Measured; measured and neither blink nor undefined.
    rate_hz : float
    rate_varies : bool
        The rate of a window is then that of its own samples.
    fixations : (m, 4) float64
        Onset, duration, x and y in degrees.
    saccades : (m, 2) float64
        Onset and amplitude in degrees.
    clipped_fixations, clipped_saccades : (m,) bool
        Touched by loss.
    blinks_s : (m,) float64
        Onsets.
    """

    times_s: Floats
    valid: Bools
    analysable: Bools
    rate_hz: float
    rate_varies: bool
    fixations: Floats
    clipped_fixations: Bools
    saccades: Floats
    clipped_saccades: Bools
    blinks_s: Floats

    @classmethod
    def of(cls, result: GazeResult) -> GazeSeries:
        """Return the arrays of a result."""
        samples = result.samples
        valid = samples["valid"].to_numpy(dtype=bool)
        label = samples["label"].to_numpy()
        columns = ["onset", "duration", "x_deg", "y_deg"]
        return cls(
            samples["time"].to_numpy(dtype=np.float64),
            valid,
            valid & (label != Label.BLINK) & (label != Label.UNDEFINED),
            result.sampling_rate_hz,
            bool(result.quality.get("rate_varies")),
            result.fixations[columns].to_numpy(dtype=np.float64),
            result.fixations["clipped"].to_numpy(dtype=bool),
            result.saccades[["onset", "amplitude_deg"]].to_numpy(dtype=np.float64),
            result.saccades["clipped"].to_numpy(dtype=bool),
            result.blinks["onset"].to_numpy(dtype=np.float64),
        )

    def measures(self, start_s: float, stop_s: float) -> dict[str, Any]:
        """Measure one window as :func:`duchenne.analysis.gaze.features.gaze_features` does."""
        nan = float("nan")
        first, last = np.searchsorted(self.times_s, [start_s, stop_s], side="left")
        within = slice(int(first), int(last))
        rate = self.rate_hz
        if self.rate_varies and last - first > 1:
            here = sampling_rate_hz(self.times_s[within])
            rate = here if np.isfinite(here) else rate
        n_valid = int(np.count_nonzero(self.valid[within]))
        due = max(float(last - first), (stop_s - start_s) * rate)
        seconds = float(np.count_nonzero(self.analysable[within])) / rate if n_valid else 0.0
        measured = seconds > 0
        fixations = _begun(self.fixations[:, 0], start_s, stop_s)
        begun = self.fixations[fixations]
        ends = begun[:, 0] + begun[:, 1]
        whole = begun[~self.clipped_fixations[fixations] & (ends <= stop_s), 1]
        saccades = _begun(self.saccades[:, 0], start_s, stop_s)
        amplitude = self.saccades[saccades][~self.clipped_saccades[saccades], 1]
        blinks = _begun(self.blinks_s, start_s, stop_s)
        n_blinks = blinks.stop - blinks.start
        n_saccades = saccades.stop - saccades.start
        row = {
            "gaze_valid_fraction": n_valid / due if np.isfinite(due) and due > 0 else 0.0,
            "n_fixations": len(begun) if measured else nan,
            "fixation_rate_hz": len(begun) / seconds if measured else nan,
            "mean_fixation_duration_s": _mean(whole),
            "gaze_dispersion_deg": float(np.sqrt(begun[:, 2].var() + begun[:, 3].var()))
            if len(begun) > 1
            else nan,
            "n_saccades": n_saccades if measured else nan,
            "saccade_rate_hz": n_saccades / seconds if measured else nan,
            "mean_saccade_amplitude_deg": _mean(amplitude),
            "n_blinks": n_blinks if measured else nan,
            "blink_rate_hz": n_blinks / (stop_s - start_s) if measured else nan,
        }
        return {k: v if carried(k, self.rate_hz) else nan for k, v in row.items()}


def pupil_measures(
    pupil: SessionPupil, start_s: float, stop_s: float, onset_s: float, *, usable: bool
) -> dict[str, float]:
    """Measure the cleaned pupil in one window, against the 500 ms before the stimulus.

    Parameters
    ----------
    pupil : SessionPupil
    start_s, stop_s : float
        The window; its end is excluded.
    onset_s : float
        Onset of the stimulus.
    usable : bool
        Whether the pupil of the presentation can be used (``pupil_flag`` is ``ok``).

    Returns
    -------
    dict
        ``pupil_valid_fraction`` and the changes in the unit of the pupil; NaN where less than half of
        the baseline or of the window was measured, or `usable` is False.
    """
    before = _window(pupil.times_s, onset_s - BASELINE_S, onset_s)
    within = _window(pupil.times_s, start_s, stop_s)
    seen_before = measured_share(pupil.times_s, pupil.measured, onset_s - BASELINE_S, onset_s)
    seen = measured_share(pupil.times_s, pupil.measured, start_s, stop_s)
    row = dict.fromkeys(PUPIL_WINDOW_MEASURES, float("nan"))
    row["pupil_valid_fraction"] = seen
    if not usable or seen_before < BASELINE_MIN_VALID or seen < CHANGE_MIN_VALID:
        return row
    size, lit = pupil.size, pupil.size - pupil.light
    change = size[within] - _median(size[before])
    known = change[np.isfinite(change)]
    if known.size:
        row["pupil_change_clean_mean"] = float(known.mean())
        row["pupil_change_clean_peak"] = float(known.max())
        row["pupil_change_clean_mean_se"] = pupil_error(pupil, start_s, stop_s)
    row["pupil_change_mean_light_corrected"] = _mean(lit[within] - _median(lit[before]))
    return row


def pupil_error(pupil: SessionPupil, start_s: float, stop_s: float) -> float:
    """Return the standard error of the mean of the cleaned pupil, from means of a tenth of a second."""
    within = _window(pupil.times_s, start_s, stop_s)
    size = np.where(pupil.measured[within], pupil.size[within], np.nan)
    step = float(np.median(np.diff(pupil.times_s[:100]))) if pupil.times_s.size > 1 else np.nan
    each = max(1, round(BLOCK_S / step)) if step > 0 else 1
    n = size.size // each
    if not n:
        return float("nan")
    blocks = size[: n * each].reshape(n, each)
    known = np.isfinite(blocks)
    count = known.sum(axis=1)
    total = np.where(known, blocks, 0.0).sum(axis=1)
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return float(standard_errors(means[:, None])[0])


def _begun(onsets: Floats, start_s: float, stop_s: float) -> slice:
    first, last = np.searchsorted(onsets, [start_s, stop_s], side="left")
    return slice(int(first), int(last))


def _window(times_s: Floats, start_s: float, stop_s: float) -> slice:
    first, last = np.searchsorted(times_s, [start_s, stop_s], side="left")
    return slice(int(first), int(max(first, last)))


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
