"""What the set-up page can choose from: protocols, devices, the next participant."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from duchenne.analysis.console.choices import OWN_OPTIONS, protocol_path, protocol_paths
from duchenne.protocols.displays.virtual import has_display
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import library, load_protocol
from duchenne.recorder.layout import SessionName
from duchenne.recorder.sources.registry import load_source, source_names
from duchenne.recorder.study_folder import study_warnings
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from duchenne.analysis.console.forms import CheckQuery

CAMERAS_LOOKED_AT = 8
NOT_TRACKERS = ("camera", "simulated-face", "microphone", "keyboard", "button-box", "photodiode",
                "simulated-microphone", "simulated-keyboard", "simulated-photodiode", "au")  # fmt: skip
NOT_FURTHER = ("camera", "simulated", "simulated-face", "tobii", "iohub", "replay", "au")
TRACKERS = ("simulated", "tobii", "iohub", "replay")
LOOK_S = 0.8
LABEL = re.compile(r"sub-([A-Za-z0-9]+)")


def participants_of(study: Path) -> list[str]:
    """Return the labels that are taken: recorded, listed or allocated."""
    found = {path.name[4:] for path in study.glob("sourcedata/sub-*") if path.is_dir()}
    for name in ("participants.tsv", "allocation.tsv"):
        path = study / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for line in text.splitlines()[1:]:
            label = line.split("\t")[0].strip().strip('"').removeprefix("sub-")
            if re.fullmatch(r"[A-Za-z0-9]+", label):
                found.add(label)
    return sorted(found)


def next_participant(taken: list[str]) -> str:
    """Return the next free pseudonym, numbered on from the ones there are.

    Examples
    --------
    >>> next_participant(["P01", "P02", "demo"]), next_participant([]), next_participant(["S9", "S10"])
    ('P03', 'P01', 'S11')
    """
    numbered = [match for label in taken if (match := re.fullmatch(r"([A-Za-z]*?)(\d+)", label))]
    if not numbered:
        return "P01"
    last = max(numbered, key=lambda match: int(match[2]))
    prefix, number = last[1], int(last[2]) + 1
    width = max(len(match[2]) for match in numbered if match[1] == prefix)
    while f"{prefix}{number:0{width}d}" in taken:
        number += 1
    return f"{prefix}{number:0{width}d}"


def setup_page(study: Path) -> dict[str, Any]:
    """Return everything that the set-up page can choose from."""
    taken = participants_of(study)
    network = _network()
    suggestion = {"participant": next_participant(taken), "session": "01"}
    trackers = [row for row in network if row["type"] == "Gaze"]
    cameras = _cameras()
    display = has_display()
    return {
        "protocols": [_protocol(name, path) for name, path in protocol_paths(study).items()],
        "suggestion": suggestion,
        "participants": taken,
        "eyetrackers": [_on_network(trackers), *map(_source, _trackers()), _none("eye tracker")],
        "cameras": [*cameras, _source("simulated-face", "simulated"), _none("camera")],
        "sources": [_source(name) for name in source_names() if name not in NOT_FURTHER],
        "network": network,
        "display": {
            "available": display,
            "text": "a screen is there" if display else "no screen: a virtual one will be used",
        },
        "defaults": {
            "protocol": "demo",
            **suggestion,
            "run": None,
            "eyetracker": "lsl" if trackers else "simulated",
            "eyetracker_options": {},
            "camera": cameras[0]["id"] if cameras else "simulated",
            "camera_options": {},
            "sources": [],
            "seed": None,
            "headless": not display,
            "pilot": False,
            "blind": False,
            "resume": False,
            "replaces": None,
        },
    }  # fmt: skip


def check_labels(study: Path, query: CheckQuery) -> dict[str, Any]:
    """Return whether a session of these labels can be recorded, and what it would be."""
    path = protocol_path(study, query.protocol)
    answer: dict[str, Any] = {"ok": True, "error": None, "field": None, "run": "01", "exists": [],
                              "can_resume": False, "planned_s": None, "trials": None,
                              "needed_bytes": None, "warnings": []}  # fmt: skip
    try:
        answer["warnings"] = study_warnings(study, query.participant)
        protocol = load_protocol(path)
        name = SessionName(query.participant, query.session, protocol.name)
        schedule = make_schedule(protocol, participant=query.participant, session=query.session)
    except DuchenneError as error:
        return answer | {"ok": False, "error": str(error), "field": "participant"}
    answer |= {"planned_s": schedule.planned_duration_s, "trials": len(schedule.trials)}
    answer["needed_bytes"] = schedule.planned_duration_s * 2.2e6
    folder = name.source_folder(study)
    stem = f"sub-{name.participant}_ses-{name.session}_task-{name.task}_run-"
    found = sorted(
        path for path in folder.glob(f"{stem}*_session.*") if path.suffix in {".h5", ".journal"}
    )
    answer["exists"] = [
        {
            "stem": path.stem.removesuffix("_session"),
            "state": "sealed" if path.suffix == ".h5" else "unsealed",
        }
        for path in found
    ]
    if found:
        text = (
            f"participant {query.participant} has a session {query.session} of {name.task} already"
        )
        answer |= {"ok": False, "error": text, "field": "participant", "can_resume": True}
    return answer


def _protocol(name: str, path: Path) -> dict[str, Any]:
    if library().get(name) == path:
        return _of_library(name, path)
    return _described(name, path, "study")


@cache
def _of_library(name: str, path: Path) -> dict[str, Any]:
    return _described(name, path, "library")  # these do not change while the console runs


def _described(name: str, path: Path, where: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name, "title": name, "where": where, "description": "", "trials": None,
                           "planned_s": None, "screen": None, "stimuli": None, "gaze": False,
                           "error": None}  # fmt: skip
    try:
        protocol = load_protocol(path)
        schedule = make_schedule(protocol, participant="P01", session="01")
    except DuchenneError as error:
        return row | {"error": str(error)}
    screen = protocol.screen
    kinds = {step.kind for step in schedule.steps}
    return row | {
        "title": protocol.title or name,
        "description": " ".join(protocol.description.split()),
        "trials": len(schedule.trials),
        "planned_s": schedule.planned_duration_s,
        "screen": f"{screen.width_px} × {screen.height_px} px, {screen.refresh_hz:g} Hz",
        "stimuli": str(protocol.stimuli),
        "gaze": bool(kinds & {"calibration", "validation", "drift_check"}),
    }


def _trackers() -> list[str]:
    """Return the sources that may be eye trackers: our own, and what other packages bring."""
    return [name for name in source_names() if name in TRACKERS or name not in NOT_TRACKERS]


def _source(name: str, known_as: str | None = None) -> dict[str, Any]:
    try:
        source = load_source(name)
        reason = source.unavailable()
    except (DuchenneError, ImportError, AttributeError) as error:
        return {
            "id": known_as or name,
            "title": name,
            "available": False,
            "reason": str(error),
            "options": [],
        }
    options = [
        _option(key, field)
        for key, field in source.Options.model_fields.items()
        if key not in OWN_OPTIONS
    ]
    return {
        "id": known_as or name,
        "title": source.summary,
        "available": reason is None,
        "reason": reason,
        "options": options,
    }


def _option(key: str, field: Any) -> dict[str, Any]:
    annotation = field.annotation
    choices = (
        [str(value) for value in get_args(annotation)]
        if get_origin(annotation) is Literal
        else None
    )
    inner = {annotation, *get_args(annotation)}
    kind = "choice" if choices else "bool" if bool in inner else "text"
    kind = "number" if kind == "text" and inner & {int, float} else kind
    default = None if field.default is None or field.is_required() else str(field.default)
    return {
        "key": key,
        "description": field.description or "",
        "default": default,
        "kind": kind,
        "choices": choices,
    }


def _on_network(trackers: list[dict[str, Any]]) -> dict[str, Any]:
    names = ", ".join(f"{row['name']} on {row['host']}" for row in trackers)
    return {
        "id": "lsl",
        "title": f"already on the network: {names}" if names else "already on the network",
        "available": bool(trackers),
        "reason": None if trackers else "no stream of type Gaze is there",
        "options": [],
    }


def _none(what: str) -> dict[str, Any]:
    return {"id": "none", "title": f"no {what}", "available": True, "reason": None, "options": []}


def _cameras() -> list[dict[str, Any]]:
    """Return the cameras that the system lists; elsewhere than on Linux the first two numbers."""
    numbers = [0, 1]
    if sys.platform == "linux":
        names = (path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
        numbers = sorted(int(name) for name in names if name.isdigit())
    template = _source("camera")
    options = [option for option in template["options"] if option["key"] != "device"]
    return [
        {**template, "id": str(number), "title": f"camera {number}", "options": options}
        for number in numbers[:CAMERAS_LOOKED_AT]
    ]


def _network() -> list[dict[str, Any]]:
    import pylsl  # noqa: PLC0415 -- the module is also used where nothing is looked for

    return [
        {
            "name": info.name(),
            "type": info.type(),
            "rate_hz": info.nominal_srate(),
            "channels": info.channel_count(),
            "host": info.hostname(),
        }
        for info in pylsl.resolve_streams(wait_time=LOOK_S)
    ]
