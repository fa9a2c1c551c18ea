"""Latencies that contain the unknown one of a device are flagged in the codebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from support.faulty_sessions import GAZE_LABELS, gaze_samples, stream_info, write_faulty

from duchenne.analysis.latencies import unknown_latencies, with_latency_notes
from duchenne.analysis.tables import Column
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path


def test_streams_of_unknown_latency_are_named(tmp_path: Path) -> None:
    xml = "<info><desc><acquisition><device_latency_s>0.01</device_latency_s></acquisition></desc></info>"
    times = np.arange(0, 2, 0.01)
    known = stream_info("Known", "Gaze", GAZE_LABELS, 100.0, info_xml=xml)
    unknown = stream_info("Unknown", "Gaze", GAZE_LABELS, 100.0)
    samples = gaze_samples(times.size)
    path = write_faulty(tmp_path / "a.h5", [(known, times, samples), (unknown, times, samples)])
    with Recording.open(path) as recording:
        assert unknown_latencies(recording, ["Known", "Unknown", None]) == ("Unknown",)


def test_only_latencies_of_that_device_are_flagged() -> None:
    book = {
        name: Column("A.")
        for name in ("first_saccade_latency_s", "AU12_onset_s", "n_fixations", "trial")
    }
    flagged = with_latency_notes(book, face="FaceVideo")
    assert "latency_unknown" in flagged["AU12_onset_s"].description
    assert "FaceVideo" in flagged["AU12_onset_s"].description
    assert [name for name in book if flagged[name] != book[name]] == ["AU12_onset_s"]
    assert "Gaze" in with_latency_notes(book, gaze="Gaze")["first_saccade_latency_s"].description
