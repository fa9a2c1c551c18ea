"""Speed of the face renderer: CPU seconds per picture and per new person, beside another renderer.

    LP_NUM_THREADS=1 OMP_NUM_THREADS=1 python tests/benchmarks/render_speed.py HEAD.npz [--other FOLDER]

FOLDER holds ``render.py``, the renderer that this one was written after. The sizes and the renderers take
turns, so that other work on the machine meets all of them alike; the least of several turns is told, and
CPU seconds of the whole process, not the time on the wall. Each picture has another act, pose and light, and
is degraded.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from duchenne.analysis.rendering.head import read_head
from duchenne.analysis.rendering.identity import RenderOrder, eyes_matrix, render_identity
from duchenne.analysis.rendering.plan import RANDOM, random_person, random_shot
from duchenne.analysis.rendering.renderer import Renderer
from duchenne.analysis.rendering.scene import Shown
from duchenne.analysis.rendering.wearing import worn

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (128, 160, 320, 640)
N_PICTURES, TURNS = 10, 4


class Ours:
    """The renderer of the package."""

    name = "ours"

    def __init__(self, head: Any, px: int) -> None:
        self.px = px
        self.renderer = Renderer(head, px)
        rng = np.random.default_rng(7)
        self.person = random_person(head, rng)
        self.things = worn(head, self.person.base, self.person.look)

    def picture(self, seed: int) -> None:
        """Render one picture."""
        from duchenne.analysis.rendering.degrade import degraded, varied
        from duchenne.analysis.rendering.lighting import flickered

        rng, person = np.random.default_rng(seed), self.person
        shot = random_shot(RANDOM, rng, props=False)
        shown = Shown(
            person.base,
            person.look,
            shot.act,
            shot.yaw_deg,
            shot.pitch_deg,
            shot.roll_deg,
            flickered(person.light, rng, 0.1),
            person.camera,
            person.backdrop,
            things=self.things,
        )
        image = self.renderer.render(shown, lambda points: eyes_matrix(points, self.px)).image
        degraded(image, varied(person.film, rng), rng)

    def dress(self, seed: int) -> None:
        """Paint a new person, and render one picture."""
        rng = np.random.default_rng(seed)
        self.person = random_person(self.renderer.head, rng)
        self.things = worn(self.renderer.head, self.person.base, self.person.look)
        self.picture(seed)


class Other:
    """The renderer that is compared."""

    name = "other"

    def __init__(self, module: Any, model: Any, px: int) -> None:
        self.module, self.px = module, px
        self.renderer = module.Renderer(px, px, model=model)
        self.look = module.Appearance(seed=7)
        self.behind = module.background(np.random.default_rng(7), px, px)

    def picture(self, seed: int) -> None:
        """Render one picture."""
        rng = np.random.default_rng(seed)
        shot = random_shot(RANDOM, rng, props=False)
        units = {f"AU{unit}": weight for unit, weight in shot.act.units.items()}
        pose = (shot.yaw_deg, shot.pitch_deg, shot.roll_deg)
        light = self.module.Lighting(rng)
        given = {"light": light, "bg": self.behind, "post": rng}
        with self.renderer.ctx:
            self.renderer.render(self.look, units, None, 0.0, shot.act.gaze, *pose, **given)

    def dress(self, seed: int) -> None:
        """Paint a new person, and render one picture."""
        self.look = self.module.Appearance(seed=seed)
        self.picture(seed)


def cpu_s(work: Callable[[int], None], n: int, first: int) -> float:
    """Return the CPU seconds of one of n calls."""
    begun = time.process_time()
    for i in range(n):
        work(first + i)
    return (time.process_time() - begun) / n


def whole_set_s(head: Any) -> float:
    """Return the CPU seconds per picture of whole identities at 160 px, painting and all."""
    order = RenderOrder("")
    renderer = Renderer(head, order.px)
    render_identity(renderer, order, 0)
    begun = time.process_time()
    n = sum(len(render_identity(renderer, order, number).images) for number in range(1, 6))
    return (time.process_time() - begun) / n


def main() -> None:
    """Measure and print one line per size and renderer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("head", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    head = read_head(given.head)
    rivals: list[Any] = [Ours(head, px) for px in given.sizes]
    if given.other:
        sys.path.insert(0, str(given.other))
        import render

        model = render.FaceModel()
        rivals += [Other(render, model, px) for px in given.sizes]
    for rival in rivals:
        cpu_s(rival.picture, 2, 0)
    pictures: dict[int, list[float]] = {id(rival): [] for rival in rivals}
    people: dict[int, list[float]] = {id(rival): [] for rival in rivals}
    for turn in range(TURNS):
        for rival in rivals:
            pictures[id(rival)].append(cpu_s(rival.picture, N_PICTURES, 100 * turn))
    for turn in range(2):
        for rival in rivals:
            people[id(rival)].append(cpu_s(rival.dress, 1, 1000 + turn))
    print("renderer   px  CPU ms/picture  pictures/s/core  new person, s")
    for rival in rivals:
        one = min(pictures[id(rival)])
        new = min(people[id(rival)]) - one
        print(f"{rival.name:8} {rival.px:4} {1000 * one:15.1f} {1 / one:16.1f} {new:14.2f}")
    whole = whole_set_s(head)
    print(
        f"whole identities of 24 pictures at 160 px: {1000 * whole:.1f} ms, {1 / whole:.1f} pictures/s/core"
    )


if __name__ == "__main__":
    main()
