"""Confounds are found, and matched sets have none."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from duchenne.stimuli.cli import app
from duchenne.stimuli.compare import cohens_d, compare, eta_squared
from duchenne.stimuli.display_profile import encoded, luminance_map
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.manifest import StimulusSet
from duchenne.stimuli.match import (
    coloured,
    mean_amplitude,
    with_amplitude,
    with_histogram,
    with_moments,
)
from duchenne.stimuli.match_set import NORMS_NOTE, aspects, match_set

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

CATEGORIES = ("HVHA", "HVLA", "LVHA", "LVLA")


def scene(rng: np.random.Generator, shape: tuple[int, int] = (72, 96)) -> npt.NDArray[np.float64]:
    """Return 1/f noise of mean 0 and standard deviation 1."""
    f = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    fall = 1.0 / np.maximum(f, 1.0 / max(shape))
    noise = np.fft.irfft2(fall * np.exp(2j * np.pi * rng.random(fall.shape)), s=shape)
    return np.asarray((noise - noise.mean()) / noise.std())


@pytest.fixture(scope="module")
def confounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a set of 60 coloured pictures of which the pleasant ones are brighter."""
    folder = tmp_path_factory.mktemp("confounded")
    rng = np.random.default_rng(60)
    lines = ["id\tfile\tkind\tcategory\tsha256\tvalence\tarousal\tnorm_min\tnorm_max\tmodel"]
    for i in range(60):
        category = CATEGORIES[i % 4]
        level = (0.42 if category.startswith("HV") else 0.30) + 0.06 * rng.standard_normal()
        tint = np.array([1.0, 0.9, 0.7]) if i % 2 else np.array([0.8, 0.9, 1.0])
        light = level + (0.08 + 0.02 * rng.random()) * scene(rng)
        pixels = encoded(np.clip(light[..., None] * tint / tint.mean(), 0, 1))
        path = folder / f"p{i}.png"
        Image.fromarray(pixels).save(path)
        norms = ["7" if category[0] == "H" else "3", "6.5" if category[2] == "H" else "3"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(
            "\t".join([f"p{i}", path.name, "image", category, digest, *norms, "1", "9", "F01"])
        )
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["measure", str(folder), "--write", "--no-faces"])
    assert result.exit_code == 0, result.output
    return folder


def verdicts(folder: Path) -> dict[str, str]:
    return {c.measure: c.verdict for c in compare(StimulusSet.load(folder).stimuli)}


def test_a_planted_luminance_confound_is_flagged_and_matching_removes_it(
    confounded: Path, tmp_path: Path
) -> None:
    found = {c.measure: c for c in compare(StimulusSet.load(confounded).stimuli)}
    assert found["luminance"].verdict == "confound"
    assert found["luminance"].eta2 > 0.3
    assert "pupil size follows luminance" in found["luminance"].sentence
    command = CliRunner().invoke(app, ["compare", str(confounded), "--strict"])
    assert isinstance(command.exception, DuchenneError)
    assert "confound: luminance" in command.stdout
    out = tmp_path / "matched"
    arguments = ["match", str(confounded), "--out", str(out), "--on", "luminance,contrast"]
    matched = CliRunner().invoke(app, arguments)
    assert matched.exit_code == 0, matched.output
    assert "60 pictures matched on luminance, contrast" in matched.stdout.splitlines()[-1]
    assert CliRunner().invoke(app, ["measure", str(out), "--write", "--no-faces"]).exit_code == 0
    after = {c.measure: c for c in compare(StimulusSet.load(out).stimuli)}
    assert after["luminance"].verdict != "confound"
    assert after["rms_contrast"].verdict != "confound"
    levels = [s.luminance or 0.0 for s in StimulusSet.load(out)]
    assert np.ptp(levels) < 0.002
    command = CliRunner().invoke(app, ["compare", str(out), "--on", "luminance", "--strict"])
    assert command.exit_code == 0, command.output


def test_matched_set_keeps_norms_and_says_where_it_comes_from(
    confounded: Path, tmp_path: Path
) -> None:
    original = StimulusSet.load(confounded)
    done = match_set(original, tmp_path, ("luminance", "contrast"))
    matched = StimulusSet.load(done.manifest)
    assert matched.check() == []
    assert [s.valence for s in matched] == [s.valence for s in original]
    text = done.manifest.read_text(encoding="utf-8")
    assert original["p0"].sha256 in text
    assert "\tF01\t" in text
    about = json.loads(done.manifest.with_suffix(".json").read_text(encoding="utf-8"))[
        "StimulusSet"
    ]
    assert NORMS_NOTE in about["Norms"]
    assert about["Matched"]["On"] == ["luminance", "contrast"]
    assert max(done.clipped.values()) < 0.05
    assert "sf_low_share" not in text.splitlines()[0]


def test_spectrum_and_histogram_of_a_set(confounded: Path, tmp_path: Path) -> None:
    original = StimulusSet.load(confounded)
    few = StimulusSet("few", original.folder, original.stimuli[:6])
    match_set(few, tmp_path / "h", ("histogram",), grey=True)
    lights = [
        luminance_map(np.asarray(Image.open(s.path))) for s in StimulusSet.load(tmp_path / "h")
    ]
    quantiles = np.quantile(lights, [0.05, 0.25, 0.5, 0.75, 0.95], axis=(1, 2))
    assert np.ptp(quantiles, axis=1).max() < 0.01
    match_set(few, tmp_path / "s", ("luminance", "contrast", "spectrum"))
    after = [
        luminance_map(np.asarray(Image.open(s.path))).astype(float)
        for s in StimulusSet.load(tmp_path / "s")
    ]
    before = [luminance_map(np.asarray(Image.open(s.path))).astype(float) for s in few]

    def unlike(pictures: list[npt.NDArray[np.float64]]) -> float:
        spectra = np.log([np.abs(np.fft.rfft2(p))[1:20, 1:20] for p in pictures])
        return float(spectra.std(axis=0).mean())

    assert unlike(after) < 0.2 * unlike(before)


