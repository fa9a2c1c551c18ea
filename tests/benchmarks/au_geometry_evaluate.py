"""Score the ``geometry`` backend beside the blendshape map, on faces that neither has seen.

    python tests/benchmarks/au_geometry_evaluate.py --data FOLDER --model geometry_model.json \
        --media FOLDER --out tables.md --card

``--data`` holds the shards of ``au_geometry_render.py``; ``--media`` the real faces (``london``,
``face_real.mp4``, ``face_real_openface.csv``) and the films of the rendered participant. ``--card``
writes the reliability into the model's file. Of the identities of ``sweep``, every second one, which
training left alone, is scored, and all of ``quiet``. ``--left-out`` takes two models trained without the
2nd, 5th, … and without the 3rd, 6th, … real person (``au_geometry_train.py --leave-out``).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from au_geometry_train import (
    OUTPUTS,
    SIDED,
    UNITS,
    Faces,
    as_frames,
    joined,
    load,
    occurrence_limits,
)

from duchenne.analysis.face.agreement import icc_3_1
from duchenne.analysis.face.backends.blendshapes import BlendshapeBackend
from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.calibration import MIN_OCCURRENCE
from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.geometry.measures import measures
from duchenne.analysis.face.geometry.model import GeometryModel, read_model, write_model
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.process import analyse_face

if TYPE_CHECKING:
    from collections.abc import Sequence

DISFA = tuple(f"AU{unit:02d}" for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
REPORTED = (*(f"AU{u:02d}" for u in UNITS if u not in (16, 22)), *SIDED)
MODES = ("own neutral face", "habitual face", "typical face")
MOVED = 0.3
# Below this correlation a unit is called unreliable; above this mean, another unit cross-talks.
RELIABLE, TALK = 0.5, 0.5


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


def seen(backend: GeometryBackend, faces: Faces) -> Held:
    """Return faces as the trained backend sees them."""
    raw = faces.measures.astype(np.float64)
    features = np.stack([backend.mapped(raw[:, j]) for j in range(raw.shape[1])], axis=1)
    columns = [OUTPUTS.index(au) for au in REPORTED]
    return Held(
        backend, features, faces.truth[:, columns], faces.person, faces.kind, faces.pose, faces.gaze
    )


def blendshape_held(like: Held, data: Path, split: str, *, first: int = 0, every: int = 1) -> Held:
    """Return the same faces as the blendshape map sees them."""
    backend = BlendshapeBackend()
    rows = []
    for path in sorted(data.glob(f"{split}_*.npz"))[first::every]:
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


def scores(truth: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Return correlation, ICC and mean absolute errors where the unit is present and absent."""
    present = truth >= 0.5
    error = np.abs(values - truth)
    return {
        "pcc": pcc(truth, values),
        "icc": icc_3_1(truth, values),
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
        rows.append([label, *(float(np.nanmean([r[k] for r in picked])) for k in range(1, 13))])
    head = [
        "", "r", "map", "ICC", "map", "MAE present", "map", "MAE absent", "map",
        "r, habitual", "map", "r, typical", "map",
    ]  # fmt: skip
    return table(rows, head), per


TURNS_DEG = ((0, 8), (8, 16), (16, 30))


def by_pose(held: Held) -> tuple[str, dict[str, dict[str, float]]]:
    """Return the correlation of each unit by the head's turn."""
    values = held.measured(MODES[0])
    turn = np.abs(held.pose[:, :2]).max(axis=1)
    some = [(turn >= low) & (turn < high) & (held.kind != 0) for low, high in TURNS_DEG]
    names = [f"{low}-{high} deg" for low, high in TURNS_DEG]
    per = {
        au: {n: pcc(held.truth[k, j], values[k, j]) for n, k in zip(names, some, strict=True)}
        for j, au in enumerate(REPORTED)
    }
    rows = [
        [n, int(k.sum()), float(np.nanmean([per[au][n] for au in DISFA]))]
        for n, k in zip(names, some, strict=True)
    ]
    return table(rows, ["largest of yaw and pitch", "pictures", "mean r, 12 units"]), per


def sweeps(held: Held, plain: Held) -> tuple[str, str, dict[str, Any]]:
    """Return what gaze, head and light move without any action, and the cross-talk at 4."""
    n_quiet = len(REPORTED) - len(SIDED)
    rows, matrix, quiet = [], {}, {}
    for mode in MODES:
        for name, one in (("geometry", held), ("blendshapes", plain)):
            values = one.measured(mode)[:, :n_quiet]
            for kind, what in ((6, "gaze 15°"), (7, "head 15°"), (8, "light")):
                some = values[held.kind == kind]
                worst = int(np.argmax(np.percentile(some, 95, axis=0)))
                quiet[f"{name}, {what}, {mode}"] = {
                    "n": len(some),
                    "share_of_values_above_0.3": round(float((some > MOVED).mean()), 4),
                    "share_of_frames_with_one": round(float((some > MOVED).any(axis=1).mean()), 3),
                }
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
    return (
        table(rows, head),
        table(talk, ["4 alone", *REPORTED[:n_quiet]]),
        {"cross_talk": matrix, "quiet": quiet},
    )


def london(
    folder: Path, backend: Any, left_out: Sequence[GeometryBackend] = ()
) -> tuple[str, dict[str, Any]]:
    """Return how real smiles differ from neutral faces, without calibration.

    Parameters
    ----------
    left_out : sequence of GeometryBackend
        Trained without the 2nd, 5th, … and without the 3rd, 6th, … person: only these persons are
        scored, each by the one that does not know them, with limits of occurrence that come from the others.
        All are scored by `backend` where there is none.
    """
    neutral = sorted(folder.glob("*_neutral.jpg"))
    paths = [
        p.with_name(p.name.replace("neutral", k)) for p in neutral for k in ("neutral", "smiling")
    ]
    with FaceTracker(still=True) as tracker:
        measured = np.concatenate([read(backend, tracker, path) for path in paths])
    values, limits = judged(backend, measured)
    place = np.arange(len(neutral)) % 3
    counted = place > 0 if left_out else place >= 0
    for k, one in enumerate(left_out, 1):
        some = np.repeat(place == k, 2)
        values[some] = judged(one, measured)[0][some]
    if left_out:
        rest = values[::2][counted]
        limits[counted] = [occurrence_limits(np.delete(rest, i, axis=0)) for i in range(len(rest))]
    columns = [backend.au_names.index(au) for au in REPORTED if len(au) == 4]
    rest, smile = values[::2][:, columns], values[1::2][:, columns]
    on = (rest >= MIN_OCCURRENCE) & (rest > limits[:, columns])
    info = pd.read_csv(folder / "info.csv", dtype={"face_id": str}).set_index("face_id")
    who = info.loc[[p.name.split("_")[0] for p in neutral]].reset_index()
    groups = {"all persons": counted}
    for key in ("face_gender", "face_eth"):
        groups |= {
            str(v): counted & (who[key] == v).to_numpy() for v in sorted(set(who[key][counted]))
        }
    units = [au for au in REPORTED if len(au) == 4]
    smiles = units.index("AU12")
    rows, facts = [], {}
    for name, some in groups.items():
        calm, glad = rest[some, smiles], smile[some, smiles]
        area = float(np.mean((glad[:, None] > calm) + 0.5 * (glad[:, None] == calm)))
        off = 1.0 - on[some]
        worst = off.mean(axis=0)
        facts[name] = {
            "n": int(some.sum()), "auc": area, "higher": float((glad > calm).mean()),
            "off": float(off.mean()), "off_worst": float(worst.min()),
            "worst": units[int(worst.argmin())] if worst.min() < 1 else "none",
            "faces_clear": float(off.all(axis=1).mean()),
        }  # fmt: skip
        rows.append([name, *facts[name].values()])
    for name, some in (("rest_means", rest), ("smile_means", smile)):
        facts[name] = {
            au: round(float(v), 2) for au, v in zip(units, some.mean(axis=0), strict=True)
        }
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


def read(backend: Any, tracker: FaceTracker, path: Path) -> np.ndarray:
    """Return the measures of one picture for a trained backend, the features for a map: (1, k)."""
    frames = tracker.track([(0, 0.0, image_frame(path))], keep_images=True)
    if isinstance(backend, GeometryBackend):
        return measures(frames, backend.model.reference)
    return backend.features(frames)


def judged(backend: Any, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return intensities of real faces, and the limits of occurrence for each person.

    Returns
    -------
    (2 n, m) float64, (n, m) float64
    """
    features = backend.mapped(measured) if isinstance(backend, GeometryBackend) else measured
    values = backend.intensities(features, backend.typical_neutral)
    limits = getattr(backend, "resting_threshold", np.zeros(values.shape[1]))
    return values, np.tile(limits, (len(measured) // 2, 1))


def sensitivity(held: Held) -> tuple[str, dict[str, float]]:
    """Return how many actions of 2 or more occur when the face is compared with a typical one."""
    values = held.measured(MODES[2])
    limit = dict(zip(held.backend.au_names, held.backend.resting_threshold, strict=True))
    rows = []
    for j, au in enumerate(REPORTED):
        shown = values[(held.truth[:, j] >= MIN_OCCURRENCE) & (held.kind != 0), j]
        seen_at = (shown >= MIN_OCCURRENCE) & (shown > limit[au])
        rows.append(
            [au, max(float(limit[au]), MIN_OCCURRENCE), float((shown >= MIN_OCCURRENCE).mean()),
             float(seen_at.mean())]
        )  # fmt: skip
    for label, units in (("mean, 12 DISFA units", DISFA), ("mean, 20 units", REPORTED[:20])):
        picked = [row for row in rows if row[0] in units]
        rows.append([label, *(float(np.mean([r[k] for r in picked])) for k in (1, 2, 3))])
    head = ["", "occurs from", "rendered actions of 2 or more, found with 2", "with this limit"]
    return table(rows, head), {row[0]: row[3] for row in rows}


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


def participant(folder: Path, backend: Any) -> str:
    """Return the correlation on the films of a rendered person, with and without a neutral phase."""
    names = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
    truth = pd.concat([pd.read_csv(folder / f"{name}.csv").iloc[::3] for name in names])

    def frames() -> Any:
        for i, name in enumerate(names):
            for index, time_s, image in video_frames(folder / f"{name}.mp4"):
                if index % 3 == 0:
                    yield index, 6.0 * i + time_s, image

    own = analyse_face(frames(), backend=backend, neutral=[(0.0, 6.0)]).table
    free = analyse_face(frames(), backend=backend).table
    rows = []
    for au in REPORTED[: len(REPORTED) - len(SIDED)]:
        known = truth.get(f"AU{int(au[2:])}", pd.Series(np.zeros(len(truth)))).to_numpy()
        rows.append([au, *(pcc(known, t[f"{au}_r"].to_numpy()) for t in (own, free))])
    picked = [row for row in rows if row[0] in DISFA]
    rows.append(
        ["mean, 12 DISFA units", *(float(np.nanmean([r[k] for r in picked])) for k in (1, 2))]
    )
    return table(rows, ["", "r, neutral film known", "r, habitual face"])


def card(model: GeometryModel, found: dict[str, Any], held: Held) -> dict[str, Any]:
    """Return the model card's figures."""
    own, usual, free = (found["held_out"][f"geometry, {mode}"] for mode in MODES)
    talk = found["cross_talk"]

    def row(au: str) -> dict[str, Any]:
        figures = {k: round(v, 3) for k, v in own[au].items()}
        by_turn = {n: round(v, 3) for n, v in found["by_pose"][au].items()}
        return figures | {
            "pcc_habitual": round(usual[au]["pcc"], 3),
            "pcc_typical": round(free[au]["pcc"], 3),
            "pcc_by_turn": by_turn,
            "reliable": own[au]["pcc"] >= RELIABLE,
        }

    return {
        **model.card,
        "about": "Reliability on rendered faces of identities never trained on, not human FACS coding.",
        "licence": "Trained on faces rendered from ICT-FaceKit (MIT, © 2020 USC Institute for Creative "
        "Technologies) and, for what faces look like at rest and in a smile, 51 persons of the Face "
        "Research Lab London Set (CC BY 4.0, DeBruine & Jones 2017).",
        "n_test_pictures": len(held.kind),
        "n_test_identities": int(held.person.max() + 1),
        "reliability": {au: row(au) for au in sorted(REPORTED)},
        "cross_talk_at_4": talk,
        "duchenne_smile_reliable": talk["AU12"]["AU06"] < TALK and talk["AU06"]["AU12"] < TALK,
        "without_any_action": found["quiet"],
    }


def main() -> None:
    """Write all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--media", type=Path, default=None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--left-out", type=Path, nargs=2, default=(), metavar="MODEL")
    parser.add_argument("--card", action="store_true")
    given = parser.parse_args()
    model = read_model(given.model.read_text("utf-8"))
    backend = GeometryBackend(model)
    sections: dict[str, str] = {}
    held = seen(backend, load(given.data, "test", model.reference))
    found: dict[str, Any] = {}
    sections["Held-out identities, pictures"], found["held_out"] = held_out(
        held, blendshape_held(held, given.data, "test")
    )
    sections["By pose"], found["by_pose"] = by_pose(held)
    sections["Sensitivity without the neutral face"], _ = sensitivity(held)
    turned = [
        load(given.data, "sweep", model.reference, first=1, every=2),
        load(given.data, "quiet", model.reference),
    ]
    sweep = seen(backend, joined(*turned))
    plain = blendshape_held(sweep, given.data, "sweep", first=1, every=2)
    more = blendshape_held(sweep, given.data, "quiet")
    plain = replace(plain, features=np.concatenate([plain.features, more.features]))
    sections["Without any action"], sections["Cross-talk"], facts = sweeps(sweep, plain)
    found |= facts
    if list(given.data.glob("clip_*.npz")):
        clip = seen(backend, load(given.data, "clip", model.reference))
        sections["Held-out identities, films"], _ = held_out(
            clip, blendshape_held(clip, given.data, "clip"), rest_too=True
        )
    if given.media is not None:
        for name, one in (("geometry", backend), ("blendshapes", BlendshapeBackend())):
            sections[f"London, {name}"], facts = london(given.media / "london", one)
            sections[f"Resting real faces, {name}"] = json.dumps(facts["rest_means"])
            sections[f"Smiling real faces, {name}"] = json.dumps(facts["smile_means"])
            others = [GeometryBackend(read_model(p.read_text("utf-8"))) for p in given.left_out]
            if others and name == "geometry":
                sections["London, persons left out"], _ = london(
                    given.media / "london", backend, others
                )
            sections[f"Film, {name}"], curves = film(given.media, one)
            curves.to_csv(given.out.with_name(f"film_{name}.csv"), index=False)
            sections[f"Rendered participant, {name}"] = participant(
                given.media / "participant", one
            )
    if given.card:
        write_model(replace(model, card=card(model, found, held)), given.model)
    given.out.write_text("\n\n".join(f"## {k}\n\n{v}" for k, v in sections.items()) + "\n", "utf-8")
    print(f"Written: {given.out}")


if __name__ == "__main__":
    main()
