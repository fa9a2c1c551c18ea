"""Which clips coders get to see: windows of a recording, drawn evenly over conditions and levels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.face.frames import BoolArray, FloatArray

LEVELS = ("absent", "low", "high")
LOW, HIGH = 1.0, 2.5
"""From these peak intensities a clip counts as low and as high for an Action Unit."""
MIN_USABLE = 0.9
PEAK_PERCENTILE = 95.0
MIN_OCCURRING = 0.1
NAME_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Clip:
    """A window of a recording.

    Attributes
    ----------
    source : Path
        Video or session file.
    participant, condition : str
        Empty where not known.
    start_s, end_s : float
        On the clock of the source's frames.
    peaks : mapping of str to float
        The 95th percentile of each Action Unit's intensity in the window, 0 to 5.
    occurs : mapping of str to bool
        Whether it occurs in a tenth of the frames.
    """

    source: Path
    participant: str
    condition: str
    start_s: float
    end_s: float
    peaks: Mapping[str, float] = field(default_factory=dict)
    occurs: Mapping[str, bool] = field(default_factory=dict)

    def level(self, au: str) -> str:
        """Return the stratum of an Action Unit."""
        peak = self.peaks[au]
        return LEVELS[int(peak >= LOW) + int(peak >= HIGH)]


def candidates(
    table: pd.DataFrame,
    source: Path,
    conditions: Sequence[str],
    *,
    participant: str,
    au_names: Sequence[str],
    clip_s: float,
) -> list[Clip]:
    """Return the windows of a recording in which nearly all frames could be measured.

    Parameters
    ----------
    table : pandas.DataFrame
        Action Units of each frame: ``time usable AUxx_r AUxx_c``.
    source : Path
    conditions : sequence of str
        Of each frame; windows do not reach over a change.
    participant : str
    au_names : sequence of str
    clip_s : float
    """
    times_s = table["time"].to_numpy(np.float64)
    usable = table["usable"].astype(bool).to_numpy()
    labels = np.asarray(conditions, dtype=object)
    intensities = {au: table[f"{au}_r"].to_numpy(np.float64) for au in au_names}
    occurrences = {au: table[f"{au}_c"].to_numpy(np.float64, na_value=np.nan) for au in au_names}
    clips = []
    for begin, end in _runs(labels):
        start_s = times_s[begin]
        while start_s + clip_s <= times_s[end - 1] + 1e-6:
            inside = (times_s >= start_s) & (times_s < start_s + clip_s)
            inside[:begin] = inside[end:] = False
            if inside.sum() >= 3 and usable[inside].mean() >= MIN_USABLE:
                kept = inside & usable
                peaks = {au: _peak(values[kept]) for au, values in intensities.items()}
                occurs = {au: _occurs(values[kept]) for au, values in occurrences.items()}
                if all(np.isfinite(peak) for peak in peaks.values()):
                    window = (float(start_s), float(start_s + clip_s))
                    clips.append(
                        Clip(source, participant, str(labels[begin]), *window, peaks, occurs)
                    )
            start_s += clip_s
    return clips


def draw(clips: Sequence[Clip], n: int, au_names: Sequence[str], seed: int) -> list[Clip]:
    """Draw clips so that conditions, participants and levels of every Action Unit come evenly.

    One after the other, the clip is taken whose strata have been taken least: each Action Unit adds
    the inverse of how often its level was taken before, the condition and the participant as much as
    all Action Units together. Equal clips are drawn by lot.

    Parameters
    ----------
    clips : sequence of Clip
    n : int
    au_names : sequence of str
    seed : int

    Returns
    -------
    list of Clip
        In random order; fewer than `n` where there are not so many.
    """
    generator = np.random.default_rng(seed)
    left = [clips[i] for i in generator.permutation(len(clips))]
    taken: dict[tuple[str, str], int] = {}
    drawn: list[Clip] = []
    while left and len(drawn) < n:
        scores = [_need(clip, taken, au_names) for clip in left]
        clip = left.pop(int(np.argmax(scores)))
        drawn.append(clip)
        for stratum in _strata(clip, au_names):
            taken[stratum] = taken.get(stratum, 0) + 1
    return [drawn[i] for i in generator.permutation(len(drawn))]


def blind_names(n: int, seed: int) -> list[str]:
    """Return names that say nothing, all different."""
    generator = np.random.default_rng([seed, 1])
    names: list[str] = []
    while len(names) < n:
        letters = generator.choice(list(NAME_LETTERS), 5)
        name = "clip_" + "".join(letters.tolist())
        if name not in names:
            names.append(name)
    return names


def _strata(clip: Clip, au_names: Sequence[str]) -> list[tuple[str, str]]:
    units = [(au, clip.level(au)) for au in au_names]
    return [*units, ("condition", clip.condition), ("participant", clip.participant)]


def _need(clip: Clip, taken: Mapping[tuple[str, str], int], au_names: Sequence[str]) -> float:
    need = [1.0 / (1 + taken.get(stratum, 0)) for stratum in _strata(clip, au_names)]
    units, others = need[:-2], need[-2:]
    return sum(units) + len(units) * sum(others)


def _runs(labels: FloatArray) -> list[tuple[int, int]]:
    """Return begin and end of each run of equal labels."""
    if not len(labels):
        return []
    changes: BoolArray = labels[1:] != labels[:-1]
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(labels)]
    return list(itertools.pairwise(edges))


def _peak(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, PEAK_PERCENTILE)) if len(known) else np.nan


def _occurs(values: FloatArray) -> bool:
    known = values[np.isfinite(values)]
    return bool(len(known) and np.mean(known > 0) >= MIN_OCCURRING)
