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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from au_geometry_faces import SIDED, joined, load
from au_geometry_real import film, london, participant
from au_geometry_scores import (
    DISFA,
    MODES,
    REPORTED,
    Held,
    blendshape_held,
    pcc,
    scores,
    seen,
    table,
)

from duchenne.analysis.face.backends.blendshapes import BlendshapeBackend
from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.calibration import MIN_OCCURRENCE
from duchenne.analysis.face.geometry.model import GeometryModel, read_model, write_model

MOVED = 0.3
# Below this correlation a unit is called unreliable; above this mean, another unit cross-talks.
RELIABLE, TALK = 0.5, 0.5
TURNS_DEG = ((0, 8), (8, 16), (16, 30))


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
                worst = int(np.argmax(np.nanpercentile(some, 95, axis=0)))
                quiet[f"{name}, {what}, {mode}"] = {
                    "n": len(some),
                    "share_of_values_above_0.3": round(float((some > MOVED).mean()), 4),
                    "share_of_frames_with_one": round(float((some > MOVED).any(axis=1).mean()), 3),
                }
                rows.append(
                    [
                        f"{what}, {mode}", name, float((some > MOVED).mean()),
                        float((some > MOVED).any(axis=1).mean()), float(np.nanmean(some, axis=0).max()),
                        f"{REPORTED[worst]} ({np.nanpercentile(some[:, worst], 95):.2f})",
                    ]
                )  # fmt: skip
    values = held.measured(MODES[0])[:, :n_quiet]
    single = held.kind == 2
    talk = []
    for j, au in enumerate(REPORTED[:n_quiet]):
        some = values[single & (held.truth[:, j] >= 3.9)]
        if len(some):
            matrix[au] = {
                b: round(float(v), 2)
                for b, v in zip(REPORTED, np.nanmean(some, axis=0), strict=False)
            }
            talk.append([au, *(float(v) for v in np.nanmean(some, axis=0))])
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
