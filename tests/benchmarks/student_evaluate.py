"""Calibrate an exported student, fit the fusion, and score both beside the other backends.

    python tests/benchmarks/student_evaluate.py --checkpoint best.safetensors --faces PREPARED \
        --student analysis/face/backends/weights --data FOLDER --fit FOLDER --media FOLDER --out tables.md

``--checkpoint`` and ``--faces`` export the student into ``--student`` first (as ``duchenne models export``
does). ``--data`` holds the shards of ``au_geometry_render.py``: the identities ``calibrate_*`` there and in
``--fit`` that the student was not trained on set calibration, dead zones and fusion; ``test_*``,
``clip_*`` and every second one of ``sweep_*`` are scored. ``--media`` holds the real faces (``london``,
``face_real.mp4``, ``face_real_openface.csv``). The calibration goes into the student's card, the fusion
into ``fusion.json`` beside it, the main figures between the two marks in ``--card``
(``docs/models/student.md``). About two minutes of one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from au_geometry_evaluate import MOVED, RELIABLE, pcc, scores, table
from au_geometry_faces import LOCKED, SIDED
from student_faces import (
    MODES,
    TRUTH,
    Both,
    Seen,
    film_table,
    london,
    london_paths,
    of_film,
    of_pictures,
    rendered,
    resting_threshold,
)
from student_fit import fit_calibration, fit_fusion, isotonic_answer
from student_page import Table, into_page, london_table, score_tables, weights_table

from duchenne.analysis.face.backends.blendshapes import BlendshapeBackend
from duchenne.analysis.face.backends.fusion import FORMAT, TABLE, FusionBackend
from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.backends.student import N_FIRST, StudentBackend
from duchenne.analysis.face.backends.student_model import (
    CARD,
    WEIGHTS,
    Answer,
    StudentModel,
    read_student,
)
from duchenne.analysis.tables import write_json
from duchenne.analysis.training.checkpoint import read_about

N_DRAWS = 1000


def units_of(student: StudentBackend) -> list[str]:
    """Return what all backends measure, sides left out."""
    shape = GeometryBackend().au_names
    return [au for au in student.au_names if au in shape and au not in SIDED]


def drawn(truth: np.ndarray, values: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return the correlation in draws of persons: (draws,)."""
    n = person.max() + 1
    rng = np.random.default_rng(0)
    often = np.array([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(N_DRAWS)])
    parts = [np.ones_like(truth), truth, values, truth**2, values**2, truth * values]
    sums = often @ np.column_stack([np.bincount(person, p, minlength=n) for p in parts])
    m, x, y, xx, yy, xy = sums.T
    return (xy - x * y / m) / np.sqrt(np.maximum((xx - x**2 / m) * (yy - y**2 / m), 1e-12))


def compared(backends: dict[str, tuple[Any, Seen]], units: list[str], mode: str) -> Table:
    """Return the scores of each backend for each unit, with an interval from drawing persons."""
    found: Table = {}
    for name, (backend, seen) in backends.items():
        values, judged = seen.measured(backend, mode), seen.kind != 0
        found[name] = {}
        for au in units:
            truth = seen.truth[judged, TRUTH.index(au)]
            mine = values[judged, backend.au_names.index(au)]
            spread = drawn(truth, mine, seen.person[judged])
            low, high = np.nanpercentile(spread, (2.5, 97.5))
            found[name][au] = scores(truth, mine) | {
                "low": float(low), "high": float(high), "draws": spread,
            }  # fmt: skip
    return found


