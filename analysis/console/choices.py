"""What a set-up form asks for, checked and turned into a session and into arguments for ``duchenne run``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from duchenne.protocols.schedule import depends_on_number, make_schedule
from duchenne.protocols.schema import library, load_protocol
from duchenne.recorder.allocation import FILE_NAME, allocated, read_allocations
from duchenne.recorder.devices import ExtraSource, check_settings
from duchenne.recorder.layout import SessionName
from duchenne.recorder.session_devices import check_choice
from duchenne.recorder.session_request import SessionRequest, refuse_existing
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from duchenne.analysis.console.forms import SetupForm, StartForm
    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.stimuli.manifest import StimulusSet

OWN_OPTIONS = frozenset({"source_id", "markers_source_id", "truth", "edf", "protocol"})
"""Options that a session sets itself, or that say where to write."""
DEVICE_FILE = re.compile(r"/dev/[A-Za-z0-9]{1,40}|[a-z-]{1,20}://[^/\\\s]{1,100}")
NOT_PROTOCOLS = ("study.yaml",)


def protocol_paths(study: Path) -> dict[str, Path]:
    """Return the protocols to choose from: those of the library, then those in the study folder.

    Parameters
    ----------
    study : Path
        Its own folder and its folder ``protocols`` are looked at.

    Returns
    -------
    dict of str to Path
        By an id of letters, digits, points, dashes and underscores.
    """
    found = dict(library())
    root = study.resolve()
    for folder in (root, root / "protocols"):
        for path in sorted(folder.glob("*.yaml")):
            name = path.stem if path.stem not in found else f"study.{path.stem}"
            fits = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is not None
            if fits and path.name not in NOT_PROTOCOLS and path.resolve().is_relative_to(root):
                found[name] = path
    return found


def protocol_path(study: Path, protocol_id: str) -> Path:
    """Return the file of a protocol by its id.

    Raises
    ------
    UsageError
        There is no such protocol.
    """
    found = protocol_paths(study).get(protocol_id)
    if found is None:
        raise UsageError(f"protocol: there is no protocol {protocol_id!r} to choose")
    return found


def checked_options(study: Path, options: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a source; a path must lie in the study folder.

    Raises
    ------
    UsageError
        An option is not for pages to set, or a path leads out of the study folder.
    """
    return {key: _checked(study, key, value) for key, value in options.items()}


def _checked(study: Path, key: str, value: str) -> str:
    if key in OWN_OPTIONS:
        raise UsageError(f"{key}: the session itself sets this option")
    if "~" in value:
        raise UsageError(f"{key}: {value} is not in the study folder")
    if not re.search(r"[/\\]", value) or DEVICE_FILE.fullmatch(value):
        return value
    root = study.resolve()
    path = (root / value).resolve()
    if not path.is_relative_to(root):
        raise UsageError(f"{key}: {value} is not in the study folder")
    return str(path)


def session_of(form: SetupForm, study: Path, *, verify: bool = False) -> SessionRequest:
    """Return the session that a form asks for; writes nothing.

    Parameters
    ----------
    form : SetupForm
    study : Path
    verify : bool
        Also look into every stimulus file, at screens and at trigger codes; takes time.

    Raises
    ------
    DuchenneError
        The protocol, a stimulus, the schedule or the choice of devices is not acceptable, or the session
        has been recorded before.
    """
    devices = _devices(form, study)
    path = protocol_path(study, form.protocol)
    if form.resume:
        from duchenne.recorder.session_plan import Wish, plan  # noqa: PLC0415

        wish = Wish(str(path), form.participant, form.session, None, study, None, resume=True)
        found = plan(wish)
        return _with(found, form, devices)
    protocol = load_protocol(path)
    name = SessionName(form.participant, form.session, protocol.name, form.run or "01")
    refuse_existing(name.session_file(study))
    stimuli = protocol.stimulus_set(verify=verify)
    if verify:
        _verify(protocol, stimuli)
    schedule = _schedule(form, study, protocol, stimuli)
    return _with(SessionRequest(protocol, stimuli, schedule, name, study), form, devices)


def _verify(protocol: Protocol, stimuli: StimulusSet) -> None:
    from duchenne.protocols.screens import check_screens  # noqa: PLC0415 -- fonts are slow
    from duchenne.protocols.trigger_codes import trigger_codes  # noqa: PLC0415

    check_screens(protocol, stimuli)
    trigger_codes(protocol, stimuli)


def _schedule(form: SetupForm, study: Path, protocol: Protocol, stimuli: StimulusSet) -> Schedule:
    number = None
    if not form.pilot and depends_on_number(protocol):
        rows = read_allocations(study / FILE_NAME)
        number = allocated(rows, form.participant, form.replaces).number
    return make_schedule(
        protocol,
        participant=form.participant,
        session=form.session,
        seed=form.seed,
        number=number,
        stimuli=stimuli,
    )


def _devices(form: SetupForm, study: Path) -> dict[str, Any]:
    tracker = checked_options(study, form.eyetracker_options)
    camera = checked_options(study, form.camera_options)
    if form.camera not in {"simulated", "none"} and not form.camera.isdigit():
        raise UsageError("camera: choose a camera by its number")
    check_choice(form.eyetracker, tracker, form.camera, camera)
    sources = []
    for chosen in form.sources:
        options = checked_options(study, chosen.options)
        check_settings(chosen.name, options, chosen.name)
        sources.append(ExtraSource(chosen.name, options))
    return {
        "eyetracker": form.eyetracker,
        "eyetracker_settings": tracker,
        "camera": form.camera,
        "camera_settings": camera,
        "sources": tuple(sources),
    }


def _with(request: SessionRequest, form: SetupForm, devices: Mapping[str, Any]) -> SessionRequest:
    from dataclasses import replace  # noqa: PLC0415

    return replace(
        request,
        headless=form.headless,
        pilot=request.pilot or form.pilot,
        blind=form.blind,
        **devices,
    )


def run_arguments(
    form: StartForm, study: Path, run_id: str, override_reason: str | None
) -> list[str]:
    """Return the arguments of ``duchenne run`` for a form that was checked by `session_of`.

    Each option and its value are one argument, so that no value is taken for an option.
    """
    arguments = ["run", str(protocol_path(study, form.protocol))]
    single: dict[str, object | None] = {
        "participant": form.participant,
        "session": form.session,
        "run": None if form.resume else form.run,
        "study": study,
        "eyetracker": form.eyetracker,
        "camera": form.camera,
        "seed": form.seed,
        "replaces": form.replaces,
        "control-id": run_id,
        "override-reason": override_reason,
    }
    arguments += [f"--{name}={value}" for name, value in single.items() if value is not None]
    arguments += _pairs("eyetracker-set", checked_options(study, form.eyetracker_options).items())
    arguments += _pairs("camera-set", checked_options(study, form.camera_options).items())
    for source in form.sources:
        options = checked_options(study, source.options)
        if any("," in value for value in options.values()):
            raise UsageError(f"{source.name}: an option must not hold a comma")
        told = ",".join(f"{key}={value}" for key, value in options.items())
        arguments.append(f"--source={source.name}:{told}" if told else f"--source={source.name}")
    for name in ("headless", "pilot", "blind", "resume"):
        arguments += [f"--{name}"] if getattr(form, name) else []
    return arguments


def _pairs(option: str, values: Iterable[tuple[str, str]]) -> list[str]:
    return [f"--{option}={key}={value}" for key, value in values]
