"""What is fitted on faces that neither network was trained on: calibration of the student, and the fusion."""

from __future__ import annotations

from typing import Any

import numpy as np
from au_geometry_evaluate import pcc
from au_geometry_faces import LOCKED
from au_geometry_fit import fit_zone
from scipy.optimize import nnls
from student_faces import MODES, TRUTH, Seen

from duchenne.analysis.face.backends.fusion import HABITUAL, REFERENCES, TYPICAL
from duchenne.analysis.face.backends.student import GAZE, N_FIRST, POSE
from duchenne.analysis.face.backends.student_model import OWN, STRANGE, Answer
from duchenne.analysis.face.geometry.model import beyond, turned

# The reference that each is fitted with, and the share of faces without any action that its dead zone holds.
FITTED = {OWN: MODES[0], STRANGE: MODES[2]}
MIXED = dict(zip(REFERENCES, MODES, strict=True))
QUIET_SHARES = {OWN: 0.97, STRANGE: 0.90, HABITUAL: 0.90, TYPICAL: 0.90}
LEAST_SLOPE, MOST_SLOPE = 0.7, 1.6


# In strangers, geometry's AU12 was corrected with real smiles, which rendered faces do not tell: there the
# parts of both stay what they are where the neutral face is known.
REAL_SHAPE = ("AU12",)
# Real skin and light differ more from the rendered ones than real shapes do: pixels count half at most.
MOST_PIXELS = 0.5
# An Action Unit is left to geometry alone unless its correlation rises by this, on the faces for fitting.
LEAST_GAIN = 0.002


def fit_calibration(seen: Seen, quiet: Seen, backend: Any) -> dict[str, Answer]:
    """Return how the student's outputs become intensities, for both kinds of reference.

    ``quiet`` are more faces without any action (besides those of ``seen``) for the dead zones.
    """
    truth_at = [TRUTH.index(au) for au in backend.au_names]
    answers = {}
    for kind, mode in FITTED.items():
        outputs, neutral, context = _stacked(seen, backend, mode)
        n_views = seen.features.shape[1]
        truth = np.tile(seen.truth[:, truth_at], (n_views, 1))
        calm = np.tile(np.isin(seen.kind, LOCKED), n_views)
        share, slope = _linear(outputs, neutral, truth)
        plain = Answer(share, slope, np.zeros((7, len(share))))
        still, still_rest, still_turn = _stacked(quiet, backend, mode)
        still_calm = np.tile(np.isin(quiet.kind, LOCKED), quiet.features.shape[1])
        raw = np.concatenate(
            [plain.raw(outputs, neutral)[calm], plain.raw(still, still_rest)[still_calm]]
        )
        turns = np.concatenate([context[calm], still_turn[still_calm]])
        zone = fit_zone(raw, turns, QUIET_SHARES[kind])
        answers[kind] = Answer(share, slope, zone)
    return answers