def answers_compared(student: StudentBackend, fit: Seen, test: Seen, units: list[str]) -> str:
    """Return what each step of the calibration is good for, own neutral face known."""
    judged = test.kind != 0
    outputs = test.features[:, 0, N_FIRST:]
    rest = test.neutral(student, MODES[0], 0)[:, N_FIRST:]
    fitted = student._answers["own"]
    none = np.zeros_like(fitted.zone)
    ways = {
        "raw output": np.clip(outputs, 0, 5),
        "less the neutral face's": np.clip(outputs - rest, 0, 5),
        "isotonic, less the neutral face's": isotonic_answer(fit, student, test),
        "share and slope": np.clip(Answer(fitted.share, fitted.slope, none).raw(outputs, rest), 0, 5),
        "share, slope and dead zone (shipped)": test.measured(student, MODES[0]),
    }  # fmt: skip
    rows = []
    for name, values in ways.items():
        per = [
            scores(test.truth[judged, TRUTH.index(au)], values[judged, student.au_names.index(au)])
            for au in units
        ]
        calm = np.isin(test.kind, LOCKED[1:]) | (test.kind == 1)
        false = float((values[calm] > MOVED).mean()) if calm.any() else float("nan")
        keys = ("pcc", "icc", "mae_present", "mae_absent")
        rows.append([name, *(float(np.nanmean([p[k] for p in per])) for k in keys), false])
    head = [
        "calibration",
        "r",
        "ICC",
        "MAE present",
        "MAE absent",
        "share > 0.3 without its action",
    ]
    return table(rows, head)


def quiet_table(backends: dict[str, tuple[Any, Seen]], units: list[str]) -> tuple[str, Table]:
    """Return what gaze, head and light move without any action."""
    rows: list[list[Any]] = []
    facts: Table = {}
    for mode in (MODES[0], MODES[2]):
        for name, (backend, seen) in backends.items():
            columns = [backend.au_names.index(au) for au in units]
            values = seen.measured(backend, mode)[:, columns]
            for kind, what in ((6, "gaze 15°"), (7, "head 15°"), (8, "light")):
                some = values[seen.kind == kind]
                fact = {
                    "share_of_values_above_0.3": round(float((some > MOVED).mean()), 4),
                    "share_of_frames_with_one": round(float((some > MOVED).any(axis=1).mean()), 3),
                    "largest_mean": round(float(some.mean(axis=0).max()), 3),
                }
                facts[f"{name}, {what}, {mode}"] = {"n": len(some), **fact}
                percent = [f"{100 * v:.1f}" for v in list(fact.values())[:2]]
                rows.append([f"{what}, {mode}", name, *percent, fact["largest_mean"]])
    head = ["", "backend", "values > 0.3 (%)", "frames with one (%)", "largest mean"]
    return table(rows, head), facts


def cross_talk(backend: Any, seen: Seen, units: list[str]) -> Table:
    """Return the mean of every unit where one is shown alone at 4."""
    columns = [backend.au_names.index(au) for au in units]
    values = seen.measured(backend, MODES[0])[:, columns]
    found: Table = {}
    for au in units:
        some = values[(seen.kind == 2) & (seen.truth[:, TRUTH.index(au)] >= 3.9)]
        if len(some):
            found[au] = {
                b: round(float(v), 2) for b, v in zip(units, some.mean(axis=0), strict=True)
            }
    return found


def reliability(own: Table, usual: Table, free: Table, name: str) -> Table:
    """Return the rows of a card."""
    return {
        au: {
            k: round(row[k], 3) for k in ("pcc", "low", "high", "icc", "mae_present", "mae_absent")
        }
        | {
            "pcc_habitual": round(usual[name][au]["pcc"], 3),
            "pcc_typical": round(free[name][au]["pcc"], 3),
            "reliable": row["pcc"] >= RELIABLE,
        }
        for au, row in own[name].items()
    }


def fitting_paths(given: argparse.Namespace) -> list[Path]:
    """Return the shards of identities for fitting, none of which the student was trained on."""
    split = read_about(given.student / WEIGHTS).get("split", {})
    seen = {*split.get("train", ()), *split.get("validation", ())}
    folders = [given.data, *(given.fit or [])]
    paths = [p for folder in folders for p in sorted(folder.glob("calibrate_*.npz"))]
    return [p for p in paths if p.stem not in seen]


