"""What the benchmark of the student found, as Markdown: tables, and the figures on its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from au_geometry_evaluate import DISFA, table
from student_faces import MODES

from duchenne.analysis.face.backends.fusion import REFERENCES

if TYPE_CHECKING:
    from pathlib import Path

Table = dict[str, dict[str, Any]]


def means(found: Table, units: list[str], key: str) -> dict[str, float]:
    """Return the mean of a figure over units, for each backend."""
    return {
        name: float(np.nanmean([rows[au][key] for au in units])) for name, rows in found.items()
    }


def groups(units: list[str]) -> list[tuple[str, list[str]]]:
    return [
        ("mean of the DISFA units", [au for au in units if au in DISFA]),
        (f"mean of {len(units)} units", units),
    ]


def score_tables(found: Table, units: list[str]) -> str:
    """Return the tables of one kind of reference."""
    names = list(found)
    rows: list[list[Any]] = []
    for au in units:
        best = max(names, key=lambda n: found[n][au]["pcc"])
        cells = [
            f"{found[n][au]['pcc']:.2f} ({found[n][au]['low']:.2f}–{found[n][au]['high']:.2f})"
            for n in names
        ]
        rows.append([au, *cells, best])
    for label, some in groups(units):
        cells = []
        for n in names:
            spread = np.nanmean([found[n][au]["draws"] for au in some], axis=0)
            low, high = np.percentile(spread, (2.5, 97.5))
            cells.append(f"{means(found, some, 'pcc')[n]:.3f} ({low:.3f}–{high:.3f})")
        rows.append([label, *cells, ""])
    text = table(rows, ["r (95 %)", *names, "best"])
    keys = ("icc", "mae_present", "mae_absent")
    more: list[list[Any]] = [
        [au, *(found[n][au][key] for key in keys for n in names)] for au in units
    ]
    for label, some in groups(units):
        more.append([label, *(means(found, some, key)[n] for key in keys for n in names)])
    head = [f"{key.replace('_', ' ')}, {n}" for key in keys for n in names]
    gain = []
    for label, some in groups(units):
        away = np.nanmean(
            [found["fusion"][au]["draws"] - found["geometry"][au]["draws"] for au in some], axis=0
        )
        low, high = np.percentile(away, (2.5, 97.5))
        gain.append(f"{label}: fusion less geometry {away.mean():+.3f} ({low:+.3f} to {high:+.3f})")
    return f"{text}\n\n{'; '.join(gain)}\n\n{table(more, ['', *head])}"


def london_table(people: Table) -> str:
    """Return what was found in real faces at rest and in a smile, without a neutral phase."""
    keys = ("auc_held_out", "auc_all", "higher_held_out", "off", "off_worst")
    rows = [[n, *(f"{f[key]:.3f}" for key in keys), f["worst"]] for n, f in people.items()]
    head = [
        "",
        "AUC of AU12, 34 persons",
        "all",
        "smile higher",
        "AU_c off at rest",
        "worst",
        "which",
    ]
    return table(rows, head)


def weights_table(card: dict[str, Any], units: list[str]) -> str:
    """Return the weights of the fusion and which backend is best."""
    names, alone = ("geometry", "student"), {"geometry": 1.0, "student": "–"}
    rows = [
        [
            au,
            *(card[kind].get(au, alone)[n] for kind in REFERENCES for n in names),
            card["best"][au],
        ]
        for au in units
    ]
    heads = [f"{kind}: {n}" for kind in REFERENCES for n in names]
    return table(rows, ["", *heads, "best on the fitted identities"])


MARKS = (
    "<!-- figures: written by tests/benchmarks/student_evaluate.py -->",
    "<!-- figures end -->",
)


def facts_table(card: dict[str, Any]) -> str:
    """Return what the student is, from its card."""
    trained, eight = card["trained"], card["int8"]
    sizes = [f"{row['bytes'] / 1e6:.1f} MB (`{name}`)" for name, row in card["files"].items()]
    people = f"{trained['n_train_subjects']} identities"
    chosen = f"{trained['n_validation_subjects']} others to choose the weights"
    cost = f"mean r {eight['pcc_fp32']:.4f} → {eight['pcc_int8']:.4f}"
    return table(
        [
            ["network", f"{trained['model']}, {card['input_px']} px, {len(card['units'])} units"],
            ["trained on", f"{_sources(trained['data'])}; {people}; {chosen}"],
            ["calibrated on", f"{card['n_fit_identities']} further identities"],
            ["files", " + ".join(sizes)],
            ["8 bits cost", f"{cost} on {eight['n_pictures']} pictures of validation identities"],
        ],
        ["", ""],
    )


def _sources(data: dict[str, Any]) -> str:
    """Return what made the faces, of one prepared set or of several."""
    sets = data.get("sets", {"": data})
    return ", ".join(dict.fromkeys(str(one.get("from", "not told")) for one in sets.values()))


def gains(sections: dict[str, str]) -> str:
    """Return what the fusion adds to geometry, by reference."""
    lines = []
    for mode in MODES:
        text = sections[f"Held-out pictures, {mode}"].splitlines()
        lines.append(f"- {mode}: {next(line for line in text if 'less geometry' in line)}")
    return "\n".join(lines)


def into_page(
    path: Path,
    card: dict[str, Any],
    sections: dict[str, str],
    scored: dict[str, Table],
    units: list[str],
) -> None:
    """Write the figures of the shipped student between the marks of its page."""
    own = scored[MODES[0]]
    names = list(own)
    rows: list[list[Any]] = []
    for au in units:
        student, fusion = own["student"][au], own["fusion"][au]
        rows.append(
            [au, *(own[n][au]["pcc"] for n in names), student["icc"], fusion["icc"],
             student["mae_present"], student["mae_absent"],
             fusion["mae_present"], fusion["mae_absent"]]
        )  # fmt: skip
    for label, some in groups(units):
        picked = [row for row in rows if row[0] in some]
        rows.append([label, *(float(np.nanmean([r[k] for r in picked])) for k in range(1, 11))])
    head = ["", *(f"r, {n}" for n in names), "ICC, student", "ICC, fusion",
            "MAE shown, student", "not shown", "MAE shown, fusion", "not shown"]  # fmt: skip
    means_rows = [
        [f"{label}, {mode}", *(means(scored[mode], some, "pcc")[n] for n in names)]
        for mode in MODES
        for label, some in groups(units)
    ]
    kept = ("Calibration of the student", "Without any action", "London faces", "Real film",
            "Weights of the fusion")  # fmt: skip
    text = "\n\n".join(
        [
            facts_table(card),
            "### Held-out pictures, own neutral face",
            table(rows, head),
            "### Means of r, by reference",
            table(means_rows, ["", *names]),
            gains(sections),
            *(f"### {name}\n\n{sections[name]}" for name in kept),
        ]
    )
    page = path.read_text("utf-8")
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    path.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}", "utf-8")
