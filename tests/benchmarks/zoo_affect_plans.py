"""The trainings of `zoo_affect.py`: which system, on which set, how, and after which other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zoo_affect_faces import AFFECT, DENG_UNITS
from zoo_training import GENTLE, common

ALL_LABELS = (*AFFECT, *DENG_UNITS, "expression")
KINDS: dict[str, list[str]] = {
    "expressions": ["expression"],
    "actions": ["expression"],
    "pictures": [],
}
"""Labels of sets that know no valence."""


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
        adam = {"optimizer": "adam", "weight_decay": 0.0}
        return common(self.model, labels, self.px, self.epochs, size) | adam | self.more


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
        "model_settings": {"encoder": sizes, "pool": "mean"},
        "balance": "under" if small else "over",
        "initial": "{mae}",
        "learning_rate": 1e-4,
        "warmup_epochs": 1,
    }
    after = "" if is_there else "mae"
    return Plan(
        "vit_se", "vit_se", "expressions", mae["input_px"], 16 if small else 30, more, after
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
    px, epochs = (64, 8) if small else (256, 10)
    how = {"labels": [*AFFECT, "expression"]}
    return (
        Plan(
            "emofan_alignment", "emofan", "affect", px, epochs,
            how | {"model_settings": {"alignment": True}},
        ),
        Plan(
            "emofan", "emofan", "affect", px, 8 if small else 20,
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
