"""Pictures lose their metadata and nothing else."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from duchenne.analysis.privacy.pictures import without_metadata

SECRET = b"Annabella of labpc-seven"
NOISE = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)


def encoded(form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    told = Image.Exif()
    told[0x010F] = SECRET.decode()  # maker
    told[0x0112] = orientation
    return told


def picture(form: str, orientation: int = 1) -> bytes:
    if form == "PNG":
        text = PngInfo()
        text.add_text("Author", SECRET.decode())
        text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
        return encoded("PNG", pnginfo=text, exif=exif())
    if form == "WEBP":
        return encoded("WEBP", exif=exif(), xmp=SECRET)
    options: dict[str, Any] = {"progressive": form == "progressive", "comment": SECRET}
    return encoded("JPEG", exif=exif(orientation), xmp=SECRET, **options) + SECRET


@pytest.mark.parametrize("form", ["JPEG", "progressive", "PNG", "WEBP"])
def test_metadata_go_and_pixels_stay(form: str) -> None:
    before = picture(form)
    assert SECRET in before
    after = without_metadata(before)
    assert SECRET not in after
    assert b"Exif" not in after
    pixels = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in (before, after)]
    assert np.array_equal(*pixels)
    assert without_metadata(after) == after


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_picture_stays_turned(orientation: int) -> None:
    before = picture("JPEG", orientation)
    after = without_metadata(before)
    assert SECRET not in after
    turned = [
        np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        for data in (before, after)
    ]
    assert np.array_equal(*turned)


def test_the_colour_profile_is_kept() -> None:
    before = encoded("JPEG", icc_profile=b"a profile", exif=exif())
    assert Image.open(io.BytesIO(without_metadata(before))).info["icc_profile"] == b"a profile"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_is_damaged_is_refused_and_ends(form: str) -> None:
    whole = picture(form)
    for cut in (3, 20, len(whole) // 2):
        with pytest.raises(ValueError, match=r"damaged|ends early|no JPEG"):
            without_metadata(whole[:cut])
    with pytest.raises(ValueError, match="no JPEG, PNG or WebP"):
        without_metadata(b"BM of another kind")
