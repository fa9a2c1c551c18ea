"""The head as the graphics card holds it: solid parts, hair, beard and lashes, which all move together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.rendering import hair
from duchenne.analysis.rendering.baking import reached_by_light
from duchenne.analysis.rendering.graphics import as_bytes, give
from duchenne.analysis.rendering.lashes import lashes_of
from duchenne.analysis.rendering.mesh import BALLS, Normals, eyes_of, solid_mesh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32, HeadModel

# Skin, sockets and balls of the eyes are seen from outside alone; the mouth only when it is open.
_OUTER, _MOUTH = (0, 1, 3, 7), (2, 5, 6)
_MOVING = (0, 1, 7)
_EDGE_OF_HAIR, _EDGE_OF_BEARD = 0.32, 0.45
_HANGS = np.array([0.0, -0.6, -0.1])


@dataclass
class _Strands:
    """Hair of one kind: where it may grow, and the corners where it does."""

    triangles: NDArray[np.int32]
    values: Any
    index: Any
    drawn: Any
    n_corners: int = 0


class HeadDrawing:
    """Buffers and meshes of one head model.

    Parameters
    ----------
    context : moderngl.Context
    head : HeadModel
    programs : mapping of str to moderngl.Program
    """

    def __init__(self, context: Any, head: HeadModel, programs: Mapping[str, Any]) -> None:
        self._context, self._head, self._programs = context, head, programs
        self.mesh = solid_mesh(head)
        self.eyes = eyes_of(head)
        self._make_normals()
        self._make_solids()
        self._make_strands()
        self._make_lashes()
        self._bake()

    def _buffer(self, values: NDArray[Any]) -> Any:
        return self._context.buffer(as_bytes(values))

    def _index(self, triangles: NDArray[np.int32]) -> Any:
        ordered = np.ascontiguousarray(triangles, np.int32)
        return self._context.buffer(ordered.tobytes() or bytes(12))

    def _make_normals(self) -> None:
        mesh, head = self.mesh, self._head
        moving = np.isin(mesh.part[mesh.triangles[:, 0]], _MOVING)
        self._normals = Normals(mesh.corners[moving], len(head.vertices))
        still = Normals(mesh.corners[~moving], len(head.vertices)).of(head.vertices)
        self._still_rows = np.flatnonzero(np.abs(still).max(axis=1) > 0)
        self._still = still[self._still_rows]

    def _make_solids(self) -> None:
        mesh, context = self.mesh, self._context
        n = len(mesh.rows)
        rest = self._head.vertices[mesh.rows]
        self._places = context.buffer(reserve=n * 12, dynamic=True)
        self._ways = context.buffer(reserve=n * 12, dynamic=True)
        self._kinds = context.buffer(reserve=n * 12, dynamic=True)
        skin = [
            (self._places, "3f", "in_place"),
            (self._ways, "3f", "in_normal"),
            (self._buffer(mesh.uv), "2f", "in_uv"),
            (self._buffer(rest), "3f", "in_rest"),
            (self._kinds, "3f", "in_kind"),
        ]
        depth = [(self._places, "3f", "in_place"), (self._kinds, "3f", "in_kind")]

        def solid(program: str, buffers: list[Any], *parts: int) -> Any:
            # What is in front comes first, so that what it hides need not be shaded.
            triangles = mesh.triangles_of(*parts)
            front_first = np.argsort(-rest[triangles, 2].mean(axis=1), kind="stable")
            index = self._index(triangles[front_first])
            return context.vertex_array(self._programs[program], buffers, index)

        self._outer = solid("skin", skin, *_OUTER)
        self._mouth = solid("skin", skin, *_MOUTH)
        self._shadow = solid("depth", depth, 0, 1)
        self._whole = solid("depth", depth, *_OUTER, *_MOUTH)

    def _make_strands(self) -> None:
        context, mesh = self._context, self.mesh
        rest = self._head.vertices
        triangles = mesh.triangles_of(0, 1)
        on_scalp = hair.grows_on_scalp(rest)[mesh.rows][triangles].all(axis=1)
        may_beard = (hair.beard_mask(rest, "full") > 0)[mesh.rows][triangles].any(axis=1)
        self._strands: dict[str, _Strands] = {}
        for name, wanted in (("hair", on_scalp), ("beard", may_beard)):
            values = context.buffer(reserve=len(mesh.rows) * 16, dynamic=True)
            index = self._index(triangles[wanted])
            drawn = context.vertex_array(
                self._programs["hair"],
                [
                    (self._places, "3f", "in_place"),
                    (self._ways, "3f", "in_normal"),
                    (self._kinds, "3f", "in_kind"),
                    (values, "4f", "in_strand"),
                ],
                index,
            )
            self._strands[name] = _Strands(triangles[wanted], values, index, drawn)
        self.strand_texture = context.texture((512, 256), 2, _strand_texture())
        self.strand_texture.build_mipmaps()

    def _make_lashes(self) -> None:
        self._lashes = lashes_of(self._head, self.eyes)
        n = max(1, len(self._lashes.rows))
        self._lash_places = self._context.buffer(reserve=n * 12, dynamic=True)
        self._lash_mesh = self._context.vertex_array(
            self._programs["lash"],
            [
                (self._lash_places, "3f", "in_place"),
                (self._buffer(np.resize(self._lashes.uv, (n, 2))), "2f", "in_uv"),
                (self._buffer(np.resize(self._lashes.kind, (n, 2))), "2f", "in_lash"),
            ],
        )

    def _bake(self) -> None:
        """Find out where light is kept out, of the mean head at rest."""
        mesh, rest = self.mesh, self._head.vertices
        n = len(mesh.rows)
        normals = self.load(rest)
        self._kinds.write(as_bytes(np.stack([mesh.part, np.ones(n), np.zeros(n)], axis=1)))
        reached = reached_by_light(
            self._context, self._programs["depth"], self._whole, rest, normals
        )
        for ball in BALLS:
            first, last = self._head.parts[ball][:2]
            reached[first:last] = 1.0
        kinds = [mesh.part, reached[mesh.rows], self._stays()[mesh.rows]]
        self._kinds.write(as_bytes(np.stack(kinds, axis=1)))

    def _stays(self) -> Float32:
        """Return how far each vertex stays with the torso when the head turns."""
        skin = np.zeros(len(self._head.vertices), bool)
        for part in ("face", "head_neck"):
            first, last = self._head.parts.get(part, (0, 0, 0, 0))[:2]
            skin[first:last] = True
        _, y, z = self._head.vertices.T
        low = ((-8.0 - y) / 7.0).clip(0, 1) * ((8.5 - z) / 2.5).clip(0, 1)
        return np.asarray(low * skin, np.float32)

    def load(self, vertices: Float32) -> Float32:
        """Take the vertices (n, 3) of a face; return their normals."""
        normals = self._normals.of(vertices)
        normals[self._still_rows] = self._still
        self._places.write(as_bytes(vertices[self.mesh.rows]))
        self._ways.write(as_bytes(normals[self.mesh.rows]))
        if len(self._lashes.rows):
            self._lash_places.write(as_bytes(vertices[self._lashes.rows]))
        return normals

    def grow(self, look: Look) -> None:
        """Take the hair and the beard of a person."""
        rest = self._head.vertices
        scalp = hair.hair_strands(rest, look)
        scalp[:, 0] *= hair.grows_on_scalp(rest)
        for name, strands in (("hair", scalp), ("beard", hair.beard_strands(rest, look))):
            own = self._strands[name]
            values = strands[self.mesh.rows]
            own.values.write(as_bytes(values))
            grown = own.triangles[(values[own.triangles, 0] > 0).any(axis=1)]
            own.n_corners = 3 * len(grown)
            if len(grown):
                own.index.write(np.ascontiguousarray(grown).tobytes())

    def draw_shadow(self) -> None:
        """Draw what keeps the lamp's light off, into a depth buffer."""
        import moderngl  # noqa: PLC0415  (an extra)

        self._context.enable(moderngl.CULL_FACE)
        self._shadow.render()
        self._context.disable(moderngl.CULL_FACE)

    def draw_solids(self, *, is_open: bool) -> None:
        """Draw skin and eyes, and the inner mouth where it is open."""
        import moderngl  # noqa: PLC0415  (an extra)

        self._context.enable(moderngl.CULL_FACE)
        self._outer.render()
        self._context.disable(moderngl.CULL_FACE)
        if is_open:
            self._mouth.render()

    def draw_lashes(self, look: Look, uniforms: Mapping[str, Any]) -> None:
        """Draw lashes and the shade of the lids; blending is on."""
        program, n = self._programs["lash"], self._lashes.n_lashes
        if not len(self._lashes.rows):
            return
        dark = tuple(0.35 * np.array(linear(look.hair)))
        give(program, dict(uniforms) | {"lash_rgb": dark, "density": 1.0})
        self._lash_mesh.render(first=n, vertices=len(self._lashes.rows) - n)
        program["density"].value = look.lashes
        self._lash_mesh.render(vertices=n)

    def draw_hair(
        self, look: Look, uniforms: Mapping[str, Any], head_turn: NDArray[np.float64]
    ) -> None:
        """Draw hair and beard in shells, from outside to the skin."""
        import moderngl  # noqa: PLC0415  (an extra)

        program = self._programs["hair"]
        grown = []
        if look.hair_style in hair.SHELLS and look.cover != "headscarf":
            shells = hair.SHELLS[look.hair_style]
            grown.append(("hair", shells, look.hair, 2.6, _EDGE_OF_HAIR))
        if look.beard not in {"none", "stubble"}:
            long = look.beard_length
            shells = (0.12 + 0.3 * long, 0.15 + 0.45 * long, 3, 0.35)
            grown.append(("beard", shells, look.brow_hair, 3.4, _EDGE_OF_BEARD))
        common = {"strands": 4, "hangs": tuple(head_turn.T @ _HANGS)} | dict(uniforms)
        self._context.enable(moderngl.CULL_FACE)
        for name, (volume, length, n_shells, cover), colour, frequency, edge in grown:
            own = {
                "hair_rgb": linear(colour),
                "frequency": frequency,
                "volume": volume,
                "strand_length": length,
                "cover": cover,
                "edge": edge,
            }
            give(program, common | own)
            strands = self._strands[name]
            for shell in np.linspace(1, 0, n_shells if strands.n_corners else 0):
                program["shell"].value = float(shell)
                strands.drawn.render(vertices=strands.n_corners)
        self._context.disable(moderngl.CULL_FACE)


def linear(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the linear RGB of an sRGB colour, 0 to 1."""
    red, green, blue = (float(channel) ** 2.2 for channel in colour)
    return red, green, blue


def _strand_texture() -> bytes:
    """Return noise drawn out along strands: fine hairs, and locks of them; (256, 512, 2) uint8."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415  (heavy)

    rng = np.random.default_rng(5)
    fine = gaussian_filter(rng.random((256, 512)), (10, 0.6), mode="wrap")
    locks = gaussian_filter(rng.random((256, 512)), (14, 5), mode="wrap")
    fields = np.stack([fine, locks], axis=-1)
    fields = (fields - fields.mean(axis=(0, 1))) / fields.std(axis=(0, 1)) * 0.22 + 0.5
    return bytes((fields.clip(0, 1) * 255).astype(np.uint8).tobytes())
