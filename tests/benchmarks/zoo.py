"""Train every Action Unit system on the same rendered people and score all of them on the same others.

    duchenne render-faces --head ict_face.npz --identities 600 --grey --out faces/train
    duchenne render-faces --head ict_face.npz --first 100000 --identities 40 --grey --out faces/test
    python tests/benchmarks/zoo.py --train faces/train --test faces/test --out runs --size cpu

Settings are written to ``OUT/NAME.yaml``, weights to ``OUT/NAME``; what is there already is not trained
again, and a training that was broken off goes on. ``--size cpu`` is what two processor cores do in about
four hours: few people, small pictures, few epochs, no weights of ImageNet (systems that begin with a
ResNet-50 take that of the heat maps). ``--size gpu`` follows the papers.
``--what ablation`` repeats the comparison of LibreFace: few people with labels, many without.
``--what student`` trains the student that is shipped: ``--train`` has ``--wrinkles independent``, ``--folds``
names sets with ``--wrinkles personal``, ``--more`` further sets of people with labels.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track
from zoo_training import GENTLE, common, train_once

from duchenne.analysis.face.landmarks import BLENDSHAPE_NAMES
from duchenne.analysis.face.model import create_landmarker, face_model_path
from duchenne.analysis.training.prepared import read_faces, write_faces

if TYPE_CHECKING:
    from collections.abc import Sequence

DISFA = tuple(f"AU{unit:02d}" for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
MEASURED = tuple(
    f"AU{unit:02d}"
    for unit in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 18, 20, 23, 24, 25, 26, 28, 45)
)
COLOURED = GENTLE | {"colour": 0.05}
LEAST_SPREAD = 0.1
"""Blendshapes that vary less, as five times their score, are dead."""
ENCODER = {"hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4}


@dataclass(frozen=True)
class Plan:
    """One training."""

    name: str
    model: str
    px: int
    epochs: int
    more: dict[str, Any] = field(default_factory=dict)
    data: str = "labelled"

    def settings(self, size: str) -> dict[str, Any]:
        """Return the settings of `duchenne train`."""
        own = {"augmentation": COLOURED} | self.more
        return common(self.model, DISFA, self.px, self.epochs, size) | own


STAGE_1, STAGE_2 = ({"model_settings": {"stage": stage}} for stage in (1, 2))
SGD = {"optimizer": "sgd", "momentum": 0.9, "clip_norm": 0}
HEAT, JOINT = {"learning_rate": 5e-4}, SGD | {"learning_rate": 0.01, "batch_size": 16}


def from_run(name: str) -> dict[str, str]:
    """Return the setting that begins with the weights of another training, as far as they fit."""
    return {"initial": f"{{runs}}/{name}/best.safetensors"}


SYSTEMS = {
    "cpu": (
        Plan("cnn", "cnn_baseline", 112, 30),
        Plan("resnet18", "resnet18_student", 112, 20),
        Plan("heatmap_hourglass", "heatmap_hourglass", 128, 8, HEAT),
        Plan("heatmap_deconv", "heatmap_deconv", 128, 6, HEAT),
        Plan(
            "heatmap_scc",
            "heatmap_scc",
            256,
            1,
            HEAT | {"batch_size": 16} | from_run("heatmap_deconv"),
        ),
        Plan(
            "me_graphau_stage1",
            "me_graphau",
            128,
            8,
            STAGE_1 | {"learning_rate": 1e-4} | from_run("heatmap_deconv"),
        ),
        Plan(
            "me_graphau_stage2",
            "me_graphau",
            128,
            4,
            STAGE_2 | {"learning_rate": 5e-5} | from_run("me_graphau_stage1"),
        ),
        Plan("jaa_net", "jaa_net", 176, 3, JOINT),
        Plan("jaa_net_v2", "jaa_net_v2", 176, 1, JOINT | from_run("jaa_net")),
        Plan("eac_net", "eac_net", 224, 2, {"learning_rate": 1e-4, "batch_size": 16}),
    ),
    "gpu": (
        Plan("cnn", "cnn_baseline", 112, 30),
        Plan("resnet18", "resnet18_student", 224, 20),
        Plan("heatmap_hourglass", "heatmap_hourglass", 256, 15, {"learning_rate": 5e-4}),
        Plan("heatmap_deconv", "heatmap_deconv", 256, 15, {"learning_rate": 5e-4}),
        Plan("heatmap_scc", "heatmap_scc", 256, 15, {"learning_rate": 5e-4}),
        Plan("me_graphau_stage1", "me_graphau", 224, 20, STAGE_1 | {"learning_rate": 1e-4}),
        Plan(
            "me_graphau_stage2",
            "me_graphau",
            224,
            10,
            STAGE_2 | {"learning_rate": 1e-5} | from_run("me_graphau_stage1"),
        ),
        Plan("jaa_net", "jaa_net", 176, 12, SGD | {"learning_rate": 0.01, "batch_size": 16}),
        Plan("jaa_net_v2", "jaa_net_v2", 176, 12, SGD | {"learning_rate": 0.01, "batch_size": 16}),
        Plan("eac_net", "eac_net", 224, 12, SGD | {"learning_rate": 2e-3, "batch_size": 50}),
    ),
}


def ablation(size: str) -> tuple[Plan, ...]:
    """Return the trainings of LibreFace's comparison: student and teacher, with and without pre-training.

    Pre-training sees the people without Action Unit labels: the auto-encoder pictures alone, then student
    and teacher the blendshapes that MediaPipe finds in them, which cost nobody a label.
    """
    px, patch = (96, 12) if size == "cpu" else (224, 16)
    encoder = ENCODER | {"patch_size": patch} if size == "cpu" else {"patch_size": patch}
    net = {"model_settings": {"encoder": encoder}}
    slow = {"learning_rate": 3e-4, "weight_decay": 0.05}
    first = "{runs}/student_first/best.safetensors"
    return (
        Plan(
            "mae",
            "mae_pretraining",
            px,
            20,
            net
            | {
                "labels": [],
                "batch_size": 128,
                "learning_rate": 6e-4,
                "weight_decay": 0.05,
                "betas": [0.9, 0.95],
                "warmup_epochs": 1,
                "ema": 0,
                "augmentation": COLOURED | {"crop": 0.8, "noise": 0},
            },
            "others",
        ),
        Plan("student_scratch", "resnet18_student", px, 30, {"batch_size": 64}),
        Plan("student_first", "resnet18_student", px, 4, {"batch_size": 64}, "pseudo"),
        Plan(
            "student_pretrained", "resnet18_student", px, 30, {"batch_size": 64, "initial": first}
        ),
        Plan(
            "teacher_first",
            "mae_teacher",
            px,
            4,
            net | slow | {"batch_size": 64, "initial": "{runs}/mae/best.safetensors"},
            "pseudo",
        ),
        Plan(
            "teacher",
            "mae_teacher",
            px,
            30,
            net | slow | {"batch_size": 64, "initial": "{runs}/teacher_first/best.safetensors"},
        ),
        Plan(
            "student_distilled",
            "resnet18_student",
            px,
            30,
            {
                "batch_size": 64,
                "initial": first,
                "teacher": "{runs}/teacher/best.safetensors",
                "distill": {"features": 0.3, "task": 1, "divergence": 0.3},
            },
        ),
    )


def student(size: str) -> tuple[Plan, ...]:
    """Return the trainings of the shipped student.

    Blendshapes of the others, then 20 units of all, of people whose folds tell of the actions as each skin
    does, and of these with the further sets.
    """
    first = next(plan for plan in ablation(size) if plan.name == "student_first")
    units = {
        "labels": list(MEASURED), "batch_size": 64, "validation": 0.05, "ema": 0.99, "augmentation": GENTLE,
    }  # fmt: skip
    later = units | {"warmup_epochs": 0.2, "augmentation": GENTLE | {"blur": 0.3}}
    steps = (
        ("student_all", 7, units | from_run("student_first"), "all"),
        ("student_folds", 4, later | {"learning_rate": 6e-4} | from_run("student_all"), "folds"),
        (
            "student",
            6,
            later | {"learning_rate": 7e-4} | from_run("student_folds"),
            "folds and more",
        ),
    )
    plans = (Plan(name, first.model, first.px, n, how, data) for name, n, how, data in steps)
    return first, *plans


def plans_of(what: str, size: str) -> tuple[Plan, ...]:
    """Return the trainings of a comparison, or of the shipped student, in order."""
    if what == "systems":
        return SYSTEMS[size]
    return ablation(size) if what == "ablation" else student(size)


def parts(train: Path, out: Path, people: int) -> dict[str, Path]:
    """Split the people for training into those with Action Unit labels and the others; return folders."""
    faces = read_faces(train)
    labelled = faces.subjects[:people]
    chosen = {"labelled": labelled, "others": faces.subjects[people:]}
    folders = {}
    for name, subjects in chosen.items():
        folders[name] = out / "data" / name
        if not (folders[name] / "labels.tsv").is_file() and subjects:
            write_faces(folders[name], faces.of(subjects))
    return folders


def pseudo_labels(source: Path, folder: Path) -> Path:
    """Write the pictures of a set with five times MediaPipe's blendshapes as labels; return the folder."""
    if (folder / "labels.tsv").is_file():
        return folder
    import cv2
    import mediapipe as mp

    faces = read_faces(source)
    finder = create_landmarker(face_model_path(), video=False, max_faces=1)
    found = np.full((len(faces), len(BLENDSHAPE_NAMES)), np.nan, np.float32)
    for i, picture in enumerate(track(faces.images, description="blendshapes", total=len(faces))):
        wide = cv2.copyMakeBorder(np.array(picture), *(40,) * 4, cv2.BORDER_REPLICATE)
        wide = cv2.resize(wide, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
        result = finder.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=wide))
        if result.face_blendshapes:
            found[i] = [5 * category.score for category in result.face_blendshapes[0]]
    finder.close()
    moves = np.nanstd(found, axis=0) > LEAST_SPREAD
    names = tuple(f"blendshape_{n}" for n, m in zip(BLENDSHAPE_NAMES, moves, strict=True) if m)
    known = np.flatnonzero(np.isfinite(found).all(axis=1))
    labelled = replace(faces, truth=found[:, moves], names=names)
    write_faces(folder, labelled.rows(known))
    return folder


