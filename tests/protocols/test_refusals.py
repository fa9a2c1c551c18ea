"""What would spoil a session is refused before it starts, in one line with the place in the file."""

from __future__ import annotations

import hashlib
import re
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from support.presentation import (
    burnt_in,
    write_film,
    write_numbered_film,
    write_uneven_film,
)
from typer.testing import CliRunner

from duchenne.protocols.cli import app
from duchenne.protocols.displays.virtual import virtual_display
from duchenne.protocols.present import open_display
from duchenne.protocols.schema import load_protocol
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = "id file kind category sha256 valence arousal norm_min norm_max duration_s has_sound"
PROTOCOL = """\
name: refused
title: Refused
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
stimuli: set
blocks:
  - name: main
    steps:
      - type: trials
        select: {}
        fixation_s: 0.5
        duration_s: 1
"""
NEXT_BLOCK = "  - name: more\n    steps:\n      - "
SMALL = (
    "width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9",
    "width_px: 320, height_px: 240, width_cm: 10, height_cm: 7.5",
)


def row(stimulus_id: str, path: Path, **cells: str) -> dict[str, str]:
    """Return a row of a manifest for a file, as it should be."""
    film = path.suffix in (".mp4", ".mkv")
    values = dict.fromkeys(COLUMNS.split(), "n/a")
    values |= {"id": stimulus_id, "file": path.name, "kind": "video" if film else "image"}
    values |= {"category": "HVHA", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    values |= {"valence": "8", "arousal": "7", "norm_min": "1", "norm_max": "9"}
    return values | ({"duration_s": "1.5", "has_sound": "1"} if film else {}) | cells


def write_set(folder: Path, *rows: dict[str, str]) -> None:
    lines = [COLUMNS.split(), *([r[name] for name in COLUMNS.split()] for r in rows)]
    text = "\n".join("\t".join(cells) for cells in lines) + "\n"
    (folder / "manifest.tsv").write_text(text, encoding="utf-8")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return the folder of a protocol in order, with a set of one picture."""
    (tmp_path / "set").mkdir()
    picture = tmp_path / "set" / "x.png"
    Image.new("RGB", (40, 30), (90, 90, 90)).save(picture)
    write_set(picture.parent, row("x", picture))
    (tmp_path / "refused.yaml").write_text(PROTOCOL, encoding="utf-8")
    return tmp_path


def check(study: Path) -> str | None:
    """Run ``duchenne protocol check``; return its one line, None where all is in order."""
    result = CliRunner().invoke(app, ["check", str(study / "refused.yaml")])
    if result.exit_code == 0:
        return None
    assert isinstance(result.exception, DuchenneError), result.output
    line = str(result.exception)
    assert "\n" not in line
    return line


def with_film(study: Path, name: str, write: Callable[[Path], None], **cells: str) -> str | None:
    path = study / "set" / name
    write(path)
    write_set(path.parent, row("x", path, **cells))
    return check(study)


def damaged(path: Path, start: float, end: float) -> None:
    """Overwrite a part of a film with noise."""
    content = bytearray(path.read_bytes())
    first, last = int(start * len(content)), int(end * len(content))
    content[first:last] = np.random.default_rng(1).bytes(last - first)
    path.write_bytes(content)


def scribbled(path: Path) -> None:
    """Spoil some bytes of a film such that FFmpeg conceals it."""
    import av

    rng = np.random.default_rng(2)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        for i in range(45):
            noise = rng.integers(0, 60, (240, 320, 3), dtype=np.uint8)
            image = (burnt_in(i) // 2 + noise).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode())
    damaged(path, 0.5, 0.5 + 16 / path.stat().st_size)


def test_what_is_in_order_is_not_refused(study: Path) -> None:
    assert check(study) is None
    assert with_film(study, "x.mp4", write_film) is None


def test_films_of_a_variable_frame_rate(study: Path) -> None:
    lengths = [1 / 30] * 20 + [0.09, 0.025, 0.06, 0.04] * 5

    def write(path: Path) -> None:
        write_uneven_film(path, lengths)

    line = with_film(study, "x.mp4", write, has_sound="0", duration_s="1.74")
    assert line is not None
    assert "set/x.mp4 (manifest.tsv:2): stimulus 'x': the film has a variable frame rate" in line
    assert re.search(r"ffmpeg -i x\.mp4 -fps_mode cfr -r \S+ x-constant\.mp4", line)
    manifest = study / "set" / "manifest.tsv"
    header, cells = manifest.read_text(encoding="utf-8").splitlines()
    manifest.write_text(f"{header}\tvariable_frame_rate\n{cells}\t1\n", encoding="utf-8")
    assert check(study) is None


def test_a_film_that_stands_still(study: Path) -> None:
    def write(path: Path) -> None:
        write_uneven_film(path, [0.04] * 20 + [0.8] + [0.04] * 20)

    line = with_film(study, "x.mp4", write, has_sound="0", duration_s="2.4")
    assert line is not None
    assert "variable frame rate (one frame stands for 0.80 s)" in line
    assert "-r 25 " in line


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.write_bytes(b"no film" * 500), "cannot be decoded as video"),
        (lambda path: damaged(path, 0.25, 0.5), "cannot be decoded as video|is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "decoded"),
        (lambda path: path.write_bytes(b""), "cannot be decoded"),
    ],
)
def test_corrupt_and_truncated_films(
    study: Path, spoil: Callable[[Path], object], told: str
) -> None:
    def write(path: Path) -> None:
        write_film(path)
        spoil(path)

    line = with_film(study, "x.mp4", write)
    assert line is not None
    assert re.search(rf"set/x\.mp4 \(manifest\.tsv:2\): stimulus 'x': .*({told})", line)


def test_damage_that_the_decoder_would_conceal(study: Path) -> None:
    line = with_film(study, "x.mp4", scribbled, has_sound="0")
    assert line is not None
    assert "is damaged in" in line
    assert "replace it by a good copy" in line


def test_a_film_truncated_at_a_frame_ends_early(study: Path) -> None:
    line = with_film(study, "x.mkv", lambda path: write_numbered_film(path, 20), has_sound="0")
    assert line is not None
    assert "ends after 0.67 s but duration_s says 1.5" in line


def test_a_long_film_is_looked_through_by_its_key_frames(study: Path) -> None:
    def write(path: Path) -> None:
        write_numbered_film(path, 1900, size_px=(128, 32))

    cells = {"has_sound": "0", "duration_s": "63.333"}
    assert with_film(study, "x.mkv", write, **cells) is None
    path = study / "set" / "x.mkv"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    write_set(path.parent, row("x", path, **cells))
    line = check(study)
    assert line is not None
    assert re.search(r"ends after \d\d\.\d\d s but duration_s says 63\.333", line)


@pytest.mark.parametrize(
    ("silent", "declared", "told"),
    [
        (True, "1", "has no sound although has_sound says 1"),
        (True, "n/a", "has no sound; if that is meant, write 0 in a column has_sound"),
        (False, "0", "has sound although has_sound says 0"),
        (True, "0", None),
        (False, "n/a", None),
    ],
)
def test_films_without_sound(study: Path, silent: bool, declared: str, told: str | None) -> None:
    def write(path: Path) -> None:
        write_numbered_film(path, 45) if silent else write_film(path)

    line = with_film(study, "x.mp4", write, has_sound=declared)
    assert (line is None) == (told is None)
    if told is not None:
        assert line is not None
        assert told in line


@pytest.mark.parametrize(
    ("length", "told"),
    [
        ("500000", "set/manifest.tsv:2: stimulus 'x': duration_s is 500000; more than 14400"),
        ("0", "set/manifest.tsv:2: stimulus 'x': duration_s is 0; it must be above 0"),
        ("-3", "set/manifest.tsv:2: stimulus 'x': duration_s is -3; it must be above 0"),
        ("n/a", "set/manifest.tsv:2: stimulus 'x': no duration_s for this video"),
        ("15", "ends after 1.50 s but duration_s says 15; correct one of them"),
    ],
)
def test_absurd_lengths_of_films(study: Path, length: str, told: str) -> None:
    line = with_film(study, "x.mp4", write_film, duration_s=length)
    assert line is not None
    assert told in line


def test_huge_images(study: Path) -> None:
    huge = study / "set" / "x.png"
    Image.new("1", (12_000, 12_000)).save(huge)
    write_set(huge.parent, row("x", huge))
    line = check(study)
    assert line is not None
    assert "x.png (manifest.tsv:2): stimulus 'x': 12000 × 12000 pixels is too large" in line


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_manifests_that_are_not_utf_8(study: Path, encoding: str) -> None:
    manifest = study / "set" / "manifest.tsv"
    text = manifest.read_text(encoding="utf-8").replace("HVHA", "fröhlich")
    manifest.write_bytes(text.encode(encoding))
    line = check(study)
    assert line is not None
    where = r"refused\.yaml:4: .*manifest\.tsv:\d: not UTF-8 text \(byte 0x\w\w\); save"
    assert re.search(where, line)


@pytest.mark.parametrize("file", ["../x.png", "..\\x.png", "/etc/hostname", "C:\\pictures\\x.png"])
def test_manifests_that_point_outside_their_folder(study: Path, file: str) -> None:
    shutil.copy(study / "set" / "x.png", study / "x.png")
    write_set(study / "set", row("x", study / "set" / "x.png", file=file))
    line = check(study)
    assert line is not None
    assert re.search(r"refused\.yaml:4: .*manifest\.tsv:2: .*lies outside the folder", line)


NO_NORMS = dict.fromkeys(("valence", "arousal", "norm_min", "norm_max"), "n/a")


@pytest.mark.parametrize(
    ("select", "cells", "told"),
    [
        ("categories: [HVLA]", {}, "refused.yaml:9: no category 'HVLA' in the set set"),
        (
            "categories: [HVHA], kinds: [video]",
            {},
            "refused.yaml:9: no stimulus of set is selected",
        ),
        ("measures: {valence: {max: 0}}", {}, "refused.yaml:9: no stimulus of set is selected"),
        ("per_category: 3", {}, "refused.yaml:9: category 'HVHA' has 1 stimuli but 3"),
        (
            "measures: {arousal: {min: 0}}",
            NO_NORMS,
            "refused.yaml:9: none of the 1 stimuli has a norm",
        ),
        (
            "per_category: 1, match: {by: [valence]}",
            NO_NORMS,
            "refused.yaml:9: none of the 1 stimuli has a norm of valence; add the columns valence,",
        ),
        ("measures: {valense: {min: 0}}", {}, "has a number 'valense'; did you mean 'valence'?"),
        ("ids: [y]", {}, "refused.yaml:9: no stimulus 'y'"),
        ("", {"norm_min": "n/a"}, "manifest.tsv:2: stimulus 'x': valence without norm_min"),
        ("", {"valence": "12"}, "manifest.tsv:2: stimulus 'x': valence 12 is outside its scale"),
    ],
)
def test_selections_that_find_nothing_and_missing_norms(
    study: Path, select: str, cells: dict[str, str], told: str
) -> None:
    write_set(study / "set", row("x", study / "set" / "x.png", **cells))
    text = PROTOCOL.replace("select: {}", f"select: {{{select}}}")
    (study / "refused.yaml").write_text(text, encoding="utf-8")
    line = check(study)
    assert line is not None
    assert told in line


def test_a_category_of_which_nothing_is_left(study: Path) -> None:
    x = study / "set" / "x.png"
    write_set(x.parent, row("x", x), row("y", x, category="LVLA", valence="2"))
    select = "select: {categories: [HVHA, LVLA], measures: {valence: {min: 0}}}"
    text = PROTOCOL.replace("select: {}", select)
    (study / "refused.yaml").write_text(text, encoding="utf-8")
    line = check(study)
    assert line is not None
    assert "refused.yaml:9: no stimulus of category 'LVLA' is left" in line


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("fixation_s", "fixaton_s", ":10: blocks[0].steps[0]: unknown key 'fixaton_s'; did you"),
        ("stimuli:", "stimulli:", ":4: unknown key 'stimulli'; did you mean 'stimuli'?"),
        ("type: trials", "type: trails", ":8: blocks[0].steps[0].type: unknown type 'trails'; did"),
        ("duration_s: 1\n", "duration_s: 90000\n", ":11: .*14400, found 90000"),
        ("duration_s: 1\n", "duration_s: -1\n", ":11: .*greater than 0, found -1"),
        ("duration_s: 1\n", "duration_s: .nan\n", ":11: .*finite number, found nan"),
        (
            "duration_s: 1\n",
            "duration_s: 1\n        fixation_s: 1\n",
            ":12: .*given before, in line 10",
        ),
        (
            "duration_s: 1\n",
            "duration_s: 1\n        repeats: 3\n",
            ":8: .*'x', would be shown 3 times",
        ),
        (
            "duration_s: 1\n",
            "duration_s: 1\n        adapt_s: 2\n",
            ":12: the luminance of 'x' is not",
        ),
        ("fixation_s:", "yes:", ":8: .*a key such as yes, no, on or off is a truth value in YAML"),
        ("width_px: 1280", "width_px: 100", ":3: screen.width_px: .*320, found 100"),
    ],
)
def test_wrong_keys_and_values(study: Path, old: str, new: str, told: str) -> None:
    (study / "refused.yaml").write_text(PROTOCOL.replace(old, new), encoding="utf-8")
    line = check(study)
    assert line is not None
    assert re.search("refused[.]yaml" + told.replace("[", r"\[").replace("?", r"\?"), line), line


def test_impossible_constraints_and_endless_sessions(study: Path) -> None:
    x = study / "set" / "x.png"
    write_set(x.parent, row("x", x), row("y", x))
    constrained = PROTOCOL + "        max_repeats_of_category: 1\n"
    (study / "refused.yaml").write_text(constrained, encoding="utf-8")
    line = check(study)
    assert line is not None
    assert "refused.yaml:12: 2 of 2 stimuli are 'HVHA'" in line
    endless = PROTOCOL.replace("duration_s: 1\n", "duration_s: 6000\n        repeats: 900\n")
    (study / "refused.yaml").write_text(endless, encoding="utf-8")
    line = check(study)
    assert line is not None
    assert "refused.yaml:5: 1800 trials would take about 3001 hours, more than 24" in line


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            NEXT_BLOCK + "{type: targets, path: sinus, amplitude_deg: 20}\n",
            "refused.yaml:14: a target at 20° would leave the screen, whose horizontal edge is 4.8°",
        ),
        (
            NEXT_BLOCK + "{type: targets, path: circle, amplitude_deg: 4}\n",
            "whose vertical edge is 3.6° from the middle; write 3.4 or less",
        ),
        (
            "timing: {photodiode_patch: top_left, size_cm: 6}\n",
            "refused.yaml:12: a photodiode patch of 6 cm takes more than half of a screen of 10 × 7.5",
        ),
        (
            NEXT_BLOCK + f"{{type: neutral, duration_s: 5, text: {'relax ' * 200}}}\n",
            "refused.yaml:14: the text “relax",
        ),
        (NEXT_BLOCK + "{type: targets, path: steps, amplitude_deg: 4.5}\n", None),
    ],
)
def test_a_display_smaller_than_the_layout(study: Path, more: str, told: str | None) -> None:
    text = PROTOCOL.replace(*SMALL) + more
    (study / "refused.yaml").write_text(text, encoding="utf-8")
    line = check(study)
    assert (line is None) == (told is None), line
    if told is not None:
        assert line is not None
        assert told in line


@pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
def test_a_screen_smaller_than_declared(study: Path) -> None:
    protocol = load_protocol(study / "refused.yaml")
    with (
        virtual_display(640, 480, always=True),
        pytest.raises(DuchenneError, match=r"refused\.yaml:3: the screen has 640x480 px"),
        open_display(protocol),
    ):
        pass
