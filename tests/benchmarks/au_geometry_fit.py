"""From trained networks to a model: slopes, dead zones, and from where an action occurs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from au_geometry_faces import LOCKED, OUTPUTS, Faces
from au_geometry_networks import FEATURES, STRANGE, Both, part_blocks
from au_geometry_smile import MEDIAN_SMILE, context_map
from torch import nn

from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.geometry.model import (
    EDGE,
    N_CONTEXT,
    GeometryModel,
    Network,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# The dead zone holds this share of the answers to held-out faces without any action: where the neutral
# face is known, and where it is not (there, a wider one would cost too many weak actions).
QUIET_SHARES = (0.985, 0.9)
# Compared with a typical face, an action occurs from this intensity, and above what real resting faces
# reach by this factor: they are few, and others will reach more.
STRANGE_OCCURRENCE, MOST_OCCURRENCE, STRANGE_MARGIN = 2.5, 5.0, 1.5


@dataclass(frozen=True)
class Stage:
    """Networks after a stage of training, and the real persons at rest that it was told about."""

    net: Both
    real: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Held-out faces as one kind of network sees them, all views."""

    inputs: np.ndarray
    turns: np.ndarray
    smile: np.ndarray
    truth: np.ndarray
    calm: np.ndarray


def fit_slope(outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the factor from outputs to intensities where the action is shown, by least squares."""
    slopes = np.ones(outputs.shape[1])
    for j in range(outputs.shape[1]):
        shown = truth[:, j] > 0
        x, y = outputs[shown, j], truth[shown, j]
        slopes[j] = np.clip((x * y).sum() / max((x * x).sum(), 1e-9), 0.7, 1.6)
    return slopes


def fit_zone(raw: np.ndarray, context: np.ndarray, share: float) -> np.ndarray:
    """Return the dead zone of each output from held-out faces without any action: (1 + 6, m).

    Quantile regression on how far head and eyes are turned, whose coefficients are 0 or more.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack, identity

    n = len(raw)
    design = np.column_stack([np.ones(n), context])
    cost = np.concatenate([np.full(1 + N_CONTEXT, 1e-3), np.full(n, share), np.full(n, 1 - share)])
    equal = hstack([csr_matrix(design), identity(n), -identity(n)]).tocsr()
    zone = np.zeros((1 + N_CONTEXT, raw.shape[1]))
    for j in range(raw.shape[1]):
        found = linprog(cost, A_eq=equal, b_eq=np.maximum(raw[:, j], 0.0), method="highs")
        zone[:, j] = found.x[: 1 + N_CONTEXT]
    zone[0] = np.maximum(zone[0], EDGE)
    return zone


def as_layers(
    layers: nn.Sequential, places: NDArray[np.int64], n_inputs: int
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return weights and biases of the linear layers, the last in units of intensity.

    Parameters
    ----------
    layers : nn.Sequential
    places : (k,) int64
        Where its inputs lie among those of all stages.
    n_inputs : int
        How many these are.
    """
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    arrays = [(m.weight.detach().numpy().T.copy(), m.bias.detach().numpy().copy()) for m in linear]
    arrays[-1] = (5 * arrays[-1][0], 5 * arrays[-1][1])
    wide = np.zeros((n_inputs, arrays[0][0].shape[1]))
    wide[places] = arrays[0][0]
    return ((wide, arrays[0][1]), *arrays[1:])


def all_members(stages: Sequence[Stage], own: bool) -> tuple[Any, ...]:
    """Return the networks of one kind: of the last stage where the neutral face is known, else of all."""
    n = len(stages)
    n_inputs = 3 + n * FEATURES + (0 if own else n * STRANGE + 1)
    members = []
    for i, stage in enumerate(stages):
        if own and i < n - 1:
            continue
        features = 3 + i * FEATURES + np.arange(FEATURES)
        strange = 3 + n * FEATURES + i * STRANGE + np.arange(STRANGE)
        places = np.concatenate([np.arange(3), features])
        if not own:
            places = np.concatenate([places, strange, [n_inputs - 1]])
        kind = stage.net.own if own else stage.net.strange
        members.extend(as_layers(layers, places, n_inputs) for layers in kind)
    return tuple(members)


def held_rows(faces: Faces, model: GeometryModel, own: bool) -> Rows:
    """Return held-out faces, each against its own neutral face or against a typical one."""
    rows, turns, smiles = [], [], []
    for view in range(faces.measures.shape[1]):
        raw = faces.measures[:, view].astype(np.float64)
        pose, values, context = raw[:, :3], raw @ model.map, raw @ model.context
        smiles.append(context[:, 2:])
        if own:
            rest = resting_rows(faces, np.column_stack([pose, context, values]))
            rows.append(np.column_stack([pose, values - rest[:, 7:]]))
            turns.append(turned(pose - rest[:, :3], context[:, :2] - rest[:, 3:5]))
        else:
            strange = raw @ model.strange_map - model.typical_strange
            none = np.zeros((len(values), 1))
            rows.append(np.column_stack([pose, 0.0 * values, strange, none]))
            turns.append(turned(pose, context[:, :2] - model.typical_context[:2]))
    return Rows(
        *(np.concatenate(some) for some in (rows, turns, smiles)),
        truth=np.concatenate([faces.truth] * len(rows)),
        calm=np.concatenate([np.isin(faces.kind, LOCKED)] * len(rows)),
    )


def resting_rows(faces: Faces, values: np.ndarray) -> np.ndarray:
    """Return, for each picture, the median of the values of that person's neutral pictures."""
    rest = [
        np.median(values[(faces.person == p) & (faces.kind == 0)], axis=0)
        for p in range(faces.person.max() + 1)
    ]
    return np.array(rest)[faces.person]


def scaled(plain: Network, held: Faces, quiet: Faces, model: GeometryModel, own: bool) -> Network:
    """Return a network with its slope and dead zone from held-out faces.

    Without the neutral face, the zone is that of answers that are drawn to the smile already.
    """
    found, more = held_rows(held, model, own), held_rows(quiet, model, own)
    network = replace(plain, slope=fit_slope(plain.raw(found.inputs), found.truth))
    answers, turns = [], []
    for some in (found, more):
        raw = network.raw(some.inputs[some.calm])
        answers.append(raw if own else model.with_smile(raw, some.smile[some.calm]))
        turns.append(some.turns[some.calm])
    share = QUIET_SHARES[0 if own else 1]
    return replace(network, zone=fit_zone(np.concatenate(answers), np.concatenate(turns), share))


def build(
    stages: Sequence[Stage],
    first: np.ndarray,
    reals: tuple[np.ndarray, np.ndarray],
    both: tuple[Faces, Faces],
    reference: np.ndarray,
) -> GeometryModel:
    """Return the model with slopes and dead zones found on held-out identities.

    Parameters
    ----------
    stages : sequence of Stage
        Where the neutral face is known, the networks of the last one answer; where not, the mean of all.
    reals : ((p, k), (p, k)) float64
        Real persons at rest, and smiling.
    both : (Faces, Faces)
        For slopes, dead zones and the smile of rendered faces, and more faces for dead zones.
    """
    (held, quiet), (real, smiling) = both, reals
    comparable = np.ones((first.shape[1], 1))
    comparable[part_blocks()["log_odds"]] = 0.0
    maps, strange = [], []
    for stage in stages:
        own, other = (m.weight.detach().numpy().T for m in (stage.net.map, stage.net.strange_map))
        maps.append(rounded_map(first @ own))
        strange.append(rounded_map(first @ (other * comparable)))
    context = context_map(real, smiling, held, reference).astype(np.float32).astype(np.float64)
    none = Network((), np.ones(len(OUTPUTS)), np.zeros((1 + N_CONTEXT, len(OUTPUTS))))
    model = GeometryModel(
        outputs=OUTPUTS,
        reference=reference,
        map=np.hstack(maps),
        context=context,
        strange_map=np.hstack(strange),
        typical=_middle(stages, maps),
        typical_strange=_middle(stages, strange),
        typical_context=np.median(real @ context, axis=0),
        smile_slope=MEDIAN_SMILE,
        calibrated=none,
        uncalibrated=none,
        card=placeholder(),
    )
    networks = [
        scaled(replace(none, members=all_members(stages, own)), held, quiet, model, own)
        for own in (True, False)
    ]
    return replace(model, calibrated=networks[0], uncalibrated=networks[1])


def _middle(stages: Sequence[Stage], maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the typical face of each stage, after its own map."""
    return np.concatenate(
        [np.median(s.real @ m, axis=0) for s, m in zip(stages, maps, strict=True)]
    )


def strangers_at_rest(left_out: Sequence[GeometryModel], real: np.ndarray) -> np.ndarray:
    """Return what persons at rest reach who took no part in a model, compared with a typical face.

    Parameters
    ----------
    left_out : sequence of GeometryModel
        Trained without the 2nd, 5th, … and without the 3rd, 6th, … person.
    real : (n, k) float64
        All persons at rest.

    Returns
    -------
    (m, aus) float64
        Of the persons left out, in their order.
    """
    place = np.arange(len(real)) % 3
    values = np.full((len(real), len(GeometryBackend(left_out[0]).au_names)), np.nan)
    for k, model in enumerate(left_out, 1):
        backend = GeometryBackend(model)
        rows = backend.mapped(real[place == k])
        values[place == k] = backend.intensities(rows, backend.typical_neutral)
    return values[place > 0]


def occurrence_limits(rest: np.ndarray) -> np.ndarray:
    """Return from where actions occur, given the intensities of persons at rest: (n, m) to (m,).

    The highest value times `STRANGE_MARGIN`, at least `STRANGE_OCCURRENCE`.
    """
    return np.clip(STRANGE_MARGIN * rest.max(axis=0), STRANGE_OCCURRENCE, MOST_OCCURRENCE)


def rounded_map(values: np.ndarray) -> np.ndarray:
    """Return values in the precision in which they are stored."""
    return values.astype(np.float16).astype(np.float64)


def placeholder() -> dict[str, Any]:
    """Return a card without figures, which the evaluation writes."""
    names = [name for name in OUTPUTS if name not in ("AU16", "AU22")]
    return {"reliability": {name: {"pcc": 1.0} for name in sorted(names)}}
