"""Train the networks of the ``geometry`` backend on rendered faces.

    python tests/benchmarks/au_geometry_train.py --data FOLDER --london FOLDER --out geometry_model.json

``--data`` holds the shards of ``au_geometry_render.py``; their measures are cached in ``FOLDER/measures3``.
``--london`` holds the Face Research Lab London Set (CC BY 4.0), whose faces tell what real faces look like at
rest and in a smile. Each person is kept from one of the four networks that compare strangers (the linear maps
before them know all).

Two stages: `EPOCHS` on the split ``train`` and 110 identities of ``calm`` with every third real person; then
`MORE_EPOCHS` at a lower rate with 200 identities of ``calm``, those of ``mixed`` and all real persons. The
other identities of ``calm`` are left for the dead zones. Where the neutral face is known, the networks of the
second stage answer; strangers are compared by those of both stages.
With ``--leave-out 1`` (or 2), the 2nd, 5th, … (3rd, 6th, …) real person takes no part in either stage. These
two models are given to the last training (``--left-out ONE TWO``): what their strangers reach at rest sets
from where an action occurs without a neutral face.
``--people N --epochs 1`` tries the command on at most so many identities of each split.
Needs torch. The last line says what was written.
"""

from __future__ import annotations

import argparse
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from au_geometry_faces import Faces, joined, load, london_faces, reference_mesh, with_mirrored
from au_geometry_fit import Stage, build, occurrence_limits, strangers_at_rest
from au_geometry_networks import first_map, train

from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.geometry.model import read_model, write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.geometry.model import GeometryModel

EPOCHS, MORE_EPOCHS = 20, 6
RATE, MORE_RATE = 1.5e-3, 6e-4
# Identities without any action: for the first stage, for the second, and from where on for dead zones.
N_CALM, N_MORE_CALM = 110, 200


@dataclass(frozen=True)
class Sets:
    """Rendered faces of each use."""

    first: Faces
    second: Faces
    held: Faces
    quiet: Faces
    plain: Faces


def rendered_sets(
    data: Path, reference: np.ndarray, identities: int | None, people: int | None
) -> Sets:
    """Return the faces of both stages, and of what is fitted after them.

    Parameters
    ----------
    identities : int, optional
        At most so many of the split ``train``, for a learning curve.
    people : int, optional
        At most so many of every split, to try the command.
    """
    n_calm, n_more = (min(n, people or n) for n in (N_CALM, N_MORE_CALM))
    plain = load(data, "train", reference, people or identities)
    return Sets(
        first=joined(plain, load(data, "calm", reference, n_calm)),
        second=joined(
            plain, load(data, "calm", reference, n_more), load(data, "mixed", reference, people)
        ),
        held=load(data, "calibrate", reference, people),
        quiet=joined(
            load(data, "sweep", reference, people, every=2),
            load(data, "calm", reference, n_more + people if people else None, first=n_more),
        ),
        plain=plain,
    )


def trained(
    sets: Sets,
    real: np.ndarray,
    told: np.ndarray,
    reference: np.ndarray,
    *,
    epochs: int,
    more_epochs: int,
    seed: int,
) -> tuple[np.ndarray, list[Stage]]:
    """Return the first linear map, and the networks after each stage."""
    first = first_map(sets.plain)
    scale = np.diag(first)[:3]
    net = train(
        with_mirrored(sets.first, reference), real[::3], first, scale,
        epochs=epochs, rate=RATE, seed=seed,
    )  # fmt: skip
    one = Stage(deepcopy(net), real[::3])
    net = train(
        with_mirrored(sets.second, reference), real[told], first, scale,
        epochs=more_epochs, rate=MORE_RATE, seed=seed + 1, start=net,
    )  # fmt: skip
    return first, [one, Stage(net, real[told])]


def resting_thresholds(
    model: GeometryModel, left_out: Sequence[Path], real: np.ndarray
) -> dict[str, float]:
    """Return from where each Action Unit occurs in strangers."""
    others = [read_model(path.read_text("utf-8")) for path in left_out]
    limits = occurrence_limits(strangers_at_rest(others, real))
    names = GeometryBackend(model).au_names
    return {au: round(float(v), 2) for au, v in zip(names, limits, strict=True)}


def main() -> None:
    """Train and write the model, without its reliability, which the evaluation adds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--london", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--identities", type=int, default=None)
    parser.add_argument("--people", type=int, default=None, metavar="N")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leave-out", type=int, choices=(1, 2), default=None)
    parser.add_argument("--left-out", type=Path, nargs=2, default=None, metavar="MODEL")
    given = parser.parse_args()
    torch.set_num_threads(1)
    start_s = time.monotonic()
    reference = reference_mesh(sorted(given.data.glob("train_*.npz")))
    real, smiling = (london_faces(given.london, reference, n) for n in ("neutral", "smiling"))
    told = np.ones(len(real), np.bool_)
    if given.leave_out:
        told = np.arange(len(real)) % 3 != given.leave_out
    sets = rendered_sets(given.data, reference, given.identities, given.people)
    print(f"{len(sets.second.kind)} pictures, {time.monotonic() - start_s:.0f} s", flush=True)
    first, stages = trained(
        sets, real, told, reference,
        epochs=given.epochs, more_epochs=min(MORE_EPOCHS, given.epochs), seed=given.seed,
    )  # fmt: skip
    model = build(stages, first, (real[told], smiling[told]), (sets.held, sets.quiet), reference)
    model.card.update(
        {
            "n_train_pictures": len(sets.second.kind),
            "n_train_identities": int(sets.second.person.max() + 1),
        }
    )
    if given.left_out:
        model.card["resting_threshold"] = resting_thresholds(model, given.left_out, real)
    write_model(model, given.out)
    print(f"{time.monotonic() - start_s:.0f} s. Written: {given.out}")


if __name__ == "__main__":
    main()
