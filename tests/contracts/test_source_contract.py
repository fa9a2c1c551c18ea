"""What every source keeps to: info, rate, time stamps, a prompt and clean end."""

from __future__ import annotations

import base64
import threading
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pylsl
import pytest
from support.sources import Heard, collect, listening, serving

from duchenne.recorder.sources.registry import create_source, load_source, source_names
from duchenne.recorder.streams import describe

CLIP = files("duchenne.recorder.sources") / "data" / "participant" / "happiness.mp4"
RECORDED = Path(__file__).parents[1] / "data" / "labrecorder.xdf"
SETTINGS = {
    "simulated": {"rate_hz": "600"},
    "simulated-face": {},
    "camera": {"device": str(CLIP)},
    "simulated-microphone": {"mode": "audio"},
    "simulated-keyboard": {"every_s": "0.2"},
    "simulated-photodiode": {},
    "replay": {"file": str(RECORDED), "loop": "true"},
}
SEAM = ("Options", "summary", "unavailable", "info", "result", "__enter__", "__exit__", "run")


@pytest.fixture(params=sorted(SETTINGS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_bundled_source_is_covered() -> None:
    assert set(SETTINGS) <= set(source_names())


def test_meets_the_seam(name: str) -> None:
    source_class = load_source(name)
    create_source(name, "seam", SETTINGS[name])  # takes its options and opens nothing
    for member in SEAM:
        assert hasattr(source_class, member), f"{name} lacks {member}"
    assert source_class.summary
    assert "\n" not in source_class.summary
    assert source_class.unavailable() is None
    for key, option in source_class.Options.model_fields.items():
        assert option.description, f"option {key} of {name} has no description"


def test_streams_at_its_rate_with_rising_stamps(name: str, unique_name: str) -> None:
    heard = Heard()
    with serving(name, unique_name, SETTINGS[name]), listening(unique_name) as inlet:
        info = describe(inlet.info())
        collect(inlet, heard, 3.2)
        now_s = pylsl.local_clock()
    assert info.source_id == unique_name
    assert info.can_drop_samples == info.is_video
    if not info.is_video:
        assert all(c.label and c.type and c.unit for c in info.channels)
        assert info.type != "Gaze" or all(c.eye for c in info.channels)
    stamps = heard.times_s
    steps = np.diff(stamps)
    assert np.all(steps > 0)
    if info.nominal_srate_hz == 0:
        assert len(stamps) >= 20
        assert 0 <= now_s - stamps[-1] < 0.5, "the stamps are not on this machine's LSL clock"
        return
    rate_hz = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    assert rate_hz == pytest.approx(info.nominal_srate_hz, rel=0.01)
    assert steps.max() < 1.5 / info.nominal_srate_hz, "a sample is missing"
    assert 0 <= now_s - stamps[-1] < 0.5, "the stamps are not on this machine's LSL clock"
    if info.is_video:
        assert base64.b64decode(heard.rows[0], validate=True).startswith(b"\xff\xd8\xff")


def test_stops_at_once_without_being_heard(name: str) -> None:
    stop = threading.Event()
    stop.set()
    source = create_source(name, f"mute-{name}", SETTINGS[name])
    with source:
        outlet = pylsl.StreamOutlet(source.info)
        begun = time.monotonic()
        source.run(outlet, stop)
    assert time.monotonic() - begun < 2.0
    assert source.result


def test_continues_under_its_source_id_after_a_restart(name: str, unique_name: str) -> None:
    identities = []
    for _ in range(2):
        with serving(name, unique_name, SETTINGS[name]), listening(unique_name) as inlet:
            identities.append((inlet.info().source_id(), inlet.info().uid()))
    assert identities[0][0] == identities[1][0]
    assert identities[0][1] != identities[1][1]
