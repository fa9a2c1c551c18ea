"""Whether every flip of a long film is logged with the frame that was on the screen.

Writes a film with its frame numbers burnt in, shows it on a virtual screen paced to 60 Hz, reads the number
of the frame from a screenshot after every flip, and compares it with what the display said. Also measures
how long after the flip its marker is stamped and sent.

    python tests/benchmarks/film_truth.py --seconds 600
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pylsl

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.presentation import read_number, write_numbered_film, write_protocol

from duchenne.protocols.displays.base import Cross
from duchenne.protocols.markers import MarkerOutlet
from duchenne.protocols.present import open_display
from duchenne.protocols.schema import load_protocol

RATE_HZ = 30
N_ONSETS = 300


def measure(seconds: float) -> dict[str, Any]:
    """Show the film and the onsets; return what was found."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_protocol(Path(folder))
        film_path = Path(folder) / "long.mp4"
        write_numbered_film(film_path, int(seconds * RATE_HZ))
        protocol = load_protocol(path)
        stimulus = protocol.stimulus_set()["count"]
        with open_display(protocol, headless=True) as display:
            film = display.load(replace(stimulus, path=film_path))
            display.show_stimulus(film)
            said, seen, intervals = [], [], []
            begun_s = pylsl.local_clock()
            while not film.finished and pylsl.local_clock() - begun_s < seconds + 5:
                flip = display.flip()
                said.append(flip.media_frame)
                intervals.append(flip.interval_s)
                seen.append(read_number(display.screenshot(), film.rect_px))
            told = film.report()
            film.close()
            delays = onset_delays(display)
    wrong = sum(a != b for a, b in zip(said, seen, strict=True))
    return {
        "film_s": seconds,
        "flips": len(said),
        "flips_logged_wrongly": wrong,
        "frames_seen": len(set(seen)),
        "frames_in_film": told["film_frames"],
        "last_frame_seen": max(seen),
        "median_flip_interval_ms": round(1e3 * float(np.nanmedian(intervals[1:])), 2),
        "onset_marker_minus_flip_ms": {
            name: round(1e3 * float(np.percentile(delays, part)), 4)
            for name, part in (("median", 50), ("p95", 95), ("max", 100))
        },
    }


def onset_delays(display: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return how long after the time of the flip its marker has been sent, seconds."""
    delays = []
    with MarkerOutlet(source_id="benchmark-markers") as markers:
        for i in range(N_ONSETS):
            display.show([Cross(400, 225, 30, 4)] if i % 2 else ())
            flip = display.flip()
            markers.push("stimulus_onset", flip.lsl_time_s, trial=i, stimulus="x", block="b")
            delays.append(pylsl.local_clock() - flip.lsl_time_s)
    return np.array(delays)


def main() -> None:
    """Run the benchmark; exit 1 if a flip was logged wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    found = measure(parser.parse_args().seconds)
    print(json.dumps(found, indent=1))
    sys.exit(found["flips_logged_wrongly"] > 0)


if __name__ == "__main__":
    main()
