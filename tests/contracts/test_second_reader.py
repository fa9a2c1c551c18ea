"""Session files read by somebody who has nothing but docs/session-format.md, against what went in."""

from __future__ import annotations

import base64
import json
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pylsl
import pytest
from contracts import second_reader
from contracts.second_reader import NotAsDescribed, Session, derive_times, group_name
from support.sessions import write_session
from support.xdf_files import FRAMES, START_S, TEXTS, write_odd_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PAGE = Path(__file__).parents[2] / "docs" / "session-format.md"
DEADLINE_S = 20.0
RNG = np.random.default_rng(11)
NUMBERS = {
    "float32": RNG.normal(size=(40, 3)).astype(np.float32),
    "double64": RNG.normal(size=(40, 3)),
    "int8": RNG.integers(-128, 128, (40, 3)).astype(np.int8),
    "int16": RNG.integers(-(2**15), 2**15, (40, 3)).astype(np.int16),
    "int32": RNG.integers(-(2**31), 2**31, (40, 3)).astype(np.int32),
    "int64": RNG.integers(-(2**62), 2**62, (40, 3)),
}
PICTURES = [b"\xff\xd8one", bytes(range(256)), b"\xff\xd8" + b"x" * 3000]


# ---- a session of Duchenne's own ---------------------------------------------------------------


@pytest.fixture(scope="module")
def session_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    t = np.arange(1200) / 600
    return write_session(
        tmp_path_factory.mktemp("own") / "P07.h5",
        markers=[
            (0.25, "stimulus_onset", {"trial": 3, "stimulus": "Häkchen ✓", "block": "b"}),
            (1.75, "session_end", {}),
        ],
        gaze=(t, {"left_x": np.sin(t), "right_pupil": 3 + t}),
        frames=([0.0, 0.1, 0.25], [b"\xff\xd8a", b"", b"\xff\xd8ccc"]),
        shown_frames=([0.3, 0.35], [[3, 0, 0.0, 0.016], [3, 1, 0.04, 0.017]]),
        stimuli={"id": ["a", ""], "duration_s": [1.5, None]},
        stimuli_source="bundled",
        participant="P07",
        task="film",
    )


@pytest.fixture(scope="module")
def session(session_path: Path) -> Session:
    return second_reader.read(session_path)


def test_streams_of_a_session(session: Session) -> None:
    gaze = session.streams["Gaze"]
    labels = [channel["label"] for channel in gaze.channels]
    t = np.arange(1200) / 600
    assert gaze.samples is not None
    assert np.array_equal(gaze.samples[:, labels.index("left_x")], np.sin(t))
    assert np.array_equal(gaze.samples[:, labels.index("right_pupil")], 3 + t)
    assert np.isnan(gaze.samples[:, labels.index("left_distance")]).all()
    assert np.allclose(gaze.times - gaze.times[0], t, atol=1e-6)
    assert session.streams["FaceVideo"].frames == [b"\xff\xd8a", b"", b"\xff\xd8ccc"]
    shown = session.streams["ShownFrames"].samples
    assert shown is not None
    assert shown.tolist() == [[3, 0, 0.0, 0.016], [3, 1, 0.04, 0.017]]
    # timestamps, times, received, segments, two of the clock; and the payload
    assert {key: stream.n_checksums for key, stream in session.streams.items()} == {
        **dict.fromkeys(("Gaze", "Markers", "ShownFrames"), 7),
        "FaceVideo": 8,
    }


def test_channels_of_gaze_are_those_of_the_page(session: Session) -> None:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| `Gaze` |"))
    promised = " ".join(re.findall(r"`([^`]+)`", row.split("|")[3])).split()
    assert [channel["label"] for channel in session.streams["Gaze"].channels] == promised


def test_events_of_a_session(session: Session) -> None:
    events = session.events
    assert events["event"] == ["session_start", "stimulus_onset", "session_end"]
    assert events["trial"].tolist() == [-1, 3, -1]
    assert events["stimulus"] == ["", "Häkchen ✓", ""]
    assert events["block"] == ["", "b", ""]
    assert events["phase"] == events["presentation_id"] == [""] * 3
    assert events["stream"] == ["Markers"] * 3
    assert np.allclose(events["time"] - events["time"][0], [0, 0.25, 1.75], atol=1e-6)
    assert json.loads(events["json"][1])["trial"] == 3
    sent = session.streams["Markers"].texts
    assert sent is not None
    assert [row[0].decode() for row in sent] == events["json"]


