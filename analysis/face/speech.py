"""Whether the mouth speaks: rhythmic openings of the lips, together with sound where it was recorded.

Speech opens and closes the lips two to seven times per second (Chandrasekaran et al. 2009, The natural
statistics of audiovisual speech); expressions open them once and hold them, chewing is slower.
Laughter may have the rhythm of speech and is then taken for it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.peaks import find_pulses
from duchenne.analysis.face.smoothing import Smoothing, local_fit, median_step_s

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FloatArray
    from duchenne.analysis.face.signals import FaceSignals


@dataclass(frozen=True)
class SpeechRule:
    """When the mouth counts as speaking.

    Parameters
    ----------
    min_opening : float
        Least rise of the lip gap between two closings, in units of the outer eye-corner distance
        (0.01 is about 1 mm).
    rhythm_hz : (slowest, fastest)
        Openings per second.
    min_openings : int
        Openings in a row.
    join_s : float
        Stretches of speech that are nearer to each other are one.
    min_rate_hz : float
        Below this rate of frames nothing is told.
    voice_above_floor_db : float
        With a microphone: sound is a voice from this much above the 10th percentile of its level.
    """

    min_opening: float = 0.012
    rhythm_hz: tuple[float, float] = (1.8, 7.5)
    min_openings: int = 3
    join_s: float = 0.6
    min_rate_hz: float = 15.0
    voice_above_floor_db: float = 12.0

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return asdict(self)


DEFAULT_RULE = SpeechRule()
SMOOTHING = Smoothing(window_s=0.1, bridge_s=0.1)
FLOOR_PERCENTILE = 10.0
# A voice is heard from this long before to this long after the level is above the limit.
HANGOVER_S = 0.25
# Heard, the lips need not open three times in a row.
HEARD_OPENINGS = 2


def speaking(
    times_s: FloatArray,
    signals: FaceSignals,
    sound: tuple[FloatArray, FloatArray] | None = None,
    rule: SpeechRule = DEFAULT_RULE,
) -> FloatArray:
    """Return where the mouth speaks.

    Parameters
    ----------
    times_s : (n,) float64
    signals : FaceSignals
        Lip gap; NaN where not measured.
    sound : (times_s, level_dbfs), optional
        Level of a microphone on the same clock. Lips that move without a voice do not speak (chewing,
        silent mouthing); a voice without lips may be the loudspeaker.
    rule : SpeechRule

    Returns
    -------
    (n,) float64
        1 speaks, 0 does not, NaN not known: lips not measured, or fewer than 15 frames/s.
    """
    step_s = median_step_s(times_s)
    if not 0 < step_s <= 1.05 / rule.min_rate_hz:
        return np.full(len(times_s), np.nan)
    gap = local_fit(times_s, signals.lip_gap, step_s, SMOOTHING).value
    rhythmic = _rhythmic(times_s, gap, step_s, rule.min_openings, rule)
    if sound is not None:
        voice = voiced(times_s, *sound, rule)
        heard = _rhythmic(times_s, gap, step_s, HEARD_OPENINGS, rule)
        rhythmic = np.where(np.isfinite(voice), heard & (voice == 1.0), rhythmic)
    talks = _joined(times_s, rhythmic, rule.join_s)
    return np.where(np.isfinite(gap), talks.astype(np.float64), np.nan)


def _rhythmic(
    times_s: FloatArray, gap: FloatArray, step_s: float, needed: int, rule: SpeechRule
) -> BoolArray:
    """Return the frames within a row of openings that follow each other in the rhythm of speech."""
    slowest_s, fastest_s = 1 / rule.rhythm_hz[0], 1 / rule.rhythm_hz[1]
    peaks = find_pulses(
        times_s,
        gap,
        step_s,
        prominence=rule.min_opening,
        level=0.5,
        within_s=2 * slowest_s,
        bridge_s=SMOOTHING.bridge_s,
    )
    found = np.zeros(len(times_s), np.bool_)
    if len(peaks) < needed:
        return found
    at = times_s[peaks.apex]
    apart = np.diff(at)
    linked = (apart >= fastest_s - step_s) & (apart <= slowest_s)
    for row in np.split(np.arange(len(at)), np.flatnonzero(~linked) + 1):
        if len(row) >= needed:
            first_s = at[row[0]] - slowest_s / 2
            last_s = at[row[-1]] + slowest_s / 2
            found |= (times_s >= first_s) & (times_s <= last_s)
    return found


def voiced(
    times_s: FloatArray,
    sound_s: FloatArray,
    level_dbfs: FloatArray,
    rule: SpeechRule = DEFAULT_RULE,
) -> FloatArray:
    """Return where a microphone hears a voice: 1, 0, or NaN where it recorded nothing.

    The floor is the 10th percentile of the level over the recording; sound counts from 12 dB above
    it, with 0.25 s before and after.
    """
    known = np.isfinite(level_dbfs) & np.isfinite(sound_s)
    at, level = sound_s[known], level_dbfs[known]
    if not len(at):
        return np.full(len(times_s), np.nan)
    order = np.argsort(at, kind="stable")
    at, level = at[order], level[order]
    limit = np.percentile(level, FLOOR_PERCENTILE) + rule.voice_above_floor_db
    loud = np.concatenate([[0], np.cumsum(level >= limit)])
    first = np.searchsorted(at, times_s - HANGOVER_S)
    last = np.searchsorted(at, times_s + HANGOVER_S)
    return np.where(last > first, (loud[last] > loud[first]).astype(np.float64), np.nan)


def _joined(times_s: FloatArray, talks: BoolArray, join_s: float) -> BoolArray:
    """Return the same with short pauses between two stretches of speech filled."""
    on = np.flatnonzero(talks)
    result = talks.copy()
    for left, right in pairwise(on):
        if right > left + 1 and 0 <= times_s[right] - times_s[left] <= join_s:
            result[left:right] = True
    return result
