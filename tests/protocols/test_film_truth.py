"""Films as they were really shown: uneven frames, a display that stalls, sounds, the photodiode patch."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from support.display_process import in_process
from support.presentation import write_film, write_uneven_film
from support.sessions import write_session

from duchenne.analysis.align import ShownFrames, annotate, phases
from duchenne.analysis.presentations import Identity
from duchenne.protocols.displays.base import Flip
from duchenne.protocols.displays.frame_times import FrameTimes, frame_times
from duchenne.protocols.displays.sound import decode_sound
from duchenne.protocols.tally import StimulusLog, Tally
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

needs_display = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
UNEVEN_S = (0.03, 0.2, 0.03, 0.03, 0.3, 0.05, 0.05, 0.1, 0.02, 0.4, 0.04, 0.04, 0.2)
PERIOD_S = 1 / 60


def test_frames_are_counted_by_the_files_own_times(tmp_path: Path) -> None:
    write_uneven_film(tmp_path / "uneven.mp4", UNEVEN_S)
    times = frame_times(tmp_path / "uneven.mp4")
    starts = np.concatenate([[0.0], np.cumsum(UNEVEN_S[:-1])])
    assert times.pts_s == pytest.approx(starts, abs=1e-3)
    assert starts[-1] < times.end_s < starts[-1] + 0.5
    assert times.is_variable
    assert [times.index(start + 0.004) for start in starts] == list(range(len(UNEVEN_S)))
    write_film(tmp_path / "even.mp4")
    even = frame_times(tmp_path / "even.mp4")
    assert (even.n, even.is_variable, even.has_sound) == (45, False, True)
    assert (even.index(-1.0), even.index(99.0)) == (0, 44)


def test_a_film_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no film" * 50)
    with pytest.raises(DuchenneError, match=r"x\.mp4"):
        frame_times(tmp_path / "x.mp4")
    with pytest.raises(DuchenneError, match=r"x\.mp4"):
        decode_sound(tmp_path / "x.mp4")


def test_a_sound_is_decoded_whole(tmp_path: Path) -> None:
    write_film(tmp_path / "tone.mp4")
    samples = decode_sound(tmp_path / "tone.mp4")
    assert samples.shape == (pytest.approx(48_000 * 1.5, abs=2500), 2)
    middle = samples[24_000:48_000, 0]
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * 48_000 / len(middle) == pytest.approx(440, abs=3)


class Film:
    """A film of 60 frames at 30 Hz, as the log sees it."""

    def report(self) -> dict[str, float]:
        return {"film_frames": 60, "film_length_s": 2.0}


def logged(flips: list[Flip], offset_s: float) -> dict[str, object]:
    log = StimulusLog(Film(), PERIOD_S, Tally())  # type: ignore[arg-type]
    log.begun(flips[0])
    for flip in flips[1:]:
        log.flipped(flip)
    return log.ended(Flip(offset_s, PERIOD_S))


def test_flips_and_the_end_of_a_film_are_judged() -> None:
    times = np.arange(120) * PERIOD_S
    flips = [Flip(10 + t, PERIOD_S, int(t * 30 + 1e-6), t) for t in times]
    found = logged(flips, 12.0)
    assert (found["n_late_flips"], found["n_dropped_flips"]) == (0, 0)
    assert (found["n_frames_shown"], found["n_frames_missed"]) == (60, 0)
    assert found["film_end"] == "on time"
    assert logged(flips[:90], 11.5)["film_end"] == "early"
    assert logged(flips, 12.4)["film_end"] == "late"
    stalled = [*flips[:30], Flip(flips[50].lsl_time_s, 20.6 * PERIOD_S, 25, 25 / 30), *flips[51:]]
    found = logged(stalled, 12.0)
    assert (found["n_late_flips"], found["n_dropped_flips"]) == (1, 20)
    assert found["n_frames_missed"] == 10
    nothing = FrameTimes(np.array([0.0]), 0.04)
    assert not nothing.is_variable


SCRIPT = """
import time
from dataclasses import replace
from pathlib import Path

folder = Path(sys.argv[1]).parent

