"""Renders faces without a window: head, eyes, lashes, hair, beard and things, under three lamps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.rendering.action_units import lip_gap, shape_weights
from duchenne.analysis.rendering.baking import texture_places
from duchenne.analysis.rendering.camera import (
    FRAME_PX,
    aligned,
    look_at,
    parallel,
    projected,
    turn,
)
from duchenne.analysis.rendering.graphics import as_bytes, fast_filter, give, open_context, programs
from duchenne.analysis.rendering.head_drawing import HeadDrawing, linear
from duchenne.analysis.rendering.mesh import near_in_texture, turn_eyes, uv_of_vertices
from duchenne.analysis.rendering.painting import Painter, brow_marks
from duchenne.analysis.rendering.scene import Rendered
from duchenne.analysis.rendering.torso import torso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray, Image
    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32, HeadModel
    from duchenne.analysis.rendering.scene import Shown
    from duchenne.analysis.rendering.thing import Thing

    Matrix = NDArray[np.float64]

_SHADOW_PX = 512
_PIVOT = np.array([0.0, -3.0, 1.0])
_FRAME_ITSELF = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_BROWS = slice(17, 27)
_UPPER_LIP, _LOWER_LIP = [61, 62, 63], [67, 66, 65]
# Behind lips that are so far apart, nothing is seen; so far apart, all of the teeth are lit.
_SHUT, _WIDE_OPEN = 0.03, 1.6
_CORNERS = np.array([-1, -1, 3, -1, -1, 3], np.float32)


class Renderer:
    """Renders pictures of one size.

    Parameters
    ----------
    head : HeadModel
    px : int
        Side of the pictures.
    supersampling : float
        It renders at so many times the size.
    texture_px : int
        Side of the textures.

    Raises
    ------
    DuchenneError
        Where EGL does not work.
    """

    def __init__(
        self, head: HeadModel, px: int = 160, supersampling: float = 1.25, texture_px: int = 512
    ) -> None:
        self.head, self.px = head, px
        self._big = round(px * supersampling)
        self._context = open_context()
        self._look: Look | None = None
        self._things: dict[int, tuple[Thing, Any]] = {}
        self._rest: tuple[Float32, Mapping[str, float], Float32] | None = None
        with self._context:
            self._make(texture_px)

    def _make(self, texture_px: int) -> None:
        """Make what the graphics card holds."""
        head = self.head
        self._programs = programs(self._context)
        self._drawing = HeadDrawing(self._context, head, self._programs)
        self._make_torso()
        self._make_targets(texture_px)
        mesh = self._drawing.mesh
        self._painter = Painter(
            texture_places(self._context, head, mesh, 0, texture_px),
            texture_places(self._context, head, mesh, 1, texture_px // 2),
            uv_of_vertices(head)[head.landmarks],
        )

    def _buffer(self, values: NDArray[Any]) -> Any:
        return self._context.buffer(as_bytes(values))

    def _make_torso(self) -> None:
        body = torso()
        n = len(body.vertices)
        rest = body.vertices.copy()
        rest[:, 1] = np.minimum(rest[:, 1], -17.5)  # all of it is clothed
        kind = np.stack([np.ones(n), body.reached, np.ones(n)], axis=1)
        self._torso_mesh = self._context.vertex_array(
            self._programs["skin"],
            [
                (self._buffer(body.vertices), "3f", "in_place"),
                (self._buffer(body.normals), "3f", "in_normal"),
                (self._buffer(np.full((n, 2), 1.5)), "2f", "in_uv"),
                (self._buffer(rest), "3f", "in_rest"),
                (self._buffer(kind), "3f", "in_kind"),
            ],
            self._context.buffer(body.triangles.tobytes()),
        )

    def _make_targets(self, texture_px: int) -> None:
        context, side = self._context, (self._big, self._big)
        self._frame = context.framebuffer(
            [context.renderbuffer(side, 4)], context.depth_renderbuffer(side)
        )
        self._shadow = context.depth_texture((_SHADOW_PX, _SHADOW_PX))
        self._shadow.compare_func = ""
        self._shadow_frame = context.framebuffer(depth_attachment=self._shadow)
        self._face_texture = context.texture((texture_px, texture_px), 4)
        self._fold_texture = context.texture((texture_px, texture_px), 4)
        self._head_texture = context.texture((texture_px // 2, texture_px // 2), 4)
        self._backdrop: Any = None
        self._backdrop_mesh = context.vertex_array(
            self._programs["backdrop"], [(self._buffer(_CORNERS), "2f", "in_corner")]
        )

    def close(self) -> None:
        """Give the graphics card's memory back."""
        self._context.release()

    def _dress(self, look: Look) -> None:
        """Paint a person, unless it is the one of the last picture."""
        if look is self._look:
            return
        self._look = look
        self._brows = near_in_texture(self.head, brow_marks(look))
        painted = self._painter.paint(look)
        for texture, pixels in (
            (self._face_texture, painted.face),
            (self._fold_texture, painted.folds),
            (self._head_texture, painted.head),
        ):
            texture.write(np.ascontiguousarray(pixels).tobytes())
            texture.build_mipmaps()
            fast_filter(texture)
        self._drawing.grow(look)

    def render(
        self, shown: Shown, align: Callable[[FloatArray], FloatArray] | None = None
    ) -> Rendered:
        """Render one picture.

        Parameters
        ----------
        shown : Shown
        align : callable, optional
            Takes the 68 landmarks in a frame of `FRAME_PX` and returns the (2, 3) matrix that takes points
            of the frame to pixels of the picture; the picture is the frame where absent.
        """
        with self._context:  # there may be several renderers
            return self._render(shown, align)

    def _render(self, shown: Shown, align: Callable[[FloatArray], FloatArray] | None) -> Rendered:
        self._dress(shown.look)
        weights = shape_weights(shown.act, shown.look.resting, shown.look.asymmetry)
        moved = self._deformed(shown, weights)
        vertices = turn_eyes(self.head, moved, shown.act.gaze)
        marks = self._marks(vertices)
        head_turn = turn(shown.yaw_deg, shown.pitch_deg, shown.roll_deg)
        camera = shown.camera.matrix()
        in_frame = projected((marks - _PIVOT) @ head_turn.T + _PIVOT, camera)
        affine = _FRAME_ITSELF * self.px / FRAME_PX if align is None else align(in_frame)
        self._drawing.load(vertices)
        apart = float((marks[_UPPER_LIP, 1] - marks[_LOWER_LIP, 1]).max())
        self._draw(shown, aligned(camera, affine, self.px), head_turn, apart)
        return Rendered(
            image=self._read(),
            landmarks=in_frame @ affine[:, :2].T + affine[:, 2],
            lip_gap=lip_gap(self.head, shown.base, weights),
        )

    def _deformed(self, shown: Shown, weights: dict[str, float]) -> Float32:
        """Return the vertices of a face; what it is like at rest is kept from picture to picture."""
        resting = shown.look.resting
        if self._rest is None or self._rest[0] is not shown.base or self._rest[1] is not resting:
            rest = self.head.deformed(shown.base, resting)
            self._rest = (shown.base, resting, rest)
        more = {shape: weight - resting.get(shape, 0.0) for shape, weight in weights.items()}
        return self.head.deformed(self._rest[2], more)

    def _marks(self, vertices: Float32) -> Matrix:
        """Return the places of the 68 landmarks; those of the brows lie on the painted brows."""
        marks = vertices[self.head.landmarks].astype(float)
        rows, share = self._brows
        marks[_BROWS] = (vertices[rows] * share[..., None]).sum(axis=1)
        return np.asarray(marks)

    def _draw(self, shown: Shown, camera: Matrix, head_turn: Matrix, apart: float) -> None:
        import moderngl  # noqa: PLC0415  (an extra)

        context, look = self._context, shown.look
        common = self._common(shown, camera, head_turn)
        self._shadow_frame.use()
        self._shadow_frame.clear(depth=1.0)
        context.enable(moderngl.DEPTH_TEST)
        context.disable(moderngl.CULL_FACE | moderngl.BLEND)
        give(self._programs["depth"], common)
        self._drawing.draw_shadow()

        self._frame.use()
        self._frame.clear(0.4, 0.4, 0.4, 0.0, depth=1.0)
        self._draw_backdrop(shown.backdrop)
        textures = (self._face_texture, self._fold_texture, self._head_texture, self._shadow)
        for place, texture in enumerate((*textures, self._drawing.strand_texture)):
            texture.use(place)
        give(self._programs["skin"], common | self._skin(shown, apart))
        self._drawing.draw_solids(is_open=apart > _SHUT)
        self._torso_mesh.render()
        self._drawing.draw_hair(look, common, head_turn)
        context.enable(moderngl.BLEND)
        context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        self._frame.depth_mask = False
        self._drawing.draw_lashes(look, common)
        self._frame.depth_mask = True
        self._draw_things(shown.things, common)
        context.disable(moderngl.BLEND)

    def _common(self, shown: Shown, camera: Matrix, head_turn: Matrix) -> dict[str, Any]:
        """Return what all programs are told."""
        light = shown.light
        lamp_at = tuple(light.directions[0] * 45 + np.array([0.0, -1.0, 3.0]))
        up = (0.0, 1.0, 0.0) if abs(light.directions[0][1]) < 0.97 else (0.0, 0.0, -1.0)
        return {
            "camera": camera,
            "lamp_view": parallel(19.0, 1.0, 90.0) @ look_at(lamp_at, (0.0, -1.0, 3.0), up),
            "head_turn": head_turn,
            "pivot": tuple(_PIVOT),
            "eye": shown.camera.place,
            "lamp_to": light.directions,
            "lamp_rgb": light.colours,
            "room_above": tuple(light.above),
            "room_below": tuple(light.below),
            "hardness": light.hardness,
            "shadow_map": 3,
        }

    def _skin(self, shown: Shown, apart: float) -> dict[str, Any]:
        """Return what the program of the skin is told besides."""
        look = shown.look
        return {
            "face_texture": 0,
            "fold_texture": 1,
            "head_texture": 2,
            "folds": tuple(shown.folds),
            "skin_rgb": linear(look.skin),
            "cloth_rgb": linear(look.cloth),
            "iris_rgb": linear(look.iris),
            "shine": look.shine,
            "mouth_open": float(np.clip(apart / _WIDE_OPEN, 0, 1)),
            "pupil": look.pupil,
            "eye_centre": self._drawing.eyes.centres,
            "eye_axis": self._drawing.eyes.axes,
        }

    def _draw_backdrop(self, backdrop: Image | None) -> None:
        import moderngl  # noqa: PLC0415  (an extra)

        if backdrop is None:
            return
        size = (backdrop.shape[1], backdrop.shape[0])
        if self._backdrop is None or self._backdrop.size != size:
            self._backdrop = self._context.texture(size, 3, alignment=1)
        self._backdrop.write(np.ascontiguousarray(backdrop))
        self._backdrop.use(6)
        self._programs["backdrop"]["backdrop"].value = 6
        self._context.disable(moderngl.DEPTH_TEST)
        self._backdrop_mesh.render()
        self._context.enable(moderngl.DEPTH_TEST)

    def _draw_things(self, things: Sequence[Thing], common: dict[str, Any]) -> None:
        """Draw solid things, then clear ones; forget those of earlier pictures."""
        now = {id(one) for one in things}
        for key in [key for key in self._things if key not in now]:
            self._things.pop(key)[1].release()
        program = self._programs["thing"]
        for one in sorted(things, key=lambda thing: -thing.opacity):
            self._frame.depth_mask = one.opacity >= 1
            own = {
                "stays": 0.0 if one.turns else 1.0,
                "gloss": one.gloss,
                "sharp": one.sharp,
                "glow": one.glow,
                "opacity": one.opacity,
                "glare": one.glare,
            }
            give(program, common | own)
            self._thing_mesh(one).render()
        self._frame.depth_mask = True

    def _thing_mesh(self, one: Thing) -> Any:
        if id(one) not in self._things:
            corners = np.column_stack([one.vertices, one.normals, one.colours])
            index = np.ascontiguousarray(one.triangles, np.int32).tobytes()
            mesh = self._context.vertex_array(
                self._programs["thing"],
                [(self._buffer(corners), "3f 3f 3f", "in_place", "in_normal", "in_colour")],
                self._context.buffer(index),
            )
            self._things[id(one)] = (one, mesh)
        return self._things[id(one)][1]

    def _read(self) -> Image:
        import cv2  # noqa: PLC0415  (heavy)

        raw = np.frombuffer(self._frame.read(components=3, alignment=1), np.uint8)
        image: NDArray[Any] = np.ascontiguousarray(raw.reshape(self._big, self._big, 3)[::-1])
        if self._big != self.px:
            image = cv2.resize(image, (self.px, self.px), interpolation=cv2.INTER_AREA)
        return np.asarray(image, np.uint8)
