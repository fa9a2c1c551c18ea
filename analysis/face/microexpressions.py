"""Candidates of micro-expressions: bursts of Action Units that are over within half a second.

A burst is a pulse in an intensity curve above the running median of 1.2 s, which follows held
expressions and their edges. Where the skin's optical flow moves with it, a weaker pulse is enough.
Blinks, speech and fast head turns are left out. A candidate is a brief movement of the face; that anything
was concealed is not implied (Ekman & Friesen 1969 gave the idea; durations after Yan et al. 2013:
half a second in all, or 260 ms from onset to apex).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.peaks import Pulses, find_pulses, runs
from duchenne.analysis.face.smoothing import Smoothing, local_fit, median_step_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from duchenne.analysis.face.flow_evidence import FlowEvidence
    from duchenne.analysis.face.frames import BoolArray, FloatArray

MIN_RATE_HZ = 60.0
# Cameras of 60 frames/s run at 59.94, and not exactly.
_RATE_TOLERANCE = 0.97
_MAD_TO_SD = 1.4826
SMOOTHING = Smoothing(window_s=0.1, bridge_s=0.05)
# Moved by a closing lid, or by the mouth of a speaker.
AT_BLINKS = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10")
LOWER_FACE = (
    "AU10", "AU11", "AU12", "AU13", "AU14", "AU15", "AU16", "AU17", "AU18", "AU20", "AU22", "AU23",
    "AU24", "AU25", "AU26", "AU27", "AU28",
)  # fmt: skip
NEVER = ("AU43", "AU45")
# Lids follow every look up or down, cheeks every move of a smile.
FOLLOWING = ("AU05", "AU06", "AU07")
COLUMNS = (
    "onset",
    "duration",
    "apex_s",
    "apex_frame",
    "aus",
    "peak",
    "flow_agreement",
    "confidence",
)


@dataclass(frozen=True)
class BurstRule:
    """What counts as a candidate.

    Parameters
    ----------
    duration_s : (shortest, longest)
        From a seventh of the rise to a seventh of the fall.
    longest_rise_s : float
        From onset to apex.
    min_peak, min_noise : float
        Least rise above the running median, as intensity and in standard deviations of the curve
        (from the median absolute deviation).
    weak_peak, weak_noise : float
        The same where optical flow agrees.
    min_agreement : float
        Standard deviations of flow from which it agrees.
    refuting_agreement : float
        Below so many the skin has not moved: the burst is left out.
    alone_peak : float
        Least peak of a candidate of nothing but lids and cheeks (AU05, AU06, AU07), which follow the gaze
        and a smile that is there already.
    median_s : float
        Width of the running median.
    together_s : float
        Action Units whose peaks are nearer to each other than this are one candidate.
    blink_margin_s, speech_margin_s : float
        Around blinks and speech, Action Units that these move are left out.
    max_head_speed_deg_s, head_window_s : float
        Bursts in a faster turn of the head are left out; its speed is taken over this window, longer than
        a burst, which moves the estimated pose too.
    """

    duration_s: tuple[float, float] = (0.04, 0.5)
    longest_rise_s: float = 0.3
    min_peak: float = 0.6
    min_noise: float = 8.0
    weak_peak: float = 0.4
    weak_noise: float = 5.0
    min_agreement: float = 3.0
    refuting_agreement: float = 1.0
    alone_peak: float = 1.2
    median_s: float = 1.2
    together_s: float = 0.12
    blink_margin_s: float = 0.1
    speech_margin_s: float = 0.3
    max_head_speed_deg_s: float = 20.0
    head_window_s: float = 0.4

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return asdict(self)


DEFAULT_RULE = BurstRule()
EDGE_LEVEL = 1 / 7


@dataclass(frozen=True)
class Spotting:
    """What was found, and what was left out.

    Parameters
    ----------
    candidates : pandas.DataFrame
        ``onset duration apex_s apex_frame aus peak flow_agreement confidence``, in order of onset.
        ``aus`` names the Action Units, such as ``AU01+AU02``; peak is the largest rise above the
        running median; flow agreement is in standard deviations, NaN without flow; confidence ranks
        candidates from 0 to 1 and is no probability.
    excluded : dict
        Bursts of single Action Units that were left out: ``blink``, ``speech``, ``head``.
    not_measured : str or None
        Why nothing was looked for; then the table is empty.
    """

    candidates: pd.DataFrame
    excluded: dict[str, int]
    not_measured: str | None = None


@dataclass(frozen=True)
class _Burst:
    au: str
    onset_s: float
    offset_s: float
    apex: int
    peak: float
    strength: float
    agreement: float


def fast_enough(times_s: FloatArray) -> bool:
    """Return whether the frames come at 60 per second or more (59.94 and a little less counts)."""
    step_s = median_step_s(times_s)
    return bool(step_s > 0 and 1 / step_s >= _RATE_TOLERANCE * MIN_RATE_HZ)


def spot(
    times_s: FloatArray,
    aus: Mapping[str, FloatArray],
    *,
    speaking: FloatArray,
    blinks: pd.DataFrame,
    head_speed_deg_s: FloatArray,
    flow: FlowEvidence | None = None,
    rule: BurstRule = DEFAULT_RULE,
) -> Spotting:
    """Look for brief bursts of Action Units.

    Parameters
    ----------
    times_s : (n,) float64
    aus : mapping of str to (n,) float64
        Intensities, 0 to 5, NaN where not measured; eyes closing (AU43, AU45) is passed over.
    speaking : (n,) float64
        1, 0 or NaN; unknown counts as not speaking.
    blinks : pandas.DataFrame
        ``onset duration``, seconds.
    head_speed_deg_s : (n,) float64
        NaN counts as still.
    flow : FlowEvidence, optional
        Of the same frames.
    rule : BurstRule
    """
    nothing = {"blink": 0, "speech": 0, "head": 0}
    if not fast_enough(times_s):
        step_s = median_step_s(times_s)
        rate_hz = 1 / step_s if step_s > 0 else np.nan
        return Spotting(
            _table([]),
            nothing,
            f"micro-expressions need {MIN_RATE_HZ:g} frames per second, not {rate_hz:.1f}: one of 40 ms is "
            "a single frame at 30",
        )
    near_blink = _near_blinks(times_s, blinks, rule.blink_margin_s)
    near_speech = _widened(times_s, speaking == 1.0, rule.speech_margin_s)
    turning = np.nan_to_num(head_speed_deg_s) > rule.max_head_speed_deg_s
    bursts: list[_Burst] = []
    excluded = dict(nothing)
    for au, values in aus.items():
        if au in NEVER:
            continue
        for burst in _bursts(times_s, au, values, flow, rule):
            during = (times_s >= burst.onset_s) & (times_s <= burst.offset_s)
            if turning[during].any():
                excluded["head"] += 1
            elif au in AT_BLINKS and near_blink[during].any():
                excluded["blink"] += 1
            elif au in LOWER_FACE and near_speech[during].any():
                excluded["speech"] += 1
            else:
                bursts.append(burst)
    groups = _grouped(times_s, bursts, rule.together_s)
    return Spotting(_table([g for g in groups if _stands_alone(g, rule)], times_s), excluded)


def _bursts(
    times_s: FloatArray,
    au: str,
    values: FloatArray,
    flow: FlowEvidence | None,
    rule: BurstRule,
) -> Iterable[_Burst]:
    """Yield the pulses of one Action Unit that are brief and clear enough."""
    step_s = median_step_s(times_s)
    rise = above_running_median(times_s, values, step_s, rule.median_s)
    known = rise[np.isfinite(rise)]
    if not len(known):
        return
    noise = _MAD_TO_SD * float(np.median(np.abs(known - np.median(known))))
    strong = max(rule.min_peak, rule.min_noise * noise)
    weak = max(rule.weak_peak, rule.weak_noise * noise)
    pulses = _brief(
        find_pulses(
            times_s,
            rise,
            step_s,
            prominence=weak,
            level=EDGE_LEVEL,
            within_s=rule.median_s,
            bridge_s=SMOOTHING.bridge_s,
        ),
        times_s,
        rule,
    )
    for k in range(len(pulses)):
        apex = int(pulses.apex[k])
        agreement = np.nan
        if flow is not None:
            onset = int(np.searchsorted(times_s, pulses.onset_s[k]))
            offset = int(np.searchsorted(times_s, pulses.offset_s[k]))
            offset = min(max(offset, apex + 1), len(times_s) - 1)
            agreement = flow.agreement(au, min(onset, apex - 1), apex, offset)
        if agreement < rule.refuting_agreement:
            continue
        limit = weak if agreement >= rule.min_agreement else strong
        if pulses.prominence[k] >= limit:
            yield _Burst(
                au,
                float(pulses.onset_s[k]),
                float(pulses.offset_s[k]),
                apex,
                float(pulses.height[k]),
                float(pulses.prominence[k] / weak),
                agreement,
            )


def _brief(pulses: Pulses, times_s: FloatArray, rule: BurstRule) -> Pulses:
    shortest_s, longest_s = rule.duration_s
    length_s = pulses.duration_s
    rise_s = times_s[pulses.apex] - pulses.onset_s
    return pulses.chosen(
        (length_s >= shortest_s) & (length_s <= longest_s) & (rise_s <= rule.longest_rise_s)
    )


def above_running_median(
    times_s: FloatArray, values: FloatArray, step_s: float, median_s: float
) -> FloatArray:
    """Return the lightly smoothed curve minus its running median, in each stretch without gaps."""
    from scipy.ndimage import median_filter  # noqa: PLC0415 (heavy)

    fine = local_fit(times_s, values, step_s, SMOOTHING).value
    rise = np.full(len(values), np.nan)
    size = 2 * round(median_s / step_s / 2) + 1
    for run in runs(times_s, fine, step_s, SMOOTHING.bridge_s):
        y = fine[run]
        rise[run] = y - median_filter(y, size=min(size, 2 * (len(y) // 2) + 1), mode="nearest")
    return rise


def _grouped(times_s: FloatArray, bursts: list[_Burst], together_s: float) -> list[list[_Burst]]:
    """Return the bursts that belong together, strongest first, in the order of their apex."""
    groups: list[list[_Burst]] = []
    for burst in sorted(bursts, key=lambda b: (-b.strength, b.au)):
        for group in groups:
            if abs(times_s[burst.apex] - times_s[group[0].apex]) <= together_s:
                group.append(burst)
                break
        else:
            groups.append([burst])
    return sorted(groups, key=lambda group: group[0].apex)


def _stands_alone(group: list[_Burst], rule: BurstRule) -> bool:
    """Return whether more than lids and cheeks burst, or these clearly."""
    return any(b.au not in FOLLOWING or b.peak >= rule.alone_peak for b in group)


def _table(groups: list[list[_Burst]], times_s: FloatArray | None = None) -> pd.DataFrame:
    rows = []
    for group in groups:
        assert times_s is not None
        first = group[0]
        seen = [b.agreement for b in group if np.isfinite(b.agreement)]
        agreement = max(seen) if seen else np.nan
        rows.append(
            {
                "onset": first.onset_s,
                "duration": first.offset_s - first.onset_s,
                "apex_s": float(times_s[first.apex]),
                "apex_frame": first.apex,
                "aus": "+".join(sorted(b.au for b in group)),
                "peak": first.peak,
                "flow_agreement": agreement,
                "confidence": _confidence(first.strength, agreement),
            }
        )
    made = pd.DataFrame(rows, columns=list(COLUMNS))
    kinds = {name: "float64" for name in COLUMNS if name not in ("aus", "apex_frame")}
    return made.astype({**kinds, "aus": "object", "apex_frame": "int64"})


def _confidence(strength: float, agreement: float) -> float:
    """Return the share of 1 that strength and agreement beyond their limits reach.

    Twice the limit gives 0.5 and four times gives 0.75 for the curve; flow that was not read leaves
    half of the rest.
    """
    curve = 1 - 1 / max(strength, 1.0)
    skin = 0.5 if np.isnan(agreement) else min(1.0, max(agreement, 0.0) / 10)
    return round(float(curve * (0.5 + 0.5 * skin)), 3)


def _near_blinks(times_s: FloatArray, blinks: pd.DataFrame, margin_s: float) -> BoolArray:
    near = np.zeros(len(times_s), np.bool_)
    for onset, duration in zip(blinks["onset"], blinks["duration"], strict=True):
        near |= (times_s >= onset - margin_s) & (times_s <= onset + duration + margin_s)
    return near


def _widened(times_s: FloatArray, on: BoolArray, margin_s: float) -> BoolArray:
    """Return the frames within a margin of those that are on."""
    at = times_s[on]
    if not len(at):
        return np.zeros(len(times_s), np.bool_)
    after = np.searchsorted(at, times_s)
    left = np.abs(times_s - at[np.clip(after - 1, 0, len(at) - 1)])
    right = np.abs(at[np.clip(after, 0, len(at) - 1)] - times_s)
    return np.asarray(np.minimum(left, right) <= margin_s, np.bool_)