def _stacked(seen: Seen, backend: Any, mode: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outputs, those of the neutral face, and turns of all views."""
    outputs, rests, turns = [], [], []
    for view in range(seen.features.shape[1]):
        here, neutral = seen.features[:, view], seen.neutral(backend, mode, view)
        away = here - neutral
        outputs.append(here[:, N_FIRST:])
        rests.append(neutral[:, N_FIRST:])
        turns.append(turned(away[:, POSE], away[:, GAZE]))
    return np.concatenate(outputs), np.concatenate(rests), np.concatenate(turns)


def _linear(
    outputs: np.ndarray, neutral: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which part of the neutral output is taken away, and the slope, by least squares."""
    k = outputs.shape[1]
    share, slope = np.ones(k), np.ones(k)
    for j in range(k):
        x, rest, y = outputs[:, j], neutral[:, j], truth[:, j]
        (up, down), *_ = np.linalg.lstsq(np.column_stack([x, -rest]), y, rcond=None)
        share[j] = np.clip(down / up, 0.0, 1.0) if up > 0 else 1.0
        slope[j] = _slope(x - share[j] * rest, y)
    return share, slope


def _slope(values: np.ndarray, truth: np.ndarray) -> float:
    """Return the factor to intensities where the action is shown, by least squares."""
    x, y = values[truth > 0], truth[truth > 0]
    return float(np.clip((x @ y) / max(float(x @ x), 1e-9), LEAST_SLOPE, MOST_SLOPE))


def fit_fusion(
    seen: Seen, quiet: Seen, geometry: Any, student: Any, n_shape: int
) -> dict[str, dict[str, Any]]:
    """Return the weights and dead zones of the fusion, for each reference."""
    pairs = (geometry, student, n_shape)
    tables: dict[str, dict[str, Any]] = {}
    for kind, mode in MIXED.items():
        tables[kind] = {}
        mine, theirs, turns = _both(seen, *pairs, mode)
        calm_mine, calm_theirs, calm_turns = _both(quiet, *pairs, mode)
        calm = np.tile(np.isin(seen.kind, LOCKED), seen.features.shape[1])
        more = np.tile(np.isin(quiet.kind, LOCKED), quiet.features.shape[1])
        where = np.concatenate([turns[calm], calm_turns[more]])
        for au in student.au_names:
            if au not in geometry.au_names:
                continue
            i, j = geometry.au_names.index(au), student.au_names.index(au)
            truth = np.tile(seen.truth[:, TRUTH.index(au)], seen.features.shape[1])
            parts = np.column_stack([mine[:, i], theirs[:, j]])
            weights, _ = nnls(parts, truth)
            weights /= max(weights.sum(), 1e-9)
            weights[1] = min(weights[1], MOST_PIXELS)
            weights[0] = 1.0 - weights[1]
            if au in REAL_SHAPE and kind != OWN:
                if au not in tables[OWN]:
                    continue
                own = np.array([tables[OWN][au][name] for name in ("geometry", "student")])
                weights = own / own.sum()
            weights *= _slope(parts @ weights, truth)
            quiet_parts = np.column_stack([calm_mine[:, i], calm_theirs[:, j]])
            raw = np.concatenate([(parts @ weights)[calm], (quiet_parts @ weights)[more]])
            zone = fit_zone(raw[:, None], where, QUIET_SHARES[kind])[:, 0]
            both = beyond(parts @ weights, zone[0] + turns @ zone[1:])
            if pcc(truth, both) < pcc(truth, mine[:, i]) + LEAST_GAIN:
                continue
            tables[kind][au] = {
                "geometry": round(float(weights[0]), 4),
                "student": round(float(weights[1]), 4),
                "zone": [round(float(v), 4) for v in zone],
            }
    return tables


def _both(
    seen: Seen, geometry: Any, student: Any, n_shape: int, mode: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what both backends measure and how far head and eyes are turned, all views."""
    shape, pixels = seen.columns(slice(0, n_shape)), seen.columns(slice(n_shape, None))
    views = range(seen.features.shape[1])
    return (
        np.concatenate([shape.measured(geometry, mode, v) for v in views]),
        np.concatenate([pixels.measured(student, mode, v) for v in views]),
        np.concatenate([_turns(pixels, student, mode, v) for v in views]),
    )


def _turns(seen: Seen, backend: Any, mode: str, view: int) -> np.ndarray:
    away = seen.features[:, view] - seen.neutral(backend, mode, view)
    return turned(away[:, POSE], away[:, GAZE])


def isotonic_answer(seen: Seen, backend: Any, test: Seen) -> np.ndarray:
    """Return intensities by isotonic regression on outputs less the neutral face's, for comparison."""
    from scipy.optimize import isotonic_regression

    outputs, rest, _ = _stacked(seen, backend, MODES[0])
    there = test.features[:, 0] - test.neutral(backend, MODES[0], 0)
    values = np.zeros((len(test.kind), len(backend.au_names)))
    for j, au in enumerate(backend.au_names):
        x = outputs[:, j] - rest[:, j]
        order = np.argsort(x, kind="stable")
        y = np.tile(seen.truth[:, TRUTH.index(au)], seen.features.shape[1])[order]
        fitted = isotonic_regression(y).x
        values[:, j] = np.interp(there[:, N_FIRST + j], x[order], fitted)
    return values
