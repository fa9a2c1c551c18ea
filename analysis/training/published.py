"""Published figures of the systems, each with where it was read; printed beside one's own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = {
    "D": "second-hand, as quoted by others",
    "R": "in the authors' released code or its description",
    "A": "in the abstract of the paper",
    "T": "in a table of a third party",
    "M": "remembered from the paper, not checked again: a lead, not a fact",
}
"""What the letter behind a figure says about its origin."""


@dataclass(frozen=True)
class Published:
    """One published figure.

    Parameters
    ----------
    model : str
        System of this program that it belongs to.
    variant : str
        Which of the authors' systems.
    data : str
    metric : str
        Named as in our tables.
    value : float
    source : str
        Letter of ``SOURCES``.
    note : str
        What one must know before comparing.
    """

    model: str
    variant: str
    data: str
    metric: str
    value: float
    source: str
    note: str = ""


def _rows(
    model: str, variant: str, data: str, source: str, note: str = "", /, **figures: float
) -> tuple[Published, ...]:
    return tuple(
        Published(model, variant, data, metric, value, source, note)
        for metric, value in figures.items()
    )


_BEST_ON_TEST = "weights chosen on the test part"
PUBLISHED: tuple[Published, ...] = (
    *_rows("resnet18_student", "ResNet-18 alone", "DISFA", "D", pcc=0.518, mae=0.278, mse=0.352),
    *_rows("resnet18_student", "with pre-training", "DISFA", "D", pcc=0.614, mae=0.236, mse=0.260),
    *_rows(
        "resnet18_student", "with pre-training and feature matching", "DISFA", "D",
        "the abstract says PCC 0.63", pcc=0.628, mae=0.244, mse=0.260,
    ),
    *_rows("mae_teacher", "MAE teacher", "DISFA", "D", pcc=0.674, mae=0.202, mse=0.270),
    *_rows("eac_net", "EAC-Net", "BP4D", "R", _BEST_ON_TEST, f1=0.559),
    *_rows(
        "eac_net", "EAC-Net", "DISFA", "R",
        "its eight listed values average 57.4: the table is inconsistent", f1=0.485,
    ),
    *_rows("jaa_net", "JAA-Net", "BP4D", "R", _BEST_ON_TEST, f1=0.600),
    *_rows("jaa_net", "JAA-Net", "DISFA", "R", _BEST_ON_TEST, f1=0.560),
    *_rows(
        "jaa_net", "JAA-Net, run again", "BP4D, a part", "D",
        "the best of each column, of four epochs",
        f1=0.557, accuracy=0.787, landmark_error=0.0397, landmark_failures=0.00057,
    ),
    *_rows("jaa_net_v2", "JÂA-Net", "BP4D", "T", f1=0.624),
    *_rows("jaa_net_v2", "JÂA-Net", "DISFA", "T", f1=0.635),
    *_rows("me_graphau", "ResNet-50", "BP4D", "R", _BEST_ON_TEST, f1=0.647),
    *_rows("me_graphau", "Swin-B", "BP4D", "R", _BEST_ON_TEST, f1=0.655),
    *_rows("me_graphau", "ResNet-50", "DISFA", "R", _BEST_ON_TEST, f1=0.631),
    *_rows("me_graphau", "Swin-B", "DISFA", "R", _BEST_ON_TEST, f1=0.624),
    *_rows("heatmap_scc", "SCC", "BP4D", "M", icc=0.72, mae=0.58),
    *_rows("heatmap_scc", "SCC", "DISFA", "M", icc=0.47, mae=0.20),
    *_rows("heatmap_hourglass", "hourglass", "BP4D", "M", icc=0.68),
    *_rows("vit_se", "ViT + SE", "CK+", "T", accuracy=0.998),
    *_rows("vit_se", "ViT + SE", "SFEW", "T", accuracy=0.5429),
    *_rows("vit_se", "ViT + SE", "RAF-DB", "T", "one index names the set RaFD", accuracy=0.8722),
    *_rows("vit_se", "ViT + SE", "AffectNet, small", "D", accuracy=0.347),
    *_rows("doe", "difference of embeddings", "AffectNet, small", "D", accuracy=0.336),
    *_rows("ddoe", "disentangled", "AffectNet, small", "D", accuracy=0.3804),
    *_rows(
        "emofan", "8 classes, valence", "AffectNet, cleaned", "R",
        ccc=0.82, rmse=0.29, sagr=0.84, accuracy=0.75,
    ),
    *_rows(
        "emofan", "8 classes, arousal", "AffectNet, cleaned", "R", ccc=0.75, rmse=0.27, sagr=0.80
    ),
    *_rows(
        "emofan", "5 classes, valence", "AffectNet, cleaned", "R", ccc=0.90, rmse=0.24, accuracy=0.82
    ),
    *_rows("emofan", "5 classes, arousal", "AffectNet, cleaned", "R", ccc=0.80, rmse=0.24),
    *_rows("mae_fusion", "valence and arousal", "Aff-Wild2 (ABAW5)", "A", ccc=0.6372),
)  # fmt: skip
"""Figures of other people on other data: never to be compared as if the faces were the same."""

_ABAW_2020 = "first of the ABAW challenge of 2020 (Aff-Wild2) in Action Units, valence and arousal"
UNQUOTED = {"deng_cnn": _ABAW_2020, "deng_rnn": _ABAW_2020}
"""What is published without a figure that we could place."""


def published_of(model: str) -> tuple[Published, ...]:
    """Return the published figures of a system; none where nobody published any."""
    return tuple(row for row in PUBLISHED if row.model == model)


def published_rows(models: Sequence[str]) -> list[dict[str, Any]]:
    """Return the published figures of some systems as plain rows."""
    return [asdict(row) for name in models for row in published_of(name)]
