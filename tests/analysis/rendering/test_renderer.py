from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from duchenne.analysis.rendering.action_units import Act
from duchenne.analysis.rendering.appearance import Look
from duchenne.analysis.rendering.identity import eyes_matrix
from duchenne.analysis.rendering.scene import Shown
from duchenne.analysis.rendering.wearing import occluder, worn

LOOK = Look(skin=(0.8, 0.65, 0.55), hair_style=3, brow_hair=(0.1, 0.07, 0.05))
PX = 96
EYE, MOUTH = slice(36, 42), slice(60, 68)


def align(points):
    return eyes_matrix(points, PX)


@pytest.fixture(scope="module")
def shot(renderer):
    """Return a function that renders the mean head in the aligned square."""

    def take(units=None, **how):
        gaze = how.pop("gaze", (0.0, 0.0))
        shown = Shown(
            renderer.head.vertices, how.pop("look", LOOK), Act(units or {}, gaze=gaze), **how
        )
        return renderer.render(shown, align)

    return take


def around(rendered, marks, margin=2):
    low = np.floor(rendered.landmarks[marks].min(axis=0)).astype(int) - margin
    high = np.ceil(rendered.landmarks[marks].max(axis=0)).astype(int) + margin
    return rendered.image[low[1] : high[1], low[0] : high[0]].astype(float)


def test_the_eyes_lie_where_the_alignment_puts_them(shot):
    for rendered in (shot(), shot(yaw_deg=20.0, roll_deg=15.0)):
        right, left = (rendered.landmarks[list(p)].mean(axis=0) / PX for p in ((36, 39), (42, 45)))
        assert right == pytest.approx([0.3, 0.38], abs=1e-6)
        assert left == pytest.approx([0.7, 0.38], abs=1e-6)


def test_the_same_is_rendered_the_same_again(shot):
    assert np.array_equal(shot({12: 0.5}).image, shot({12: 0.5}).image)


def test_several_renderers_do_not_disturb_each_other(renderer, shot, tiny_head):
    from duchenne.analysis.rendering.renderer import Renderer

    before = shot().image
    other = Renderer(tiny_head, 32, texture_px=128)
    other.render(Shown(tiny_head.vertices, LOOK))
    assert np.array_equal(shot().image, before)
    other.close()
    assert np.array_equal(shot().image, before)


def test_landmarks_of_the_brows_lie_on_the_dark_brows(shot):
    rendered = shot()
    red = rendered.image[..., 0].astype(int)
    columns, rows = np.round(rendered.landmarks[[18, 19, 20, 23, 24, 25]]).astype(int).T
    assert (red[rows, columns] < red[rows - 7, columns] - 40).all()
    higher = shot(look=replace(LOOK, brows=replace(LOOK.brows, height=-0.005)))
    lift = rendered.landmarks[17:27, 1] - higher.landmarks[17:27, 1]
    assert (lift > 2).all()


def test_closed_lids_hide_the_eye(shot):
    white = [around(shot({45: weight}), EYE).max(axis=2).max() for weight in (0.0, 1.0)]
    dark = [around(shot({45: weight}), EYE).mean(axis=2).min() for weight in (0.0, 1.0)]
    assert dark[0] < dark[1] or white[0] > white[1]
    heights = [np.ptp(shot({45: weight}).landmarks[EYE, 1]) for weight in (0.0, 1.0)]
    assert heights[1] < 0.6 * heights[0]


def test_the_iris_goes_where_the_gaze_goes(shot):
    def dark_column(gaze):
        eye = around(shot(gaze=gaze), slice(42, 48), margin=-1).mean(axis=2)
        weight = np.clip(90 - eye, 0, None).sum(axis=0)
        return float((weight * np.arange(len(weight))).sum() / weight.sum())

    assert dark_column((0.7, 0.0)) > dark_column((0.0, 0.0)) + 1 > dark_column((-0.7, 0.0)) + 2


def test_an_opened_mouth_is_measured_and_seen(shot):
    shut, wide = shot(), shot({26: 1.0})
    assert wide.lip_gap > shut.lip_gap + 1
    assert np.ptp(wide.landmarks[MOUTH, 1]) > 2 * np.ptp(shut.landmarks[MOUTH, 1])
    column, row = np.round(wide.landmarks[[62, 66]].mean(axis=0)).astype(int)
    change = (
        wide.image[row - 1 : row + 2, column].astype(int) - shut.image[row - 1 : row + 2, column]
    )
    assert np.abs(change).mean() > 20


def test_folds_show_where_they_are_asked_for(shot):
    plain, folded = shot(), shot(folds=np.array([1.0, 0.0, 0.0, 0.0]))
    forehead = slice(0, int(plain.landmarks[19, 1]) - 4)
    change = np.abs(plain.image.astype(int) - folded.image).mean(axis=2)
    assert change[forehead].mean() > 1
    assert change[int(plain.landmarks[30, 1]) :].mean() < 0.2


def test_wide_folds_are_seen_in_small_pictures(shot):
    def seen(width):
        look = replace(LOOK, fold_width=width)
        plain, folded = (
            cv2.resize(
                shot(look=look, folds=np.array([0.0, depth, 0.0, 0.0])).image,
                None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA,
            )
            for depth in (0, 2)
        )  # fmt: skip
        return np.abs(plain.astype(int) - folded).mean()

    assert seen(2.4) > 1.3 * seen(1.0)


@pytest.mark.parametrize(
    ("look", "where"),
    [
        ({"glasses": "dark"}, slice(36, 48)),
        ({"beard": "full", "beard_length": 0.7}, [8]),
        ({"cover": "mask", "cover_colour": (0.1, 0.1, 0.1)}, [33, 51, 57]),
    ],
)
def test_what_is_worn_covers_its_place(shot, renderer, look, where):
    dressed = replace(LOOK, **look)
    things = worn(renderer.head, renderer.head.vertices, dressed)
    bare, covered = shot(), shot(look=dressed, things=things)
    columns, rows = np.round(bare.landmarks[where]).astype(int).T
    rows = rows.clip(0, PX - 2)
    assert covered.image[rows, columns].mean() < 0.7 * bare.image[rows, columns].mean()
    assert np.array_equal(bare.landmarks, covered.landmarks)


@pytest.mark.parametrize("name", ["hand", "cup"])
def test_occluders_come_before_the_face(shot, renderer, name):
    class Person:
        base, look = renderer.head.vertices, LOOK

    bare = shot()
    changed = []
    for seed in range(4):
        things = occluder(name, renderer.head, Person, np.random.default_rng(seed))
        other = shot(things=things).image.astype(int)
        changed.append(np.mean(np.abs(other - bare.image).max(axis=2) > 8))
    assert 0.04 < np.mean(changed) < 0.8


def test_light_comes_from_where_the_lamp_is(shot):
    from duchenne.analysis.rendering.lighting import direction, plain_light

    def halves(azimuth_deg):
        light = plain_light()
        ways = light.directions.copy()
        ways[0] = direction(azimuth_deg, 10)
        image = shot(
            light=replace(light, directions=ways, colours=light.colours * [[1], [0], [0]])
        ).image
        face = image[int(0.3 * PX) : int(0.7 * PX)].astype(float)
        return face[:, 20:48].mean(), face[:, 48:76].mean()

    (right, left), (far_right, far_left) = halves(60), halves(-60)
    assert left > 1.3 * right
    assert far_right > 1.3 * far_left