def plain_faces(seen: Seen, paths: list[Path]) -> Seen:
    """Return the same faces as the blendshape map sees them."""
    from au_geometry_faces import as_frames

    backend, rows = BlendshapeBackend(), []
    for path in paths:
        with np.load(path) as shard:
            arrays = [shard[n] for n in ("landmarks", "blendshapes", "rotation")]
        views = range(arrays[0].shape[1])
        rows.append(
            np.stack([backend.features(as_frames(*(a[:, j] for a in arrays))) for j in views], 1)
        )
    return replace(seen, features=np.concatenate(rows))


def film_curves(media: Path, tables: dict[str, pd.DataFrame], figure: Path | None) -> str:
    """Return how the curves of the real film agree with OpenFace's; draw them where wanted."""
    other = pd.read_csv(media / "face_real_openface.csv")
    n = min(len(other), *(len(t) for t in tables.values()))
    other = other.iloc[:n]
    units = [c[:4] for c in other.columns if c.startswith("AU") and c.endswith("_r")]
    units = [au for au in units if all(f"{au}_r" in t for t in tables.values())]
    third, half = n // 3, n // 2
    rows = []
    for au in units:
        row: list[Any] = [au]
        openface = other[f"{au}_r"].to_numpy()
        for one in tables.values():
            values = one[f"{au}_r"].to_numpy()[:n]
            both = (other["success"] == 1).to_numpy() & np.isfinite(values)
            early, late = np.nanmean(values[:third]), np.nanmean(values[half:])
            row += [pcc(openface[both], values[both]), f"{early:.2f} → {late:.2f}"]
        rows.append([*row, f"{openface[:third].mean():.2f} → {openface[half:].mean():.2f}"])
    mean = [float(np.nanmean([r[1 + 2 * i] for r in rows])) for i in range(len(tables))]
    rows.append(["mean", *(cell for value in mean for cell in (value, "")), ""])
    head = [
        "",
        *(cell for name in tables for cell in (f"r, {name}", f"{name}, crying → laughing")),
        "OpenFace",
    ]
    if figure is not None:
        draw(other, tables, units, figure)
    return table(rows, head)


def draw(
    other: pd.DataFrame, tables: dict[str, pd.DataFrame], units: list[str], path: Path
) -> None:
    """Draw the curves of the film, one panel per unit."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    some, axes = plt.subplots(
        (len(units) + 2) // 3, 3, figsize=(17, 2.0 * ((len(units) + 2) // 3)), sharex=True
    )
    for axis, au in zip(axes.flat, units, strict=False):
        axis.plot(other["timestamp"], other[f"{au}_r"], color="0.6", lw=1.2, label="OpenFace")
        for name, one in tables.items():
            axis.plot(one["time"], one[f"{au}_r"], lw=1.0, label=name)
        axis.set_ylim(0, 5)
        axis.set_title(au, fontsize=9, loc="left")
    axes.flat[0].legend(fontsize=7)
    some.tight_layout()
    some.savefig(path, dpi=80)


def main() -> None:
    """Export, fit, score, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=None)
    parser.add_argument("--faces", type=Path, nargs="+", default=None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", type=Path, action="append")
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path, default=None)
    parser.add_argument("--card", type=Path, default=None)
    given = parser.parse_args()
    if given.checkpoint is not None:
        from duchenne.analysis.models.export import export_student
        from duchenne.analysis.training.together import read_together

        export_student(given.checkpoint, read_together(given.faces), given.student)
    evaluate(given)
    print(f"Written: {given.out}")


