"""An evaluation as tables: for the terminal, as Markdown, and as tab-separated values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.analysis.training.published import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NONE = "n/a"
HEADINGS = {
    "pcc": "PCC",
    "icc": "ICC(3,1)",
    "ccc": "CCC",
    "mae": "MAE",
    "mse": "MSE",
    "f1": "F1",
    "accuracy": "accuracy",
    "balanced": "mean recall",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "rmse": "RMSE",
    "sagr": "SAGR",
    "landmark_error": "landmark error",
    "landmark_failures": "failures",
}
"""Names of figures in headings."""
_NUMBER = re.compile(r"([-+]?[\d.,]+( [kM])?( \[.*\])?( \*)?|n/a|)")
LANDMARKS = ("landmark_error", "landmark_failures")


@dataclass(frozen=True)
class Table:
    """One table.

    Parameters
    ----------
    title : str
    headings : tuple of str
    rows : list of tuple of str
    """

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]

    @property
    def width(self) -> int:
        """How many characters its widest line takes, two between columns."""
        columns = zip(self.headings, *self.rows, strict=True)
        return sum(2 + max(map(len, column)) for column in columns)

    def markdown(self) -> str:
        """Return it as Markdown, numbers to the right."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.headings)
        rules = ("---:" if all(map(_NUMBER.fullmatch, cells)) else "---" for cells in columns)
        lines = [
            "| " + " | ".join(self.headings) + " |",
            "|" + "|".join(rules) + "|",
            *("| " + " | ".join(row) + " |" for row in self.rows),
        ]
        return "\n".join(lines)


def cell(values: Sequence[float | None] | None, *, interval: bool = True, digits: int = 3) -> str:
    """Return value and interval, such as ``0.512 [0.480, 0.541]``; ``n/a`` where it does not exist."""
    if values is None or values[0] is None:
        return NONE
    value, low, high = values
    if not interval or low is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def metrics_of(systems: Iterable[dict[str, Any]]) -> list[str]:
    """Return the figures that any of the systems has, in the usual order."""
    there = {metric for system in systems for metric in system["scores"]["mean"]}
    return [metric for metric in HEADINGS if metric in there]


def systems_table(document: dict[str, Any], *, interval: bool = True) -> Table:
    """Return one row per system: means over the common outputs, landmarks, parameters and speed."""
    systems = document["systems"]
    metrics = metrics_of(systems)
    landmarks = [name for name in LANDMARKS if any(name in s["landmarks"] for s in systems)]
    batches = sorted({n for s in systems for n in s["images_per_s"]}, key=int)
    headings = (
        "system",
        *(HEADINGS[m] for m in (*metrics, *landmarks)),
        "parameters",
        *(f"faces/s, {n}" for n in batches),
    )
    rows = []
    for system in systems:
        mean = system["scores"]["mean"]
        rows.append(
            (
                system["name"],
                *(cell(mean.get(m), interval=interval) for m in metrics),
                *(cell(system["landmarks"].get(m), interval=interval) for m in landmarks),
                f"{system['parameters'] / 1e6:.1f} M",
                *(_speed(system["images_per_s"].get(n)) for n in batches),
            )
        )
    return Table("Systems", headings, rows)


def _speed(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def units_table(document: dict[str, Any], metric: str, *, interval: bool = True) -> Table:
    """Return one row per output, one column per system, of one figure."""
    systems = [s for s in document["systems"] if metric in s["scores"]["mean"]]
    names = list(dict.fromkeys(n for s in systems for n in s["labels"]))
    if any(s["labels"] != systems[0]["labels"] for s in systems):
        names.sort()
    return Table(
        HEADINGS[metric],
        ("", *(s["name"] for s in systems)),
        [
            (
                name,
                *(cell(s["scores"].get(name, {}).get(metric), interval=interval) for s in systems),
            )
            for name in (*names, "mean")
        ],
    )


def own_table(system: dict[str, Any], *, interval: bool = True) -> Table:
    """Return one row per output of one system, one column per figure."""
    metrics = metrics_of([system])
    return Table(
        system["name"],
        ("", *(HEADINGS[m] for m in metrics)),
        [
            (name, *(cell(row.get(m), interval=interval) for m in metrics))
            for name, row in system["scores"].items()
        ],
    )


def heads_table(document: dict[str, Any], *, interval: bool = True) -> Table:
    """Return one row per further head of each system, one column per figure; no rows without such heads."""
    systems = document["systems"]
    there = {metric for s in systems for row in s["heads"].values() for metric in row}
    metrics = [metric for metric in HEADINGS if metric in there]
    return Table(
        "Further heads",
        ("system", "head", *(HEADINGS[m] for m in metrics)),
        [
            (
                s["name"],
                name.replace("_", " "),
                *(cell(row.get(m), interval=interval) for m in metrics),
            )
            for s in systems
            for name, row in s["heads"].items()
        ],
    )


def differences_table(document: dict[str, Any]) -> Table:
    """Return by how much each system is above the first, in means, with paired intervals."""
    parts = document["differences"]
    metrics = [m for m in HEADINGS if any(m in part["scores"]["mean"] for part in parts)]
    return Table(
        f"Difference from {parts[0]['less']}" if parts else "Differences",
        ("", *(part["system"] for part in parts)),
        [
            (HEADINGS[m], *(_signed(part["scores"]["mean"].get(m)) for part in parts))
            for m in metrics
        ],
    )


def _signed(values: Sequence[float | None] | None) -> str:
    if values is None or values[0] is None:
        return NONE
    value, low, high = values
    if low is None:
        return f"{value:+.3f}"
    mark = "" if low <= 0 <= (high or 0) else " *"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]{mark}"


