"""Who is followed: the largest and most central face, never a bystander, and the same one again."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.face.identity import choose, jumps, proportions
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.participant import LOST_S, Participant, first_looks

SIZE = (640.0, 480.0)
FRONT = np.zeros(3)


def boxes(*rows):
    return np.array(rows, np.float64).reshape(-1, 3)


def face(stretch=1.0, seed=0):
    """Return a mesh; another stretch is another person's."""
    mesh = np.random.default_rng(seed).uniform(100, 200, (478, 3))
    return mesh * [stretch, 1.0, 1.0]


def test_largest_and_most_central_face_is_chosen():
    left, middle = (100, 240, 150), (320, 240, 140)
    assert choose([boxes(left, middle)], SIZE)[0] == 320
    assert choose([boxes((100, 240, 260), middle)], SIZE)[0] == 100
    assert choose([boxes(), boxes()], SIZE) is None


def test_a_face_that_stays_beats_one_that_passes():
    stays = [boxes((200, 240, 120)) for _ in range(4)]
    assert choose([boxes((500, 240, 160)), *stays], SIZE)[0] == 200


def test_looks_are_spread_over_the_first_second():
    assert list(first_looks(3)) == [0, 1, 2]
    assert list(first_looks(31)) == [0, 8, 15, 22, 30]


def test_growth_counts_as_a_jump():
    last = np.array([100.0, 100.0, 50.0])
    near = jumps(boxes((120, 100, 50), (100, 100, 100)), last)
    assert near[0] == pytest.approx(0.4)
    assert np.isinf(near[1])


def test_proportions_know_neither_size_nor_place():
    mesh = face()
    assert proportions(mesh * 3 + 50) == pytest.approx(proportions(mesh), abs=1e-9)
    assert np.abs(proportions(face(1.2)) - proportions(mesh)).max() > 0.02


def test_bystanders_are_all_but_the_followed_face():
    who = Participant()
    assert who.accept(np.array([320.0, 240, 150]), face(), FRONT, 0.0)
    who.scan(boxes((320, 240, 150), (560, 200, 80)), 0.5, SIZE)
    assert [box[0] for box in who.bystanders] == [560]
    assert not who.accept(np.array([560.0, 200, 80]), face(), FRONT, 0.6)
    who.scan(boxes((560, 200, 80)), 0.7, SIZE)
    assert len(who.bystanders) == 1, "whoever is left is a bystander while the participant is away"


def returns(who, mesh, box, begin_s, n=15):
    return [who.accept(np.array(box, float), mesh, FRONT, begin_s + i / 30) for i in range(n)]


@pytest.fixture
def followed():
    """Return a participant who was followed for a second and then lost."""
    who = Participant()
    for i in range(30):
        who.accept(np.array([320.0, 240, 150]), face(), FRONT, i / 30)
    return who


def test_the_participant_is_found_again_elsewhere(followed):
    back = returns(followed, face(), (100, 200, 150), 1 + LOST_S + 1)
    assert not back[0], "a face elsewhere is looked at for a third of a second first"
    assert back[-1]


def test_a_glimpse_of_long_ago_does_not_count(followed):
    begin = 1 + LOST_S + 1
    assert returns(followed, face(), (100, 200, 150), begin, n=1) == [False]
    later = returns(followed, face(), (100, 200, 150), begin + 7)
    assert not any(later[:9]), "the third of a second begins anew"
    assert later[-1]


def test_a_stranger_is_not_taken_for_the_participant(followed):
    assert not any(returns(followed, face(1.3), (100, 200, 150), 1 + LOST_S + 1, n=90))
    assert not any(returns(followed, face(1.6), (320, 240, 150), 1 + LOST_S + 10, n=30))


def test_at_the_old_place_a_changed_expression_is_forgiven(followed):
    assert returns(followed, face(1.1), (320, 240, 150), 1 + LOST_S + 1)[-1]


def test_a_refused_face_is_covered_and_another_is_tried(followed):
    begin = 1 + LOST_S + 1
    returns(followed, face(1.3), (320, 100, 150), begin, n=12)
    followed.scan(boxes((320, 100, 150), (100, 300, 90)), begin + 0.5, SIZE)
    assert [box[0] for box in followed.bystanders] == [320]


@pytest.fixture(scope="module")
def two_faces(still):
    """Return pictures of a large face on the left, smiling, and a small neutral one on the right."""
    import cv2

    large, small = still("happiness", 90), still("neutral", 20)
    small = cv2.resize(small, None, fx=0.45, fy=0.45, interpolation=cv2.INTER_AREA)

    def picture(*, with_large=True, with_small=True):
        canvas = np.full((480, 960, 3), 90, np.uint8)
        if with_large:
            canvas[:, :640] = large
        if with_small:
            height, width = small.shape[:2]
            canvas[120 : 120 + height, 960 - width :] = small
        return canvas

    return picture


def middles(faces):
    return np.where(
        faces.found, np.nanmean(np.nan_to_num(faces.landmarks[:, :, 0]), axis=1), np.nan
    )


def test_the_larger_of_two_faces_is_measured(two_faces):
    film = [(i, i / 10, two_faces()) for i in range(8)]
    with FaceTracker() as tracker:
        assert (middles(tracker.track(film)) < 600).all()
    with FaceTracker(still=True) as tracker:
        assert (middles(tracker.track(film[:2])) < 600).all()


def test_no_bystander_while_the_participant_is_away(two_faces):
    pictures = [two_faces(with_large=not 6 <= i < 14) for i in range(20)]
    with FaceTracker() as tracker:
        where = middles(tracker.track([(i, i / 10, p) for i, p in enumerate(pictures)]))
    assert not (where > 640).any()
    assert np.isnan(where[8:14]).all()
    assert (where[17:] < 600).all()


def test_a_face_that_enters_late_is_found(two_faces):
    pictures = [two_faces(with_large=i >= 12, with_small=False) for i in range(16)]
    with FaceTracker() as tracker:
        found = tracker.track([(i, i / 10, p) for i, p in enumerate(pictures)]).found
    assert not found[:12].any()
    assert found[13:].all()
