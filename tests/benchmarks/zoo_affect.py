"""Train every system of expression, valence and arousal on rendered people and score it on others.

    duchenne render-faces --head ict_face.npz --identities 600 --grey --wrinkles independent --out faces/train
    duchenne render-faces --head ict_face.npz --first 100000 --identities 40 --grey --wrinkles independent \
        --out faces/test
    python tests/benchmarks/zoo_affect.py --train faces/train --test faces/test --head ict_face.npz \
        --out runs --size cpu

**This is plumbing, not validity: no human rated these faces** (see `zoo_affect_faces.py` for the rules that
made the labels). Settings are written to ``OUT/NAME.yaml``, weights to ``OUT/NAME``; what is there already is
not trained again, and a training that was broken off goes on. ``--only`` takes names of trainings; those that
they start from come first. ``--size cpu`` is what one processor core does in about an hour; ``--size gpu``
follows the papers. ``--encoder`` takes a masked auto-encoder, or a teacher made from one, that is there
already, ``--residual`` a ResNet student that Deng's networks and the differences of embeddings start from
(``zoo.py --what ablation`` makes them). ``--score`` trains nothing, and ``--page`` puts the tables into a
page.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from zoo_affect_faces import (
    FRAME_HZ,
    as_films,
    incomplete,
    of_actions,
    of_affect,
    of_expressions,
    render_films,
    render_prototypes,
    write_once,
)
from zoo_affect_page import fill, tables
from zoo_affect_plans import SIZES, Plan, plans
from zoo_training import train_once

from duchenne.analysis.training.checkpoint import read_about
from duchenne.analysis.training.prepared import read_faces

TRAIN_FILMS, TEST_FILMS, PROTOTYPES = 200_000, 210_000, 220_000
"""Numbers of the first people of the sets that are rendered here."""


def sets(arguments: argparse.Namespace, needed: set[str]) -> dict[str, Path]:
    """Make the sets that are needed, as far as they are not there; return their folders."""
    size, data = SIZES[arguments.size], arguments.out / "data"
    data.mkdir(parents=True, exist_ok=True)
    small_px = 96 if arguments.size == "cpu" else 224
    found = {"pictures": arguments.train}
    if "actions" in needed:
        faces = read_faces(arguments.train)
        first = min(size.people, len(faces.subjects) // 2)
        found["actions"] = write_once(data / "actions", of_actions(faces, first, size.people))
    if needed & {"expressions", "affect", "incomplete"}:
        faces = read_faces(arguments.train)
        affect = of_affect(faces, size.people, size.every)
        made = {
            "expressions": of_expressions(faces, size.people),
            "affect": affect,
            "incomplete": incomplete(affect),
        }
        found |= {name: write_once(data / name, made[name]) for name in made}
    if "stills" in needed:
        faces = read_faces(arguments.train)
        stills = as_films(of_affect(faces, size.people, 2), small_px)
        found["stills"] = write_once(data / "stills", stills)
    if "affect_test" in needed:
        test = read_faces(arguments.test)
        found["affect_test"] = write_once(data / "affect_test", of_affect(test, len(test.subjects)))
    people = {"films": (TRAIN_FILMS, size.films), "films_test": (TEST_FILMS, size.films // 2)}
    for name, (first, n) in people.items():
        if name in needed:
            folder = data / ("films_train" if name == "films" else name)
            found[name] = render_films(
                arguments.head, small_px, folder, people=n, first=first, frames=size.frames
            )
    if "prototypes_test" in needed:
        found["prototypes_test"] = render_prototypes(
            arguments.head, 160, data / "prototypes_test", people=60, first=PROTOTYPES
        )
    return found


def run(plan: Plan, arguments: argparse.Namespace) -> None:
    """Train, unless that was done."""
    if (arguments.out / plan.name / "finished").is_file():
        return
    names = [plan.data, *([plan.besides] if plan.besides else [])]
    folders = sets(arguments, set(names))
    places = {
        "mae": arguments.encoder or arguments.out / "mae" / "best.safetensors",
        "residual": arguments.residual,
    }
    data = [folders[name] for name in names]
    train_once(plan.name, plan.settings(arguments.size), data, arguments.out, places)


def wanted(everything: tuple[Plan, ...], only: list[str] | None) -> list[Plan]:
    """Return the trainings that were asked for, with those that they start from before them."""
    by_name = {plan.name: plan for plan in everything}
    unknown = set(only or ()) - by_name.keys()
    if unknown:
        raise SystemExit(f"there is no training {', '.join(sorted(unknown))}: {', '.join(by_name)}")
    names = set(only or by_name)
    while True:
        more = {by_name[name].after for name in names} - names - {""}
        if not more:
            return [plan for plan in everything if plan.name in names]
        names |= more


COMPARED = {
    "expressions": (
        "prototypes_test",
        ("vit_se", "doe_alone", "doe", "ddoe_stage1", "ddoe_stage2_alone", "ddoe_stage2"),
    ),
    "neutral_doe": ("prototypes_test", ("doe_alone", "doe")),
    "neutral_ddoe": ("prototypes_test", ("ddoe_stage2_alone", "ddoe_stage2")),
    "affect": (
        "affect_test",
        ("deng_teacher", *(f"deng_student_{i + 1}" for i in range(5)), "emofan_alignment", "emofan"),
    ),
    "ensemble": ("affect_test", tuple(f"deng_student_{i + 1}" for i in range(5))),
    "films": (
        "films_test",
        ("deng_student_1", "deng_rnn", "emofan", "mae_fusion_silent", "mae_fusion"),
    ),
}  # fmt: skip
"""Which systems stand in one table, on which faces."""


def score(arguments: argparse.Namespace) -> None:
    """Score all that is trained; what is scored already with the same weights is not scored again."""
    out: Path = arguments.out
    for name, (data, systems) in COMPARED.items():
        there = [s for s in systems if (out / s / "finished").is_file()]
        weights = [out / s / "best.safetensors" for s in there]
        told = out / f"{name}.json"
        if not there or (len(there) < 2 and name not in ("expressions", "affect", "films")):
            continue
        if told.is_file() and told.stat().st_mtime > max(w.stat().st_mtime for w in weights):
            continue
        folder = sets(arguments, {data})[data]
        command = [sys.executable, "-m", "duchenne.cli", "evaluate", *map(str, weights)]
        command += ["--data", str(folder), "--part", "all", "--out", str(out / name)]
        command += ["--curves", str(out / "curves")] if name in ("expressions", "affect") else []
        command += ["--ensemble"] if name == "ensemble" else []
        command += ["--no-speed"] if name not in ("expressions", "affect") else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"{name}: {', '.join(there)}", flush=True)


def main() -> None:
    """Train what is named, then score all that is trained."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--head", type=Path, required=True, help="head model, to render films")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=sorted(SIZES), default="cpu")
    parser.add_argument("--encoder", type=Path, help="weights of a masked auto-encoder")
    parser.add_argument("--residual", type=Path, help="weights of a ResNet student")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="names of trainings")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--score", action="store_true", help="train nothing")
    what.add_argument("--no-score", action="store_true", help="train alone")
    parser.add_argument("--page", type=Path, help="Markdown page that gets the tables")
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    encoder = None
    if arguments.encoder is not None:
        arguments.encoder = arguments.encoder.resolve()
        encoder = read_about(arguments.encoder)["settings"]
    if arguments.residual is not None:
        arguments.residual = arguments.residual.resolve()
    every = plans(arguments.size, encoder, residual=arguments.residual is not None)
    chosen = [] if arguments.score else wanted(every, arguments.only)
    for plan in chosen:
        run(plan, arguments)
    if arguments.no_score:
        return
    score(arguments)
    text = tables(arguments.out, FRAME_HZ)
    (arguments.out / "tables.md").write_text(text, "utf-8")
    if arguments.page is not None:
        fill(arguments.page, text)


if __name__ == "__main__":
    main()
