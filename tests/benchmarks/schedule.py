"""How long does it take to draw a schedule of 400 trials with three constraints?

    python tests/benchmarks/schedule.py [--times 20]

Pictures of four categories: at most two of a category in a row, no picture twice in a row, balanced
transitions; then 50 of each category for each of two lists besides, matched on luminance and size; each
picture shown twice. Also how long it takes to refuse what cannot be.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import parse_protocol
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.manifest import Stimulus, StimulusSet

CATEGORIES = ("HVHA", "HVLA", "LVHA", "LVLA")
HEAD = """\
name: large
title: Four hundred trials
screen: {width_px: 1920, height_px: 1080, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks:
  - name: main
    steps:
      - type: trials
        duration_s: 6
        fixation_s: {min: 0.8, max: 1.2}
"""
MATCHED = """\
        select: {per_category: 50, lists: 2, match: {by: [luminance, size], across: both}}
"""
ORDERED = """\
        repeats: 2
        max_repeats_of_category: 2
"""
BALANCED = """\
        balance_transitions: true
"""
IMPOSSIBLE = """\
        select: {categories: [HVHA]}
        max_repeats_of_category: 2
"""
CASES = {
    "at most 2 of a category in a row, no immediate repeats": ORDERED,
    "... and balanced transitions": ORDERED + BALANCED,
    "... and 2 lists of 50 per category, matched on 2 measures": MATCHED + ORDERED + BALANCED,
}


def picture(i: int, rng: np.random.Generator) -> Stimulus:
    """Return a picture that is nowhere, with norms of its category."""
    category = CATEGORIES[i % 4]
    valence = (7.0 if category.startswith("HV") else 3.0) + 0.8 * rng.standard_normal()
    arousal = (6.5 if category.endswith("HA") else 3.5) + 0.8 * rng.standard_normal()
    light = float(np.clip(0.3 + 0.1 * rng.standard_normal() + 0.03 * (i % 4), 0.02, 0.98))
    name = f"p{i:03d}"
    return Stimulus(
        name, f"{name}.png", Path(f"{name}.png"), "image", category, "0" * 64,
        valence=float(np.clip(valence, 1, 9)), arousal=float(np.clip(arousal, 1, 9)),
        norm_min=1.0, norm_max=9.0, luminance=light, measures={"size": float(rng.random())},
    )  # fmt: skip


def drawn(text: str, stimuli: StimulusSet, participant: int) -> tuple[float, int]:
    """Draw a schedule; return the seconds that it took and the number of trials."""
    protocol = parse_protocol(HEAD + text)
    start = time.perf_counter()
    schedule = make_schedule(protocol, participant=f"P{participant}", session="01", stimuli=stimuli)
    return time.perf_counter() - start, len(schedule.trials)


def main() -> None:
    """Draw each kind of schedule for some participants and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    rng = np.random.default_rng(4)
    few = StimulusSet("few", Path(), tuple(picture(i, rng) for i in range(200)))
    many = StimulusSet("many", Path(), tuple(picture(i, rng) for i in range(800)))
    for name, text in CASES.items():
        found = [drawn(text, many if "lists" in text else few, p) for p in range(1, times + 1)]
        taken = [seconds for seconds, _ in found]
        print(
            f"{name}: {found[0][1]} trials, median {np.median(taken):.3f} s, "
            f"longest {max(taken):.3f} s of {times}"
        )
    start = time.perf_counter()
    try:
        drawn(IMPOSSIBLE, few, 1)
    except DuchenneError as error:
        print(f"refused after {time.perf_counter() - start:.3f} s: {error}")


if __name__ == "__main__":
    main()
