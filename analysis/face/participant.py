"""Follows one person through a film with several faces: which face is the participant's in each frame.

States: nobody seen yet; following; lost. While following, a face belongs to the participant when it
continues in place and size. After a loss, a face at the old place and size is taken back when its
proportions agree roughly, a face elsewhere only when they agree closely over a third of a second; until
then nothing is measured. A face that was refused is covered for two seconds and then asked again, because
a face in a strong expression may not resemble itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.identity import (
    ELSEWHERE_LIMIT,
    MAX_JUMP,
    SAME_PLACE_LIMIT,
    Likeness,
    jumps,
    prominence,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import FloatArray

# All faces are looked for this often while the participant is followed, and while nobody is.
SCAN_S = 0.5
SEARCH_S = 0.1
# A participant not seen for longer than this is lost, wherever a face turns up.
LOST_S = 2.0
# A returning face is compared over this long, and covered for this long when refused.
COMPARE_S = 0.33
# What was seen longer ago belongs to no comparison that goes on.
ASKED_ANEW_S = 1.0
REFUSED_S = 2.0
# Proportions are learnt and asked this often at most.
LEARN_S = 0.2
# A face narrower than this cannot be measured; it gives way to one that can.
MIN_SIZE_PX = 40.0


class Participant:
    """Decides frame by frame; holds a few kilobytes.

    Parameters
    ----------
    chosen : (3,) float64, optional
        Where the participant's face is when it is first seen.
    """

    def __init__(self, chosen: FloatArray | None = None) -> None:
        self._chosen = chosen
        self._last: FloatArray | None = None
        self._last_s = -np.inf
        self._next_scan_s = -np.inf
        self._learnt_s = -np.inf
        self._likeness = Likeness()
        self._asked: list[tuple[float, float]] = []
        self._asked_box: FloatArray | None = None
        self._refused: list[tuple[FloatArray, float]] = []
        self.bystanders: list[FloatArray] = []

    @property
    def place(self) -> FloatArray | None:
        """Return where the participant's face was seen last, or is expected first."""
        return self._chosen if self._last is None else self._last

    def wants_scan(self, time_s: float) -> bool:
        """Return whether all faces should be looked for now."""
        return time_s >= self._next_scan_s

    def scan(self, boxes: FloatArray, time_s: float, size_px: tuple[float, float]) -> None:
        """Tell faces apart: what is not the participant's, or not to be tried now, is a bystander.

        Parameters
        ----------
        boxes : (n, 3) float64
            Centre x, centre y and size of every face found.
        time_s : float
        size_px : (width, height)
        """
        following = self._following(time_s)
        self._next_scan_s = time_s + (SCAN_S if following and len(boxes) else SEARCH_S)
        if not len(boxes):
            self.bystanders = []
            return
        self._refused = [(box, until) for box, until in self._refused if until > time_s]
        chosen = self._candidate(boxes, size_px, following=following)
        self.bystanders = [box for i, box in enumerate(boxes) if i != chosen]

    def _candidate(
        self, boxes: FloatArray, size_px: tuple[float, float], *, following: bool
    ) -> int | None:
        near = np.full(len(boxes), np.inf) if self.place is None else jumps(boxes, self.place)
        if following or (self._last is None and self._chosen is not None):
            best = int(np.argmin(near))
            return best if near[best] <= MAX_JUMP else None
        refused = np.array(
            [
                any(jumps(box[None], old)[0] <= MAX_JUMP / 2 for old, _ in self._refused)
                for box in boxes
            ]
        )
        if refused.all():
            return None
        if (near[~refused] <= MAX_JUMP).any():
            return int(np.argmin(np.where(refused, np.inf, near)))
        return int(np.argmax(np.where(refused, -np.inf, prominence(boxes, size_px))))

    def accept(
        self, box: FloatArray, landmarks: FloatArray, pose_deg: FloatArray, time_s: float
    ) -> bool:
        """Return whether the face that was found is the participant's, and remember it if so.

        Parameters
        ----------
        box : (3,) float64
        landmarks : (478, 3) float64
            In pixels.
        pose_deg : (3,) float64
        time_s : float
        """
        if self._last is None:
            mine = self._chosen is None or bool(jumps(box[None], self._chosen)[0] <= MAX_JUMP)
        elif self._following(time_s):
            mine = bool(jumps(box[None], self._last)[0] <= MAX_JUMP)
        else:
            mine = self._resembles(box, landmarks, pose_deg, time_s)
        if not mine:
            self._next_scan_s = min(self._next_scan_s, time_s + SEARCH_S)
            return False
        self._last, self._last_s = box, time_s
        self._asked, self._asked_box = [], None
        if time_s - self._learnt_s >= LEARN_S:
            self._likeness.learn(landmarks, pose_deg)
            self._learnt_s = time_s
        return True

    def _resembles(
        self, box: FloatArray, landmarks: FloatArray, pose_deg: FloatArray, time_s: float
    ) -> bool:
        """Compare a face that returns; False as long as it is not known."""
        assert self._last is not None
        if self._last[2] < MIN_SIZE_PX <= box[2]:
            return True
        is_over = bool(self._asked) and time_s - self._asked[-1][0] > ASKED_ANEW_S
        if is_over or self._asked_box is None or jumps(box[None], self._asked_box)[0] > MAX_JUMP:
            self._asked = []
        self._asked_box = box
        self._asked.append((time_s, self._likeness.difference(landmarks, pose_deg)))
        if time_s - self._asked[0][0] < COMPARE_S:
            return False
        difference = float(np.nanmedian([value for _, value in self._asked]))
        at_old_place = jumps(box[None], self._last)[0] <= MAX_JUMP
        if difference <= (SAME_PLACE_LIMIT if at_old_place else ELSEWHERE_LIMIT):
            return True
        self._refused.append((box, time_s + REFUSED_S))
        self._asked, self._asked_box = [], None
        return False

    def _following(self, time_s: float) -> bool:
        return self._last is not None and time_s - self._last_s <= LOST_S


def first_looks(n: int, at_most: int = 5) -> Sequence[int]:
    """Return which of the first ``n`` pictures to look at: up to five, evenly spread."""
    if n <= at_most:
        return range(n)
    return [round(i * (n - 1) / (at_most - 1)) for i in range(at_most)]
