"""Alignments of faces: how a face is brought into the square picture that a system learns from.

Every alignment is a pure function of 68 landmarks; it gives the 2×3 matrix that takes points of the picture
to points of the aligned square. Points are in pixels, x right and y down, and the outer edge of a picture is
at 0: the middle of its first pixel is at 0.5.

The 68 points are those of the iBUG 300-W scheme: 0–16 jaw from the participant's right ear to the left one,
17–26 brows, 27–35 nose, 36–47 eyes, 48–67 mouth. The 49 points leave out the jaw and the inner corners of the
mouth (60 and 64).

References
----------
Sagonas et al. (2013), 300 Faces in-the-Wild Challenge (the 68 points).
Shao et al. (2018), Deep adaptive attention for joint facial AU detection and face alignment (A1).
Chang et al. (2024), LibreFace; Karras et al. (2019), A style-based generator architecture (A2).
Toisoul et al. (2021), Estimation of continuous valence and arousal levels from faces (A3).
Fan, Lam & Li (2020), Facial Action Unit intensity estimation via semantic correspondence learning (A4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.analysis.face.frames import FloatArray, Image

RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
NOSE_TIP, MOUTH_RIGHT, MOUTH_LEFT = 30, 48, 54
OF_68_IN_49 = (*range(17, 60), *range(61, 64), *range(65, 68))
"""Which of the 68 points are the 49, in their order."""

# Each point of the 68 is the middle of one or two points of MediaPipe's mesh. The jaw is spaced evenly along
# the mesh's outline; a brow is the middle of its upper and lower edge.
_MESH = (
    127, 234, (93, 132), (132, 58), 172, 136, 149, (176, 148), 152,
    (400, 377), 378, 365, 397, (361, 288), (323, 361), 454, 356,
    (70, 46), (63, 53), (105, 52), (66, 65), (107, 55),
    (336, 285), (296, 295), (334, 282), (293, 283), (300, 276),
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,
    78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip
MESH_PAIRS = np.array([p if isinstance(p, tuple) else (p, p) for p in _MESH], np.intp)
"""(68, 2): the two points of the mesh whose middle each landmark is."""

# A picture that comes out smaller than this share is made smaller in steps first, so that nothing flickers.
_LEAST_STEP = 0.6


@dataclass(frozen=True)
class Alignment:
    """One way to bring a face into a square.

    Parameters
    ----------
    name : str
    matrix : callable
        Takes (68, 2) landmarks and the side of the square in pixels; returns the (2, 3) matrix.
    px : int
        Side that the published systems use.
    fill : int or None
        Grey value outside the picture; None mirrors the picture at its edge.
    what : str
        In words.
    """

    name: str
    matrix: Callable[[FloatArray, int], FloatArray]
    px: int
    fill: int | None
    what: str


def from_mesh(mesh: FloatArray) -> FloatArray:
    """Return 68 landmarks from MediaPipe's mesh.

    Parameters
    ----------
    mesh : (…, 478, 2 or more) float64
        Pixels; NaN where no face was found.

    Returns
    -------
    (…, 68, 2) float64
    """
    return np.asarray(mesh[..., MESH_PAIRS, :2].mean(axis=-2), np.float64)


def from_49(points: FloatArray) -> FloatArray:
    """Return 68 landmarks of which 49 are known; A1 and A2 need no others, the other alignments do.

    Parameters
    ----------
    points : (49, 2) float64

    Returns
    -------
    (68, 2) float64
        NaN where the 49 have no point.
    """
    known = np.full((68, 2), np.nan)
    known[list(OF_68_IN_49)] = points
    return known


def eye_centres(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the middle of the right eye and of the left eye, each of its six points."""
    return points[RIGHT_EYE].mean(axis=0), points[LEFT_EYE].mean(axis=0)


def a1_matrix(points: FloatArray, px: int = 200) -> FloatArray:
    """Return the alignment of JAA-Net (A1).

    The face is turned until the eyes are level; the square has 2.9 times the larger extent of the eye
    centres, the tip of the nose and the corners of the mouth, around the middle of that extent.
    """
    right, left = eye_centres(points)
    along = _unit(left - right)
    turn = np.array([along, [-along[1], along[0]]])
    marks = np.stack([right, left, points[NOSE_TIP], points[MOUTH_RIGHT], points[MOUTH_LEFT]])
    turned = marks @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    side = 2.9 * float((high - low).max())
    return _square(turn, (low + high) / 2, side, px)


def a2_matrix(points: FloatArray, px: int = 256) -> FloatArray:
    """Return the alignment of LibreFace, as FFHQ has it (A2).

    With e the vector from eye to eye and m the one from the eyes to the mouth, the square lies along
    e − m turned by 90°, has twice the length max(2 |e|, 1.8 |m|), and its middle is 0.1 m below the eyes.
    """
    right, left = eye_centres(points)
    eyes = (right + left) / 2
    across = left - right
    down = (points[MOUTH_RIGHT] + points[MOUTH_LEFT]) / 2 - eyes
    along = _unit(across - np.array([-down[1], down[0]]))
    half = max(2.0 * float(np.hypot(*across)), 1.8 * float(np.hypot(*down)))
    turn = np.array([along, [-along[1], along[0]]])
    return _square(turn, turn @ (eyes + 0.1 * down), 2 * half, px)


