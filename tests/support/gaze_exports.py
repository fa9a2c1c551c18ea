"""Small files in the shape of other programs' exports, made from synthetic gaze whose truth is known."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.geometry import ScreenGeometry
from support.synthetic_gaze import TrueGaze, make_gaze

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCREEN = ScreenGeometry(1920, 1080, 52.8, 29.7, 65.0)
AMPLITUDES = [5.0, 3.0, 8.0, 2.0]
BLINK = (0.2, 0.15)
FIXATION_S = 0.6


def trace(rate_hz: float, seed: int = 0) -> TrueGaze:
    """Return gaze with four saccades, and a blink in the first fixation."""
    return make_gaze(
        AMPLITUDES, rate_hz=rate_hz, fixation_s=FIXATION_S, blinks_s=[BLINK], seed=seed
    )


def pixels(gaze: TrueGaze) -> tuple[np.ndarray, np.ndarray]:
    """Return the gaze in pixels of SCREEN."""
    return SCREEN.deg_to_px(gaze.x_deg, gaze.y_deg)


def pupil_mm(gaze: TrueGaze) -> np.ndarray:
    """Return a pupil of 3.2 mm, missing where gaze is."""
    return np.where(np.isfinite(gaze.x_deg), 3.2, np.nan)


def write_tobii(
    path: Path,
    people: Mapping[str, TrueGaze],
    *,
    stimuli: tuple[tuple[str, float, float], ...] = (("face.png", 0.4, 1.6), ("sea.mp4", 1.8, 3.0)),
    units_in_header: bool = True,
    microseconds: bool = True,
    decimal: str = ".",
    rect_px: tuple[float, float, float, float] | None = None,
    with_mm: bool = True,
    with_events: bool = True,
    encoding: str = "utf-8-sig",
    drop: tuple[str, ...] = (),
) -> Path:
    """Write a data export of Tobii Pro Lab: one TSV for all participants.

    Sensor rows of the mouse and rows of events lie between those of the eye tracker; gaze is in pixels
    of the display, ``Validity`` is Valid or Invalid, lost samples are empty.
    """
    parts = []
    for number, (name, gaze) in enumerate(people.items(), 1):
        parts.append(
            _tobii_rows(name, number, gaze, stimuli, microseconds=microseconds, events=with_events)
        )
    frame = pd.concat(parts, ignore_index=True)
    if rect_px is not None:
        shown = frame["Presented Stimulus name"].notna()
        left, top, right, bottom = rect_px
        for name, value in (
            ("position X [DACS px]", left), ("position Y [DACS px]", top),
            ("width [px]", right - left), ("height [px]", bottom - top),
        ):  # fmt: skip
            frame[f"Presented Media {name}"] = np.where(shown, value, np.nan)
    if not with_mm:
        frame = frame[[name for name in frame if "DACS mm" not in name]]
    frame = frame[[name for name in frame if not any(part in name for part in drop)]]
    if not units_in_header:
        frame = frame.rename(columns=_old_header)
    if not microseconds and units_in_header:
        frame = frame.rename(columns={"Recording timestamp [μs]": "Recording timestamp [ms]"})
    text = frame.to_csv(sep="\t", index=False, na_rep="", float_format="%.4f", decimal=decimal)
    path.write_bytes(text.encode(encoding))
    return path


def _old_header(name: str) -> str:
    """Return the header that older versions write: no unit, or one in parentheses without a space."""
    if "[" not in name:
        return name
    word, _, unit = name.partition(" [")
    unit = unit.rstrip("]")
    return f"{word} ({unit.replace(' ', '')})" if unit == "DACS mm" else word


def _tobii_rows(
    name: str,
    number: int,
    gaze: TrueGaze,
    stimuli: tuple[tuple[str, float, float], ...],
    *,
    microseconds: bool,
    events: bool,
) -> pd.DataFrame:
    x, y = pixels(gaze)
    seen = np.isfinite(x)
    start_us = 1_000_000 * number
    us = start_us + np.rint(1e6 * gaze.times_s).astype(np.int64)
    valid = np.where(seen, "Valid", "Invalid")
    px_per_mm_x, px_per_mm_y = (
        SCREEN.width_px / SCREEN.width_cm / 10,
        SCREEN.height_px / SCREEN.height_cm / 10,
    )
    samples = pd.DataFrame(
        {
            "Recording timestamp [μs]": us,
            "Sensor": "Eye Tracker",
            "Eyetracker timestamp [μs]": us + 777_000_000,
            "Event": None,
            "Event value": None,
            "Gaze point left X [DACS px]": np.rint(10 * (x + 3)) / 10,
            "Gaze point left Y [DACS px]": np.rint(10 * y) / 10,
            "Gaze point right X [DACS px]": np.rint(10 * (x - 3)) / 10,
            "Gaze point right Y [DACS px]": np.rint(10 * y) / 10,
            "Gaze point left X [DACS mm]": (x + 3) / px_per_mm_x,
            "Gaze point left Y [DACS mm]": SCREEN.height_cm * 10 - y / px_per_mm_y,
            "Validity left": valid,
            "Validity right": valid,
            "Pupil diameter left [mm]": pupil_mm(gaze),
            "Pupil diameter right [mm]": pupil_mm(gaze),
            "Eye position left Z [DACS mm]": np.where(seen, 650.0, np.nan),
            "Eye position right Z [DACS mm]": np.where(seen, 650.0, np.nan),
            "Presented Stimulus name": None,
        }
    )
    for stimulus, onset, offset in stimuli:
        inside = (gaze.times_s >= onset) & (gaze.times_s < offset)
        samples.loc[inside, "Presented Stimulus name"] = stimulus
    extra = [
        {"Event": "RecordingStart", "us": start_us},
        {"Sensor": "Mouse", "us": start_us + 3000},
    ]
    for stimulus, onset, offset in stimuli if events else ():
        kind = "Video" if stimulus.endswith(".mp4") else "Image"
        for word, time in (("Start", onset), ("End", offset)):
            extra.append(
                {
                    "Event": f"{kind}Stimulus{word}",
                    "Event value": stimulus,
                    "us": start_us + round(1e6 * time),
                }
            )
    rows = pd.DataFrame(extra).rename(columns={"us": "Recording timestamp [μs]"})
    frame = pd.DataFrame(
        {
            column: [*rows.get(column, [None] * len(rows)), *samples[column]]
            for column in samples.columns
        }
    ).sort_values("Recording timestamp [μs]", kind="stable")
    if not microseconds:
        frame["Recording timestamp [μs]"] = (frame["Recording timestamp [μs]"] // 1000).astype(int)
    frame.insert(2, "Participant name", name)
    frame.insert(3, "Recording name", f"Recording {number}")
    frame.insert(4, "Recording resolution height [px]", 1080)
    frame.insert(5, "Recording resolution width [px]", 1920)
    return frame.reset_index(drop=True)


def write_eyelink(
    path: Path,
    gaze: TrueGaze,
    *,
    eyes: str = "LR",
    rate_hz: int = 1000,
    messages: tuple[tuple[float, str], ...] = (
        (0.3, "TRIALID 1"),
        (0.4, "SHOW face.png"),
        (1.6, "HIDE"),
        (1.7, "TRIAL_RESULT 0"),
    ),
    kind: str = "GAZE",
    corner: tuple[int, int] = (1919, 1079),
) -> Path:
    """Write what ``edf2asc`` writes: header, messages, data specification, samples with dots for loss."""
    start = 2_154_000
    x, y = pixels(gaze)
    stamps = start + np.floor(1000 * gaze.times_s + 1e-6).astype(int)
    words = "\t".join(word for letter, word in (("L", "LEFT"), ("R", "RIGHT")) if letter in eyes)
    lines = [
        "** CONVERTED FROM demo.edf using edfapi 4.2.1 Linux",
        "** DATE: Wed Mar  8 09:25:20 2023",
        "** TYPE: EDF_FILE BINARY EVENT SAMPLE TAGGED",
        "** VERSION: EYELINK II 1",
        "** SOURCE: EYELINK CL",
        "** EYELINK II CL v6.12 Feb  1 2018 (EyeLink Portable Duo)",
        "**",
        "",
        f"MSG\t{start - 60} DISPLAY_COORDS 0 0 {corner[0]} {corner[1]}",
        f"MSG\t{start - 5} RECCFG CR {rate_hz} 2 1 {eyes}",
        f"MSG\t{start - 5} ELCLCFG BTABLER",
        f"MSG\t{start - 5} GAZE_COORDS 0.00 0.00 1919.00 1079.00",
        f"START\t{start} \t{words}\tSAMPLES\tEVENTS",
        "PRESCALER\t1",
        "VPRESCALER\t1",
        "PUPIL\tAREA",
        f"EVENTS\tGAZE\t{words}\tRATE\t{rate_hz}.00\tTRACKING\tCR\tFILTER\t2",
        f"SAMPLES\t{kind}\t{words}\tRATE\t{rate_hz}.00\tTRACKING\tCR\tFILTER\t2",
    ]
    waiting = [(start + round(1000 * time), text) for time, text in messages]
    for stamp, one_x, one_y in zip(stamps.tolist(), x.tolist(), y.tolist(), strict=True):
        while waiting and waiting[0][0] <= stamp:
            when, text = waiting.pop(0)
            lines.append(f"MSG\t{when} {text}")
        if np.isfinite(one_x):
            cells = [f"{one_x + 3 * (eye == 'R'):7.1f}\t{one_y:7.1f}\t{1200:7.1f}" for eye in eyes]
        else:
            cells = ["   .\t   .\t    0.0" for _ in eyes]
        lines.append("\t".join([str(stamp), *cells, "..." if len(eyes) == 1 else "....."]))
    lines.append(f"END\t{stamps[-1] + 1} \tSAMPLES\tEVENTS\tRES\t  38.54\t  31.12")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_core(folder: Path, gaze: TrueGaze, *, surface: bool) -> Path:
    """Write an export of Pupil Player: gaze_positions.csv or that on a surface, and pupils."""
    seen = np.isfinite(gaze.x_deg)
    times = 1234.5 + gaze.times_s
    confidence = np.where(seen, 0.98, 0.1)
    if surface:
        x, y = SCREEN.to_normalized(*pixels(gaze))
        frame = pd.DataFrame(
            {
                "world_timestamp": times,
                "world_index": 0,
                "gaze_timestamp": times,
                "x_norm": np.where(seen, x, 0.1),
                "y_norm": np.where(seen, 1 - y, 0.9),
                "x_scaled": 0.0,
                "y_scaled": 0.0,
                "on_surf": True,
                "confidence": confidence,
            }
        )
        path = folder / "surfaces" / "gaze_positions_on_surface_Screen.csv"
    else:
        right, up = np.tan(np.radians(gaze.x_deg)), np.tan(np.radians(gaze.y_deg))
        frame = pd.DataFrame(
            {
                "gaze_timestamp": times,
                "world_index": 0,
                "confidence": confidence,
                "norm_pos_x": 0.5,
                "norm_pos_y": 0.5,
                "base_data": "1234.5-0 1234.5-1",
                "gaze_point_3d_x": np.where(seen, 600 * right, 50),
                "gaze_point_3d_y": np.where(seen, -600 * up, 50),
                "gaze_point_3d_z": 600.0,
            }
        )
        path = folder / "gaze_positions.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    both = pd.concat(
        pd.DataFrame(
            {
                "pupil_timestamp": times,
                "world_index": 0,
                "eye_id": eye,
                "confidence": confidence,
                "diameter": 40.0,
                "method": "pye3d 0.3.0 real-time",
                "diameter_3d": np.where(seen, 3.2, 0.0),
            }
        )
        for eye in (0, 1)
    )
    both.to_csv(folder / "pupil_positions.csv", index=False)
    pd.DataFrame(
        {
            "index": [0, 0],
            "timestamp": [1234.9, 1236.1],
            "label": ["show face.png", "hide"],
            "duration": 0.0,
        }
    ).to_csv(folder / "annotations.csv", index=False)
    return path


def write_neon(folder: Path, gaze: TrueGaze, *, surface: bool = False) -> Path:
    """Write the time series of Pupil Cloud: gaze.csv (or a Marker Mapper's), eye states, events."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = np.isfinite(gaze.x_deg)
    stamps = 1_700_000_000_000_000_000 + np.rint(1e9 * gaze.times_s).astype(np.int64)
    common = {"section id": "s1", "recording id": "r1", "timestamp [ns]": stamps}
    blink = pd.array(np.where(seen, None, 1), dtype="Int64")
    if surface:
        x, y = SCREEN.to_normalized(*pixels(gaze))
        own: dict[str, Any] = {
            "gaze detected on surface": seen,
            "gaze position on surface x [normalized]": x,
            "gaze position on surface y [normalized]": y,
        }
    else:
        tan_x, tan_y = np.tan(np.radians(gaze.x_deg)), np.tan(np.radians(gaze.y_deg))
        azimuth = np.degrees(np.arctan(tan_x))
        elevation = np.degrees(np.arctan(tan_y * np.cos(np.radians(azimuth))))
        own = {
            "gaze x [px]": 800.0,
            "gaze y [px]": 600.0,
            "worn": True,
            "fixation id": None,
            "blink id": blink,
            "azimuth [deg]": np.where(seen, azimuth, 5.0),
            "elevation [deg]": np.where(seen, elevation, -20.0),
        }
    pd.DataFrame(common | own).to_csv(folder / "gaze.csv", index=False)
    pd.DataFrame(
        common
        | {
            "pupil diameter left [mm]": 3.3,
            "pupil diameter right [mm]": 3.1,
            "eyeball center left x [mm]": -30.0,
        }
    ).to_csv(folder / "3d_eye_states.csv", index=False)
    pd.DataFrame(
        {
            "recording id": "r1",
            "timestamp [ns]": [stamps[0] + 400_000_000, stamps[0] + 1_600_000_000],
            "name": ["show face.png", "hide"],
            "type": "recording",
        }
    ).to_csv(folder / "events.csv", index=False)
    return folder / "gaze.csv"


def write_bids(root: Path, gaze: TrueGaze, *, eyes: int = 2, distance: float = 0.65) -> Path:
    """Write a BIDS data set with one recording: sidecars inherited, no header, gzip."""
    folder = root / "sub-01" / "beh"
    folder.mkdir(parents=True)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.0"}')
    (root / "task-look_physio.json").write_text(
        json.dumps(
            {
                "PhysioType": "eyetrack",
                "SamplingFrequency": 500,
                "SampleCoordinateSystem": "gaze-on-screen",
                "Columns": ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"],
                "timestamp": {"Units": "ms", "Origin": "SystemStartup"},
                "x_coordinate": {"Units": "pixel"},
                "y_coordinate": {"Units": "pixel"},
                "pupil_size": {"Units": "a.u.", "Description": "Pupil area in arbitrary units."},
            }
        )
    )
    (root / "task-look_physioevents.json").write_text(
        json.dumps(
            {
                "Columns": ["onset", "duration", "trial_type", "blink", "message"],
                "ForeignIndexColumn": "timestamp",
            }
        )
    )
    (root / "task-look_events.json").write_text(
        json.dumps(
            {
                "StimulusPresentation": {
                    "ScreenDistance": distance,
                    "ScreenSize": [0.528, 0.297],
                    "ScreenResolution": [1920, 1080],
                }
            }
        )
    )
    stem = "sub-01_task-look_run-01"
    (folder / f"{stem}_events.tsv").write_text(
        "onset\tduration\ttrial_type\tstim_file\n0.1\t0.3\tcross\tn/a\n0.4\t1.2\tshow\tface.png\n1.7\t0\tkey\tn/a\n1.8\t1.2\tshow\tsea.png\n"
    )
    x, y = pixels(gaze)
    stamps = 7_186_799 + 1000 * gaze.times_s
    for number, eye in enumerate(("left", "right")[:eyes], 1):
        name = f"{stem}_recording-eye{number}"
        (folder / f"{name}_physio.json").write_text(
            json.dumps({"RecordedEye": eye, "StartTime": 0})
        )
        table = pd.DataFrame(
            {"t": stamps, "x": x + 3 * number, "y": y, "p": np.where(np.isfinite(x), 4600, np.nan)}
        )
        text = table.to_csv(sep="\t", header=False, index=False, na_rep="n/a")
        with gzip.open(folder / f"{name}_physio.tsv.gz", "wt", encoding="utf-8") as file:
            file.write(text)
        with gzip.open(folder / f"{name}_physioevents.tsv.gz", "wt", encoding="utf-8") as file:
            file.write('7187199\tn/a\tn/a\tn/a\t"SHOW face.png"\n7188399\tn/a\tn/a\tn/a\t"HIDE"\n')
    return folder / f"{stem}_recording-eye1_physio.tsv.gz"
