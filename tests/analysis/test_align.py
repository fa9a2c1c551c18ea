from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from tests.analysis.constructed import END_S, RECT_PX, constructed_session, markers, trial_fields

from duchenne.analysis.align import (
    Identity,
    ShownFrames,
    annotate,
    neutral_intervals,
    phases,
    presentations,
)
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import Channel, StreamInfo

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = Identity("P01", "01", "test", "01")


def spans(path: Path) -> list[tuple[str, float, float, bool]]:
    with Recording.open(path) as recording:
        table = phases(recording)
    rows = zip(
        table["phase"], table["onset_s"], table["offset_s"], table["interrupted"], strict=True
    )
    return [(str(p), round(a, 6), round(b, 6), bool(i)) for p, a, b, i in rows]


def test_phases_follow_the_markers(tmp_path: Path) -> None:
    assert spans(constructed_session(tmp_path / "s.h5", gaze=None)) == [
        ("neutral", 0.5, 2.5, False),
        ("fixation", 3.0, 4.0, False),
        ("stimulus", 4.0, 6.0, False),
        ("rating", 6.1, 6.6, False),
        ("rating", 6.7, 7.4, False),
        ("fixation", 9.0, 10.0, False),
        ("stimulus", 10.0, 12.0, False),
        ("rating", 12.1, 12.5, False),
    ]


def test_presentations_carry_ratings_and_place(tmp_path: Path) -> None:
    with Recording.open(constructed_session(tmp_path / "s.h5", gaze=None)) as recording:
        table = presentations(recording)
        assert neutral_intervals(phases(recording)) == [(pytest.approx(0.5), pytest.approx(2.5))]
    first, second = table.to_dict("records")
    assert (first["stimulus_id"], first["category"], first["trial"]) == ("calm", "HVLA", 1)
    assert first["rect_px"] == tuple(RECT_PX)
    assert first["duration_s"] == pytest.approx(2.0)
    assert first["rating_valence"] == 7
    assert first["rating_arousal"] == 3
    assert first["rating_arousal_rt_s"] == pytest.approx(0.7)
    assert second["rating_valence"] == 2
    assert np.isnan(second["rating_arousal"])
    assert np.isnan(second["rating_dominance"])
    assert table["presentation_id"].tolist() == ["P01-01-01-001", "P01-01-01-002"]


def test_an_aborted_session_closes_what_was_open(tmp_path: Path) -> None:
    rows = [row for row in markers() if row[0] < 11]
    rows += [(11.0, "abort", {"reason": "escape"}), (11.0, "session_end", {})]
    path = constructed_session(tmp_path / "s.h5", gaze=None, markers=rows)
    assert spans(path)[-1] == ("stimulus", 10.0, 11.0, True)
    with Recording.open(path) as recording:
        assert presentations(recording)["interrupted"].tolist() == [False, True]


def test_a_recording_cut_off_by_a_crash_ends_with_its_last_sample(tmp_path: Path) -> None:
    rows = [row for row in markers() if row[0] < 11]
    path = constructed_session(tmp_path / "s.h5", markers=rows)
    phase, onset, offset, interrupted = spans(path)[-1]
    assert (phase, onset, interrupted) == ("stimulus", 10.0, True)
    assert offset == pytest.approx(END_S, abs=0.01)


def test_a_lost_offset_is_closed_by_the_next_onset(tmp_path: Path) -> None:
    rows = [row for row in markers() if row[:2] != (6.0, "stimulus_offset")]
    path = constructed_session(tmp_path / "s.h5", gaze=None, markers=rows)
    assert spans(path)[2] == ("stimulus", 4.0, 6.1, True)


def test_repeated_markers_change_nothing(tmp_path: Path) -> None:
    twice = [row for row in markers() for _ in range(2)]
    once = spans(constructed_session(tmp_path / "a.h5", gaze=None))
    path = constructed_session(tmp_path / "b.h5", gaze=None, markers=twice)
    assert spans(path) == once
    with Recording.open(path) as recording:
        assert len(presentations(recording)) == 2


def test_a_presentation_repeated_after_an_interruption_counts_once_when_complete(
    tmp_path: Path,
) -> None:
    fields = trial_fields(1)
    rows = [
        (2.0, "stimulus_onset", fields),
        (2.5, "pause", {}),
        (3.0, "resume", {}),
        (4.0, "stimulus_onset", fields),
        (6.0, "stimulus_offset", fields),
    ]
    with Recording.open(
        constructed_session(tmp_path / "s.h5", gaze=None, markers=rows)
    ) as recording:
        table = presentations(recording)
    assert table["onset_s"].tolist() == [pytest.approx(4.0)]
    assert table["interrupted"].tolist() == [False]


def test_without_session_start_times_count_from_the_first_sample(tmp_path: Path) -> None:
    path = constructed_session(tmp_path / "s.h5", with_start=False)
    assert spans(path)[0] == ("neutral", 0.5, 2.5, False)


def test_a_recording_without_onsets_has_no_phases(tmp_path: Path) -> None:
    path = constructed_session(tmp_path / "s.h5", markers=[(1.0, "note", {})], with_start=False)
    assert spans(path) == []


def test_markers_without_identifiers_get_them_from_the_trial(tmp_path: Path) -> None:
    rows = [(t, e, {k: v for k, v in f.items() if k != "presentation_id"}) for t, e, f in markers()]
    with Recording.open(
        constructed_session(tmp_path / "s.h5", gaze=None, markers=rows)
    ) as recording:
        table = presentations(recording)
    assert table["presentation_id"].tolist() == ["P01-01-01-001", "P01-01-01-002"]
    assert table["rating_valence"].tolist() == [7, 2]