def test_moments_hold_after_clipping() -> None:
    rng = np.random.default_rng(2)
    light = np.clip(0.15 + 0.1 * scene(rng), 0, 1)
    found, clipped = with_moments(light, 0.6, 0.3)
    assert found.mean() == pytest.approx(0.6, abs=5e-4)
    assert found.std() == pytest.approx(0.3, abs=5e-4)
    assert 0 < clipped < 0.3
    assert found.min() >= 0
    assert found.max() <= 1
    scaled, clipped = with_moments(light, 0.1, None)
    assert scaled.mean() == pytest.approx(0.1, abs=5e-4)
    assert clipped == 0.0
    assert scaled.std() / scaled.mean() == pytest.approx(light.std() / light.mean(), rel=1e-3)
    assert np.all(with_moments(np.zeros((4, 4)), 0.3, 0.1)[0] == 0.3)


def test_amplitude_and_histogram_are_taken_over_exactly() -> None:
    rng = np.random.default_rng(4)
    one, two = scene(rng), scene(rng)
    taken = with_amplitude(one, mean_amplitude([two]))
    assert np.allclose(np.abs(np.fft.rfft2(taken)), np.abs(np.fft.rfft2(two)), atol=1e-6)
    values = np.sort(two.ravel())
    assert np.allclose(np.sort(with_histogram(one, values).ravel()), values)


def test_colour_gives_way_to_luminance() -> None:
    blue = np.zeros((2, 2, 3))
    blue[..., 2] = 1.0
    found = coloured(blue, np.full((2, 2), 0.6))
    weights = np.array([0.2126, 0.7152, 0.0722])
    assert found @ weights == pytest.approx(np.full((2, 2), 0.6))
    assert np.all(found[..., 2] > found[..., 0])
    assert coloured(np.zeros((1, 1, 3)), np.full((1, 1), 0.2)) == pytest.approx(0.2)


def test_effect_sizes_of_known_samples() -> None:
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([3.0, 4, 5, 6, 7])
    d, low, high = cohens_d(x, y)
    assert d == pytest.approx(-2 / np.sqrt(2.5))
    # The noncentral t distribution has its 2.5 % and 97.5 % points at t = -2 there: t = d sqrt(nm / (n + m)).
    from scipy import stats

    unit = np.sqrt(2.5)
    assert stats.nct.cdf(2.0, 8, -low * unit) == pytest.approx(0.025, abs=1e-4)
    assert stats.nct.cdf(2.0, 8, -high * unit) == pytest.approx(0.975, abs=1e-4)
    eta2, eta_low, eta_high, p = eta_squared([x, y])
    assert eta2 == pytest.approx(10 / 30)
    assert p == pytest.approx(stats.ttest_ind(x, y).pvalue)
    assert eta_low == 0.0  # p is above .05
    assert stats.ncf.cdf(4.0, 1, 8, 10 * eta_high / (1 - eta_high)) == pytest.approx(0.05, abs=1e-4)
    assert np.isnan(eta_squared([np.ones(3), np.ones(4)])[0])


def test_about_one_in_twenty_measures_without_a_difference_is_flagged() -> None:
    rng = np.random.default_rng(9)
    flagged = sum(
        eta_squared([rng.standard_normal(15) for _ in range(4)])[1] > 0 for _ in range(300)
    )
    assert 5 <= flagged <= 27


def test_what_cannot_be_compared_is_said(confounded: Path) -> None:
    stimuli = StimulusSet.load(confounded)
    one = [s for s in stimuli if s.category == "HVHA"]
    with pytest.raises(DuchenneError, match=r"only one category"):
        compare(one)
    with pytest.raises(
        UsageError, match=r"--on luminace: no stimulus has.*did you mean 'luminance'"
    ):
        compare(stimuli.stimuli, on=["luminace"])
    result = CliRunner().invoke(app, ["compare", str(confounded), "--json"])
    found = {c["measure"]: c for c in json.loads(result.stdout)}
    assert found["luminance"]["n"] == 60
    assert len(found["luminance"]["pairs"]) == 6
    assert found["colourfulness"]["verdict"] in ("ok", "watch", "confound")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["luminace"], "did you mean 'luminance'"),
        ([], "at least one of"),
        (["histogram", "contrast"], "fixes luminance and contrast already"),
    ],
)
def test_aspects_that_make_no_sense(names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        aspects(names)


def test_spectra_of_different_sizes_are_refused(tmp_path: Path, confounded: Path) -> None:
    original = StimulusSet.load(confounded)
    bundled = StimulusSet.bundled()
    mixed = StimulusSet("mixed", original.folder, (original["p0"], bundled["mug"]))
    with pytest.raises(DuchenneError, match=r"mug.jpg: 800 × 600 pixels but 'p0' has 96 × 72"):
        match_set(mixed, tmp_path, ("spectrum",))
    with pytest.raises(UsageError, match=r"the folder of the originals"):
        match_set(original, original.folder, ("luminance",))
