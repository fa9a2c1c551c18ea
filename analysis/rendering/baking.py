"""What is computed once per head model: which place each texture pixel shows, and where light is kept out."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.rendering.camera import look_at, parallel
from duchenne.analysis.rendering.graphics import as_bytes, give
from duchenne.stimuli.checked_media import cache_folder

if TYPE_CHECKING:
    from duchenne.analysis.rendering.head import Float32, HeadModel
    from duchenne.analysis.rendering.mesh import Mesh

_N_DIRECTIONS = 64
_DEPTH_PX = 512
_HALF_WIDTH = 24.0
_AWAY = 60.0
_PLACES_VERTEX = """#version 330
in vec2 in_uv; in vec3 in_rest; uniform float tile; out vec3 rest;
void main() { rest = in_rest; gl_Position = vec4((in_uv - vec2(tile, 0)) * 2.0 - 1.0, 0, 1); }"""
_PLACES_FRAGMENT = """#version 330
in vec3 rest; out vec4 seen; void main() { seen = vec4(rest, 1); }"""


def texture_places(context: Any, head: HeadModel, mesh: Mesh, part: int, px: int) -> Float32:
    """Return the place on the head at rest of each pixel of a part's texture: (px, px, 3).

    Pixels that no polygon covers take the place of the nearest one that is covered. The tile of the
    texture is the part's number.
    """
    import moderngl  # noqa: PLC0415  (an extra)
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (heavy)

    program = context.program(vertex_shader=_PLACES_VERTEX, fragment_shader=_PLACES_FRAGMENT)
    program["tile"].value = float(part)
    corners = context.vertex_array(
        program,
        [
            (context.buffer(as_bytes(mesh.uv)), "2f", "in_uv"),
            (context.buffer(as_bytes(head.vertices[mesh.rows])), "3f", "in_rest"),
        ],
        context.buffer(np.ascontiguousarray(mesh.triangles_of(part)).tobytes() or b"\0" * 12),
    )
    target = context.texture((px, px), 4, dtype="f4")
    frame = context.framebuffer([target])
    frame.use()
    frame.clear(0, 0, 0, 0)
    context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
    corners.render()
    drawn = np.frombuffer(target.read(), np.float32).reshape(px, px, 4)
    empty = drawn[..., 3] < 0.5
    places = drawn[..., :3].copy()
    if empty.any() and not empty.all():
        near = distance_transform_edt(empty, return_distances=False, return_indices=True)
        places = places[near[0], near[1]]
    for used in (corners, frame, target, program):
        used.release()
    return np.asarray(places, np.float32)


def reached_by_light(
    context: Any, depth_program: Any, depth_mesh: Any, vertices: Float32, normals: Float32
) -> Float32:
    """Return how much of the light around reaches each vertex: (n,), 0 to 1; kept in the cache folder.

    Parameters
    ----------
    context : moderngl.Context
    depth_program : moderngl.Program
    depth_mesh : moderngl.VertexArray
        The head at rest.
    vertices, normals : (n, 3) float32
    """
    name = hashlib.sha256(np.ascontiguousarray(vertices).tobytes()).hexdigest()[:16]
    path = cache_folder() / f"head-light-{name}.npy"
    with suppress(OSError, ValueError, EOFError):  # none kept, or one that is cut: made anew
        kept = np.load(path)
        if kept.shape == (len(vertices),):
            return np.asarray(kept, np.float32)
    reached = _measured(context, depth_program, depth_mesh, vertices, normals)
    with suppress(OSError):  # without the file, the next run takes some seconds longer
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_name(f"{path.stem}.{os.getpid()}.npy")
        np.save(whole, reached)
        whole.replace(path)
    return reached


def _measured(
    context: Any, depth_program: Any, depth_mesh: Any, vertices: Float32, normals: Float32
) -> Float32:
    import moderngl  # noqa: PLC0415  (an extra)

    depth = context.depth_texture((_DEPTH_PX, _DEPTH_PX))
    frame = context.framebuffer(depth_attachment=depth)
    open_sum, weight_sum = np.zeros(len(vertices)), np.full(len(vertices), 1e-6)
    raised = np.column_stack([vertices + 0.05 * normals, np.ones(len(vertices))])
    for i in range(_N_DIRECTIONS):  # evenly over the sphere, along a spiral
        polar = np.arccos(1 - 2 * (i + 0.5) / _N_DIRECTIONS)
        around = np.pi * (1 + np.sqrt(5)) * i
        towards = np.array(
            [np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)]
        )
        up = (0.0, 1.0, 0.0) if abs(towards[1]) < 0.95 else (1.0, 0.0, 0.0)
        view = parallel(_HALF_WIDTH, 1.0, 2 * _AWAY) @ look_at(
            tuple(towards * _AWAY), (0.0, 0.0, 0.0), up
        )
        frame.use()
        frame.clear(depth=1.0)
        context.enable(moderngl.DEPTH_TEST)
        give(depth_program, {"lamp_view": view, "head_turn": np.eye(3), "pivot": (0.0, 0.0, 0.0)})
        depth_mesh.render()
        nearest = np.frombuffer(depth.read(), np.float32).reshape(_DEPTH_PX, _DEPTH_PX)
        seen = (raised @ view.T)[:, :3] * 0.5 + 0.5
        column, row = (seen[:, :2] * _DEPTH_PX).astype(int).clip(0, _DEPTH_PX - 1).T
        weight = (normals @ towards).clip(0, 1)
        open_sum += weight * (seen[:, 2] <= nearest[row, column] + 0.0012)
        weight_sum += weight
    frame.release()
    depth.release()
    return np.asarray((0.12 + 0.95 * open_sum / weight_sum).clip(0, 1), np.float32)
