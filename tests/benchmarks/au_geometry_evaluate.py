"""Score the ``geometry`` backend beside the blendshape map, on faces that neither has seen.

    python tests/benchmarks/au_geometry_evaluate.py --data FOLDER --model geometry_model.json \
        --media FOLDER --out tables.md --card

``--data`` holds the shards of ``au_geometry_render.py``; ``--media`` the real faces (``london``,
``face_real.mp4``, ``face_real_openface.csv``). ``--card`` writes the reliability into the model's file.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from au_geometry_train import OUTPUTS, SIDED, UNITS, as_frames, load

from duchenne.analysis.face.backends.blendshapes import BlendshapeBackend
from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.geometry.model import GeometryModel, read_model, write_model
from duchenne.analysis.face.process import analyse_face, analyse_pictures

DISFA = tuple(f"AU{unit:02d}" for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
REPORTED = (*(f"AU{u:02d}" for u in UNITS if u not in (16, 22)), *SIDED)
MODES = ("own neutral face", "habitual face", "typical face")
MOVED = 0.3


@dataclass(frozen=True)
class Held:
    """Held-out faces with the features of one backend: (n, v, f)."""

    backend: Any
    features: np.ndarray
    truth: np.ndarray
    person: np.ndarray
    kind: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray

    def measured(self, mode: str, view: int = 0) -> np.ndarray:
        """Return intensities in the order of ``REPORTED``, each person against the face of the mode."""
        columns = [self.backend.au_names.index(au) for au in REPORTED]
        values = np.full((len(self.truth), len(REPORTED)), np.nan)
        typical = self.backend.typical_neutral
        for p in range(self.person.max() + 1):
            rows = np.flatnonzero(self.person == p)
            own = self.features[rows, view]
            rest = self.kind[rows] == 0
            neutral = {
                "own neutral face": np.median(own[rest], axis=0),
                "habitual face": np.where(self.backend.personal, np.median(own, axis=0), typical),
                "typical face": typical,
            }[mode]
            values[rows] = self.backend.intensities(own, neutral)[:, columns]
        return values


def geometry_held(backend: GeometryBackend, model: GeometryModel, data: Path, split: str) -> Held:
    """Return the faces of a split as the trained backend sees them."""
    faces = load(data, split, model.reference)
    raw = faces.measures.astype(np.float64)
    zero = np.zeros((*raw.shape[:2], 1))
    features = np.concatenate([zero, raw[..., :3], raw @ model.map], axis=2)
    columns = [OUTPUTS.index(au) for au in REPORTED]
    return Held(
        backend, features, faces.truth[:, columns], faces.person, faces.kind, faces.pose, faces.gaze
    )


def blendshape_held(like: Held, data: Path, split: str) -> Held:
    """Return the same faces as the blendshape map sees them."""
    backend = BlendshapeBackend()
    rows = []
    for path in sorted(data.glob(f"{split}_*.npz")):
        with np.load(path) as shard:
            names = ("landmarks", "blendshapes", "rotation")
            views = range(shard["landmarks"].shape[1])
            rows.append(
                np.stack(
                    [backend.features(as_frames(*(shard[n][:, j] for n in names))) for j in views],
                    1,
                )
            )
    return replace(like, backend=backend, features=np.concatenate(rows))


def pcc(truth: np.ndarray, values: np.ndarray) -> float:
    """Return Pearson's correlation; NaN for a constant."""
    if truth.std() == 0 or values.std() == 0:
        return float("nan")
    return float(np.corrcoef(truth, values)[0, 1])


def icc(truth: np.ndarray, values: np.ndarray) -> float:
    """Return ICC(3,1): two-way mixed, consistency, single measurement."""
    both = np.column_stack([truth, values])
    between = 2 * both.mean(axis=1).var(ddof=1)
    error = both - both.mean(axis=1, keepdims=True) - both.mean(axis=0) + both.mean()
    noise = (error**2).sum() / (len(both) - 1)
    return float((between - noise) / (between + noise))


