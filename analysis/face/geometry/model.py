"""The networks of the ``geometry`` backend: their file, and their arithmetic in numpy.

A frame's measures go through one linear map; what comes out are the backend's features. Intensities
come from the difference between the features of the frame and those of the neutral face, by small
networks with two hidden layers. There are two kinds: for a person whose neutral face is known, and for
a person compared with a typical or habitual face.

What the networks answer to a face at rest, whose eyes or head are turned, is not 0. How much that may
be was measured on held-out identities; it makes a dead zone, which grows with the turn. Below it,
values are brought close to 0 in such a way that their order is kept.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

    Layers: TypeAlias = tuple[tuple[FloatArray, FloatArray], ...]

MAX_INTENSITY = 5.0
# What a value at the edge of the dead zone becomes, and how fast it falls below the edge.
EDGE, FALL = 0.25, 0.15
N_CONTEXT = 6
# Compared with a stranger's face, AU12 is drawn to what real smiles change in real faces: by this part
# of the difference, which counts fully up to about this many intensities.
SMILE_SHARE, SMILE_REACH = 0.6, 3.0
SMILING = ("AU12L", "AU12R", "AU12")
FORMAT = "duchenne-geometry-4"


@dataclass(frozen=True)
class Network:
    """A few networks of the same inputs, whose mean counts, and what follows them.

    Parameters
    ----------
    members : tuple of tuples of ((k, l) float64, (l,) float64)
        Weights and biases of the layers of each network; all layers but the last are followed by a
        rectifier.
    slope : (n_outputs,) float64
        Factor from the outputs to intensities.
    zone : (1 + 6, n_outputs) float64
        Dead zone: its width at rest, and what each unit of :func:`turned` adds to it.
    """

    members: tuple[Layers, ...]
    slope: FloatArray
    zone: FloatArray

    def raw(self, inputs: FloatArray) -> FloatArray:
        """Return intensities before the dead zone: (n, n_outputs), may be negative."""
        outputs = np.mean([_through(m, inputs) for m in self.members], axis=0)
        return np.asarray(outputs * self.slope, np.float64)

    def __call__(self, inputs: FloatArray, context: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5: (n, n_outputs); NaN where inputs are NaN."""
        return self.answered(self.raw(inputs), context)

    def answered(self, raw: FloatArray, context: FloatArray) -> FloatArray:
        """Return what is left of raw intensities outside the dead zone: (n, n_outputs)."""
        return beyond(raw, self.zone[0] + context @ self.zone[1:])


def turned(pose: FloatArray, gaze: FloatArray) -> FloatArray:
    """Return how far head and eyes are turned away from the reference.

    Parameters
    ----------
    pose : (n, 3) float64
        Pitch, yaw and roll as differences, in units of 20 degrees.
    gaze : (n, 2) float64
        Across and up, as differences of eye blendshapes.

    Returns
    -------
    (n, 6) float64
        Head up, head down, head sideways, eyes up, eyes down, eyes sideways; 0 or more.
    """
    up, aside = pose[:, 0], np.abs(pose[:, 1])
    across, look = np.abs(gaze[:, 0]), gaze[:, 1]
    return np.column_stack(
        [
            np.maximum(up, 0),
            np.maximum(-up, 0),
            aside,
            np.maximum(look, 0),
            np.maximum(-look, 0),
            across,
        ]
    )


def beyond(values: FloatArray, zone: FloatArray) -> FloatArray:
    """Return values with those inside a dead zone brought below 0.25, their order kept.

    From the edge of the zone to twice its width, what was taken away is given back, so that strong
    actions keep their intensity.
    """
    zone = np.maximum(zone, EDGE)
    above = values - (zone - EDGE) * np.clip(2.0 - values / zone, 0.0, 1.0)
    below = EDGE * np.exp(np.minimum(values - zone, 0.0) / FALL)
    kept = np.where(values > zone, above, below)
    return np.asarray(np.minimum(kept, MAX_INTENSITY), np.float64)


def _through(layers: Layers, values: FloatArray) -> FloatArray:
    for i, (weights, biases) in enumerate(layers):
        values = values @ weights + biases
        if i < len(layers) - 1:
            values = np.maximum(values, 0.0)
    return values


