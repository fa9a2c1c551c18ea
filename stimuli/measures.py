"""Low-level measures of pictures: what the eye gets before any meaning."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.stimuli.display_profile import Monitor, luminance_map

if TYPE_CHECKING:
    import numpy.typing as npt

GRID = 3
JPEG_QUALITY = 80
LOW_CYCLES, HIGH_CYCLES = 8.0, 24.0
"""Bands per image: below 8, 8 to 24, above 24 cycles per shorter side."""
LOW_CPD, HIGH_CPD = 1.0, 4.0
"""Bands per degree: below 1, 1 to 4, above 4 cycles."""
FACE_GRID_PX = 160
MIN_FACE_PX = 24
"""Faces are looked for in a picture reduced to 160 px: smaller than 15 % of its longer side are not found."""
OVERLAP = 0.3

_local = threading.local()


def image_measures(
    rgb: npt.NDArray[np.uint8],
    *,
    monitor: Monitor | None = None,
    pixels_per_degree: float | None = None,
    faces: bool = True,
) -> dict[str, float]:
    """Measure a picture.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
        sRGB pixels.
    monitor : Monitor, optional
        Adds ``luminance_cd_m2``.
    pixels_per_degree : float, optional
        Of the picture as shown; adds the energy by cycles per degree.
    faces : bool
        Look for faces.

    Returns
    -------
    dict of str to float
        By name as in `CODEBOOK`; NaN where a measure is undefined.
    """
    light = luminance_map(rgb)
    found = luminance_measures(light)
    if monitor is not None:
        found["luminance_cd_m2"] = monitor.cd_m2(rgb)
    found["colourfulness"] = colourfulness(rgb)
    found |= spectrum_measures(light, pixels_per_degree)
    found["entropy_bits"] = entropy_bits(rgb)
    size = jpeg_bytes(rgb)
    found |= {"jpeg_bytes": float(size), "jpeg_bits_per_px": 8.0 * size / light.size}
    return found | (face_measures(rgb) if faces else {})


def luminance_measures(light: npt.NDArray[np.float32]) -> dict[str, float]:
    """Return mean luminance, contrast and the means of a 3 × 3 grid.

    Parameters
    ----------
    light : ndarray, shape (height, width)
        Relative luminance, 0 to 1.

    Returns
    -------
    dict
        ``luminance``; ``rms_contrast``, the standard deviation of relative luminance (Peli, 1990, Journal of
        the Optical Society of America A, 7, 2032–2040); ``luminance_r1c1`` … ``luminance_r3c3``, rows from
        above, columns from the left, NaN where a cell has no pixel.
    """
    found = {
        "luminance": float(light.mean(dtype=np.float64)),
        "rms_contrast": float(light.std(dtype=np.float64)),
    }
    for r, band in enumerate(np.array_split(light, GRID, axis=0), start=1):
        for c, part in enumerate(np.array_split(band, GRID, axis=1), start=1):
            found[f"luminance_r{r}c{c}"] = (
                float(part.mean(dtype=np.float64)) if part.size else float("nan")
            )
    return found


def colourfulness(rgb: npt.NDArray[np.uint8]) -> float:
    """Return the colourfulness M3 of Hasler and Süsstrunk (2003, SPIE 5007, 87–95).

    ``sqrt(sd_rg² + sd_yb²) + 0.3 sqrt(mean_rg² + mean_yb²)`` with ``rg = R - G``, ``yb = (R + G) /
    2 - B`` of the
    8-bit sRGB values; 0 for grey pictures, above 100 for very colourful ones.
    """
    red, green, blue = (rgb[..., c].astype(np.float32) for c in range(3))
    rg, yb = red - green, 0.5 * (red + green) - blue
    spread = np.hypot(float(rg.std()), float(yb.std()))
    return float(spread + 0.3 * np.hypot(float(rg.mean()), float(yb.mean())))


def spectrum_measures(
    light: npt.NDArray[np.float32], pixels_per_degree: float | None = None
) -> dict[str, float]:
    """Return how a picture's contrast energy is spread over spatial frequencies.

    The mean is taken away and a Hann window laid over the picture, lest its edges count as contrast.

    Parameters
    ----------
    light : ndarray, shape (height, width)
        Relative luminance.
    pixels_per_degree : float, optional
        Pixels of the picture per degree of visual angle.

    Returns
    -------
    dict
        ``sf_low_share``, ``sf_mid_share``, ``sf_high_share``: shares of the energy below 8, from 8
        to 24 and above
        24 cycles per shorter side; ``sf_slope``: slope of log amplitude over log frequency (about -1 in
        natural scenes); with `pixels_per_degree` also ``sf_low_cpd_share``, ``sf_mid_cpd_share`` and
        ``sf_high_cpd_share``: below 1, from 1 to 4 and above 4 cycles per degree. NaN for a uniform picture.
    """
    from scipy import fft  # noqa: PLC0415 - not part of the core install

    height, width = light.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)
    centred = (light - light.mean()) * window
    power = np.abs(fft.rfft2(centred)) ** 2
    power[:, 1 : power.shape[1] - (1 - width % 2)] *= (
        2.0  # the half of the plane that rfft2 leaves out
    )
    power[0, 0] = 0.0
    radius = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None, :])
    shorter = min(height, width)
    # Rings one cycle per shorter side wide: what follows works on a few hundred numbers.
    ring = np.rint(radius * shorter * 4).astype(np.intp).ravel()
    energy = np.bincount(ring, weights=power.ravel()).astype(np.float64)
    cycles = np.arange(len(energy)) / 4.0
    found = _bands(energy, cycles, (LOW_CYCLES, HIGH_CYCLES), "sf_{}_share")
    if pixels_per_degree is not None:
        per_degree = cycles / shorter * pixels_per_degree
        found |= _bands(energy, per_degree, (LOW_CPD, HIGH_CPD), "sf_{}_cpd_share")
    return found | {"sf_slope": _slope(energy, ring, cycles, shorter)}


def _bands(
    energy: npt.NDArray[np.float64],
    frequency: npt.NDArray[np.float64],
    edges: tuple[float, float],
    name: str,
) -> dict[str, float]:
    total = float(energy.sum())
    low, high = frequency < edges[0], frequency > edges[1]
    parts = {"low": low, "mid": ~low & ~high, "high": high}
    if total <= 1e-9:
        return dict.fromkeys((name.format(part) for part in parts), float("nan"))
    return {name.format(k): float(energy[part].sum()) / total for k, part in parts.items()}


def _slope(
    energy: npt.NDArray[np.float64],
    ring: npt.NDArray[np.intp],
    cycles: npt.NDArray[np.float64],
    shorter: int,
) -> float:
    count = np.bincount(ring)
    if float(energy.sum()) <= 1e-9:
        return float("nan")
    use = (cycles >= 2.0) & (cycles <= shorter / 2.0) & (count > 0) & (energy > 0)
    if int(use.sum()) < 3:
        return float("nan")
    amplitude = np.sqrt(energy[use] / count[use])
    # Every octave counts alike, however many rings it has.
    slope, _ = np.polyfit(np.log(cycles[use]), np.log(amplitude), 1, w=1.0 / np.sqrt(cycles[use]))
    return float(slope)


def entropy_bits(rgb: npt.NDArray[np.uint8]) -> float:
    """Return the Shannon entropy of the 256 grey levels (luma of ITU-R BT.601), 0 to 8 bits."""
    import cv2  # noqa: PLC0415 - not part of the core install
    from scipy.stats import entropy  # noqa: PLC0415 - not part of the core install

    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return float(entropy(np.bincount(grey.ravel(), minlength=256), base=2))


def jpeg_bytes(rgb: npt.NDArray[np.uint8]) -> int:
    """Return the size of the picture as a JPEG of quality 80, in bytes: a measure of its complexity."""
    from PIL import Image  # noqa: PLC0415 - not part of the core install

    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.tell()


def face_measures(rgb: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Look for upright frontal faces with the cascade that scikit-image brings along.

    Returns
    -------
    dict
        ``n_faces``, and ``face_share``: the share of the picture that the largest one takes, 0
        without a face.
        Faces smaller than 15 % of the longer side, turned or covered ones are missed.
    """
    import cv2  # noqa: PLC0415 - not part of the core install

    height, width = rgb.shape[:2]
    scale = min(1.0, FACE_GRID_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if min(size) < MIN_FACE_PX:
        return {"n_faces": 0.0, "face_share": 0.0}
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    found = _cascade().detect_multi_scale(
        img=small,
        scale_factor=1.2,
        step_ratio=1,
        min_size=(MIN_FACE_PX, MIN_FACE_PX),
        max_size=(min(size), min(size)),
    )
    boxes = _apart([(f["r"], f["c"], f["height"], f["width"]) for f in found])
    areas = [h * w for _, _, h, w in boxes]
    return {
        "n_faces": float(len(boxes)),
        "face_share": max(areas, default=0) / float(size[0] * size[1]),
    }


def _cascade() -> Any:
    """Return this thread's detector."""
    if not hasattr(_local, "cascade"):
        from skimage import data, feature  # noqa: PLC0415 - not part of the core install

        _local.cascade = feature.Cascade(data.lbp_frontal_face_cascade_filename())
    return _local.cascade


def _apart(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Keep the largest of boxes that overlap."""
    kept: list[tuple[int, int, int, int]] = []
    for box in sorted(boxes, key=lambda b: -b[2] * b[3]):
        r, c, h, w = box
        for r2, c2, h2, w2 in kept:
            down = min(r + h, r2 + h2) - max(r, r2)
            across = min(c + w, c2 + w2) - max(c, c2)
            if down > 0 and across > 0 and down * across > OVERLAP * h * w:
                break
        else:
            kept.append(box)
    return kept


CODEBOOK: dict[str, dict[str, str]] = {
    "luminance": {
        "Description": "Mean relative luminance, linearised sRGB, 0 to 1; of films, over frames"
    },
    "luminance_cd_m2": {
        "Description": "Mean luminance on the monitor that was declared",
        "Units": "cd/m²",
    },
    "rms_contrast": {
        "Description": "Standard deviation of relative luminance; of films, mean over frames"
    },
    **{
        f"luminance_r{r}c{c}": {
            "Description": f"Mean relative luminance, cell in row {r} and column {c} of 3 × 3"
        }
        for r in range(1, 4)
        for c in range(1, 4)
    },
    "colourfulness": {"Description": "Hasler and Süsstrunk (2003) M3 of sRGB values; 0 is grey"},
    "sf_low_share": {"Description": "Share of contrast energy below 8 cycles per shorter side"},
    "sf_mid_share": {
        "Description": "Share of contrast energy from 8 to 24 cycles per shorter side"
    },
    "sf_high_share": {"Description": "Share of contrast energy above 24 cycles per shorter side"},
    "sf_low_cpd_share": {"Description": "Share of contrast energy below 1 cycle per degree"},
    "sf_mid_cpd_share": {"Description": "Share of contrast energy from 1 to 4 cycles per degree"},
    "sf_high_cpd_share": {"Description": "Share of contrast energy above 4 cycles per degree"},
    "sf_slope": {"Description": "Slope of log amplitude over log spatial frequency"},
    "entropy_bits": {"Description": "Shannon entropy of the grey levels", "Units": "bits"},
    "jpeg_bytes": {"Description": "Size as a JPEG of quality 80", "Units": "bytes"},
    "jpeg_bits_per_px": {"Description": "Size as a JPEG of quality 80", "Units": "bits per pixel"},
    "n_faces": {"Description": "Upright frontal faces found (15 % of the longer side or more)"},
    "face_share": {"Description": "Share of the picture taken by the largest face; 0 without one"},
    "motion_energy": {
        "Description": "Mean absolute change of grey level (0 to 1) between successive frames of a film",
        "Units": "per frame",
    },
    "cuts_per_min": {"Description": "Cuts of a film", "Units": "per minute"},
    "frame_rate_hz": {"Description": "Frames per second, from the median interval", "Units": "Hz"},
    "has_sound": {"Description": "Whether a film has sound", "Levels": "1 yes, 0 no"},
    "loudness_lufs": {
        "Description": "Integrated loudness by EBU R 128 (ITU-R BS.1770)",
        "Units": "LUFS",
    },
    "sound_dbfs": {
        "Description": "Root mean square of the samples over full scale",
        "Units": "dBFS",
    },
}
