"""Score the candidates of micro-expressions on rendered clips with known bursts.

    OMP_NUM_THREADS=1 python tests/benchmarks/microexpressions.py CLIPS [--backend NAME ...]

CLIPS is the folder that ``microexpressions_render.py`` wrote. Each clip goes through the whole analysis of
a film (tracker, backend, calibrated on its first second). A candidate is right where its apex lies
within a true burst; false alarms are counted per minute of film. Bursts and candidates are also told
apart by whether the person speaks. Temporal overlap (intersection over union at least 0.5, the measure of
the spotting challenges) is given beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.process import FaceResult, analyse_face

NEUTRAL_S = (0.0, 1.1)
MIN_OVERLAP = 0.5


@dataclass(frozen=True)
class Score:
    """Counts over clips, which add up."""

    n_bursts: int = 0
    n_found: int = 0
    n_candidates: int = 0
    n_right: int = 0
    n_overlapping: int = 0
    n_named: int = 0
    seconds: float = 0.0

    def __add__(self, other: Score) -> Score:
        return Score(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))

    def row(self) -> dict[str, float]:
        """Return recall, precision, F1 and false alarms per minute."""
        recall = self.n_found / self.n_bursts if self.n_bursts else np.nan
        precision = self.n_right / self.n_candidates if self.n_candidates else np.nan
        by_overlap = 2 * self.n_overlapping / max(1, self.n_candidates + self.n_bursts)
        return {
            "bursts": self.n_bursts,
            "found": self.n_found,
            "candidates": self.n_candidates,
            "recall": recall,
            "precision": precision,
            "F1": 2 * recall * precision / (recall + precision) if recall + precision else 0.0,
            "F1 by overlap": by_overlap,
            "a unit named right": self.n_named / self.n_found if self.n_found else np.nan,
            "false alarms per minute": 60 * (self.n_candidates - self.n_right) / self.seconds
            if self.seconds
            else np.nan,
        }


def score(found: pd.DataFrame, truth: dict[str, Any], seconds: float, *, in_speech: bool) -> Score:
    """Compare the candidates with the bursts of one clip, in speech or outside of it."""
    speech = [(a - 0.3, b + 0.3) for a, b in truth["speech"]]

    def speaks(at_s: float) -> bool:
        return any(a < at_s < b for a, b in speech)

    talked_s = sum(min(b, seconds) - a for a, b in speech)
    bursts = [b for b in truth["bursts"] if speaks(b["apex_s"]) == in_speech]
    spans = [(b["onset_s"], b["offset_s"]) for b in bursts]
    own = found[[speaks(at_s) == in_speech for at_s in found["apex_s"]]]
    apexes = own["apex_s"].to_numpy()
    ends = [(o, o + d) for o, d in zip(own["onset"], own["duration"], strict=True)]
    return Score(
        n_bursts=len(spans),
        n_found=sum(any(a <= at <= b for at in apexes) for a, b in spans),
        n_candidates=len(own),
        n_right=sum(any(a <= at <= b for a, b in spans) for at in apexes),
        n_overlapping=sum(any(_overlap(s, e) >= MIN_OVERLAP for e in ends) for s in spans),
        n_named=sum(
            any(
                b["onset_s"] <= at <= b["offset_s"] and names & _named(b["units"])
                for at, names in zip(apexes, (set(a.split("+")) for a in own["aus"]), strict=True)
            )
            for b in bursts
        ),
        seconds=talked_s if in_speech else seconds - talked_s,
    )


def _named(units: list[str]) -> set[str]:
    """Return the names as the tables have them: AU01 for AU1."""
    return {f"AU{int(unit[2:]):02d}" for unit in units}


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    both = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return both / (max(a[1], b[1]) - min(a[0], b[0]))


def speech_agreement(result: FaceResult, truth: dict[str, Any]) -> tuple[float, float]:
    """Return how much of the true speech is told, and how much of what is told is speech."""
    times = result.table["time"].to_numpy()
    true = np.zeros(len(times), bool)
    for a, b in truth["speech"]:
        true |= (times >= a) & (times <= b)
    told = (result.table["speaking"] == 1).to_numpy()
    both = float((true & told).sum())
    return (
        both / true.sum() if true.any() else np.nan,
        both / told.sum() if told.any() else np.nan,
    )


def main() -> None:
    """Analyse and score all clips with each backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--backend", action="append")
    given = parser.parse_args()
    paths = sorted(p for p in given.clips.glob("clip_*.mp4") if p.with_suffix(".json").exists())
    for backend in given.backend or ["geometry", "blendshapes"]:
        totals = {True: Score(), False: Score()}
        blinks = Score()
        told = []
        for path in paths:
            truth = json.loads(path.with_suffix(".json").read_text("utf-8"))
            begun = time.process_time()
            result = analyse_face(video_frames(path), backend=backend, neutral=[NEUTRAL_S])
            assert result.dynamics is not None
            seconds = len(result.table) / truth["rate_hz"]
            own = {
                speech: score(result.dynamics.microexpressions, truth, seconds, in_speech=speech)
                for speech in totals
            }
            totals = {speech: total + own[speech] for speech, total in totals.items()}
            blinks += _blinks(result.dynamics.blinks, truth, seconds)
            if truth["speech"]:
                told.append(speech_agreement(result, truth))
            both = (own[True] + own[False]).row()
            print(
                f"{backend} {path.stem}: {both['found']:.0f} of {both['bursts']:.0f} found, "
                f"{both['candidates']:.0f} candidates; "
                f"{1000 * (time.process_time() - begun) / len(result.table):.1f} ms CPU per frame",
                flush=True,
            )
        rows = {
            "all": totals[True] + totals[False],
            "not speaking": totals[False],
            "speaking": totals[True],
            "blinks": blinks,
        }
        told_of = pd.DataFrame({k: v.row() for k, v in rows.items()}).T.round(3)
        told_of.loc["blinks", ["F1 by overlap", "a unit named right"]] = np.nan
        print(told_of.to_string())
        if told:
            recall, precision = np.nanmean(told, axis=0)
            print(f"speech told {recall:.3f}, of what is told speech {precision:.3f}")


def _blinks(found: pd.DataFrame, truth: dict[str, Any], seconds: float) -> Score:
    middle = (found["onset"] + found["duration"] / 2).to_numpy()
    spans = [(at, at + 0.3) for at in truth["blinks"]]
    return Score(
        n_bursts=len(spans),
        n_found=sum(any(a <= at <= b for at in middle) for a, b in spans),
        n_candidates=len(found),
        n_right=sum(any(a <= at <= b for a, b in spans) for at in middle),
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
