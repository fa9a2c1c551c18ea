"""Times of a recording over real LSL against the ledger that the sending process keeps."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.archive import seal
from duchenne.recorder.clock import ClockSettings
from duchenne.recorder.engine import Engine
from duchenne.recorder.journal import Journal
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 200.0
SENDER = """
import sys, time
import numpy as np, pylsl
name, ledger, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
info = pylsl.StreamInfo(name, "Count", 1, rate, pylsl.cf_double64, "ledger-" + name)
outlet = pylsl.StreamOutlet(info)
stamps, start = [], time.monotonic()
while time.monotonic() - start < 60 and not (stamps and not outlet.have_consumers()):
    if outlet.have_consumers():
        now = pylsl.local_clock()
        outlet.push_sample([float(len(stamps))], now)
        stamps.append(now)
        time.sleep(max(0.0, stamps[0] + len(stamps) / rate - pylsl.local_clock()))
    else:
        time.sleep(0.01)
np.save(ledger, np.array(stamps))
"""


def test_recorded_times_agree_with_the_ledger_of_the_sender(
    tmp_path: Path, unique_name: str
) -> None:
    ledger = tmp_path / "ledger.npy"
    command = [sys.executable, "-c", SENDER, unique_name, str(ledger), str(RATE_HZ)]
    sender = subprocess.Popen(command)
    try:
        with Journal.create(tmp_path / "a.journal", {}) as journal:
            engine = Engine(journal, [f"name='{unique_name}'"], [unique_name], deadline_s=30)
            engine.run(threading.Event(), duration_s=4.0)
        assert sender.wait(30) == 0
    finally:
        sender.kill()
        sender.wait()
    pushed = np.load(ledger)
    with Recording.open(seal(tmp_path / "a.journal")) as recording:
        stream = recording.streams[unique_name]
        number = stream.column(stream.info.channels[0].label).astype(int)
        times = stream.times(ClockSettings(smooth=False)) + recording.start_lsl_s
        certificate = recording.certificate[unique_name]
    error = np.abs(times - pushed[number])
    assert number.size > 3 * RATE_HZ
    np.testing.assert_array_equal(np.diff(number), 1)
    print(
        f"median {1e6 * np.median(error):.1f} µs, 99.9 % {1e6 * np.quantile(error, 0.999):.1f} µs"
    )
    assert np.median(error) < 2e-4
    assert np.quantile(error, 0.999) < 1e-3
    assert certificate.n_offsets > 0
