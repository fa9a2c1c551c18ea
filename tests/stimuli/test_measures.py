"""Measures of pictures and films with known answers."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from duchenne.stimuli import measures
from duchenne.stimuli.cli import app
from duchenne.stimuli.display_profile import Monitor, encoded, luminance_map
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.luminance import linearised, relative_luminance
from duchenne.stimuli.manifest import StimulusSet
from duchenne.stimuli.measures_film import film_measures, sound_measures
from duchenne.stimuli.pixels import load_rgb

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

BUNDLED = StimulusSet.bundled()
RATE_HZ = 48_000


def grey(level: int, shape: tuple[int, int] = (60, 90)) -> npt.NDArray[np.uint8]:
    return np.full((*shape, 3), level, np.uint8)


def grating(cycles: float, size: int = 256) -> npt.NDArray[np.float32]:
    x = np.arange(size) / size
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * cycles * x)
    return np.tile(wave, (size, 1)).astype(np.float32)


def write_film(
    path: Path, frames: list[npt.NDArray[np.uint8]], sound: npt.NDArray[np.float32] | None = None
) -> Path:
    """Write frames at 25 Hz, lossless, and a mono sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "4"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv444p"
        audio = (
            container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
            if sound is not None
            else None
        )
        for image in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            samples = (32767 * sound[None]).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            frame.pts = 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def test_luminance_of_regions() -> None:
    picture = grey(0)
    picture[:20, 60:] = 255
    found = measures.luminance_measures(luminance_map(picture))
    assert found["luminance"] == pytest.approx(1 / 9, abs=1e-6)
    assert found["luminance_r1c3"] == pytest.approx(1.0)
    assert found["luminance_r3c3"] == 0.0
    assert found["rms_contrast"] == pytest.approx(np.sqrt(1 / 9 * 8 / 9), abs=1e-6)
    assert found["luminance"] == pytest.approx(relative_luminance(picture), abs=1e-6)


def test_luminance_on_a_monitor() -> None:
    half = grey(128)
    half[:, :45] = 0
    monitor = Monitor(gamma=2.0, peak_cd_m2=200.0, black_cd_m2=0.5)
    assert monitor.cd_m2(grey(255)) == pytest.approx(200.0)
    assert monitor.cd_m2(grey(0)) == pytest.approx(0.5)
    assert monitor.cd_m2(half) == pytest.approx(0.5 + 199.5 * (128 / 255) ** 2 / 2)
    with pytest.raises(UsageError, match=r"--black-cd-m2 300"):
        Monitor(2.2, 200.0, 300.0)


def test_pixel_values_come_back_from_light() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(encoded(linearised(levels)), levels)


def test_colourfulness() -> None:
    assert measures.colourfulness(grey(90)) == 0.0
    red = grey(0)
    red[..., 0] = 255
    assert measures.colourfulness(red) == pytest.approx(0.3 * np.hypot(255, 127.5), rel=1e-5)


@pytest.mark.parametrize(("cycles", "band"), [(4, "low"), (16, "mid"), (60, "high")])
def test_a_grating_lies_in_its_band(cycles: float, band: str) -> None:
    found = measures.spectrum_measures(grating(cycles), pixels_per_degree=32.0)
    assert found[f"sf_{band}_share"] > 0.99
    per_degree = cycles / 256 * 32
    own = "low" if per_degree < 1 else "mid" if per_degree <= 4 else "high"
    assert found[f"sf_{own}_cpd_share"] > 0.97
    assert sum(found[f"sf_{b}_share"] for b in ("low", "mid", "high")) == pytest.approx(1.0)


def test_slope_of_one_over_f_noise() -> None:
    rng = np.random.default_rng(3)
    f = np.maximum(np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None]), 1 / 256)
    noise = np.fft.irfft2(f**-1.0 * np.exp(2j * np.pi * rng.random(f.shape)), s=(256, 256))
    found = measures.spectrum_measures((noise / np.ptp(noise)).astype(np.float32))
    assert found["sf_slope"] == pytest.approx(-1.0, abs=0.1)


def test_entropy_and_jpeg_size() -> None:
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.integers(0, 256, (256, 256, 1), dtype=np.uint8), 3, axis=2)
    assert measures.entropy_bits(grey(7)) == 0.0
    assert measures.entropy_bits(noise) == pytest.approx(8.0, abs=0.01)
    assert measures.jpeg_bytes(noise) > 20 * measures.jpeg_bytes(grey(7, (256, 256)))


def test_uniform_and_tiny_pictures_do_not_break() -> None:
    found = measures.image_measures(grey(100), pixels_per_degree=30.0)
    assert np.isnan(found["sf_low_share"])
    assert np.isnan(found["sf_slope"])
    assert found["n_faces"] == 0
    assert measures.image_measures(grey(100, (1, 1)))["luminance"] > 0