def test_the_rest_of_a_session(session: Session) -> None:
    assert session.attributes["participant"] == "P07"
    assert session.attributes["task"] == "film"
    assert not session.attributes["recovered"]
    assert session.stimuli["id"] == ["a", ""]
    assert session.stimuli["duration_s"][0] == 1.5
    assert np.isnan(session.stimuli["duration_s"][1])
    assert session.stimuli_source == "bundled"
    assert set(session.protocol["screen"]) == {
        *("width_px", "height_px", "width_cm", "height_cm", "distance_cm", "refresh_hz")
    }
    assert set(session.certificate) == set(session.streams)
    gaze = session.certificate["Gaze"]
    assert gaze["n_samples"] == 1200
    assert gaze["effective_srate_hz"] == pytest.approx(600, rel=1e-6)
    assert gaze["verdict"] in {"pass", "warn", "fail"}
    assert session.log == []


def test_the_certificate_has_the_fields_of_its_page(session: Session) -> None:
    text = (PAGE.parent / "reference" / "alignment.md").read_text()
    table = text.split("## The certificate")[1].split("\n## ")[0].split("\n\nA source counts")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    fields = set(re.findall(r"`(\w+)`", " ".join(first)))
    for made in session.certificate.values():
        assert set(made) == fields


def python_snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def test_the_python_of_the_page_runs(session_path: Path, session: Session) -> None:
    (snippet,) = python_snippets()
    names: dict[str, Any] = {}
    exec(re.sub(r'"sub-[^"]+\.h5"', repr(str(session_path)), snippet), names)
    gaze = session.streams["Gaze"]
    assert gaze.samples is not None
    assert np.array_equal(names["x"], gaze.samples[:, 0])
    assert np.array_equal(names["t"], gaze.times)
    assert names["onset"].tolist() == [session.events["time"][1]]


def test_paths_for_matlab_and_r_are_there(session_path: Path) -> None:
    text = (PAGE.parent / "how-to" / "moving-from-labrecorder.md").read_text()
    paths = re.findall(r"""h5read(?:att)?\(['"][^'"]+['"], ['"]([^'"]+)['"]""", text)
    assert len(paths) >= 4
    with h5py.File(session_path) as file:
        for path in paths:
            assert path.replace("/EEG", "/Gaze") in file


# ---- what must be refused or noticed -----------------------------------------------------------


@pytest.mark.parametrize(("key", "value"), [("sealed", False), ("format_version", 2)])
def test_a_file_that_must_be_refused(
    session_path: Path, tmp_path: Path, key: str, value: object
) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(session_path.read_bytes())
    with h5py.File(copy, "a") as file:
        file.attrs[key] = value
    with pytest.raises(NotAsDescribed):
        second_reader.read(copy)


