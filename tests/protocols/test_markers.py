"""Markers: vocabulary, JSON form, outlets on a real LSL network."""

from __future__ import annotations

import math

import pylsl
import pytest

from duchenne.protocols.markers import (
    CONTEXT_FIELDS,
    EVENTS,
    MarkerOutlet,
    ShownFramesOutlet,
    decode,
    encode,
)


def test_every_event_survives_the_round_trip():
    for event in EVENTS:
        marker = decode(encode(event, trial=2, stimulus="Öl & Wasser", rect_px=[0, 0.5, 1, 2]))
        assert marker["event"] == event
        assert marker["stimulus"] == "Öl & Wasser"
        assert marker["rect_px"] == [0, 0.5, 1, 2]
        assert set(CONTEXT_FIELDS) <= marker.keys()
        assert marker["block"] is None


def test_unknown_event_is_refused():
    with pytest.raises(ValueError, match="stimulus_onset"):
        encode("stimulus_on")


def test_nan_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        encode("note", value=math.nan)


@pytest.mark.parametrize("text", ["S 12", "", "12", '["a"]', '{"trial": 1}', '{"event": 7}'])
def test_foreign_text_is_kept(text: str):
    assert decode(text) == {"event": None, "text": text}


def test_outlets_carry_the_stamps_they_are_given(unique_name: str):
    with (
        MarkerOutlet(source_id=f"{unique_name}-markers") as markers,
        ShownFramesOutlet(source_id=f"{unique_name}-shown", nominal_rate_hz=60) as shown,
    ):
        inlets = []
        for kind in ("markers", "shown"):
            (info,) = pylsl.resolve_byprop("source_id", f"{unique_name}-{kind}", 1, 10.0)
            inlet = pylsl.StreamInlet(info, recover=False)
            inlet.open_stream(10.0)
            inlets.append(inlet)
        assert markers.push("stimulus_onset", 123.25, trial=1) == 123.25
        before = pylsl.local_clock()
        now = markers.push("note")
        assert before <= now <= pylsl.local_clock()
        shown.push(1, 7, 7 / 30, 1 / 60, 124.5)

        (text,), stamp = inlets[0].pull_sample(timeout=5)
        assert (decode(text)["event"], stamp) == ("stimulus_onset", 123.25)
        _, stamp = inlets[0].pull_sample(timeout=5)
        assert stamp == now
        sample, stamp = inlets[1].pull_sample(timeout=5)
        assert sample == [1.0, 7.0, 7 / 30, 1 / 60]
        assert stamp == 124.5

        marker_info, shown_info = (inlet.info(5.0) for inlet in inlets)
        assert (marker_info.name(), marker_info.type()) == ("Markers", "Markers")
        assert (shown_info.name(), shown_info.type()) == ("ShownFrames", "StimulusFrames")
        assert shown_info.get_channel_labels() == [
            "trial", "media_frame", "media_time_s", "flip_interval_s",
        ]  # fmt: skip
        for inlet in inlets:
            inlet.close_stream()


def test_a_closed_outlet_says_so():
    outlet = MarkerOutlet()
    with pytest.raises(RuntimeError, match="with"):
        outlet.push("note")