@dataclass(frozen=True)
class Data:
    """Everything that is measured once: rendered faces by part, real ones, and their features."""

    geometry: GeometryBackend
    both: Both
    paths: dict[str, list[Path]]
    seen: dict[str, Seen]
    real: np.ndarray

    @property
    def shape(self) -> slice:
        """Return which features are those of geometry."""
        return slice(0, self.both.n_shape)

    @property
    def pixels(self) -> slice:
        """Return which features are those of the student."""
        return slice(self.both.n_shape, None)

    @property
    def known(self) -> np.ndarray:
        """Return the resting faces of the real persons that may be learnt from, every third."""
        return self.real[::2][np.arange(len(self.real) // 2) % 3 == 0]

    @property
    def rest(self) -> np.ndarray:
        """Return the rendered resting faces of the identities for fitting."""
        fit = self.seen["fit"]
        return np.concatenate([fit.features[fit.kind == 0, j] for j in range(2)])


def look(given: argparse.Namespace, model: StudentModel) -> Data:
    """Measure all faces with both backends."""
    geometry = GeometryBackend()
    both = Both(geometry, StudentBackend(model=model))
    paths = {
        "fit": fitting_paths(given),
        "quiet": sorted(given.data.glob("sweep_*.npz"))[::2],
        "test": sorted(given.data.glob("test_*.npz")),
        "sweep": sorted(given.data.glob("sweep_*.npz"))[1::2],
        "clip": sorted(given.data.glob("clip_*.npz")),
    }
    seen = {name: rendered(some, geometry, model) for name, some in paths.items()}
    print({name: (len(some), len(seen[name].kind)) for name, some in paths.items()}, flush=True)
    return Data(
        geometry, both, paths, seen, of_pictures(london_paths(given.media / "london"), both)
    )


def calibrated(model: StudentModel, data: Data) -> dict[str, Any]:
    """Return the student's card with its calibration."""
    outputs = slice(data.both.n_shape + N_FIRST, None)
    card = dict(model.card)
    card["typical_neutral"] = np.median(data.rest[:, outputs], axis=0).tolist()
    fit, quiet = (data.seen[name].columns(data.pixels) for name in ("fit", "quiet"))
    student = StudentBackend(model=replace_card(model, card))
    answers = fit_calibration(fit, quiet, student)
    card["calibration"] = {kind: packed(answer) for kind, answer in answers.items()}
    card["n_fit_identities"] = len(data.paths["fit"])
    # Strangers are real persons: what the network answers to their resting faces is typical.
    card["typical_neutral"] = [
        round(float(v), 4) for v in np.median(data.known[:, outputs], axis=0)
    ]
    student = StudentBackend(model=replace_card(model, card))
    resting = data.rest[:, data.pixels], data.known[:, data.pixels]
    card["resting_threshold"] = resting_threshold(student, *resting)
    return card


def geometry_hash() -> str:
    """Return the hash of geometry's model that the fusion is fitted with."""
    path = Path(str(files("duchenne.analysis.face.backends"))) / "geometry_model.json"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fused(
    given: argparse.Namespace, data: Data, student: StudentBackend, units: list[str]
) -> dict[str, Any]:
    """Return the table of the fusion; it lies beside the student then."""
    n, card = data.both.n_shape, student.card
    table = {
        "format": FORMAT,
        "student_sha256": card["checkpoint_sha256"],
        "geometry_sha256": geometry_hash(),
        "fitted_on": f"{card['n_fit_identities']} rendered identities that neither network learnt",
        **fit_fusion(data.seen["fit"], data.seen["quiet"], data.geometry, student, n),
        "best": {},
        "reliability": {},
    }
    write_all(given, dict(card), table)
    fusion = FusionBackend(str(given.student))
    table["resting_threshold"] = highest(
        resting_threshold(fusion, data.rest, data.known), data.geometry, fusion
    )
    table["best"] = best_of(data, student, fusion, units)
    write_all(given, dict(card), table)
    return table


def evaluate(given: argparse.Namespace) -> None:
    """Fit on the identities kept aside, score on others, write tables and cards."""
    model = read_student(given.student)
    data = look(given, model)
    card = calibrated(model, data)
    student = StudentBackend(model=replace_card(model, card))
    units = units_of(student)
    fusion_card = fused(given, data, student, units)
    backends = {
        "geometry": (data.geometry, data.shape),
        "student": (student, data.pixels),
        "fusion": (FusionBackend(str(given.student)), slice(None)),
    }

    def everybody(split: str) -> dict[str, tuple[Any, Seen]]:
        faces = data.seen[split]
        plain = (BlendshapeBackend(), plain_faces(faces, data.paths[split]))
        return {"blendshapes": plain} | {
            name: (one, faces.columns(some)) for name, (one, some) in backends.items()
        }

    scored = {mode: compared(everybody("test"), units, mode) for mode in MODES}
    fit, test = (data.seen[name].columns(data.pixels) for name in ("fit", "test"))
    sections = {"Calibration of the student": answers_compared(student, fit, test, units)}
    for mode in MODES:
        sections[f"Held-out pictures, {mode}"] = score_tables(scored[mode], units)
    clips = compared(everybody("clip"), units, MODES[1])
    sections["Held-out films, habitual face"] = score_tables(clips, units)
    sections["Without any action"], quiet = quiet_table(everybody("sweep"), units)
    talk = {
        name: cross_talk(one, faces, units) for name, (one, faces) in everybody("sweep").items()
    }
    people = {
        name: london(data.real[:, some], one, units) for name, (one, some) in backends.items()
    }
    sections["London faces"] = london_table(people)
    sections["London faces, means"] = "\n\n".join(
        f"{n}, {what}: {json.dumps(f[f'{what}_means'])}"
        for n, f in people.items()
        for what in ("rest", "smile")
    )
    film = of_film(given.media / "face_real.mp4", data.both)
    curves = {name: film_table(film, one, some) for name, (one, some) in backends.items()}
    sections["Real film"] = film_curves(given.media, curves, given.figure)
    sections["Weights of the fusion"] = weights_table(fusion_card, units)

    every = [scored[mode] for mode in MODES]
    about = "Reliability on rendered faces of identities never trained on, not human FACS coding."
    shared = {"about": about, "without_any_action": quiet}
    card["reliability"] = {"student": reliability(*every, "student")}
    card |= {"cross_talk_at_4": talk["student"], "london": people["student"], **shared}
    rows = reliability(*every, "fusion")
    theirs = data.geometry.card["reliability"]
    names = data.geometry.au_names
    fusion_card["reliability"] = {au: rows.get(au, theirs[au]) for au in names}
    fusion_card |= {"cross_talk_at_4": talk["fusion"], "london": people["fusion"], **shared}
    write_all(given, card, fusion_card)
    if given.card is not None:
        into_page(given.card, card, sections, scored, units)
    given.out.write_text("\n\n".join(f"## {k}\n\n{v}" for k, v in sections.items()) + "\n", "utf-8")


def replace_card(model: StudentModel, card: dict[str, Any]) -> StudentModel:
    """Return the student with another card."""
    return StudentModel(model.folder, card)


def packed(answer: Answer) -> dict[str, Any]:
    """Return an answer as a card has it."""
    return {
        "share": [round(float(v), 4) for v in answer.share],
        "slope": [round(float(v), 4) for v in answer.slope],
        "zone": [[round(float(v), 4) for v in row] for row in answer.zone],
    }


def highest(found: dict[str, float], geometry: Any, fusion: Any) -> dict[str, float]:
    """Return the higher threshold of two: those of geometry come from networks not told about the persons."""
    other = dict(zip(geometry.au_names, geometry.resting_threshold, strict=True))
    return {au: round(max(found[au], float(other[au])), 2) for au in fusion.au_names}


def best_of(
    data: Data, student: StudentBackend, fusion: FusionBackend, units: list[str]
) -> dict[str, str]:
    """Return which backend correlates best with the truth on the identities for fitting."""
    seen, mode = data.seen["fit"], MODES[0]
    values = {
        "geometry": (data.geometry, seen.columns(data.shape).measured(data.geometry, mode)),
        "student": (student, seen.columns(data.pixels).measured(student, mode)),
        "fusion": (fusion, seen.measured(fusion, mode)),
    }
    best = {}
    for au in units:
        truth = seen.truth[:, TRUTH.index(au)]
        found = {n: pcc(truth, v[:, b.au_names.index(au)]) for n, (b, v) in values.items()}
        best[au] = max(found, key=lambda n: np.nan_to_num(found[n], nan=-1.0))
    return best


def write_all(given: argparse.Namespace, card: dict[str, Any], fusion: dict[str, Any]) -> None:
    """Write the cards beside the student."""
    write_json(card, given.student / CARD)
    write_json(fusion, given.student / TABLE)


if __name__ == "__main__":
    main()
