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
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from zoo_affect_faces import (
    AFFECT,
    DENG_UNITS,
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

from duchenne.analysis.training.checkpoint import read_about
from duchenne.analysis.training.prepared import read_faces

ALL_LABELS = (*AFFECT, *DENG_UNITS, "expression")
KINDS: dict[str, list[str]] = {
    "expressions": ["expression"],
    "actions": ["expression"],
    "pictures": [],
}
"""Labels of sets that know no valence."""
GENTLE = {"crop": 0.9, "brightness": 0.12, "contrast": 0.12, "colour": 0.0, "noise": 0.012}
"""Variation of pictures that were varied when they were rendered."""
TRAIN_FILMS, TEST_FILMS, PROTOTYPES = 200_000, 210_000, 220_000
"""Numbers of the first people of the sets that are rendered here."""


@dataclass(frozen=True)
class Plan:
    """One training.

    Parameters
    ----------
    name, model, data : str
    px, epochs : int
    more : dict
        Further settings.
    besides : str
        Another set that it is trained on too.
    after : str
        Training whose weights it starts from, or whose answers it learns from.
    """

    name: str
    model: str
    data: str
    px: int
    epochs: int
    more: dict[str, Any] = field(default_factory=dict)
    after: str = ""
    besides: str = ""

    def settings(self, size: str) -> dict[str, Any]:
        """Return the settings of `duchenne train`."""
        labels = KINDS.get(self.data, list(AFFECT))
        return {
            "model": self.model,
            "labels": labels,
            "input_px": self.px,
            "epochs": self.epochs,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "warmup_epochs": 0.3,
            "optimizer": "adam",
            "weight_decay": 0.0,
            "precision": "bf16",
            "validation": 0.12,
            "test": 0,
            "ema": 0.95 if size == "cpu" else 0.999,
            "augmentation": GENTLE,
            "checkpoint_minutes": 3,
        } | self.more


@dataclass(frozen=True)
class Size:
    """How much is trained.

    Parameters
    ----------
    people : int
        Of the set for training that labels of expression and of affect are taken of.
    every : int
        Each so-manieth picture of them for affect.
    films, frames : int
        How many are filmed, and for how long.
    students : int
        Of Deng's ensemble.
    """

    people: int
    every: int
    films: int
    frames: int
    students: int


SIZES = {"cpu": Size(300, 3, 40, 48, 2), "gpu": Size(600, 1, 300, 128, 5)}
SMALL = {"patch_size": 12, "hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4}
DECODER = {"decoder_hidden_size": 128, "decoder_num_hidden_layers": 2}


def plans(
    size: str, encoder: dict[str, Any] | None = None, *, residual: bool = False
) -> tuple[Plan, ...]:
    """Return all trainings in the order in which they can run.

    Parameters
    ----------
    size : {"cpu", "gpu"}
    encoder : dict, optional
        Settings of a masked auto-encoder that is there: it is not trained here then.
    residual : bool
        Whether Deng's teacher and the differences of embeddings start from a network that is there.
    """
    small = size == "cpu"
    mae = encoder or {
        "input_px": 96 if small else 224,
        "model_settings": {"encoder": SMALL | DECODER if small else {"patch_size": 16}},
    }
    return (
        *_auto_encoder(mae, small=small, is_there=encoder is not None),
        *_fusion(mae, small=small, is_there=encoder is not None),
        *_differences(small=small, residual=residual),
        *_deng(SIZES[size].students, small=small, residual=residual),
        *_emofan(small=small),
        _vit(mae, small=small, is_there=encoder is not None),
    )


def _auto_encoder(mae: dict[str, Any], *, small: bool, is_there: bool) -> tuple[Plan, ...]:
    if is_there:
        return ()
    more = {
        "model_settings": mae["model_settings"],
        "batch_size": 128,
        "optimizer": "adamw",
        "learning_rate": 6e-4,
        "weight_decay": 0.05,
        "betas": [0.9, 0.95],
        "ema": 0,
        "augmentation": GENTLE | {"crop": 0.8, "noise": 0},
    }
    return (Plan("mae", "mae_pretraining", "pictures", mae["input_px"], 4 if small else 100, more),)


def _differences(*, small: bool, residual: bool) -> tuple[Plan, ...]:
    """Return both systems of differences, each with and without the neutral face.

    There are no weights of ImageNet here. With a residual network that is there, the frozen encoder is that;
    otherwise it first learns which Action Unit is strongest in other people. That of the second system goes
    on from there and learns emotion, beside a frozen network for identity (fresh: it knows nobody).
    """
    px, deep = (96 if residual else 64, 18) if small else (224, 50)
    epochs = 8 if small else 30
    encoder: dict[str, Any] = {"residual": 18} if residual else {}
    beside = {"model_settings": {"identity_depth": deep} | encoder}
    how = {"balance": "under" if small else "over", "model_settings": encoder}
    alone = how | {"neutral_reference": False}
    start = "{residual}" if residual else "{runs}/doe_first/best.safetensors"
    known, emotion = {"initial": start}, {"initial": "{runs}/ddoe_stage1/best.safetensors"}
    before = "" if residual else "doe_first"
    first = Plan("doe_first", "ddoe", "actions", px, 6 if small else 30, beside)
    return (
        *(() if residual else (first,)),
        Plan("doe_alone", "doe", "expressions", px, epochs, alone | known, before),
        Plan("doe", "doe", "expressions", px, epochs, how | known, before),
        Plan("ddoe_stage1", "ddoe", "expressions", px, epochs, how | beside | known, before),
        Plan(
            "ddoe_stage2_alone", "doe", "expressions", px, epochs // 2, alone | emotion,
            "ddoe_stage1",
        ),
        Plan("ddoe_stage2", "doe", "expressions", px, epochs // 2, how | emotion, "ddoe_stage1"),
    )  # fmt: skip


def _vit(mae: dict[str, Any], *, small: bool, is_there: bool) -> Plan:
    sizes = {k: v for k, v in mae["model_settings"]["encoder"].items() if "decoder" not in k}
    sizes["intermediate_size"] = 4 * sizes.get("hidden_size", 768)
    more = {
        "model_settings": {"encoder": sizes},
        "balance": "under" if small else "over",
        "initial": "{mae}",
        "learning_rate": 6e-4 if small else 1e-4,
        "warmup_epochs": 1,
    }
    after = "" if is_there else "mae"
    return Plan(
        "vit_se", "vit_se", "expressions", mae["input_px"], 18 if small else 30, more, after
    )


def _deng(students: int, *, small: bool, residual: bool) -> tuple[Plan, ...]:
    px, deep = (96, 18) if small else (112, 50)
    how: dict[str, Any] = {
        "labels": list(ALL_LABELS),
        "model_settings": {"classes": 8, "depth": deep},
        "betas": [0.5, 0.999],
        "batch_size": 64,
        "learning_rate": 1e-3 if small else 1e-4,
    }
    first = how | ({"initial": "{residual}"} if residual else {})
    told = how | {"teacher": "{runs}/deng_teacher/best.safetensors"}
    clips = how | {
        "initial": "{runs}/deng_student_1/best.safetensors",
        "clip": {"frames": 32, "every": 16},
        "batch_size": 8,
    }
    return (
        Plan("deng_teacher", "deng_cnn", "incomplete", px, 6 if small else 8, first),
        *(
            Plan(
                f"deng_student_{i + 1}", "deng_cnn", "incomplete", px, 4 if small else 3,
                told | {"seed": i + 1} | ({"initial": "{residual}"} if residual else {}),
                "deng_teacher",
            )
            for i in range(students)
        ),
        Plan("deng_rnn", "deng_rnn", "films", px, 10, clips, "deng_student_1"),
    )  # fmt: skip


def _emofan(*, small: bool) -> tuple[Plan, ...]:
    px, epochs = (64, 2) if small else (256, 10)
    how = {"labels": [*AFFECT, "expression"]}
    return (
        Plan(
            "emofan_alignment", "emofan", "affect", px, epochs,
            how | {"model_settings": {"alignment": True}},
        ),
        Plan(
            "emofan", "emofan", "affect", px, 4 if small else 20,
            how | {"initial": "{runs}/emofan_alignment/best.safetensors"}, "emofan_alignment",
        ),
    )  # fmt: skip


def _fusion(mae: dict[str, Any], *, small: bool, is_there: bool) -> tuple[Plan, ...]:
    sizes = {k: v for k, v in mae["model_settings"]["encoder"].items() if "decoder" not in k}
    how = {
        "initial": "{mae}",
        "clip": {"frames": 32, "every": 4} if small else {"frames": 100, "every": 14},
        "optimizer": "adamw",
        "weight_decay": 1e-5,
        "learning_rate": 3e-4 if small else 5e-5,
        "precision": "fp32",
        "batch_size": 16 if small else 32,
    }
    after = "" if is_there else "mae"
    return tuple(
        Plan(
            name, "mae_fusion", "films", mae["input_px"], 16,
            how | {"model_settings": {"encoder": sizes, "n_sound": n_sound}}, after, "stills",
        )
        for name, n_sound in (("mae_fusion_silent", 0), ("mae_fusion", 64))
    )  # fmt: skip


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


def run(plan: Plan, arguments: argparse.Namespace) -> float:
    """Train; return the minutes it took, 0 where it was done already."""
    out: Path = arguments.out
    done = out / plan.name / "finished"
    if done.is_file():
        return 0.0
    names = [plan.data, *([plan.besides] if plan.besides else [])]
    folders = sets(arguments, set(names))
    encoder = arguments.encoder or out / "mae" / "best.safetensors"
    text = yaml.safe_dump(plan.settings(arguments.size), sort_keys=False)
    text = text.replace("{runs}", str(out)).replace("{mae}", str(encoder))
    text = text.replace("{residual}", str(arguments.residual))
    settings = out / f"{plan.name}.yaml"
    settings.write_text(text, "utf-8")
    command = [sys.executable, "-m", "duchenne.cli", "train", str(settings)]
    for name in names:
        command += ["--data", str(folders[name])]
    command += ["--out", str(out / plan.name), "--resume"]
    print(f"{plan.name}: {plan.model}, {plan.px} px, {plan.epochs} epochs", flush=True)
    begun, used = time.monotonic(), _used_s()
    subprocess.run(command, check=True, env=os.environ)
    minutes, core = (time.monotonic() - begun) / 60, (_used_s() - used) / 60
    done.write_text(f"{minutes:.1f} min, of a core {core:.1f} min\n", "utf-8")
    print(f"{plan.name}: {core:.1f} core-minutes", flush=True)
    return minutes


def _used_s() -> float:
    used = os.times()
    return used.children_user + used.children_system


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
