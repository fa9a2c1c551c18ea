"""Matching a set of pictures: new PNG files with a manifest of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.stimuli.checks import file_sha256
from duchenne.stimuli.display_profile import encoded, luminance_map
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.luminance import linearised
from duchenne.stimuli.match import ASPECTS, Aspect, coloured, matched
from duchenne.stimuli.measures import CODEBOOK as MEASURES
from duchenne.stimuli.pixels import load_rgb
from duchenne.stimuli.reading import manifest_file, read_cells, read_codebook
from duchenne.stimuli.suggest import did_you_mean
from duchenne.stimuli.writing import refuse_existing, write_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from duchenne.stimuli.manifest import StimulusSet
    from duchenne.stimuli.stimulus import Stimulus

MAX_PIXELS = 600_000_000
"""All pictures are held at once, 8 bytes a pixel."""
NORMS_NOTE = "norms were obtained with the original pictures, not with these altered ones"


@dataclass(frozen=True)
class MatchedSet:
    """What matching did.

    Attributes
    ----------
    manifest : Path
        The new manifest.
    clipped : mapping of str to float
        Share of the pixels of each picture that the screen's range cut off, 0 to 1.
    left_out : tuple of str
        Ids of what is no picture.
    """

    manifest: Path
    clipped: Mapping[str, float]
    left_out: tuple[str, ...]


def aspects(names: Sequence[str]) -> tuple[Aspect, ...]:
    """Return what to match on.

    Raises
    ------
    UsageError
        An unknown name, none, or a histogram together with luminance or contrast, which it fixes already.
    """
    for name in names:
        if name not in ASPECTS:
            raise UsageError(f"--on {name}: cannot be matched{did_you_mean(name, ASPECTS)}")
    if not names:
        raise UsageError(f"--on needs at least one of {', '.join(ASPECTS)}")
    if "histogram" in names and {"luminance", "contrast"} & set(names):
        raise UsageError("--on histogram fixes luminance and contrast already; leave those out")
    return tuple(a for a in ASPECTS if a in names)


def match_set(
    stimuli: StimulusSet,
    out: Path,
    on: Sequence[Aspect],
    *,
    grey: bool = False,
    rounds: int = 5,
    replace: bool = False,
    progress: bool = False,
) -> MatchedSet:
    """Write the pictures of a set anew, alike in what is named.

    Parameters
    ----------
    stimuli : StimulusSet
        Its pictures are matched; films, sounds and texts are left out.
    out : Path
        Folder of the new set.
    on : sequence of str
        What to match.
    grey : bool
        Write grey pictures; by default hues are kept.
    rounds : int
        Alternations of spectrum and the rest.
    replace : bool
        Replace a manifest that is there.
    progress : bool
        Show a progress bar.

    Raises
    ------
    DuchenneError
        Fewer than two pictures, a file that cannot be read, too many pixels at once, or different
        sizes where the
        spectrum is matched.
    """
    from PIL import Image  # noqa: PLC0415 - not part of the core install
    from rich.progress import track  # noqa: PLC0415 - slow to import

    pictures = [s for s in stimuli if s.kind == "image"]
    if len(pictures) < 2:
        raise DuchenneError(
            f"{stimuli.folder}: {len(pictures)} pictures; matching needs two at least"
        )
    if out.resolve() == stimuli.folder.resolve():
        raise UsageError("--out is the folder of the originals; choose another")
    refuse_existing(out, replace=replace)
    lights = []
    for stimulus in track(pictures, description="Reading", transient=True, disable=not progress):
        lights.append(luminance_map(load_rgb(stimulus.path)).astype(np.float64))
        if sum(light.size for light in lights) > MAX_PIXELS:
            raise DuchenneError(
                f"{stimuli.folder}: the pictures have more than {MAX_PIXELS // 1_000_000} "
                "megapixels in all; "
                "reduce them to the size at which they are shown"
            )
    if "spectrum" in on:
        _same_size(pictures, lights)
    new, clipped = matched(lights, on, rounds)
    out.mkdir(parents=True, exist_ok=True)
    by_id: dict[str, dict[str, Any]] = {}
    pairs = zip(pictures, new, clipped, strict=True)
    for number, (stimulus, light, share) in enumerate(
        track(
            pairs, description="Writing", transient=True, total=len(pictures), disable=not progress
        )
    ):
        pixels = _pixels(stimulus, light, grey=grey)
        name = f"{number + 1:04d}_{_safe(stimulus.id)}.png"
        Image.fromarray(pixels).save(out / name)
        by_id[stimulus.id] = _facts(stimulus, out / name, pixels, share)
    _, cells = read_cells(stimuli.folder)
    rows = [{**_carried(row), **by_id[row["id"]]} for row in cells if row["id"] in by_id]
    manifest = write_set(out, rows, _codebook(stimuli, on, grey=grey, clipped=clipped))
    left_out = tuple(s.id for s in stimuli if s.kind != "image")
    return MatchedSet(manifest, {k: v["clipped_share"] for k, v in by_id.items()}, left_out)


def _same_size(pictures: Sequence[Stimulus], lights: Sequence[Any]) -> None:
    height, width = lights[0].shape
    for stimulus, light in zip(pictures, lights, strict=True):
        if light.shape != (height, width):
            raise DuchenneError(
                f"{stimulus.path}: {light.shape[1]} × {light.shape[0]} pixels but "
                f"{pictures[0].id!r} has {width} × "
                f"{height}; spectra can be matched between pictures of one size alone"
            )


def _pixels(stimulus: Stimulus, light: Any, *, grey: bool) -> Any:
    if grey:
        return np.repeat(encoded(light)[..., None], 3, axis=2)
    return encoded(coloured(linearised(load_rgb(stimulus.path)), light))


def _facts(stimulus: Stimulus, path: Path, pixels: Any, share: float) -> dict[str, Any]:
    light = luminance_map(pixels)
    return {
        "file": path.name,
        "sha256": file_sha256(path),
        "media_type": "image/png",
        "width_px": pixels.shape[1],
        "height_px": pixels.shape[0],
        "luminance": round(float(light.mean(dtype=np.float64)), 5),
        "rms_contrast": round(float(light.std(dtype=np.float64)), 5),
        "clipped_share": round(share, 6),
        "original_file": stimulus.file,
        "original_sha256": stimulus.sha256,
    }


def _carried(row: Mapping[str, str]) -> dict[str, Any]:
    """Return the cells that hold for the new picture too: everything but what was measured of the old."""
    return {
        k: v
        for k, v in row.items()
        if k not in MEASURES and k not in ("black_px", "white_px", "black_share")
    }


def _codebook(
    stimuli: StimulusSet, on: Sequence[str], *, grey: bool, clipped: Sequence[float]
) -> dict[str, Any]:
    old = read_codebook(manifest_file(stimuli.folder))
    about = dict(old.get("StimulusSet") or {})
    about.pop("Measures", None)
    about |= {
        "Name": f"{stimuli.name}-matched",
        "Norms": "; ".join(part for part in (about.get("Norms"), NORMS_NOTE) if part),
        "Matched": {
            "On": list(on),
            "Method": "on relative luminance (linear light), to the means over the set; after SHINE "
            "(Willenbockel et al., 2010, doi 10.3758/BRM.42.3.671)",
            "Colour": "grey" if grey else "hue kept, paler where the screen could not show it",
            "Original": stimuli.name,
            "LargestClippedShare": round(max(clipped), 6),
        },
    }
    added = {
        "rms_contrast": MEASURES["rms_contrast"],
        "clipped_share": {
            "Description": "Share of pixels cut off at black or white when it was matched"
        },
        "original_file": {"Description": "File it was made from, in the original set"},
        "original_sha256": {"Description": "SHA-256 of the file it was made from"},
    }
    return {**old, **added, "StimulusSet": about}


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:60]