def a3_matrix(points: FloatArray, px: int = 256) -> FloatArray:
    """Return the alignment of EmoFAN (A3): upright, 200 (w + h) / 220 around the box of all points."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = 200.0 * float((high - low).sum()) / 220.0
    return _square(np.eye(2), (low + high) / 2, side, px)


A4_POINTS = (8, 36, 45)
A4_TARGETS = np.array([[127.65, 227.82], [79.16, 87.04], [176.84, 87.04]]) / 256.0
"""Where chin and outer corners of the eyes come to lie, as a share of the side."""


def a4_matrix(points: FloatArray, px: int = 256) -> FloatArray:
    """Return the alignment of the heat-map systems (A4): three points to three places, affine."""
    source = np.column_stack([points[list(A4_POINTS)], np.ones(3)])
    return np.asarray(np.linalg.solve(source, A4_TARGETS * px).T, np.float64)


# Mean of 156 rendered resting faces of 40 people, symmetric; eyes and chin near the places of A4.
_MEAN_FACE = (
    (47, 86), (48, 110), (51, 132), (54, 154), (63, 179), (78, 201), (91, 212), (109, 220), (128, 224),
    (147, 220), (165, 212), (178, 201), (193, 179), (202, 154), (205, 132), (208, 110), (209, 86),
    (59, 77), (67, 71), (79, 66), (93, 66), (109, 70), (147, 70), (163, 66), (177, 66), (189, 71), (197, 77),
    (128, 85), (128, 99), (128, 112), (128, 128), (112, 146), (120, 146), (128, 147), (136, 146), (144, 146),
    (74, 89), (81, 84), (94, 83), (106, 91), (95, 93), (81, 93),
    (150, 91), (162, 83), (175, 84), (182, 89), (175, 93), (161, 93),
    (96, 174), (106, 167), (119, 163), (128, 164), (137, 163), (150, 167), (160, 174), (151, 182),
    (141, 185), (128, 187), (115, 185), (105, 182),
    (100, 174), (115, 173), (128, 174), (141, 173), (156, 174), (141, 173), (128, 174), (115, 173),
)  # fmt: skip
MEAN_FACE = np.array(_MEAN_FACE, np.float64) / 256.0
"""(68, 2): where a mean face lies in its square, as a share of the side (``procrustes``)."""


def procrustes_matrix(points: FloatArray, px: int = 256) -> FloatArray:
    """Return the similarity that brings all 68 points closest to those of a mean face (``procrustes``)."""
    return procrustes(points, MEAN_FACE * px)


CROP_MARGIN = 1.4


def crop_matrix(points: FloatArray, px: int = 224) -> FloatArray:
    """Return an upright square of 1.4 times the larger side of the box of all points (``crop``)."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = CROP_MARGIN * float((high - low).max())
    return _square(np.eye(2), (low + high) / 2, side, px)


ALIGNMENTS: dict[str, Alignment] = {
    a.name: a
    for a in (
        Alignment("A1", a1_matrix, 200, 128, "level eyes, 2.9 times eyes to mouth (JAA-Net)"),
        Alignment("A2", a2_matrix, 256, None, "turned square as in FFHQ (LibreFace)"),
        Alignment("A3", a3_matrix, 256, 0, "upright box of 68 points (EmoFAN)"),
        Alignment("A4", a4_matrix, 256, 0, "eye corners and chin at fixed places (heat maps)"),
        Alignment("procrustes", procrustes_matrix, 256, 0, "68 points closest to a mean face"),
        Alignment("crop", crop_matrix, 224, 0, "upright box of 68 points with a margin"),
    )
}


def alignment(name: str) -> Alignment:
    """Return an alignment by its name.

    Raises
    ------
    UsageError
        When there is none.
    """
    if name not in ALIGNMENTS:
        raise UsageError(f"there is no alignment {name}; there are: {', '.join(ALIGNMENTS)}")
    return ALIGNMENTS[name]


def placed(points: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return where points come to lie: (n, 2)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float64)


def warped(image: Image, matrix: FloatArray, px: int, fill: int | None = 0) -> Image:
    """Return the aligned square of a picture.

    Parameters
    ----------
    image : (height, width, 3) uint8
    matrix : (2, 3) float64
        Of one of the alignments.
    px : int
        Side of the square.
    fill : int or None
        Grey value outside the picture; None mirrors the picture at its edge.

    Returns
    -------
    (px, px, 3) uint8
    """
    import cv2  # noqa: PLC0415  (heavy)

    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if 0 < scale < _LEAST_STEP:
        height, width = image.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix * np.array([width / size[0], height / size[1], 1.0])
    # OpenCV counts from the middle of the first pixel.
    centred = matrix.copy()
    centred[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5
    return np.asarray(
        cv2.warpAffine(
            image,
            centred,
            (px, px),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101 if fill is None else cv2.BORDER_CONSTANT,
            borderValue=(fill or 0,) * 3,
        ),
        np.uint8,
    )


def procrustes(points: FloatArray, target: FloatArray) -> FloatArray:
    """Return the similarity that brings points closest to others, in the sense of least squares.

    Parameters
    ----------
    points, target : (n, 2) float64
        At least two different points.

    Returns
    -------
    (2, 3) float64
        s R and t of s R a + t: a turn, one scale and a shift, never a mirror.

    References
    ----------
    Umeyama (1991), Least-squares estimation of transformation parameters between two point patterns.
    """
    a, b = points - points.mean(axis=0), target - target.mean(axis=0)
    u, singular, vt = np.linalg.svd(a.T @ b)
    signs = np.array([1.0, np.sign(np.linalg.det(vt.T @ u.T))])
    turn = vt.T @ np.diag(signs) @ u.T
    scale = float((singular * signs).sum() / (a**2).sum())
    shift = target.mean(axis=0) - scale * turn @ points.mean(axis=0)
    return np.column_stack([scale * turn, shift])


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.hypot(*vector), np.float64)


def _square(turn: FloatArray, middle: FloatArray, side: float, px: int) -> FloatArray:
    """Return the matrix of a square whose middle is given in turned coordinates."""
    scale = px / side
    return np.column_stack([scale * turn, px / 2 - scale * middle])