def scores(truth: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Return correlation, ICC and mean absolute errors where the unit is present and absent."""
    present = truth >= 0.5
    error = np.abs(values - truth)
    return {
        "pcc": pcc(truth, values),
        "icc": icc(truth, values),
        "mae_present": float(error[present].mean()) if present.any() else float("nan"),
        "mae_absent": float(error[~present].mean()),
    }


def table(rows: list[list[Any]], head: list[str]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"{c:.2f}" if isinstance(c, float) else str(c) for c in row]
        lines.append("| " + " | ".join("–" if c == "nan" else c for c in cells) + " |")
    return "\n".join(lines)


def held_out(held: Held, plain: Held, *, rest_too: bool = False) -> tuple[str, dict[str, Any]]:
    """Return correlation and errors per unit, all kinds of reference, both backends."""
    judged = np.ones(len(held.kind), np.bool_) if rest_too else held.kind != 0
    per: dict[str, dict[str, dict[str, float]]] = {}
    for name, one in (("geometry", held), ("blendshapes", plain)):
        for mode in MODES:
            values = one.measured(mode)
            per[f"{name}, {mode}"] = {
                au: scores(one.truth[judged, j], values[judged, j]) for j, au in enumerate(REPORTED)
            }
    own, free, usual = (per[f"geometry, {m}"] for m in (MODES[0], MODES[2], MODES[1]))
    map_own, map_usual = per[f"blendshapes, {MODES[0]}"], per[f"blendshapes, {MODES[1]}"]
    rows = [
        [
            au, own[au]["pcc"], map_own[au]["pcc"], own[au]["icc"], map_own[au]["icc"],
            own[au]["mae_present"], map_own[au]["mae_present"],
            own[au]["mae_absent"], map_own[au]["mae_absent"],
            usual[au]["pcc"], map_usual[au]["pcc"], free[au]["pcc"],
            per[f"blendshapes, {MODES[2]}"][au]["pcc"],
        ]
        for au in REPORTED
    ]  # fmt: skip
    for label, units in (("mean, 12 DISFA units", DISFA), ("mean, 20 units", REPORTED[:20])):
        picked = [row for row in rows if row[0] in units]
        rows.append([label, *(float(np.mean([r[k] for r in picked])) for k in range(1, 13))])
    head = [
        "", "r", "map", "ICC", "map", "MAE present", "map", "MAE absent", "map",
        "r, habitual", "map", "r, typical", "map",
    ]  # fmt: skip
    return table(rows, head), per


def by_pose(held: Held) -> str:
    """Return mean correlation over the DISFA units by the head's turn."""
    values = held.measured(MODES[0])
    turn = np.abs(held.pose[:, :2]).max(axis=1)
    rows = []
    for low, high in ((0, 8), (8, 16), (16, 30)):
        some = (turn >= low) & (turn < high) & (held.kind != 0)
        some_r = [
            pcc(held.truth[some, REPORTED.index(a)], values[some, REPORTED.index(a)]) for a in DISFA
        ]
        rows.append([f"{low}–{high}°", int(some.sum()), float(np.nanmean(some_r))])
    return table(rows, ["largest of yaw and pitch", "pictures", "mean r, 12 units"])


def sweeps(held: Held, plain: Held) -> tuple[str, str, dict[str, Any]]:
    """Return what gaze, head and light move without any action, and the cross-talk at 4."""
    n_quiet = len(REPORTED) - len(SIDED)
    rows, matrix = [], {}
    for mode in MODES[0::2]:
        for name, one in (("geometry", held), ("blendshapes", plain)):
            values = one.measured(mode)[:, :n_quiet]
            for kind, what in ((6, "gaze 15°"), (7, "head 15°"), (8, "light")):
                some = values[held.kind == kind]
                worst = int(np.argmax(np.percentile(some, 95, axis=0)))
                rows.append(
                    [
                        f"{what}, {mode}", name, float((some > MOVED).mean()),
                        float((some > MOVED).any(axis=1).mean()), float(some.mean(axis=0).max()),
                        f"{REPORTED[worst]} ({np.percentile(some[:, worst], 95):.2f})",
                    ]
                )  # fmt: skip
    values = held.measured(MODES[0])[:, :n_quiet]
    single = held.kind == 2
    talk = []
    for j, au in enumerate(REPORTED[:n_quiet]):
        some = values[single & (held.truth[:, j] >= 3.9)]
        if len(some):
            matrix[au] = {
                b: round(float(v), 2) for b, v in zip(REPORTED, some.mean(axis=0), strict=False)
            }
            talk.append([au, *(float(v) for v in some.mean(axis=0))])
    head = [
        "",
        "backend",
        "share of values > 0.3",
        "share of frames with one",
        "largest mean",
        "worst unit (95 %)",
    ]
    return table(rows, head), table(talk, ["4 alone", *REPORTED[:n_quiet]]), matrix


def london(folder: Path, backend: Any) -> tuple[str, dict[str, Any]]:
    """Return how real smiles differ from neutral faces, without calibration."""
    neutral = sorted(folder.glob("*_neutral.jpg"))
    paths = [
        p.with_name(p.name.replace("neutral", k)) for p in neutral for k in ("neutral", "smiling")
    ]
    result = analyse_pictures(
        ((i, 0.0, image_frame(p)) for i, p in enumerate(paths)), backend=backend
    )
    rest, smile = result.table.iloc[::2].reset_index(), result.table.iloc[1::2].reset_index()
    info = pd.read_csv(folder / "info.csv", dtype={"face_id": str}).set_index("face_id")
    who = info.loc[[p.name.split("_")[0] for p in neutral]].reset_index()
    held = np.arange(len(neutral)) % 3 != 0
    groups = {"all persons": held | True, "held out": held}
    for key in ("face_gender", "face_eth"):
        groups |= {
            f"held out, {v}": held & (who[key] == v).to_numpy() for v in sorted(set(who[key]))
        }
    units = [au for au in REPORTED if len(au) == 4]
    rows, facts = [], {}
    for name, some in groups.items():
        calm, glad = rest["AU12_r"][some].to_numpy(), smile["AU12_r"][some].to_numpy()
        area = float(np.mean((glad[:, None] > calm) + 0.5 * (glad[:, None] == calm)))
        off = 1 - rest.loc[some, [f"{au}_c" for au in units]].to_numpy()
        worst = off.mean(axis=0)
        facts[name] = {
            "n": int(some.sum()), "auc": area, "higher": float((glad > calm).mean()),
            "off": float(off.mean()), "off_worst": float(worst.min()), "worst": units[int(worst.argmin())],
            "faces_clear": float(off.all(axis=1).mean()),
        }  # fmt: skip
        rows.append([name, *facts[name].values()])
    facts["rest_means"] = {au: round(float(rest[f"{au}_r"][held].mean()), 2) for au in units}
    facts["smile_means"] = {au: round(float(smile[f"{au}_r"][held].mean()), 2) for au in units}
    head = [
        "",
        "n",
        "AUC AU12",
        "smile higher",
        "AU_c off",
        "worst unit",
        "which",
        "faces with all off",
    ]
    return table(rows, head), facts


def film(media: Path, backend: Any) -> tuple[str, pd.DataFrame]:
    """Return the agreement with OpenFace on the real film, and our table."""
    ours = analyse_face(video_frames(media / "face_real.mp4"), backend=backend).table
    other = pd.read_csv(media / "face_real_openface.csv").iloc[: len(ours)]
    both = (other["success"] == 1).to_numpy() & ours["usable"].to_numpy()
    rows = []
    third = len(ours) // 3
    for au in REPORTED[: len(REPORTED) - len(SIDED)]:
        values = ours[f"{au}_r"].to_numpy()
        r = (
            pcc(other[f"{au}_r"].to_numpy()[both], values[both])
            if f"{au}_r" in other
            else float("nan")
        )
        early, late = np.nanmean(values[:third]), np.nanmean(values[len(ours) // 2 :])
        o = other.get(f"{au}_r", pd.Series(np.full(len(ours), np.nan))).to_numpy()
        rows.append(
            [
                au,
                r,
                float(early),
                float(late),
                float(np.mean(o[:third])),
                float(np.mean(o[len(ours) // 2 :])),
            ]
        )
    head = ["", "r with OpenFace", "crying", "laughing", "OpenFace crying", "laughing"]
    return table(rows, head), ours


def card(
    model: GeometryModel, per: dict[str, Any], matrix: dict[str, Any], held: Held
) -> dict[str, Any]:
    """Return the model card's figures."""
    own, free = per[f"geometry, {MODES[0]}"], per[f"geometry, {MODES[2]}"]
    usual = per[f"geometry, {MODES[1]}"]

    def row(au: str) -> dict[str, float]:
        figures = {k: round(v, 3) for k, v in own[au].items()}
        return figures | {
            "pcc_habitual": round(usual[au]["pcc"], 3),
            "pcc_typical": round(free[au]["pcc"], 3),
        }

    return {
        **model.card,
        "about": "Reliability on rendered faces of identities never trained on, not human FACS coding.",
        "n_test_pictures": len(held.kind),
        "n_test_identities": int(held.person.max() + 1),
        "reliability": {au: row(au) for au in sorted(REPORTED)},
        "cross_talk_at_4": matrix,
    }


def main() -> None:
    """Write all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--media", type=Path, default=None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--card", action="store_true")
    given = parser.parse_args()
    model = read_model(given.model.read_text("utf-8"))
    backend = GeometryBackend(model)
    sections: dict[str, str] = {}
    held = geometry_held(backend, model, given.data, "test")
    plain = blendshape_held(held, given.data, "test")
    sections["Held-out identities, pictures"], per = held_out(held, plain)
    sections["By pose"] = by_pose(held)
    sweep = geometry_held(backend, model, given.data, "sweep")
    quiet, talk, matrix = sweeps(sweep, blendshape_held(sweep, given.data, "sweep"))
    sections["Without any action"], sections["Cross-talk"] = quiet, talk
    if list(given.data.glob("clip_*.npz")):
        clip = geometry_held(backend, model, given.data, "clip")
        sections["Held-out identities, films"], _ = held_out(
            clip, blendshape_held(clip, given.data, "clip"), rest_too=True
        )
    if given.media is not None:
        for name, one in (("geometry", backend), ("blendshapes", BlendshapeBackend())):
            sections[f"London, {name}"], facts = london(given.media / "london", one)
            sections[f"Resting real faces, {name}"] = json.dumps(facts["rest_means"])
            sections[f"Smiling real faces, {name}"] = json.dumps(facts["smile_means"])
            sections[f"Film, {name}"], curves = film(given.media, one)
            curves.to_csv(given.out.with_name(f"film_{name}.csv"), index=False)
    if given.card:
        write_model(replace(model, card=card(model, per, matrix, held)), given.model)
    given.out.write_text("\n\n".join(f"## {k}\n\n{v}" for k, v in sections.items()) + "\n", "utf-8")
    print(f"Written: {given.out}")


if __name__ == "__main__":
    main()