def play(name, stall_at=None):
    film = display.load(replace(stimuli["count"], path=folder / name))
    display.show_stimulus(film)
    rows, seen = [], []
    while not film.finished and len(rows) < 300:
        if len(rows) == stall_at:
            time.sleep(0.5)
        flip = display.flip()
        rows.append([1, flip.media_frame, flip.media_time_s, flip.interval_s, flip.lsl_time_s])
        seen.append(read_burnt_in(display.screenshot(), film.rect_px))
    offset = (display.clear(), display.flip())[1].lsl_time_s
    told = film.report()
    film.close()
    return {"rows": rows, "seen": seen, "offset": offset, "told": told}

result["uneven"] = play("uneven.mp4")
result["stalled"] = play("long.mp4", stall_at=12)

def corner():
    return display.screenshot()[-5, -5].tolist()

display.clear(); display.flip()
dark = corner()
image = display.load(stimuli["red"])
display.show_stimulus(image)
lit = [(display.flip(), corner())[1] for _ in range(3)]
display.clear(); display.flip()
result["patch"] = [dark, lit, corner()]
(folder / "words.txt").write_text("Stell dir vor, es ist Sommer.", encoding="utf-8")
words = display.load(replace(stimuli["red"], kind="text", path=folder / "words.txt"))
display.show_stimulus(words); display.flip()
result["words"] = int((display.screenshot()[100:350, 100:700].max(axis=2) < 60).sum())
sound = display.load(replace(stimuli["red"], kind="audio", path=folder / "long.mp4"))
display.show([Cross(400, 225, 30, 4)]); display.flip()
display.show_stimulus(sound)
before, flip = sound.finished, display.flip()
result["cross"] = int(display.screenshot()[225, 400].max())
time.sleep(2.2)
result["sound"] = [before, sound.finished, sound.report()]
display.clear(); display.flip()
result["described"] = display.description()
"""


@needs_display
def test_the_frame_said_is_the_frame_seen_however_a_film_runs(tmp_path: Path) -> None:
    write_uneven_film(tmp_path / "uneven.mp4", UNEVEN_S)
    write_film(tmp_path / "long.mp4", frames=60)
    timing = "timing: {photodiode_patch: bottom_right, audio_click: true}\nblocks:"
    result = in_process(tmp_path, SCRIPT, lambda text: text.replace("blocks:", timing, 1))
    for name in ("uneven", "stalled"):
        said = [row[1] for row in result[name]["rows"]]
        assert said == result[name]["seen"], name
    assert len(set(result["uneven"]["seen"])) >= 2  # PsychoPy may pass over uneven frames
    assert result["uneven"]["told"]["variable_frame_rate"] is True
    dark, lit, after = result["patch"]
    assert max(dark) < 10
    assert max(after) < 10
    assert min(min(pixel) for pixel in lit) > 245
    assert result["words"] > 200
    assert result["cross"] < 60
    before, finished, told = result["sound"]
    assert (before, finished) == (False, True)
    assert told["audio_latency_source"] in ("silent", "reported", "unknown")
    assert result["described"]["photodiode_patch_px"] == [760, 410, 800, 450]
    _stalled_is_placed_on_media_time(tmp_path, result["stalled"])


def _stalled_is_placed_on_media_time(folder: Path, shown: dict[str, object]) -> None:
    """Write what the display said into a session; ask the analysis where in the film a gaze was."""
    rows = np.array(shown["rows"], dtype=float)
    start_s = rows[0, 4] - 1.0
    times = rows[:, 4] - start_s
    fields = {"trial": 1, "stimulus": "count", "presentation_id": "P01-01-01-001"}
    path = write_session(
        folder / "stalled.h5",
        markers=[
            (float(times[0]), "stimulus_onset", {**fields, "kind": "video"}),
            (float(shown["offset"]) - start_s, "stimulus_offset", fields),  # type: ignore[arg-type]
        ],
        shown_frames=(times, rows[:, :4]),
    )
    stall = int(np.argmax(np.diff(times)))
    assert np.diff(times)[stall] > 0.45
    asked = np.concatenate([times + 0.004, [times[stall] + 0.3]])
    seen = np.array([*shown["seen"], shown["seen"][stall]])  # type: ignore[index,misc]
    with Recording.open(path) as recording:
        table = annotate(
            pd.DataFrame({"time": asked}),
            "time",
            phases(recording),
            Identity.of(recording),
            ShownFrames.of(recording),
        )
    assert table["media_time_s"].to_numpy() == pytest.approx(seen / 30, abs=0.002)
    during = table.iloc[-1]
    assert during["t_from_onset_s"] - during["media_time_s"] > 0.2