def test_rows_find_their_place(tmp_path: Path) -> None:
    with Recording.open(constructed_session(tmp_path / "s.h5", gaze=None)) as recording:
        table = phases(recording)
    times = pd.DataFrame({"time": [-1.0, 1.0, 2.7, 3.5, 4.0, 5.999, 6.05, 6.3, 99.0]})
    placed = annotate(times, "time", table, IDENTITY)
    none = None
    assert placed["phase"].tolist() == [
        none, "neutral", none, "fixation", "stimulus", "stimulus", none, "rating", none,
    ]  # fmt: skip
    np.testing.assert_allclose(
        placed["t_from_onset_s"],
        [np.nan, np.nan, np.nan, -0.5, 0.0, 1.999, np.nan, 2.3, np.nan],
        atol=1e-6,
    )
    assert placed["trial"].tolist()[3:6] == [1, 1, 1]
    assert placed["stimulus_id"].tolist()[4] == "calm"
    assert set(placed["participant"]) == {"P01"}
    assert placed["media_time_s"].isna().all()
    assert list(times.columns) == ["time"]


def test_media_time_is_that_of_the_frame_on_the_screen(tmp_path: Path) -> None:
    flips = np.array([4.0, 4.1, 4.2, 10.0, 10.1])
    shown = np.array(
        [[1, 0, 0.0, 0.1], [1, 1, 0.1, 0.1], [1, 2, 0.2, 0.1], [2, 0, 0, 1], [2, 3, 0.3, 1]]
    )
    path = constructed_session(tmp_path / "s.h5", gaze=None, shown_frames=(flips, shown))
    with Recording.open(path) as recording:
        table, frames = phases(recording), ShownFrames.of(recording)
    times = pd.DataFrame({"t": [3.99, 4.05, 4.15, 5.0, 6.05, 10.05, 10.5]})
    placed = annotate(times, "t", table, IDENTITY, frames)
    np.testing.assert_allclose(
        placed["media_time_s"], [np.nan, 0.0, 0.1, 0.2, np.nan, 0.0, 0.3], atol=1e-9
    )


def test_frames_of_an_earlier_film_are_not_on_the_screen_any_more(tmp_path: Path) -> None:
    unknown = np.full(2, np.nan)
    frames = ShownFrames(np.array([3.9999, 4.5]), unknown, np.array([0.0, 0.5]))
    with Recording.open(constructed_session(tmp_path / "s.h5", gaze=None)) as recording:
        table = phases(recording)
    placed = annotate(pd.DataFrame({"t": [4.2, 5.0, 10.5]}), "t", table, IDENTITY, frames)
    np.testing.assert_allclose(placed["media_time_s"], [0.0, 0.5, np.nan])


def test_a_stream_of_frames_that_says_less_is_no_obstacle(tmp_path: Path) -> None:
    times = np.arange(4.0, 5.0, 0.1)
    media = StreamInfo(
        "Film", "StimulusFrames", "f", "u7", "h", "double64", 0.0, 1, (Channel("media_time_s"),)
    )
    flips = StreamInfo(
        "Flips", "StimulusFrames", "g", "u8", "h", "double64", 0.0, 1, (Channel("n"),)
    )
    values = (times - 4.0)[:, None]
    file = constructed_session(
        tmp_path / "s.h5", gaze=None, streams=[(media, times, values), (flips, times, values)]
    )
    with Recording.open(file) as recording:
        frames = ShownFrames.of(recording)
        assert frames is not None
        table = pd.DataFrame({"time": [4.55]})
        placed = annotate(table, "time", phases(recording), IDENTITY, frames)
    assert placed["media_time_s"].tolist() == pytest.approx([0.5])


def test_frames_of_all_streams_count(tmp_path: Path) -> None:
    first = (np.array([4.0, 4.1]), np.array([[1, 0, 0.0, 0.1], [1, 1, 0.1, 0.1]]))
    path = constructed_session(tmp_path / "s.h5", gaze=None, shown_frames=first)
    with Recording.open(path) as recording:
        (stream,) = recording.of_type("StimulusFrames")
        empty = _Stream(stream.info, np.zeros(0), np.zeros((0, 4)))
        later = _Stream(stream.info, np.array([3.0]), np.array([[2, 0, 9.0, 0.1]]))
        frames = ShownFrames.of(_Recording([empty, stream, later]))  # type: ignore[arg-type]
    assert frames is not None
    np.testing.assert_allclose(frames.times_s, [3.0, 4.0, 4.1], atol=1e-6)
    assert frames.media_time_s.tolist() == [9.0, 0.0, 0.1]
    assert frames.trial.tolist() == [2, 1, 1]


@pytest.mark.parametrize("event", ["abort", "stimulus_onset"])
def test_a_neutral_phase_without_a_marked_end_is_not_used(tmp_path: Path, event: str) -> None:
    rows = [(0.5, "neutral_onset", {}), (9.0, event, trial_fields(1))]
    path = constructed_session(tmp_path / "s.h5", gaze=None, markers=rows)
    with Recording.open(path) as recording:
        assert neutral_intervals(phases(recording)) == []


class _Stream:
    def __init__(self, info: StreamInfo, times_s: np.ndarray, samples: np.ndarray) -> None:
        self.info, self.times_s, self.n, self._samples = info, times_s, len(times_s), samples

    def column(self, label: str) -> np.ndarray:
        return self._samples[:, [channel.label for channel in self.info.channels].index(label)]


class _Recording:
    def __init__(self, streams: list[object]) -> None:
        self._streams = streams

    def of_type(self, _kind: str) -> list[object]:
        return self._streams
