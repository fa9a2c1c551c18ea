"""The tables of `zoo_affect.py` as Markdown, out of what `duchenne evaluate` wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

START, END = "<!-- tables -->", "<!-- /tables -->"
ROWS = {
    "vit_se": "ViT-SE",
    "doe_alone": "DoE, without the neutral face",
    "doe": "DoE",
    "ddoe_stage1": "DDoE, first stage (single pictures)",
    "ddoe_stage2_alone": "DDoE, second stage, without the neutral face",
    "ddoe_stage2": "DDoE, second stage",
    "deng_teacher": "Deng CNN, teacher",
    "deng_rnn": "Deng RNN",
    "emofan_alignment": "EmoFAN, landmarks and affect at once",
    "emofan": "EmoFAN, alignment frozen",
    "mae_fusion_silent": "MAE-fusion, silent",
    "mae_fusion": "MAE-fusion, with made-up sound",
}
AFFECT = ("ccc", "pcc", "rmse", "sagr")
CLASSES = ("accuracy", "balanced", "macro_f1")
TITLES = {
    "ccc": "CCC",
    "pcc": "PCC",
    "rmse": "RMSE",
    "sagr": "SAGR",
    "accuracy": "accuracy",
    "balanced": "mean recall",
    "macro_f1": "macro F1",
}


def tables(out: Path, frame_hz: float) -> str:
    """Return everything that was scored in a folder, as Markdown."""
    found = {
        name: json.loads((out / f"{name}.json").read_text("utf-8"))
        for name in (
            "expressions",
            "neutral_doe",
            "neutral_ddoe",
            "affect",
            "ensemble",
            "films",
        )
        if (out / f"{name}.json").is_file()
    }
    parts = []
    if "expressions" in found:
        parts += ["### Classes of expression", _told(found["expressions"])]
        parts += [_expressions(found["expressions"])]
    gains = [found[name] for name in ("neutral_doe", "neutral_ddoe") if name in found]
    if gains:
        parts += ["### What the neutral face buys", _gains(gains)]
    if "affect" in found:
        parts += ["### Valence and arousal, single pictures", _told(found["affect"])]
        parts += [_affect(found["affect"])]
        if "ensemble" in found:
            parts += ["The students together, beside the first of them:"]
            parts += [_affect(found["ensemble"])]
        alone = found["affect"]["systems"]
        known = {system["name"] for system in alone}
        more = found.get("ensemble", {}).get("systems", [])
        heads = _heads([*alone, *(s for s in more if s["name"] not in known)])
        if heads:
            parts += ["### The other heads", heads]
        parts += _landmarks(found["affect"]["systems"])
    if "films" in found:
        parts += [f"### Valence and arousal, films of {frame_hz:g} frames/s", _told(found["films"])]
        parts += [_affect(found["films"])]
    minutes = _minutes(out)
    if minutes:
        parts += ["### What it took", minutes]
    return "\n\n".join(parts) + "\n"


def fill(page: Path, text: str) -> None:
    """Put the tables between the marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(START)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{START}\n{text}{END}{after}", "utf-8")


def _told(document: dict[str, Any]) -> str:
    data = document["data"]
    return (
        f"{data['pictures']} pictures of {data['subjects']} people whom no system has learnt from; 95 % "
        f"intervals from {document['draws']} draws of people."
    )


def _name(system: dict[str, Any]) -> str:
    name = str(system["name"])
    number = name.removeprefix("deng_student_")
    return f"Deng CNN, student {number}" if number != name else ROWS.get(name, name)


def _cell(values: list[float | None] | None, *, signed: bool = False) -> str:
    if values is None or values[0] is None:
        return "n/a"
    form = "+.2f" if signed else ".2f"
    value, low, high = values
    if low is None or high is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _markdown(headings: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _expressions(document: dict[str, Any]) -> str:
    rows = []
    for system in document["systems"]:
        scores = system["scores"]["expression"]
        cells = [_cell(scores.get(metric)) for metric in CLASSES]
        rows.append([_name(system), *cells, f"{system['parameters'] / 1e6:.1f} M"])
    return _markdown(("system", *(TITLES[m] for m in CLASSES), "parameters"), rows)


def _gains(documents: list[dict[str, Any]]) -> str:
    rows = []
    for document in documents:
        alone, beside = document["systems"]
        (difference,) = document["differences"]
        for metric in CLASSES:
            pair = [_cell(s["scores"]["expression"].get(metric)) for s in (alone, beside)]
            gain = _cell(difference["scores"]["expression"].get(metric), signed=True)
            rows.append([_name(beside), TITLES[metric], *pair, gain])
    return _markdown(("system", "", "without", "with", "gain (paired)"), rows)


def _affect(document: dict[str, Any]) -> str:
    rows = []
    for system in document["systems"]:
        for i, output in enumerate(("valence", "arousal")):
            scores = system["scores"].get(output, {})
            cells = [_cell(scores.get(metric)) for metric in AFFECT]
            rows.append([_name(system) if not i else "", output, *cells])
    return _markdown(("system", "", *(TITLES[m] for m in AFFECT)), rows)


def _heads(systems: list[dict[str, Any]]) -> str:
    rows = []
    for system in systems:
        heads = system.get("heads") or {}
        classes = heads.get("expression", {})
        if not classes:
            continue
        units = heads.get("mean_of_units", {})
        rows.append(
            [
                _name(system),
                *(_cell(classes.get(metric)) for metric in CLASSES),
                *(_cell(units.get(metric)) for metric in ("f1", "auc")),
            ]
        )
    titles = ("system", *(TITLES[m] for m in CLASSES), "Action Units: F1", "AUC")
    return _markdown(titles, rows) if rows else ""


def _landmarks(systems: list[dict[str, Any]]) -> list[str]:
    return [
        f"Landmarks of {_name(system)} are off by {_cell(system['landmarks']['landmark_error'])} of the "
        "distance between the eyes."
        for system in systems
        if system["landmarks"]
    ]


def _minutes(out: Path) -> str:
    every = sorted(out.glob("*/finished"), key=lambda path: path.stat().st_mtime)
    rows = [[done.parent.name, done.read_text("utf-8").strip()] for done in every]
    return _markdown(("training", "of one core"), rows) if rows else ""
