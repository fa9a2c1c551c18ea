from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from duchenne.analysis.rendering.action_units import PROTOTYPES
from duchenne.analysis.rendering.appearance import Look, random_look
from duchenne.analysis.rendering.degrade import Film, degraded, random_film, varied
from duchenne.analysis.rendering.folds import (
    INDEPENDENT,
    LINKED,
    NONE,
    PERSONAL,
    fold_depths,
    personal_skin,
)
from duchenne.analysis.rendering.lighting import exposed, flickered, plain_light, random_light
from duchenne.analysis.rendering.plan import (
    DISTRESS,
    NEUTRAL,
    NO_ACTION,
    PROTOTYPE,
    RANDOM,
    SHARES,
    SMILE,
    random_person,
    random_shot,
    shot_kinds,
)


def test_distress_brings_brows_lids_and_a_mouth_that_is_drawn_both_ways():
    assert Counter(shot_kinds(24, DISTRESS))[DISTRESS] == 6
    assert set(shot_kinds(24)) == set(SHARES)
    rng = np.random.default_rng(0)
    shots = [random_shot(DISTRESS, rng) for _ in range(300)]
    shown = [set(shot.act.units) for shot in shots]
    both = np.mean([{12, 15} <= units or {12, 20} <= units for units in shown])
    frown_and_mouth = np.mean([4 in units and bool(units & {12, 15, 17, 20}) for units in shown])
    assert both > 0.15
    assert frown_and_mouth > 0.7
    assert all(shot.emotion == "" and not shot.act.side for shot in shots)
    assert not any({24, 25} <= units for units in shown)
    smiles = [set(random_shot(RANDOM, rng).act.units) for _ in range(300)]
    assert not any({12, 15} <= units for units in smiles)


@pytest.mark.parametrize("n", [1, 7, 24, 50])
def test_kinds_come_in_their_shares_and_neutral_first(n):
    kinds = shot_kinds(n)
    assert len(kinds) == n
    assert kinds[0] == NEUTRAL
    if n == 24:
        assert Counter(kinds) == Counter(SHARES)


def test_faces_without_action_have_none():
    for seed in range(40):
        for kind in (NEUTRAL, NO_ACTION):
            shot = random_shot(kind, np.random.default_rng(seed))
            assert not shot.act.units
            assert not shot.act.other


def test_cheeks_rise_without_regard_to_smiles():
    rng = np.random.default_rng(0)
    shots = [random_shot(SMILE, rng) for _ in range(1500)]
    cheek, corner = np.array([[s.act.units.get(u, 0.0) for u in (6, 12)] for s in shots]).T
    assert abs(np.corrcoef(cheek, corner)[0, 1]) < 0.07
    assert 0.1 < np.mean((cheek > 0) & (corner == 0)) < 0.3


def test_prototypes_show_their_actions_alone():
    rng = np.random.default_rng(1)
    for _ in range(100):
        shot = random_shot(PROTOTYPE, rng)
        assert set(shot.act.units) - {45} <= set(PROTOTYPES[shot.emotion])
        assert bool(shot.act.side) == (
            shot.emotion == "contempt" and bool({12, 14} & set(shot.act.units))
        )


def test_people_differ_in_brows_at_rest():
    looks = [random_look(np.random.default_rng(i)) for i in range(400)]
    height = np.array([look.brows.height for look in looks])
    assert np.mean(height) == pytest.approx(-0.022, abs=0.002)
    assert 0.008 < np.std(height) < 0.012
    assert np.std([look.brows.thickness for look in looks]) > 0.2
    assert {look.beard for look in looks} > {"none", "full", "moustache"}
    assert {look.glasses for look in looks} > {"none", "rim"}
    plain = [random_look(np.random.default_rng(i), props=False) for i in range(50)]
    assert {(look.glasses, look.cover) for look in plain} == {("none", "none")}


def test_a_person_is_the_same_again(tiny_head):
    one, two = (random_person(tiny_head, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.base, two.base)
    assert one.look == two.look
    assert one.film == two.film


def test_folds_follow_the_actions_only_where_they_should():
    look = Look(wrinkles=1.0, age=0.0)
    units = {1: 0.0, 4: 1.0, 6: 0.5}
    rng = np.random.default_rng(0)
    assert fold_depths(units, look, LINKED, rng) == pytest.approx([0, 1, 0.45, 0])
    assert fold_depths(units, look, NONE, rng) == pytest.approx([0, 0, 0, 0])
    many = [[fold_depths({4: w}, look, INDEPENDENT, rng)[1], w] for w in rng.uniform(0, 1, 800)]
    assert abs(np.corrcoef(np.array(many).T)[0, 1]) < 0.1


def test_each_skin_folds_in_its_own_way():
    looks = [
        personal_skin(Look(wrinkles=0.5, age=0.5), np.random.default_rng(i)) for i in range(400)
    ]
    gains = np.array([look.wrinkles / 0.5 for look in looks])
    assert np.mean(gains == 0) == pytest.approx(0.2, abs=0.06)
    assert np.median(gains[gains > 0]) == pytest.approx(2.2, rel=0.15)
    assert gains.max() <= 4
    widths = [look.fold_width for look in looks]
    assert 1 <= min(widths) < 1.1
    assert 2.3 < max(widths) <= 2.4
    rng = np.random.default_rng(0)
    still = next(look for look in looks if look.wrinkles == 0)
    assert fold_depths({4: 1.0}, still, PERSONAL, rng) == pytest.approx([0.06, 0.05, 0.05, 0])
    deep = replace(still, wrinkles=2.0)
    assert fold_depths({4: 0.5}, deep, PERSONAL, rng)[1] == pytest.approx(1.05)


def test_exposure_makes_up_for_the_light():
    dark = replace(
        plain_light(), colours=plain_light().colours * 0.1, above=np.zeros(3), below=np.zeros(3)
    )
    bright = replace(dark, colours=dark.colours * 16)
    ratio = (
        exposed(bright, (0.8,) * 3, 0.25).colours[0] / exposed(dark, (0.8,) * 3, 0.25).colours[0]
    )
    assert ratio == pytest.approx([16**0.25] * 3)
    still = flickered(bright, np.random.default_rng(0), 0.0)
    assert np.array_equal(still.colours, bright.colours)
    lamps = np.stack([random_light(np.random.default_rng(i)).directions for i in range(20)])
    assert np.linalg.norm(lamps, axis=-1) == pytest.approx(1)


def test_a_perfect_film_changes_nothing():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    seen = degraded(image, Film(), rng)
    assert np.abs(seen.astype(int) - image).max() <= 1


def test_films_lose_what_they_are_told_to_lose():
    rng = np.random.default_rng(0)
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = (200, 120, 60)
    grey = degraded(image, Film(saturation=0.0), rng)
    assert (np.ptp(grey, axis=2) == 0).all()
    edge = [np.abs(np.diff(degraded(image, f, rng)[20, :, 0].astype(int))).max() for f in (
        Film(), Film(blur_px=2.0), Film(motion_px=8.0), Film(scale=0.3))]  # fmt: skip
    assert edge[0] == max(edge)
    assert max(edge[1:]) < 0.75 * edge[0]
    assert degraded(image, Film(motion_px=8.0, motion_deg=90.0), rng)[20, 33, 0] > 195
    coarse = degraded(image, Film(jpeg_quality=5), rng)
    assert coarse.shape == image.shape
    assert not np.array_equal(coarse, image)
    films = [varied(random_film(np.random.default_rng(i)), rng) for i in range(50)]
    assert all(0.3 < film.scale <= 1 and film.jpeg_quality <= 100 for film in films)
