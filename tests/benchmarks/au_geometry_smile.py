"""Where gaze and the smile of strangers are read from the measures.

The smile is a weighted sum of log-odds and distances. Its weights answer to what changes when real persons
smile and when AU12 is rendered, and as little as possible to what differs between real persons at rest and to
what other rendered actions change (a linear discriminant, shrunk towards its diagonal).
"""

from __future__ import annotations

import numpy as np
from au_geometry_faces import OUTPUTS, Faces, at_rest, mirror

from duchenne.analysis.face.geometry.measures import BLOCKS, measure_names

# Intensity of AU12 in the median smile of the Face Research Lab London Set, as the networks see it.
MEDIAN_SMILE = 2.7
# How much rendered actions other than AU12 count beside the differences between real persons, how strongly
# the spread is shrunk, and how much of the effect is that of real smiles.
RENDERED, SHRUNK, REAL = 2.0, 1.0, 0.5
_CUES = ("log_odds", "distances")


def context_map(
    real: np.ndarray, smiling: np.ndarray, rendered: Faces, reference: np.ndarray
) -> np.ndarray:
    """Return the map from measures to gaze (across, up) and smile (L, R): (k, 4).

    Parameters
    ----------
    real, smiling : (p, k) float64
        The same real persons at rest, and smiling.
    rendered : Faces
        Held-out identities with all actions.
    reference : (478, 3) float64
        Mesh that the faces are aligned with.
    """
    names = measure_names()
    columns = np.zeros((len(names), 4))
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        columns[names.index(f"eyeLookOut{side}"), 0] += sign / 2
        columns[names.index(f"eyeLookIn{side}"), 0] -= sign / 2
        columns[names.index(f"eyeLookUp{side}"), 1] += 0.5
        columns[names.index(f"eyeLookDown{side}"), 1] -= 0.5
    cues = np.concatenate([np.arange(BLOCKS[b].start, BLOCKS[b].stop) for b in _CUES])
    weights = smile_weights(real, smiling, rendered, reference, cues)
    for j, sides in enumerate((("Left", "_L"), ("Right", "_R")), 2):
        other = ("Right", "_R") if j == 2 else ("Left", "_L")
        share = [
            2.0 if names[i].endswith(sides) else 0.0 if names[i].endswith(other) else 1.0
            for i in cues
        ]
        columns[cues, j] = weights * share
    return columns


def smile_weights(
    real: np.ndarray, smiling: np.ndarray, rendered: Faces, reference: np.ndarray, cues: np.ndarray
) -> np.ndarray:
    """Return how much each cue counts: (c,), 1 for the median change of real smiles."""
    both = [np.vstack([faces, mirror(faces, reference)])[:, cues] for faces in (real, smiling)]
    rest, change = both[0], np.median(both[1] - both[0], axis=0)
    deltas, smile = _rendered_deltas(rendered, reference, cues)
    other = deltas[smile == 0]
    shown = smile > 0
    effect = smile[shown] @ deltas[shown] / (smile[shown] ** 2).sum() * MEDIAN_SMILE
    spread = np.cov(rest.T)
    total = spread + RENDERED * (other.T @ other) / len(other) + SHRUNK * np.diag(np.diag(spread))
    weights = np.linalg.solve(total, REAL * change + (1 - REAL) * effect)
    return weights / (weights @ change)


def _rendered_deltas(
    rendered: Faces, reference: np.ndarray, cues: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return differences from each person's rest, seen also in a mirror, and AU12: (m, c), (m,)."""
    away = rendered.measures - at_rest(rendered)[rendered.person]
    away = away.reshape(-1, away.shape[-1]).astype(np.float64)
    deltas = np.vstack([away[:, cues], mirror(away, reference)[:, cues]])
    smile = np.repeat(rendered.truth[:, OUTPUTS.index("AU12")], rendered.measures.shape[1])
    return deltas, np.tile(smile, 2).astype(np.float64)
