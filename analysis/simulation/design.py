"""The stimuli and the protocol of a simulated study."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from duchenne.analysis.tables import write_json
from duchenne.protocols.schema import load_protocol
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.protocols.schema import Protocol

CATEGORIES = ("HVHA", "HVLA", "LVHA", "LVLA")
MIN_TRIALS, MAX_TRIALS = 8, 400
PROTOCOL_NAME = "simulated"
WIDTH_PX, HEIGHT_PX = 320, 240
GREY = 0.5
"""sRGB grey of the screen, and mean of every picture: the pupil has no light to answer to."""
NORM_MIDDLE, NORM_STEP, NORM_SD = 5.0, 1.8, 0.4
"""Norms lie at 5 ± 1.8 on the scale of 1 to 9, ± 0.4 from stimulus to stimulus."""
_COLOURS = {
    "HVHA": (0.95, 0.65, 0.15),
    "HVLA": (0.35, 0.75, 0.55),
    "LVHA": (0.80, 0.20, 0.20),
    "LVLA": (0.35, 0.40, 0.65),
}
_SCREEN = {
    "width_px": 1280,
    "height_px": 720,
    "width_cm": 53.1,
    "height_cm": 29.9,
    "distance_cm": 60,
    "refresh_hz": 60,
    "background_grey": GREY,
    "foreground_grey": 0.05,
}
_COLUMNS = (
    "id", "file", "kind", "category", "sha256", "valence", "arousal", "norm_min", "norm_max",
    "width_px", "height_px", "luminance", "licence", "redistributable", "description",
)  # fmt: skip


def write_design(study: Path, *, n_trials: int, stimulus_s: float, seed: int) -> Protocol:
    """Write ``stimuli/`` and ``protocol.yaml`` of a study; return the protocol as read from there.

    Parameters
    ----------
    study : Path
        Folder of the study; it exists.
    n_trials : int
        Stimuli, a quarter of them in each category; each is shown once.
    stimulus_s : float
        How long each is shown, in seconds.
    seed : int
        Of pictures and norms.

    Raises
    ------
    UsageError
        The number of trials is no multiple of four, or out of range.
    """
    check_trials(n_trials)
    ids = _write_stimuli(study / "stimuli", n_trials // len(CATEGORIES), seed)
    path = study / "protocol.yaml"
    text = yaml.safe_dump(_protocol(ids, stimulus_s), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return load_protocol(str(path))


def check_trials(n_trials: int) -> None:
    """Refuse a number of trials that no design has.

    Raises
    ------
    UsageError
        It is no multiple of the number of categories, or out of range.
    """
    if n_trials % len(CATEGORIES) or not MIN_TRIALS <= n_trials <= MAX_TRIALS:
        raise UsageError(
            f"--trials {n_trials}: give a multiple of {len(CATEGORIES)} from {MIN_TRIALS} to {MAX_TRIALS}"
        )


def _write_stimuli(folder: Path, per_category: int, seed: int) -> dict[str, list[str]]:
    """Write pictures with their manifest; return the ids by category."""
    from PIL import Image  # noqa: PLC0415 -- of the extra analysis

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 1])
    ids: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    lines = ["\t".join(_COLUMNS)]
    for category in CATEGORIES:
        for number in range(1, per_category + 1):
            stimulus_id = f"{category}{number:02d}"
            pixels = _picture(rng, _COLOURS[category])
            file = folder / f"{stimulus_id}.png"
            Image.fromarray(pixels).save(file)
            valence, arousal = _norms(rng, category)
            cells = [
                stimulus_id, file.name, "image", category,
                hashlib.sha256(file.read_bytes()).hexdigest(), f"{valence:.2f}", f"{arousal:.2f}",
                "1", "9", str(WIDTH_PX), str(HEIGHT_PX), f"{_luminance(pixels):.4f}", "CC0-1.0",
                "true", "Painted by program for a simulated study",
            ]  # fmt: skip
            lines.append("\t".join(cells))
            ids[category].append(stimulus_id)
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    about = {
        "StimulusSet": {
            "Name": "simulated",
            "Description": "Pictures painted by program for a simulated study",
            "Norms": "drawn at random around the design values; not human ratings",
            "License": "CC0-1.0",
        }
    }
    write_json(about, folder / "manifest.json")
    return ids


def _norms(rng: np.random.Generator, category: str) -> tuple[float, float]:
    signs = (1 if category[0] == "H" else -1, 1 if category[2] == "H" else -1)
    drawn = NORM_MIDDLE + NORM_STEP * np.array(signs) + NORM_SD * rng.standard_normal(2)
    valence, arousal = np.clip(drawn, 1.0, 9.0)
    return round(float(valence), 2), round(float(arousal), 2)


def _picture(rng: np.random.Generator, colour: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Return a soft field of one colour with the mean luminance of the screen."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX] / WIDTH_PX
    field = np.zeros((HEIGHT_PX, WIDTH_PX))
    for _ in range(6):
        u, v, phase = rng.uniform(-6, 6), rng.uniform(-6, 6), rng.uniform(0, 2 * np.pi)
        field += np.sin(2 * np.pi * (u * x + v * y) + phase)
    field = 0.5 + 0.12 * field / field.std()
    linear = np.clip(field[..., None] * np.array(colour), 0.0, 1.0)
    wanted = _linear(np.array(GREY))
    for _ in range(8):  # scaling and clipping in turn, until the mean is right
        linear = np.clip(linear * wanted / (linear @ _WEIGHTS).mean(), 0.0, 1.0)
    low = linear <= 0.0031308
    encoded = np.where(low, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


def _linear(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return linear light of sRGB values, both 0 to 1 (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _luminance(pixels: NDArray[np.uint8]) -> float:
    return float((_linear(pixels / 255.0) @ _WEIGHTS).mean())


def _protocol(ids: dict[str, list[str]], stimulus_s: float) -> dict[str, Any]:
    halves = [
        [name for names in ids.values() for i, name in enumerate(names) if i % 2 == half]
        for half in (0, 1)
    ]
    trials = {
        "order": "random",
        "max_repeats_of_category": 2,
        "fixation_s": {"min": 1.5, "max": 2.0},
        "duration_s": stimulus_s,
        "iti_s": {"min": 0.5, "max": 0.8},
        "ratings": ["valence", "arousal"],
    }
    blocks = [
        {"name": name, "steps": [{"type": "trials", "select": {"ids": half}} | trials]}
        for name, half in zip(("first", "second"), halves, strict=True)
    ]
    opening = [
        {"type": "consent", "text": "This study is simulated."},
        {"type": "instruction", "text": "Look at each picture, then rate it.", "duration_s": 1.0},
        {"type": "neutral", "duration_s": 6.0, "text": "Relax your face."},
    ]
    return {
        "name": PROTOCOL_NAME,
        "title": "Pictures for simulated participants",
        "description": "Made by duchenne simulate-study: each picture once, two blocks in Latin square.",
        "screen": _SCREEN,
        "stimulus_height": 0.8,
        "stimuli": "stimuli",
        "ratings": {
            "valence": {"dimension": "valence", "question": "How unpleasant or pleasant?"},
            "arousal": {"dimension": "arousal", "question": "How calm or excited?"},
        },
        "counterbalance": [{"blocks": ["first", "second"]}],
        "blocks": [
            {"name": "opening", "steps": opening},
            *blocks,
            {
                "name": "closing",
                "steps": [{"type": "instruction", "text": "Thank you.", "duration_s": 1.0}],
            },
        ],
    }