def test_another_value_does_not_fit_its_checksum(session_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(session_path.read_bytes())
    with h5py.File(copy, "a") as file:
        file["streams/Markers/samples"][1] = "another"
    with pytest.raises(NotAsDescribed, match="crc32"):
        second_reader.read(copy)


@pytest.mark.parametrize(
    "dataset",
    ["Gaze/samples", "Gaze/timestamps", "Gaze/times", "Gaze/clock_offsets", "FaceVideo/packets"],
)
def test_reading_a_changed_byte_fails(session_path: Path, tmp_path: Path, dataset: str) -> None:
    with h5py.File(session_path) as file:
        chunk = file["streams"][dataset].id.get_chunk_info(0)
    content = bytearray(session_path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    (tmp_path / "copy.h5").write_bytes(content)
    with h5py.File(tmp_path / "copy.h5") as file, pytest.raises(OSError, match="read"):
        file["streams"][dataset][()]


# ---- everything odd ----------------------------------------------------------------------------


def test_a_file_with_everything_odd(tmp_path: Path) -> None:
    path = write_odd_session(tmp_path / "odd.h5")
    odd = second_reader.read(path)
    notes, wide, face = (odd.streams[group_name(name)] for name in ("Notes", "Wide/√", "Face"))
    assert notes.texts == [[text] for text in TEXTS]
    assert wide.texts == [TEXTS[:2], TEXTS[2:4], TEXTS[4:]]
    assert notes.readable is not None
    assert [row[0] for row in notes.readable[3:]] == ["a␀b", "��", "␀"]
    assert face.frames == [*FRAMES, b"!no base64!"]
    assert face.not_base64 == [4]
    stamps = START_S + np.array([0.5, 0.25, np.nan, np.inf, -np.inf, 3.0])
    assert np.array_equal(notes.timestamps, stamps, equal_nan=True)
    assert np.array_equal(np.isfinite(notes.times), np.isfinite(stamps))
    kinds = [
        odd.streams[group].channel_format for group in ("Num", *(f"Num-{i}" for i in range(2, 7)))
    ]
    assert kinds == list(NUMBERS)
    again = odd.streams["Bad\x01name"]
    assert again.segments == [(0, "", START_S), (40, "second-uid", START_S + 45)]
    assert again.channels == [{"label": "a & <b>", "type": "", "unit": "µV", "eye": ""}]
    assert len(odd.streams["Silent"].timestamps) == len(odd.streams["Silent-2"].times) == 0
    assert odd.events["event"] == ["session_start", "note", ""]
    assert odd.events["json"][2] == "trigger 7"
    assert odd.protocol["yaml"] == "name: odd # Häkchen\n"
    assert odd.protocol["schedule"] == {"steps": [{"kind": "trial"}]}
    assert odd.protocol["screen"] is None
    assert odd.answers == {"age": 30, "note": "“quoted”"}
    assert odd.stimuli["id"] == ["a", "b"]
    assert odd.log == [(START_S, "found", "Num")]


# ---- an XDF file written here, byte by byte ----------------------------------------------------


def xdf_chunk(tag: int, content: bytes) -> bytes:
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def xdf_header(
    number: int, name: str, kind: str, form: str, *, channels: int, rate_hz: float
) -> bytes:
    name = name.replace("&", "&amp;")
    xml = (
        f'<?xml version="1.0"?><info><name>{name}</name><type>{kind}</type><channel_count>{channels}'
        f"</channel_count><nominal_srate>{rate_hz}</nominal_srate><channel_format>{form}"
        "</channel_format><source_id>s</source_id></info>"
    )
    return xdf_chunk(2, struct.pack("<I", number) + xml.encode())


def xdf_samples(number: int, stamps: Any, rows: Sequence[Any]) -> bytes:
    """Make a chunk of numbers (arrays) or of texts (lists of bytes)."""
    parts = [struct.pack("<IBI", number, 4, len(rows))]
    for stamp, row in zip(stamps, rows, strict=True):
        parts.append(struct.pack("<Bd", 8, stamp))
        if isinstance(row, np.ndarray):
            parts.append(row.tobytes())
        else:
            parts.extend(struct.pack("<BI", 4, len(text)) + text for text in row)
    return xdf_chunk(3, b"".join(parts))


NAMES = ("50%/half", "..", "", "Twin-2", "Twin", "Twin")
GROUPS = ("50%25%2Fhalf", "%2E%2E", "unnamed", "Twin-2", "Twin", "Twin-3")
STAMPS_S = 10 + np.arange(40) / 10
TRUTH_S = 500 + np.arange(0, 60, 0.01)  # recorder's clock
MARKERS = [  # marker, stamp, and what /events says: event, trial, stimulus, block
    (b'{"event": "a", "trial": 4, "stimulus": 7}', 10.0, ("a", 4, "7", "")),
    (b'{"event": "b", "trial": "4"}', np.nan, ("b", 4, "", "")),
    (b'{"event": "c", "trial": 2.5, "block": null}', 12.0, ("c", -1, "", "")),
    (b'{"event": 5}', 13.0, ("", -1, "", "")),
    (b"[1]", 3.0, ("", -1, "", "")),
    (b'{"no": "event"}', 15.0, ("", -1, "", "")),
    (b"\xff", 16.0, ("", -1, "", "")),
    (b"", -np.inf, ("", -1, "", "")),
    (b'{"event": "d", "trial": -3, "block": 2}', np.inf, ("d", -1, "", "2")),
]


def drifting(t: Any) -> Any:
    """Return the offset of a clock 1234.5 s behind that loses 40 ppm."""
    return 1234.5 + 40e-6 * (np.asarray(t) - 500)


def stepping(t: Any) -> Any:
    """Return the offset of a clock 77 s ahead that is set back by 3 s on the way."""
    return -77 + np.where(np.asarray(t) < 531.5, 0.0, 3.0)


def clock_chunks() -> list[bytes]:
    """Make three streams of a minute whose samples are the true times."""
    clocks = (
        ("Regular", 100.0, drifting),
        ("Irregular", 0.0, drifting),
        ("Stepping", 0.0, stepping),
    )
    chunks = [
        xdf_header(i, name, "X", "double64", channels=1, rate_hz=rate_hz)
        for i, (name, rate_hz, _) in enumerate(clocks, 1)
    ]
    for begin in np.arange(499.0, 562.0):
        here = TRUTH_S[(begin <= TRUTH_S) & (begin + 1 > TRUTH_S)]
        for number, (_, rate_hz, offset) in enumerate(clocks, 1):
            if (begin - 499) % 5 == 0:
                now = float(offset(begin))
                chunks.append(xdf_chunk(4, struct.pack("<Idd", number, begin - now, now)))
            jitter = RNG.normal(0, 1e-3, here.size) if rate_hz else 0
            if here.size:
                chunks.append(
                    xdf_samples(number, here + jitter - offset(here), list(here[:, None]))
                )
    return chunks


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("xdf")
    head = xdf_chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>')
    chunks = [b"XDF:", head, *clock_chunks()]
    for number, (name, form) in enumerate(zip(NAMES, NUMBERS, strict=True), 11):
        chunks.append(xdf_header(number, name, "X", form, channels=3, rate_hz=10))
        chunks.append(xdf_samples(number, STAMPS_S, list(NUMBERS[form])))
    chunks.append(xdf_header(21, "Texts", "Notes", "string", channels=2, rate_hz=0))
    chunks.append(xdf_samples(21, STAMPS_S[:3], [TEXTS[:2], TEXTS[2:4], TEXTS[4:]]))
    chunks.append(xdf_header(22, "Film", "VideoCompressed", "string", channels=1, rate_hz=30))
    chunks.append(xdf_samples(22, STAMPS_S[:3], [[base64.b64encode(each)] for each in PICTURES]))
    chunks.append(xdf_header(23, "M", "Markers", "string", channels=2, rate_hz=0))
    stamps, rows = [stamp for _, stamp, _ in MARKERS], [[text, b"aside"] for text, _, _ in MARKERS]
    chunks.append(xdf_samples(23, stamps, rows))
    source = folder / "sub-Q1_ses-02_task-odd_run-03_all.xdf"
    source.write_bytes(b"".join(chunks))
    command = [sys.executable, "-m", "duchenne.cli", "convert", str(source), str(folder / "x.h5")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return second_reader.read(folder / "x.h5")


def test_all_formats_and_names_from_xdf(converted: Session) -> None:
    attributes, streams = converted.attributes, converted.streams
    assert attributes["converted_from"] == "sub-Q1_ses-02_task-odd_run-03_all.xdf"
    labels = [attributes[key] for key in ("participant", "session", "task", "run")]
    assert labels == ["Q1", "02", "odd", "03"]
    others = {"Texts", "Film", "M", "Regular", "Irregular", "Stepping"}
    assert set(streams) == set(converted.certificate) == {*GROUPS, *others}
    assert GROUPS[:3] == tuple(group_name(name) for name in NAMES[:3])
    for name, group, (form, numbers) in zip(NAMES, GROUPS, NUMBERS.items(), strict=True):
        stream = streams[group]
        assert (stream.name, stream.channel_format) == (name, form)
        assert stream.samples is not None
        assert np.array_equal(stream.samples, numbers)
        assert np.array_equal(stream.timestamps, STAMPS_S)
        assert len(stream.clock_offsets) == 0
        assert np.allclose(stream.times, STAMPS_S, atol=1e-9)  # never measured: not moved
        assert "the clock offset was never measured" in converted.certificate[group]["reasons"]
    assert streams["Texts"].texts == [TEXTS[:2], TEXTS[2:4], TEXTS[4:]]
    assert streams["Film"].frames == PICTURES
    log = [(kind, detail) for _, kind, detail in converted.log]
    assert [kind for kind, _ in log] == ["converted", "trial unread"]
    assert log[1][1] == "M: 2 markers, such as '2.5'"


def test_odd_markers(converted: Session) -> None:
    last = sorted(MARKERS, key=lambda marker: (np.isnan(marker[1]), marker[1]))
    events = converted.events
    assert events["stream"] == ["M"] * len(MARKERS)
    assert np.array_equal(events["time"], [stamp for _, stamp, _ in last], equal_nan=True)
    columns = zip(*(events[key] for key in ("event", "trial", "stimulus", "block")), strict=True)
    assert list(columns) == [told for _, _, told in last]
    assert events["json"] == [text.decode("utf-8", "replace") for text, _, _ in last]


def test_times_derived_anew_are_those_of_the_file(converted: Session) -> None:
    for name in ("Regular", "Irregular", "Stepping"):
        stream = converted.streams[name]
        assert np.allclose(stream.clock_offsets[:, 0], np.arange(499, 562, 5), atol=1e-9)
        assert np.isnan(stream.uncertainty).all()
        assert np.abs(stream.times - TRUTH_S).max() < 1e-4, name
        assert np.abs(derive_times(stream) - stream.times).max() < 1e-4, name


# ---- recorded over LSL -------------------------------------------------------------------------

WORDS = [["Häkchen ✓", ""], ["", "b"]]
SENT = ['{"event": "session_start"}', '{"event": "x", "trial": 2, "phase": "p"}', "no JSON"]


def outlet(name: str, kind: str, form: str, labels: Sequence[str], mark: str) -> pylsl.StreamOutlet:
    info = pylsl.StreamInfo(name, kind, len(labels), 0, form, f"{mark}-{kind}")
    info.set_channel_labels(list(labels))
    return pylsl.StreamOutlet(info)


def push_all(mark: str, stop: Callable[[], None]) -> NDArray[np.float64]:
    """Make the outlets, wait for the recorder, push, and return the stamps after `stop`."""
    numbers = {form: outlet(f"{mark}/1%", form, form, "abc", mark) for form in NUMBERS}
    texts = outlet(f"{mark}-texts", "Notes", "string", "ab", mark)
    markers = outlet(f"{mark}-markers", "Markers", "string", "a", mark)
    video = outlet(f"{mark}-video", "VideoCompressed", "string", "a", mark)
    for each in (*numbers.values(), texts, markers, video):
        assert each.wait_for_consumers(DEADLINE_S), "the recorder did not connect"
    stamps = pylsl.local_clock() + np.arange(40) / 100
    for form, each in numbers.items():
        each.push_chunk(NUMBERS[form].tolist(), stamps.tolist())
    coded = [[base64.b64encode(picture).decode()] for picture in PICTURES]
    for each, rows in ((texts, WORDS), (markers, [[text] for text in SENT]), (video, coded)):
        for stamp, row in zip(stamps, rows, strict=False):
            each.push_sample(row, stamp)
    time.sleep(0.8)
    stop()
    return stamps


@pytest.fixture
def recorded(tmp_path: Path, unique_name: str) -> tuple[Session, NDArray[np.float64]]:
    path = tmp_path / "x.h5"
    command = [sys.executable, "-m", "duchenne.cli", "record", "--out", str(path)]
    command += ["--stream", f"contains(source_id, '{unique_name}')"]
    command += ["--require", f"{unique_name}-video"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop() -> None:
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, told

    try:
        stamps = push_all(unique_name, stop)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
    return second_reader.read(path), stamps


def test_a_recording_over_lsl(
    recorded: tuple[Session, NDArray[np.float64]], unique_name: str
) -> None:
    session, stamps = recorded
    attributes = session.attributes
    assert [attributes[key] for key in ("participant", "session", "run")] == [""] * 3
    assert attributes["recording_start_lsl_s"] <= stamps[0] < attributes["recording_end_lsl_s"]
    found = {stream.type: stream for stream in session.streams.values()}
    assert set(found) == {*NUMBERS, "Notes", "Markers", "VideoCompressed"}
    first = group_name(f"{unique_name}/1%")
    groups = {first, *(f"{first}-{i}" for i in range(2, 7))}
    assert {found[form].group for form in NUMBERS} == groups
    for form, values in NUMBERS.items():
        stream = found[form]
        assert stream.samples is not None
        assert np.array_equal(stream.samples, values)
        assert np.array_equal(stream.timestamps, stamps)
        assert [channel["label"] for channel in stream.channels] == ["a", "b", "c"]
        assert stream.source_id == f"{unique_name}-{form}"
        assert stream.segments[0][:2] == (0, stream.uid)
        assert np.abs(stream.times - stamps).max() < 5e-3  # one clock, seen over the network
        assert np.abs(derive_times(stream) - stream.times).max() < 1e-4
    assert any(len(stream.clock_offsets) for stream in found.values())
    assert found["Notes"].texts == [[word.encode() for word in row] for row in WORDS]
    assert found["VideoCompressed"].frames == PICTURES
    assert session.events["event"] == ["session_start", "x", ""]
    assert session.events["trial"].tolist() == [-1, 2, -1]
    assert session.events["phase"] == ["", "p", ""]
    assert session.events["json"] == SENT
