"""Score the gaze event detector and its installable peers against hand-labelled recordings.

    python tests/benchmarks/gaze_detectors.py FOLDER

FOLDER holds ``score.py`` (the scorer) and ``data/*.npz`` (the recordings); neither is part of Duchenne.
One run prints: agreement per kind of stimulus and coder of every detector, the same at 125 Hz, the
tuned constants chosen without the recording (person, stimulus) they are scored on, and samples/s.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import importlib.util
import itertools
import platform
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.blinks import find_losses
from duchenne.analysis.gaze.detectors.adaptive import DEFAULT, AdaptiveSettings, detect_adaptive
from duchenne.analysis.gaze.detectors.pursuit import mark_pursuit
from duchenne.analysis.gaze.events import bridge_short_loss, label_samples
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import sampling_rate_hz

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

KINDS = {"img": "image", "dots": "dots", "video": "video"}
PEERS = ("ivt30", "micro6", "idt_def", "remodnav_def", "remodnav_img", "i2mc")
SACCADE_GRID = {
    "peak_noise": (5.0, 7.0, 9.0),
    "burst_noise": (4.0, 5.0, 6.0),
    "edge_floor_deg_s": (10.0, 15.0, 20.0),
    "edge_noise": (4.0, 5.0, 6.0),
    "trough": (0.2, 0.3, 0.4),
}
PURSUIT_GRID = {
    "spread_deg": (0.25, 0.29, 0.33, 0.37, 0.41),
    "line_power": (0.15, 0.2, 0.25, 0.3),
    "step_power": (0.0, 0.1, 0.18, 0.25),
}
MEASURES = (
    ("κ saccade", "sac", "kappa"), ("F1 saccade", "sac", "f1"), ("κ PSO", "pso", "kappa"),
    ("κ fixation", "fix", "kappa"), ("F1 fixation", "fix", "f1"), ("κ fix+pursuit", "fix+pur", "kappa"),
    ("κ pursuit", "pur", "kappa"),
)  # fmt: skip


def load_scorer(folder: Path) -> ModuleType:
    """Import score.py from the folder."""
    spec = importlib.util.spec_from_file_location("gaze_scorer", folder / "score.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"no score.py in {folder}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def adaptive(x_deg: Any, y_deg: Any, t_s: Any, ctx: Any) -> Any:
    """Label with the default detector, told the kind of stimulus."""
    return label_samples(x_deg, y_deg, t_s, stimulus=KINDS[ctx["stim"]])


def untold(x_deg: Any, y_deg: Any, t_s: Any) -> Any:
    """Label with the default detector, not told the kind of stimulus."""
    return label_samples(x_deg, y_deg, t_s)


def velocity_threshold(x_deg: Any, y_deg: Any, t_s: Any) -> Any:
    """Label with the detector called ``ivt``."""
    return label_samples(x_deg, y_deg, t_s, detector="ivt")


def print_row(name: str, kind: str, summary: dict[str, Any]) -> None:
    """Print one row of a Markdown table."""
    cells = [f"{summary[event][measure]:.3f}" for _, event, measure in MEASURES]
    print(f"| {name} | {kind} | {' | '.join(cells)} |".replace("nan", "–"), flush=True)


def print_head(first: str) -> None:
    """Print the head of a Markdown table."""
    names = [first, "stimulus", *(name for name, _, _ in MEASURES)]
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")


def compare(
    scorer: ModuleType, trials: Sequence[Any], detectors: dict[str, Callable[..., Any]]
) -> None:
    """Print the agreement of every detector with every coder."""
    speeds = {}
    for coder in ("RA", "MN"):
        if not any(f"labels_{coder}" in trial for trial in trials):
            continue
        print_head(f"coder {coder}")
        for name, detect in detectors.items():
            chosen = [trial for trial in trials if f"labels_{coder}" in trial]
            result, _ = scorer.evaluate(detect, chosen)
            for kind in KINDS:
                if kind in result.get(coder, {}):
                    print_row(name, kind, result[coder][kind])
            blink = result[coder]["all"]["blink"]
            speeds.setdefault(
                name, (result["speed"]["samples_per_s"], blink["kappa"], result["fails"])
            )
    print("\n| detector | κ blink | samples/s (one core) | failed recordings |\n|---|---|---|---|")
    for name, (speed, blink, fails) in speeds.items():
        print(f"| {name} | {blink:.3f} | {speed:,.0f} | {len(fails)} |".replace("nan", "–"))


class Tuning:
    """Scores of every setting of the grids on every recording, cached."""

    def __init__(self, scorer: ModuleType, trials: Sequence[Any]) -> None:
        self.scorer = scorer
        self.trials = list(trials)
        self.labels: dict[tuple[AdaptiveSettings, int], Any] = {}
        self.prepared = [self._prepare(trial) for trial in self.trials]

    def _prepare(self, trial: Any) -> tuple[Any, ...]:
        x, y = self.scorer.gaze_deg(trial)
        valid = np.isfinite(x) & np.isfinite(y)
        losses = find_losses(valid, trial["t"], sampling_rate_hz(trial["t"]))
        seen = valid & ~losses.guard
        return np.where(seen, x, np.nan), np.where(seen, y, np.nan), valid, losses

    def _detect(self, settings: AdaptiveSettings, i: int) -> Any:
        """Return labels without pursuit."""
        if (settings, i) not in self.labels:
            x, y, valid, losses = self.prepared[i]
            found = detect_adaptive(x, y, self.trials[i]["t"], stimulus="image", settings=settings)
            found = bridge_short_loss(found, ~valid & ~losses.guard)
            found[losses.guard] = Label.UNDEFINED
            found[losses.blink_guard] = Label.BLINK
            self.labels[settings, i] = found
        return self.labels[settings, i]

    def score(self, settings: AdaptiveSettings, i: int, *, pursuit: bool) -> Any:
        """Return the score of one setting on one recording."""
        trial = self.trials[i]
        labels = self._detect(replace(settings, pursuit=DEFAULT.pursuit), i)
        if pursuit:
            x, y, _, _ = self.prepared[i]
            rate_hz = sampling_rate_hz(trial["t"])
            kind = KINDS[trial["stimulus"]]
            labels = mark_pursuit(labels, x, y, rate_hz, stimulus=kind, settings=settings.pursuit)
        return self.scorer.score_labels(labels, trial, trial.coders[0])

    def table(self, options: Sequence[AdaptiveSettings], *, pursuit: bool) -> list[list[Any]]:
        """Return scores[option][recording]."""
        return [
            [self.score(option, i, pursuit=pursuit) for i in range(len(self.trials))]
            for option in options
        ]


def pooled(scorer: ModuleType, trials: Sequence[Any], scores: Sequence[Any]) -> dict[str, Any]:
    """Return the summary per kind of stimulus of scores of single recordings."""
    merged: dict[str, Any] = {}
    for trial, score in zip(trials, scores, strict=True):
        merged.setdefault(trial["stimulus"], scorer.Score()).merge(score)
    return {kind: score.summary() for kind, score in merged.items()}


def merit(summaries: dict[str, Any], wanted: Sequence[tuple[str, str, str]]) -> float:
    """Return the mean of the wanted measures over the kinds that are there."""
    return float(np.nanmean([summaries[k][event][m] for k, event, m in wanted if k in summaries]))


SACCADE_MERIT = [
    *((kind, "sac", m) for kind in KINDS for m in ("kappa", "f1")),
    ("img", "pso", "kappa"), ("video", "pso", "kappa"), ("img", "fix", "f1"),
]  # fmt: skip
PURSUIT_MERIT = [("video", "fix", "f1"), ("video", "fix", "kappa"), ("dots", "fix", "kappa")]


def group_names(trials: Sequence[Any]) -> dict[str, list[str]]:
    """Return what each recording is left out with."""
    names = [str(trial["name"]) for trial in trials]
    return {
        "recording": names,
        "person": [name.split("_")[0] for name in names],
        "stimulus": [name.split("_", 1)[1] for name in names],
    }


def cross_validate(scorer: ModuleType, trials: Sequence[Any]) -> None:
    """Choose the tuned constants without a group, score them on it; print the pooled result."""
    tuning = Tuning(scorer, trials)
    saccade_options = [
        replace(DEFAULT, **dict(zip(SACCADE_GRID, values, strict=True)))
        for values in itertools.product(*SACCADE_GRID.values())
    ]
    saccade_scores = tuning.table(saccade_options, pursuit=False)
    print(f"\nConstants chosen among {len(saccade_options)} saccade settings and "
          f"{np.prod([len(v) for v in PURSUIT_GRID.values()])} pursuit settings.")  # fmt: skip
    pursuit_tables: dict[AdaptiveSettings, Any] = {}
    print_head("left out together")
    chosen: Counter[str] = Counter()
    for unit, names in group_names(trials).items():
        held_out: list[Any] = [None] * len(trials)
        for group in dict.fromkeys(names):
            rest = [i for i, name in enumerate(names) if name != group]
            best = _best(scorer, trials, rest, saccade_scores, SACCADE_MERIT)
            base = saccade_options[best]
            if base not in pursuit_tables:
                options = [
                    replace(base, pursuit=replace(base.pursuit, **dict(zip(PURSUIT_GRID, v, strict=True))))
                    for v in itertools.product(*PURSUIT_GRID.values())
                ]  # fmt: skip
                pursuit_tables[base] = options, tuning.table(options, pursuit=True)
            options, scores = pursuit_tables[base]
            final = _best(scorer, trials, rest, scores, PURSUIT_MERIT)
            for i, name in enumerate(names):
                if name == group:
                    held_out[i] = scores[final][i]
            if unit == "recording":
                picked = options[final]
                values = [f"{name}={getattr(picked, name):g}" for name in SACCADE_GRID]
                values += [f"{name}={getattr(picked.pursuit, name):g}" for name in PURSUIT_GRID]
                chosen.update(values)
        for kind, summary in pooled(scorer, trials, held_out).items():
            print_row(unit, kind, summary)
    defaults = [tuning.score(DEFAULT, i, pursuit=True) for i in range(len(trials))]
    for kind, summary in pooled(scorer, trials, defaults).items():
        print_row("none (the defaults)", kind, summary)
    print("\nHow often each value was chosen (leave one recording out):",
          ", ".join(f"{value} ×{count}" for value, count in sorted(chosen.items())))  # fmt: skip


def _best(
    scorer: ModuleType,
    trials: Sequence[Any],
    rest: Sequence[int],
    scores: Sequence[Sequence[Any]],
    wanted: Sequence[tuple[str, str, str]],
) -> int:
    kept = [trials[i] for i in rest]
    merits = [merit(pooled(scorer, kept, [row[i] for i in rest]), wanted) for row in scores]
    return int(np.argmax(merits))


def speed() -> None:
    """Print the throughput on one long synthetic recording."""
    rng = np.random.default_rng(1)
    n, rate_hz = 2_400_000, 1200.0
    steps = np.where(rng.random(n) < 3 / rate_hz, rng.normal(0, 4, n), 0.0)
    x = np.convolve(np.clip(np.cumsum(steps) % 20 - 10, -10, 10), np.ones(36) / 36, "same")
    x += rng.normal(0, 0.02, n)
    y = rng.normal(0, 0.02, n)
    t = np.arange(n) / rate_hz
    began = time.process_time()
    label_samples(x, y, t)
    print(f"\n{n / (time.process_time() - began):,.0f} samples/s on {n / rate_hz / 60:.0f} min at "
          f"{rate_hz:.0f} Hz, about 3 saccades/s, stimulus not told.")  # fmt: skip


def main() -> None:
    """Run everything and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-tuning", action="store_true", help="leave the cross-validation out")
    arguments = parser.parse_args()
    scorer = load_scorer(arguments.folder)
    trials = scorer.load_all("extra", data=str(arguments.folder / "data"))
    versions = []
    for package in ("numpy", "scipy", "pymovements", "remodnav", "I2MC"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    print(f"{dt.datetime.now(tz=dt.timezone.utc):%Y-%m-%d}, {platform.machine()}, "
          f"Python {platform.python_version()}, {', '.join(versions)}; {len(trials)} recordings, "
          f"{sum(trial.n for trial in trials):,} samples.")  # fmt: skip
    ours = {"adaptive": adaptive, "adaptive, not told": untold, "ivt": velocity_threshold}
    packages = {"ivt30": "pymovements", "micro6": "pymovements", "idt_def": "pymovements",
                "remodnav_def": "remodnav", "remodnav_img": "remodnav", "i2mc": "I2MC"}  # fmt: skip
    peers = {name: scorer.PEERS[name] for name in PEERS if importlib.util.find_spec(packages[name])}
    compare(scorer, trials, {**ours, **peers})
    print("\n## At 125 Hz (every fourth sample)")
    slow = [scorer.decimate(trial, 4) for trial in trials if trial["fs"] > 250]
    compare(scorer, slow, {**ours, **{k: v for k, v in peers.items() if k != "i2mc"}})
    if not arguments.no_tuning:
        print("\n## Cross-validation")
        cross_validate(scorer, trials)
    speed()


if __name__ == "__main__":
    main()
