"""The network of the ``geometry`` backend: its file, and its arithmetic in numpy.

A frame's measures go through one linear map; what comes out are the backend's features. Intensities
come from the difference between the features of the frame and those of the neutral face, by a small
network with two hidden layers. There are two: one for a person whose neutral face is known, and one
for a person compared with a typical or habitual face.
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
# Width of the bend at 0: what is far below 0 by this much is told from what is just below it.
FOOT = 0.15
FORMAT = "duchenne-geometry-1"


@dataclass(frozen=True)
class Network:
    """A few networks of the same inputs, whose mean counts, and the line that follows them.

    Parameters
    ----------
    members : tuple of tuples of ((k, l) float64, (l,) float64)
        Weights and biases of the layers of each network; all layers but the last are followed by a
        rectifier.
    offset, slope : (n_outputs,) float64
        Intensity = slope · (output − offset), brought gently to 0 below the offset and clipped at 5:
        found on held-out identities.
    """

    members: tuple[Layers, ...]
    offset: FloatArray
    slope: FloatArray

    def raw(self, inputs: FloatArray) -> FloatArray:
        """Return the outputs before the line: (n, n_outputs)."""
        return np.asarray(np.mean([_through(m, inputs) for m in self.members], axis=0), np.float64)

    def __call__(self, inputs: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5: (n, n_outputs); NaN where inputs are NaN."""
        return np.minimum(self.slope * rounded(self.raw(inputs) - self.offset), MAX_INTENSITY)


def _through(layers: Layers, values: FloatArray) -> FloatArray:
    for i, (weights, biases) in enumerate(layers):
        values = values @ weights + biases
        if i < len(layers) - 1:
            values = np.maximum(values, 0.0)
    return values


def rounded(values: FloatArray) -> FloatArray:
    """Return values with what is below 0 brought to 0 gently, so that their order is kept."""
    return np.asarray(FOOT * np.logaddexp(0.0, values / FOOT), np.float64)


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
    typical : (f,) float64
        Features of a typical neutral face.
    calibrated, uncalibrated : Network
        For a known and an unknown neutral face.
    card : mapping
        Reliability for each Action Unit, cross-talk, and how the model was made.
    """

    outputs: tuple[str, ...]
    reference: FloatArray
    map: FloatArray
    typical: FloatArray
    calibrated: Network
    uncalibrated: Network
    card: Mapping[str, Any]


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
        typical=_array(table["typical"]),
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
        "typical": _packed(model.typical, "<f4"),
        "calibrated": _packed_network(model.calibrated),
        "uncalibrated": _packed_network(model.uncalibrated),
    }
    path.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


def _network(table: Mapping[str, Any]) -> Network:
    members = tuple(
        tuple((_array(layer["weights"]), _array(layer["biases"])) for layer in layers)
        for layers in table["members"]
    )
    return Network(members, np.array(table["offset"]), np.array(table["slope"]))


def _packed_network(network: Network) -> dict[str, Any]:
    return {
        "members": [
            [
                {"weights": _packed(weights, "<f2"), "biases": _packed(biases, "<f4")}
                for weights, biases in layers
            ]
            for layers in network.members
        ],
        "offset": [round(float(value), 4) for value in network.offset],
        "slope": [round(float(value), 4) for value in network.slope],
    }


def _array(packed: Mapping[str, Any]) -> FloatArray:
    data = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["type"]))
    return data.reshape(packed["shape"]).astype(np.float64)


def _packed(array: NDArray[Any], kind: str) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array, np.dtype(kind)).tobytes()).decode("ascii")
    return {"type": kind, "shape": list(array.shape), "data": data}
