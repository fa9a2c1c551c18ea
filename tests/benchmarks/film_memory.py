"""Memory of the display over a session of many films: each is loaded, shown for a moment, and left.

python tests/benchmarks/film_memory.py --films 200
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.presentation import write_numbered_film, write_protocol

from duchenne.protocols.media import MediaStore
from duchenne.protocols.plan import Trial
from duchenne.protocols.present import open_display
from duchenne.protocols.schema import load_protocol

FILM_S, RATE_HZ, SIZE_PX = 36, 30, (1280, 720)
SHOWN_FLIPS = 30
LIMIT_GB = 1.5


def rss_gb() -> float:
    """Return the resident memory of this process."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split("VmRSS:")[1].split()[0]) / 1e6


def disk_reads() -> int:
    """Return the bytes that this process has fetched from a disk."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return int(text.split("read_bytes:")[1].split()[0])


class OneFilm:
    """A set in which every stimulus is the same film."""

    def __init__(self, stimulus: Any) -> None:
        self._stimulus = stimulus

    def __getitem__(self, name: str) -> Any:
        return self._stimulus


def measure(n_films: int) -> dict[str, Any]:
    """Cycle through the films; return memory and disk reads."""
    with tempfile.TemporaryDirectory() as folder:
        protocol = load_protocol(write_protocol(Path(folder)))
        path = Path(folder) / "film.mp4"
        write_numbered_film(path, FILM_S * RATE_HZ, size_px=SIZE_PX)
        stimulus = replace(protocol.stimulus_set()["count"], path=path)
        memory, reads_between = [], 0
        with open_display(protocol, headless=True) as display:
            media = MediaStore(display, OneFilm(stimulus))  # type: ignore[arg-type]
            for n in range(1, n_films + 1):
                loaded = media.load(Trial(n, "b", "x", 0.5, 1.0, 0.5))
                before = disk_reads()
                for _ in range(3):  # the fixation
                    display.flip()
                display.show_stimulus(loaded)
                display.flip()
                reads_between += disk_reads() - before
                for _ in range(SHOWN_FLIPS):
                    display.flip()
                display.clear()
                display.flip()
                memory.append(rss_gb())
            media.close()
    return {
        "films": n_films,
        "film": f"{FILM_S} s, {SIZE_PX[0]}x{SIZE_PX[1]}",
        "rss_gb_first_10": round(max(memory[:10]), 3),
        "rss_gb_max": round(max(memory), 3),
        "rss_gb_last_10": round(max(memory[-10:]), 3),
        "disk_bytes_between_fixation_and_onset": reads_between,
    }


def main() -> None:
    """Run the benchmark; exit 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=200)
    found = measure(parser.parse_args().films)
    print(json.dumps(found, indent=1))
    sys.exit(found["rss_gb_max"] > LIMIT_GB)


if __name__ == "__main__":
    main()