@dataclass(frozen=True)
class GeometryModel:
    """What was learnt, and what is known about it.

    Parameters
    ----------
    outputs : tuple of str
        Action Units in the order of the networks' outputs, such as ``"AU01"`` and ``"AU12L"``.
    reference : (478, 3) float64
        Mesh that faces are aligned with.
    map : (k, f) float64
        From measures to features.
    context : (k, 4) float64
        From measures to gaze (across, up) and to the smile of the participant's left and right side,
        whose unit is the median smile of real faces.
    strange_map : (k, g) float64
        From measures to the features in which a face is compared with a typical neutral one.
    typical, typical_strange, typical_context : (f,) float64, (g,) float64, (4,) float64
        A typical neutral face, after each of the maps.
    smile_slope : float
        Intensity of AU12 for each unit of smile.
    calibrated, uncalibrated : Network
        For a known and an unknown neutral face.
    card : mapping
        Reliability for each Action Unit, cross-talk, and how the model was made.
    """

    outputs: tuple[str, ...]
    reference: FloatArray
    map: FloatArray
    context: FloatArray
    strange_map: FloatArray
    typical: FloatArray
    typical_strange: FloatArray
    typical_context: FloatArray
    smile_slope: float
    calibrated: Network
    uncalibrated: Network
    card: Mapping[str, Any]

    def with_smile(self, raw: FloatArray, smile: FloatArray) -> FloatArray:
        """Return raw intensities with AU12 drawn to the smile that real faces show.

        Parameters
        ----------
        raw : (n, n_outputs) float64
            What :meth:`Network.raw` answers.
        smile : (n, 2) float64
            Smile of the left and right side, after the map `context`.
        """
        raw = raw.copy()
        sides = self.smile_slope * (smile - self.typical_context[2:])
        shown = np.column_stack([sides, sides.mean(axis=1)])
        places = [self.outputs.index(au) for au in SMILING]
        away = np.tanh((shown - raw[:, places]) / SMILE_REACH)
        raw[:, places] += SMILE_SHARE * SMILE_REACH * away
        return raw


def read_model(text: str) -> GeometryModel:
    """Return the model in a JSON text of :func:`write_model`.

    Raises
    ------
    ValueError
        When the text is not such a model.
    """
    table = json.loads(text)
    if table.get("format") != FORMAT:
        raise ValueError(f"not a model of the format {FORMAT}")
    return GeometryModel(
        outputs=tuple(table["outputs"]),
        reference=_array(table["reference"]),
        map=_array(table["map"]),
        context=_array(table["context"]),
        strange_map=_array(table["strange_map"]),
        typical=_array(table["typical"]),
        typical_strange=_array(table["typical_strange"]),
        typical_context=_array(table["typical_context"]),
        smile_slope=float(table["smile_slope"]),
        calibrated=_network(table["calibrated"]),
        uncalibrated=_network(table["uncalibrated"]),
        card=table["card"],
    )


def write_model(model: GeometryModel, path: Path) -> None:
    """Write a model as JSON; arrays are packed in half or single precision."""
    table = {
        "format": FORMAT,
        "card": model.card,
        "outputs": list(model.outputs),
        "reference": _packed(model.reference, "<f4"),
        "map": _packed(model.map, "<f2"),
        "context": _packed(model.context, "<f4"),
        "strange_map": _packed(model.strange_map, "<f2"),
        "typical": _packed(model.typical, "<f4"),
        "typical_strange": _packed(model.typical_strange, "<f4"),
        "typical_context": _packed(model.typical_context, "<f4"),
        "smile_slope": round(model.smile_slope, 4),
        "calibrated": _packed_network(model.calibrated),
        "uncalibrated": _packed_network(model.uncalibrated),
    }
    path.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


def _network(table: Mapping[str, Any]) -> Network:
    members = tuple(
        tuple((_weights(layer), _array(layer["biases"])) for layer in layers)
        for layers in table["members"]
    )
    return Network(members, np.array(table["slope"]), np.array(table["zone"]))


def _packed_network(network: Network) -> dict[str, Any]:
    return {
        "members": [
            [
                {**_packed_weights(weights), "biases": _packed(biases, "<f4")}
                for weights, biases in layers
            ]
            for layers in network.members
        ],
        "slope": [round(float(value), 4) for value in network.slope],
        "zone": [[round(float(value), 4) for value in row] for row in network.zone],
    }


def _weights(layer: Mapping[str, Any]) -> FloatArray:
    """Return the weights of a layer; inputs that it does not use have none in the file."""
    kept = _array(layer["weights"])
    whole = np.zeros((int(layer["n_inputs"]), kept.shape[1]))
    for start, end, first in layer["used"]:
        whole[start:end] = kept[first : first + end - start]
    return whole


def _packed_weights(weights: FloatArray) -> dict[str, Any]:
    used = np.flatnonzero(np.diff(np.r_[False, weights.any(axis=1), False].astype(np.int8)))
    runs = used.reshape(-1, 2)
    before = np.cumsum([0, *(runs[:, 1] - runs[:, 0])])
    return {
        "n_inputs": len(weights),
        "used": [[int(a), int(b), int(n)] for (a, b), n in zip(runs, before, strict=False)],
        "weights": _packed(weights[weights.any(axis=1)], "<f2"),
    }


def _array(packed: Mapping[str, Any]) -> FloatArray:
    data = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["type"]))
    return data.reshape(packed["shape"]).astype(np.float64)


def _packed(array: NDArray[Any], kind: str) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array, np.dtype(kind)).tobytes()).decode("ascii")
    return {"type": kind, "shape": list(array.shape), "data": data}
