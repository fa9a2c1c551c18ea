"""Which showing of a stimulus a phase or a marker belongs to.

A presentation may be attempted more than once: interrupted, then repeated under the same identifier.
And senders differ in what they say: an identifier, a number of the trial (which may start again in
each block), or nothing but the order of their markers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.values import integer, records, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

TRIAL_PHASES = ("fixation", "stimulus", "rating")


def with_identifiers(phases: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return the phases with an identifier of the presentation for each phase of a trial.

    Parameters
    ----------
    phases : pandas.DataFrame
        As `duchenne.analysis.phases.phases_of_events` returns them.
    prefix : str
        ``participant-session-run``.

    Returns
    -------
    pandas.DataFrame
        A copy. Where the sender gave no identifier, each stimulus phase gets its own: the prefix and
        the number of the trial; the onset in seconds besides where that was taken (numbers that start
        again), or instead where there is no number. A stimulus that is shown again after it was
        interrupted keeps its identifier. A fixation takes that of the stimulus that follows, a rating
        that of the stimulus before. ``identifier_made`` says which were made here.
    """
    rows = records(phases)
    stimuli = [i for i, row in enumerate(rows) if row["phase"] == "stimulus"]
    for row in rows:
        row["identifier_made"] = text(row["presentation_id"]) is None
    made = {i for i in stimuli if rows[i]["identifier_made"]}
    owners = own_stimuli(rows)
    taken = {str(rows[i]["presentation_id"]) for i in stimuli if i not in made}
    for i in stimuli:
        if i in made:
            rows[i]["presentation_id"] = _identifier(rows, i, made, taken, prefix)
            taken.add(rows[i]["presentation_id"])
    for row, owner in zip(rows, owners, strict=True):
        if text(row["presentation_id"]) is None and row["phase"] in TRIAL_PHASES:
            row["presentation_id"] = (
                rows[owner]["presentation_id"]
                if owner >= 0
                else _without_stimulus(row, prefix, taken)
            )
    found = phases.copy()
    found["presentation_id"] = np.array(
        [text(row["presentation_id"]) for row in rows], dtype=object
    )
    found["identifier_made"] = np.array([row["identifier_made"] for row in rows], dtype=bool)
    return found


def own_stimuli(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return, for each phase, the index of the stimulus phase of its attempt; -1 where there is none.

    Parameters
    ----------
    rows : sequence of mapping
        Phases in order. A fixation belongs to the stimulus that follows unless another trial phase
        comes between, a rating to the last stimulus before.
    """
    found = []
    for i, row in enumerate(rows):
        if row["phase"] == "stimulus":
            found.append(i)
        elif row["phase"] == "rating":
            before = (j for j in range(i - 1, -1, -1) if rows[j]["phase"] == "stimulus")
            found.append(next((j for j in before if _belongs(row, rows[j])), -1))
        elif row["phase"] == "fixation":
            after = (j for j in range(i + 1, len(rows)) if rows[j]["phase"] in TRIAL_PHASES)
            following = next(after, -1)
            is_own = (
                following >= 0
                and rows[following]["phase"] == "stimulus"
                and _belongs(row, rows[following])
            )
            found.append(following if is_own else -1)
        else:
            found.append(-1)
    return found


def stimulus_onsets(phases: pd.DataFrame) -> NDArray[np.float64]:
    """Return, for each phase, the onset of the stimulus of its attempt; NaN where there is none."""
    owners = np.array(own_stimuli(records(phases)), dtype=np.intp)
    if not owners.size:
        return np.zeros(0)
    onsets = phases["onset_s"].to_numpy(dtype=np.float64)
    return np.where(owners >= 0, onsets[owners], np.nan)


def stimulus_of(
    marker: Mapping[str, Any], stimuli: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """Return the stimulus phase that a marker belongs to.

    Parameters
    ----------
    marker : mapping
        A row of ``Recording.events``.
    stimuli : iterable of mapping
        The stimulus phases, in order of onset.

    Returns
    -------
    mapping or None
        Of those with the marker's identifier (else its trial, block and stimulus; else all) the last
        that began before the marker, or the first after it.
    """
    fitting = [stimulus for stimulus in stimuli if _belongs(marker, stimulus)]
    before = [stimulus for stimulus in fitting if stimulus["onset_s"] <= marker["time_s"]]
    return before[-1] if before else next(iter(fitting), None)


def _belongs(part: Mapping[str, Any], stimulus: Mapping[str, Any]) -> bool:
    """Return whether what a phase or marker says of itself agrees with a stimulus phase.

    By the identifier where it has one. A part without identifier and trial belongs to no stimulus of a
    sender that gives identifiers.
    """
    identifier = text(part["presentation_id"])
    if identifier is not None:
        return identifier == text(stimulus["presentation_id"])
    if not stimulus["identifier_made"] and integer(part["trial"]) is None:
        return False
    said = part["stimulus_id"] if "stimulus_id" in part else part["stimulus"]
    return (
        _agree(integer(part["trial"]), integer(stimulus["trial"]))
        and _agree(text(part["block"]), text(stimulus["block"]))
        and _agree(text(said), text(stimulus["stimulus_id"]))
    )


def _agree(one: object, other: object) -> bool:
    return one is None or other is None or one == other


def _identifier(
    rows: Sequence[Mapping[str, Any]], i: int, made: set[int], taken: set[str], prefix: str
) -> str:
    row, trial = rows[i], integer(rows[i]["trial"])
    by_onset = f"{row['onset_s']:.3f}"
    if trial is None:
        return f"{prefix}-{by_onset}"
    keys = ("trial", "block", "stimulus_id")
    for j in range(i - 1, -1, -1):
        if j in made and integer(rows[j]["trial"]) == trial:
            is_repeat = rows[j]["interrupted"] and all(rows[j][key] == row[key] for key in keys)
            if is_repeat:
                return str(rows[j]["presentation_id"])
            break
    by_trial = f"{prefix}-{trial:03d}"
    return f"{by_trial}-{by_onset}" if by_trial in taken else by_trial


def _without_stimulus(row: Mapping[str, Any], prefix: str, taken: set[str]) -> str | None:
    """Return the identifier of a trial that was left before its stimulus."""
    trial = integer(row["trial"])
    if trial is None:
        return None
    by_trial = f"{prefix}-{trial:03d}"
    return f"{by_trial}-{row['onset_s']:.3f}" if by_trial in taken else by_trial
