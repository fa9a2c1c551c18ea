"""A short form of a protocol, for a rehearsal: every screen once, each for a moment.

It is a protocol of its own, so everything that takes a protocol takes it too. Its name ends in ``short``:
its sessions cannot be taken for those of the study.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from duchenne.protocols.target_paths import SMOOTH, TargetPath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duchenne.protocols.parts import Item
    from duchenne.protocols.schema import Protocol

    Values = dict[str, Any]

LONGEST_S = 1.0
SETTLE_S, COLLECT_S = 0.4, 0.4
"""Per target of a calibration: enough for a simulated tracker, and to see the course of it."""
N_POINTS, N_ITEMS, N_POSES, N_JUMPS = 5, 2, 3, 2
SUFFIX = "short"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are."""


def _written(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _written)


def shortened(protocol: Protocol, *, longest_s: float = LONGEST_S) -> str:
    """Return the text of a short form of a protocol.

    No phase that has a length lasts longer than `longest_s`; of each category of a run of trials one
    stimulus is drawn; calibrations have five points; a form asks one question of each kind; three poses
    are posed. Films and sounds last as long as they are, and pages that wait for a key do so still.

    Parameters
    ----------
    protocol : Protocol
    longest_s : float, default 1.0
        Above 0, in seconds.

    Returns
    -------
    str
        A protocol file that can stand in any folder: what is beside the original is named by its whole path.
    """
    values = protocol.model_dump(mode="json", exclude_unset=True)
    values["name"] = f"{protocol.name[: 64 - len(SUFFIX)]}{SUFFIX}"
    values["title"] = f"{protocol.title} (short form)"
    folder = protocol.source_path.parent if protocol.source_path is not None else None
    if protocol.stimuli != "bundled" and folder is not None:
        values["stimuli"] = str((folder / protocol.stimuli).resolve())
    for block, written in zip(protocol.blocks, values["blocks"], strict=True):
        written["steps"] = [
            _short_step(step, step_values, longest_s, folder)
            for step, step_values in zip(block.steps, written["steps"], strict=True)
        ]
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return f"# A short form of the protocol {protocol.name}, for rehearsals; not for data.\n{text}"


def _short_step(step: Item, values: Values, longest_s: float, folder: Path | None) -> Values:
    for key in ("duration_s", "result_s", "step_s", "countdown_s", "hold_s", "rest_s", "jump_s"):
        length_s = getattr(step, key, None)
        if length_s is not None:
            values[key] = min(length_s, longest_s)
    if getattr(step, "repeats", 1) > 1:
        values["repeats"] = 1
    image = getattr(step, "image", None)
    if image is not None and folder is not None:
        values["image"] = str((folder / image).resolve())
    particular = _PARTICULAR.get(step.type)
    return values if particular is None else particular(step, values, longest_s)


def _short_trials(step: Any, values: Values, longest_s: float) -> Values:
    """One stimulus of each category; what orders must fulfil makes no sense with so few."""
    for key in ("max_repeats_of_category", "balance_transitions"):
        values.pop(key, None)
    select = values.setdefault("select", {})
    for key in ("match", "lists"):
        select.pop(key, None)
    select["per_category"] = 1
    for key in ("fixation_s", "post_stimulus_s", "iti_s"):
        values[key] = min(getattr(step, key).min, longest_s)
    if step.adapt_s is not None:
        values["adapt_s"] = min(step.adapt_s, longest_s)
    if step.gaze_start is not None:
        values["gaze_start"]["timeout_s"] = min(step.gaze_start.timeout_s, longest_s)
    if step.breaks is not None:
        values["breaks"]["every"] = min(step.breaks.every, 2)
        if step.breaks.duration_s is not None:
            values["breaks"]["duration_s"] = min(step.breaks.duration_s, longest_s)
    return values


def _short_gaze(_step: Any, values: Values, _longest_s: float) -> Values:
    values |= {"settle_s": SETTLE_S, "collect_s": COLLECT_S}
    if values["type"] != "drift_check":
        values["points"] = N_POINTS
    if values["type"] == "calibration":
        values["validation_points"] = N_POINTS
    return values


def _short_form(step: Any, values: Values, _longest_s: float) -> Values:
    """Ask one question of each kind, and the first of those that share a scale."""
    kinds = {rating.type: name for name, rating in reversed(step.fields.items())}
    for name, rating in step.fields.items():
        if kinds[rating.type] != name:
            del values["fields"][name]
    if step.items:
        values["items"] = dict(list(step.items.items())[:N_ITEMS])
    asked = {*values.get("fields", {}), *values.get("items", {})}
    values["scores"] = {name: sum_ for name, sum_ in step.scores.items() if asked.issuperset(sum_)}
    return values


def _short_pose(step: Any, values: Values, _longest_s: float) -> Values:
    if "poses" in values:
        values["poses"] = values["poses"][:N_POSES]
    else:
        values["poses"] = [pose.name for pose in step.poses[:N_POSES]]
    return values


def _short_targets(step: Any, values: Values, longest_s: float) -> Values:
    """One round, faster where it would take longer than two phases may."""
    if step.path not in SMOOTH:
        values["cycles"] = min(step.cycles, N_JUMPS)
        return values
    values["cycles"] = 1
    round_s = TargetPath.from_fields({**step.model_dump(), "cycles": 1}).duration_s
    faster = max(1.0, round_s / (2 * longest_s))
    values["speed_deg_s"] = min(200.0, round(step.speed_deg_s * faster, 1))
    return values


_PARTICULAR: dict[str, Callable[[Any, Values, float], Values]] = {
    "trials": _short_trials,
    "calibration": _short_gaze,
    "validation": _short_gaze,
    "drift_check": _short_gaze,
    "form": _short_form,
    "pose": _short_pose,
    "targets": _short_targets,
}