def test_faces_are_found(shared_folder: Path) -> None:
    files = sorted((shared_folder / "media" / "london").glob("*_neutral.jpg"))[:20]
    found = [measures.face_measures(load_rgb(path)) for path in files]
    assert sum(f["n_faces"] == 1 for f in found) >= 15
    assert np.median([f["face_share"] for f in found]) == pytest.approx(0.2, abs=0.12)


def test_transparent_pixels_show_the_background(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(path)
    assert np.all(load_rgb(path) == 128)
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(deep)
    with pytest.raises(DuchenneError, match=r"deep.png: has more than 8 bits a channel"):
        load_rgb(deep)


def test_film_of_three_shots(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    shots = [rng.integers(low, low + 60, (64, 96, 3), dtype=np.uint8) for low in (10, 180, 90)]
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(3 * RATE_HZ) / RATE_HZ)
    tone[:RATE_HZ] = 0.0
    path = write_film(
        tmp_path / "shots.mov", [shot for shot in shots for _ in range(25)], tone.astype(np.float32)
    )
    found = film_measures(path)
    assert np.flatnonzero(found.frames["cut"]).tolist() == [25, 50]
    assert found.whole["cuts_per_min"] == pytest.approx(40.0, rel=1e-3)
    assert found.whole["frame_rate_hz"] == pytest.approx(25.0)
    expected = np.repeat([relative_luminance(shot) for shot in shots], 25)
    assert np.abs(found.frames["luminance"] - expected).max() < 0.01
    assert np.isnan(found.frames["motion_energy"][0])
    assert np.nanmax(np.delete(found.frames["motion_energy"], [25, 50])) < 0.02
    assert found.frames["sound_dbfs"][10] == -120.0
    assert found.frames["sound_dbfs"][60] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)


def test_loudness_of_the_reference_tone(tmp_path: Path) -> None:
    # EBU Tech 3341: a stereo 1 kHz sine at -23 dBFS peak is -23 LUFS; one channel alone is 3 LU less.
    tone = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * np.arange(5 * RATE_HZ) / RATE_HZ)
    path = tmp_path / "tone.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="stereo")
        samples = (32767 * np.repeat(tone, 2)[None]).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = sound_measures(path).whole
    assert found["loudness_lufs"] == pytest.approx(-23.0, abs=0.1)
    assert found["sound_dbfs"] == pytest.approx(-26.01, abs=0.05)


def test_silent_film_and_broken_film(tmp_path: Path) -> None:
    path = write_film(tmp_path / "silent.mov", [grey(i * 10, (48, 64)) for i in range(10)])
    found = film_measures(path)
    assert found.whole["has_sound"] == 0
    assert "loudness_lufs" not in found.whole
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    with pytest.raises(DuchenneError, match=r"broken.mp4: cannot be decoded as video"):
        film_measures(tmp_path / "broken.mp4")


def test_measure_command_writes_tables_and_the_manifest(tmp_path: Path) -> None:
    for s in BUNDLED:
        shutil.copy(s.path, tmp_path)
    for name in ("manifest.tsv", "manifest.json"):
        shutil.copy(BUNDLED.folder / name, tmp_path)
    (tmp_path / "mug.jpg").write_bytes(b"broken")
    arguments = ["measure", str(tmp_path), "--write", "--workers", "2", "--pixels-per-degree", "40"]
    monitor = ["--monitor-gamma", "2.2", "--peak-cd-m2", "250"]
    result = CliRunner().invoke(app, arguments + monitor)
    assert result.exit_code == 0, result.output
    assert "mug.jpg: cannot be decoded as an image" in result.stderr
    assert "14 stimuli measured (1 could not be measured)" in result.stdout.splitlines()[-1]
    table = pd.read_csv(tmp_path / "measures.tsv", sep="\t").set_index("id")
    book = json.loads((tmp_path / "measures.json").read_text(encoding="utf-8"))
    assert list(book) == ["id", *table.columns]
    stimuli = StimulusSet.load(tmp_path)
    for name in ("sunset", "balloons"):
        assert stimuli[name].luminance == pytest.approx(BUNDLED[name].luminance, abs=0.003)
    assert stimuli["mug"].luminance == BUNDLED["mug"].luminance
    assert 0 < stimuli["sunset"].measures["luminance_cd_m2"] < 250
    book = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert book["StimulusSet"]["Measures"]["MonitorGamma"] == 2.2
    assert set(book) >= {"sf_low_share", "loudness_lufs"}
    assert (tmp_path / "manifest.tsv.bak").read_bytes() == (
        BUNDLED.folder / "manifest.tsv"
    ).read_bytes()
    frames = pd.read_csv(tmp_path / "measures" / "balloons.tsv", sep="\t")
    assert len(frames) == 150
    assert frames["time_s"].iloc[-1] == pytest.approx(149 / 30, abs=1e-3)
    wrong = CliRunner().invoke(app, ["measure", str(tmp_path), "--monitor-gamma", "2.2"])
    assert isinstance(wrong.exception, UsageError)
