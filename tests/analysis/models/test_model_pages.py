"""Every system has its page, and what the page counts and draws is what the code is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml

from duchenne.analysis.models.figures import (
    TABLE_END,
    TABLE_START,
    Part,
    _merged,
    between,
    drawing,
    page_of,
    parts,
    systems_page,
)
from duchenne.analysis.models.registry import build_model, model_entries, n_parameters
from duchenne.analysis.training.settings import TrainSettings

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", model_entries())
def test_the_page_of_a_system_is_up_to_date(name: str) -> None:
    """`python -m duchenne.analysis.models.figures docs` rewrites what is not."""
    page = (DOCS / "models" / f"{name}.md").read_text("utf-8")
    assert page_of(name, page) == page
    assert (DOCS / "images" / "models" / f"{name}.svg").read_text("utf-8") == drawing(name)
    assert f"](models/{name}.md)" in (DOCS / "models.md").read_text("utf-8")
    (settings,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert TrainSettings.model_validate(yaml.safe_load(settings)).model == name


def test_parts_hold_all_parameters() -> None:
    """Every number of the plain network stands in one of its parts."""
    given, found, outputs = parts("resnet18_student")
    assert given == (3, 224, 224)
    assert [part.shape for part in found[:2]] == [(64, 56, 56), (64, 56, 56)]
    assert found[-1].shape == outputs["values"] == (12,)
    with torch.device("meta"):
        net = build_model("resnet18_student")
    assert sum(part.parameters for part in found) == n_parameters(net)


def test_parts_that_are_alike_are_drawn_once() -> None:
    def part(name: str, width: int = 4) -> Part:
        return Part(name, "linear", (width,), 10)

    turns = [part("a.0"), part("b.0", 2), part("a.1"), part("b.1", 2), part("a.2"), part("c")]
    merged = _merged(turns)
    assert [(p.name, p.copies, p.parameters) for p in merged] == [
        ("a.0", 3, 30), ("b.0", 2, 20), ("c", 1, 10),
    ]  # fmt: skip


def test_the_table_of_systems_comes_from_evaluations() -> None:
    scores = {"AU01": {"pcc": [0.5, 0.4, 0.6]}, "mean": {"pcc": [0.5, 0.4, 0.6], "mae": [None] * 3}}
    document = {
        "data": {"folder": "x", "from": "rendered faces", "pictures": 10, "subjects": 2, "part": "all"},
        "mean_of": ["AU01"],
        "systems": [
            {
                "name": "cnn", "scores": scores, "landmarks": {}, "parameters": 423_000,
                "images_per_s": {"1": 120.3}, "missing_in_mean": {"mae": 1},
            }
        ],
    }  # fmt: skip
    page = systems_page([document])
    assert "rendered faces: 10 pictures of 2 subjects, part: all." in page
    assert "| cnn | 0.500 [0.400, 0.600] | n/a | 0.4 M | 120 |" in page
    models = (DOCS / "models.md").read_text("utf-8")
    assert page in between(models, TABLE_START, TABLE_END, page)
    with pytest.raises(ValueError, match="the page has no"):
        between("nothing", TABLE_START, TABLE_END, page)
