"""Loading pictures as pixels, refusing what no screen could show."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from PIL.Image import Image as PilImage

MAX_IMAGE_MEGAPIXELS = 100.0
BACKGROUND_GREY = 0.5
"""sRGB grey behind transparent pixels: that of a protocol's screen unless it declares another."""


def load_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a picture.

    Parameters
    ----------
    path : Path
        An image file; transparency is laid over `BACKGROUND_GREY`, orientation tags are ignored as they
        are when it is shown.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        sRGB pixels.

    Raises
    ------
    DuchenneError
        It cannot be decoded, has more than `MAX_IMAGE_MEGAPIXELS`, or more than 8 bits a channel.
    """
    from PIL import Image  # noqa: PLC0415 - not part of the core install

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                too_large = oversize(*image.size)
                if too_large:
                    raise DuchenneError(f"{path}: {too_large}")
                return _as_rgb(path, image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DuchenneError(
            f"{path}: cannot be decoded as an image ({reason}); replace it"
        ) from None


def oversize(width_px: int, height_px: int) -> str | None:
    """Return what to say of a picture with too many pixels, None where it is small enough."""
    if width_px * height_px <= MAX_IMAGE_MEGAPIXELS * 1e6:
        return None
    return (
        f"{width_px} × {height_px} pixels is too large to show; "
        f"reduce it below {MAX_IMAGE_MEGAPIXELS:g} megapixels"
    )


def _as_rgb(path: Path, image: PilImage) -> npt.NDArray[np.uint8]:
    from PIL import Image  # noqa: PLC0415 - not part of the core install

    if image.mode.startswith(("I", "F")):
        raise DuchenneError(f"{path}: has more than 8 bits a channel; convert it to 8-bit sRGB")
    if "A" in image.getbands() or "transparency" in image.info:
        over = Image.new("RGBA", image.size, (round(255 * BACKGROUND_GREY),) * 3 + (255,))
        over.alpha_composite(image.convert("RGBA"))
        image = over
    return np.asarray(image.convert("RGB"), dtype=np.uint8)
