"""The graphics context without a window, and the programs that run in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_FOLDER = Path(__file__).parent / "shaders"
_PROGRAMS = {
    "skin": ("skin.vert", "skin.frag"),
    "depth": ("depth.vert", "depth.frag"),
    "hair": ("hair.vert", "hair.frag"),
    "lash": ("lash.vert", "lash.frag"),
    "backdrop": ("backdrop.vert", "backdrop.frag"),
    "thing": ("thing.vert", "thing.frag"),
}


def open_context() -> Any:
    """Return a moderngl context that draws into memory.

    Raises
    ------
    DuchenneError
        Where there is no moderngl, no EGL, or one that is too old.
    """
    # One renderer uses one core; several processes use several.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    import moderngl  # noqa: PLC0415  (an extra)

    create: Any = moderngl.create_context
    try:
        return create(standalone=True, backend="egl", require=330)
    except Exception as error:  # moderngl and its loader raise bare ones
        raise DuchenneError(
            f"no picture can be rendered here: EGL does not work ({error}). On Debian and Ubuntu: "
            "sudo apt-get install libegl1 libgl1-mesa-dri."
        ) from error


def programs(context: Any) -> dict[str, Any]:
    """Return the compiled programs by their names."""
    return {
        name: context.program(vertex_shader=_text(vertex), fragment_shader=_text(fragment))
        for name, (vertex, fragment) in _PROGRAMS.items()
    }


def _text(name: str) -> str:
    text = (_FOLDER / name).read_text("utf-8")
    for part in ("light", "place"):
        marker = f"//include {part}\n"
        if marker in text:
            text = text.replace(marker, (_FOLDER / f"{part}.glsl").read_text("utf-8"))
    return text


def give(program: Any, values: Mapping[str, Any]) -> None:
    """Set those uniforms of a program that it has.

    Parameters
    ----------
    program : moderngl.Program
    values : mapping of str to number, tuple or array
        Square arrays of two dimensions are matrices.
    """
    for name, value in values.items():
        uniform = program.get(name, None)
        if uniform is None:
            continue
        if isinstance(value, np.ndarray):
            square = value.ndim == 2 and value.shape[0] == value.shape[1] and not _is_list(uniform)
            uniform.write(as_bytes(value.T if square else value))
        else:
            uniform.value = value


def fast_filter(texture: Any) -> None:
    """Let a texture that has mipmaps be looked up in one of them only."""
    import moderngl  # noqa: PLC0415  (an extra)

    texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)


def _is_list(uniform: Any) -> bool:
    return bool(uniform.array_length > 1)


def as_bytes(values: NDArray[Any]) -> bytes:
    """Return numbers as the graphics card reads them: float32, one after the other."""
    return np.ascontiguousarray(values, np.float32).tobytes()