def run(plan: Plan, size: str, data: Sequence[Path], out: Path) -> float:
    """Train; return the minutes of a processor core that it took, 0 where it was done already."""
    settings = plan.settings(size)
    if plan.data == "pseudo":
        settings["labels"] = list(read_faces(data[0]).names)
    return train_once(plan.name, settings, data, out, {})


def main() -> None:
    """Train what is named, then score all that is trained."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=sorted(SYSTEMS), default="cpu")
    parser.add_argument("--people", type=int, default=100, help="with Action Unit labels")
    parser.add_argument("--what", choices=("systems", "ablation", "student"), default="systems")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="further sets (student)")
    parser.add_argument(
        "--folds", type=Path, nargs="*", default=[], help="personal folds (student)"
    )
    parser.add_argument("--only", nargs="*", help="names of trainings")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    folders = parts(arguments.train, out, arguments.people)
    if arguments.what == "student" and not arguments.folds:
        parser.error("the shipped student also learns from --folds")
    if arguments.what != "systems":
        folders["pseudo"] = pseudo_labels(folders["others"], out / "data" / "pseudo")
    sets = {name: [folder] for name, folder in folders.items()} | {
        "all": [arguments.train, *arguments.more],
        "folds": arguments.folds,
        "folds and more": [*arguments.folds, *arguments.more],
    }
    plans = plans_of(arguments.what, arguments.size)
    for plan in plans:
        if not arguments.only or plan.name in arguments.only:
            run(plan, arguments.size, sets[plan.data], out)
    scored = [
        out / plan.name / "best.safetensors"
        for plan in plans
        if plan.data not in ("others", "pseudo") and (out / plan.name / "finished").is_file()
    ]
    command = [sys.executable, "-m", "duchenne.cli", "evaluate", *map(str, scored)]
    command += ["--data", str(arguments.test), "--part", "all"]
    subprocess.run([*command, "--out", str(out / arguments.what)], check=True)


if __name__ == "__main__":
    main()
