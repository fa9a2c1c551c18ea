"""Scores on real faces, and on the films of one rendered participant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from au_geometry_faces import SIDED
from au_geometry_fit import occurrence_limits
from au_geometry_scores import DISFA, REPORTED, pcc, table

from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.calibration import MIN_OCCURRENCE
from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.geometry.measures import measures
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.process import analyse_face

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