def published_table(document: dict[str, Any]) -> Table:
    """Return published figures of the same systems, on other data, with the letter of their source."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in document["published"]:
        key = (row["model"], row["variant"], row["data"])
        rows.setdefault(key, {"source": row["source"], "note": row["note"]})[row["metric"]] = row[
            "value"
        ]
    metrics = [m for m in HEADINGS if any(m in figures for figures in rows.values())]
    return Table(
        "Published, on other data",
        ("system", "variant", "data", *(HEADINGS[m] for m in metrics), "source", "note"),
        [
            (
                *key,
                *(f"{figures[m]:g}" if m in figures else "" for m in metrics),
                figures["source"],
                figures["note"],
            )
            for key, figures in rows.items()
        ],
    )


def sources_line(document: dict[str, Any]) -> str:
    """Return what the letters of the sources mean that occur."""
    letters = sorted({row["source"] for row in document["published"]})
    return "Sources: " + "; ".join(f"{letter} {SOURCES[letter]}" for letter in letters) + "."


def headline(document: dict[str, Any]) -> str:
    """Return what was scored in one line."""
    data = document["data"]
    return f"{data['pictures']} pictures of {data['subjects']} subjects, part: {data['part']}"


def mean_line(document: dict[str, Any]) -> str:
    """Return what means are over and how many outputs they had to leave out."""
    over = document["mean_of"]
    text = f"Means are over {', '.join(over)}." if over else "The systems share no output."
    for system in document["systems"]:
        for metric, n in system["missing_in_mean"].items():
            text += (
                f" {system['name']}: {HEADINGS[metric]} does not exist for {n} of them (constant), which "
                "its mean leaves out."
            )
    return text


def folds_table(document: dict[str, Any]) -> Table:
    """Return one row per part of a cross-validation, their mean, and all answers pooled."""
    folds = document["folds"]
    system = document["systems"][0]
    metrics = metrics_of([system])
    names = [*(str(i + 1) for i in range(len(folds) - 1)), "mean of the parts"]
    rows = [
        (name, *(cell([row[m], None, None]) for m in metrics))
        for name, row in zip(names, folds, strict=True)
    ]
    pooled = ("pooled", *(cell(system["scores"]["mean"][m]) for m in metrics))
    return Table("Parts", ("part", *(HEADINGS[m] for m in metrics)), [*rows, pooled])


def folds_by_output_table(document: dict[str, Any], metric: str) -> Table:
    """Return one row per output: one figure in each part, the mean of the parts, and all answers pooled."""
    parts = [str(i + 1) for i in range(len(document["folds"]) - 1)]
    scores = document["systems"][0]["scores"]
    rows = [
        (
            name,
            *(cell([value, None, None]) for value in row[metric]),
            cell(scores[name][metric]),
        )
        for name, row in document["folds_by_output"].items()
    ]
    headings = ("", *(f"part {i}" for i in parts), "mean of the parts", "pooled")
    return Table(f"{HEADINGS[metric]} in each part", headings, rows)


def _intervals_line(document: dict[str, Any]) -> str:
    return f"95 % intervals are from {document['draws']} draws of subjects."


def markdown(document: dict[str, Any]) -> str:
    """Return the whole evaluation as a Markdown page."""
    parts = [
        "# Evaluation",
        f"{headline(document)}. {_intervals_line(document)} {mean_line(document)}",
        *(f"- {note}" for note in document["notes"]),
        systems_table(document).markdown(),
    ]
    if document["differences"]:
        table = differences_table(document)
        parts += [
            f"## {table.title}",
            "Paired: the same subjects are drawn for both. * the interval leaves 0 out.",
            table.markdown(),
        ]
    heads = heads_table(document)
    if heads.rows:
        parts += [f"## {heads.title}", heads.markdown()]
    if document["folds"]:
        parts += ["## Parts", folds_table(document).markdown()]
        for metric in metrics_of(document["systems"]):
            table = folds_by_output_table(document, metric)
            parts += [f"### {table.title}", table.markdown()]
    for metric in metrics_of(document["systems"]):
        table = units_table(document, metric)
        parts += [f"## {table.title}", table.markdown()]
    if document["published"]:
        table = published_table(document)
        parts += [f"## {table.title}", sources_line(document), table.markdown()]
    return "\n\n".join(parts) + "\n"


def tsv(document: dict[str, Any]) -> str:
    """Return every figure as one line: system, output, figure, value, low, high."""
    lines = ["system\tmodel\toutput\tfigure\tvalue\tlow\thigh"]
    for system in document["systems"]:
        heads = {f"head {name}": row for name, row in system["heads"].items()}
        rows = {**system["scores"], "face": system["landmarks"], **heads}
        for name, row in rows.items():
            for metric, values in row.items():
                cells = (NONE if v is None else f"{v:.6g}" for v in values)
                lines.append("\t".join((system["name"], system["model"], name, metric, *cells)))
    return "\n".join(lines) + "\n"
