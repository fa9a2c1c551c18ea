"""What is fitted on faces that neither network was trained on: calibration of the student, and the fusion."""

from __future__ import annotations

from typing import Any

import numpy as np
from au_geometry_train import LOCKED, fit_zone
from scipy.optimize import nnls
from student_faces import MODES, TRUTH, Seen

from duchenne.analysis.face.backends.student import GAZE, N_FIRST, POSE
from duchenne.analysis.face.backends.student_model import OWN, STRANGE, Answer
from duchenne.analysis.face.geometry.model import turned

# Which references each answer is fitted with, and the share of faces without any action that its dead zone
# holds.
FITTED = {OWN: (MODES[0],), STRANGE: MODES[1:]}
QUIET_SHARES = {OWN: 0.97, STRANGE: 0.90}
LEAST_SLOPE, MOST_SLOPE = 0.7, 1.6


def fit_calibration(seen: Seen, quiet: Seen, backend: Any) -> dict[str, Answer]:
    """Return how the student's outputs become intensities, for both kinds of reference.

    ``quiet`` are more faces without any action (besides those of ``seen``) for the dead zones.
    """
    truth_at = [TRUTH.index(au) for au in backend.au_names]
    answers = {}
    for kind, modes in FITTED.items():
        rows = [_stacked(seen, backend, mode) for mode in modes]
        outputs, neutral, context = (np.concatenate(some) for some in zip(*rows, strict=True))
        n_views = seen.features.shape[1] * len(modes)
        truth = np.tile(seen.truth[:, truth_at], (n_views, 1))
        calm = np.tile(np.isin(seen.kind, LOCKED), n_views)
        share, slope = _linear(outputs, neutral, truth)
        plain = Answer(share, slope, np.zeros((7, len(share))))
        more = [_stacked(quiet, backend, mode) for mode in modes]
        still, still_rest, still_turn = (np.concatenate(some) for some in zip(*more, strict=True))
        still_calm = np.tile(np.isin(quiet.kind, LOCKED), quiet.features.shape[1] * len(modes))
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
        left = x - share[j] * rest
        shown = y > 0
        best = (left[shown] @ y[shown]) / max(float(left[shown] @ left[shown]), 1e-9)
        slope[j] = np.clip(best, LEAST_SLOPE, MOST_SLOPE)
    return share, slope


def fit_fusion(
    seen: Seen, quiet: Seen, geometry: Any, student: Any, n_shape: int
) -> dict[str, dict[str, Any]]:
    """Return the weights and dead zones of the fusion, for both kinds of reference."""
    shape, pixels = seen.columns(slice(0, n_shape)), seen.columns(slice(n_shape, None))
    calm_shape, calm_pixels = (
        quiet.columns(slice(0, n_shape)),
        quiet.columns(slice(n_shape, None)),
    )
    tables: dict[str, dict[str, Any]] = {}
    for kind, modes in FITTED.items():
        tables[kind] = {}
        pairs = [(mode, view) for mode in modes for view in range(seen.features.shape[1])]
        mine = np.concatenate([shape.measured(geometry, m, v) for m, v in pairs])
        theirs = np.concatenate([pixels.measured(student, m, v) for m, v in pairs])
        turns = np.concatenate([_turns(pixels, student, m, v) for m, v in pairs])
        calm = np.tile(np.isin(seen.kind, LOCKED), len(pairs))
        more = [(m, v) for m in modes for v in range(quiet.features.shape[1])]
        calm_mine = np.concatenate([calm_shape.measured(geometry, m, v) for m, v in more])
        calm_theirs = np.concatenate([calm_pixels.measured(student, m, v) for m, v in more])
        calm_turns = np.concatenate([_turns(calm_pixels, student, m, v) for m, v in more])
        more_calm = np.tile(np.isin(quiet.kind, LOCKED), len(more))
        for au in student.au_names:
            if au not in geometry.au_names:
                continue
            i, j = geometry.au_names.index(au), student.au_names.index(au)
            truth = np.tile(seen.truth[:, TRUTH.index(au)], len(pairs))
            weights, _ = nnls(np.column_stack([mine[:, i], theirs[:, j]]), truth)
            raw = np.concatenate(
                [
                    (weights[0] * mine[:, i] + weights[1] * theirs[:, j])[calm],
                    (weights[0] * calm_mine[:, i] + weights[1] * calm_theirs[:, j])[more_calm],
                ]
            )
            where = np.concatenate([turns[calm], calm_turns[more_calm]])
            zone = fit_zone(raw[:, None], where, QUIET_SHARES[kind])[:, 0]
            tables[kind][au] = {
                "geometry": round(float(weights[0]), 4),
                "student": round(float(weights[1]), 4),
                "zone": [round(float(v), 4) for v in zone],
            }
    return tables


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
