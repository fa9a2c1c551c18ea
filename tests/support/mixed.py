"""A protocol of pictures and films with all that a session may have between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.presentation import write_stimuli

if TYPE_CHECKING:
    from pathlib import Path

N_TRIALS = 6
MIXED = """\
name: mixed
title: Pictures and films
screen: {width_px: 800, height_px: 450, width_cm: 40, height_cm: 22.5, distance_cm: 60}
stimuli: set
ratings:
  valence: {dimension: valence, question: "How did you feel?"}
counterbalance:
  - {blocks: [pictures, films]}
blocks:
  - name: opening
    steps:
      - {type: instruction, text: Press the space bar.}
      - {type: calibration, points: 5, settle_s: 0.2, collect_s: 0.2, result_s: 0.3, text: null}
      - {type: neutral, duration_s: 0.3}
  - name: pictures
    steps:
      - type: trials
        select: {kinds: [image]}
        repeats: 2
        fixation_s: {min: 0.2, max: 0.4}
        duration_s: 0.5
        iti_s: {min: 0.1, max: 0.3}
        ratings: [valence]
        breaks: {every: 2, text: A break., duration_s: 0.3}
  - name: films
    steps:
      - type: trials
        select: {kinds: [video]}
        order: fixed
        repeats: 2
        fixation_s: {min: 0.2, max: 0.4}
        iti_s: 0.2
        ratings: [valence]
"""


def write_mixed(folder: Path) -> Path:
    """Write the protocol and its stimuli: two pictures and a film, each shown twice."""
    write_stimuli(folder / "set")
    path = folder / "mixed.yaml"
    path.write_text(MIXED, encoding="utf-8")
    return path
