"""What is odd about the sessions of a study: not sealed, labels used twice, other protocols."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from duchenne.analysis.paths import SESSION_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def unsealed_journals(study: Path) -> list[tuple[Path, str]]:
    """Return recordings that were never sealed, each with what to do.

    Parameters
    ----------
    study : Path
        A journal counts unless the session file beside it is there.
    """
    root = study / "sourcedata"
    found = sorted(root.glob("sub-*/ses-*/*.journal")) if root.is_dir() else []
    stem = SESSION_SUFFIX.removesuffix(".h5")
    return [
        (path, f"{path} was not sealed: run `duchenne recover {path.name}` there.")
        for path in found
        if path.stem.endswith(stem) and not path.with_suffix(".h5").exists()
    ]


def labels_used_twice(
    identities: Sequence[tuple[Path, Mapping[str, Any]]],
) -> tuple[list[tuple[Path, str]], list[str]]:
    """Return sessions whose identity another one has, and what else there is to say about labels.

    Parameters
    ----------
    identities : sequence of (session file, mapping)
        ``participant session task run`` as the file says.

    Returns
    -------
    (list of (Path, str), list of str)
        The second and later sessions of the same identity, each with the reason why it does not enter
        the tables of the study: its presentations could not be told from those of the first. And a
        sentence for each file that lies in the folder of another participant.
    """
    first: dict[tuple[str, ...], Path] = {}
    refused: list[tuple[Path, str]] = []
    notes: list[str] = []
    for file, about in identities:
        key = tuple(str(about.get(n)) for n in ("participant", "session", "task", "run"))
        folder = file.parent.parent.name.removeprefix("sub-")
        if key in first:
            refused.append(
                (
                    file,
                    (
                        f"{file} says that it is participant {key[0]}, session {key[1]}, run {key[3]}, as "
                        f"{first[key]} does: two participants with one label? It is left out of the tables "
                        "of the study."
                    ),
                )
            )
            continue
        first[key] = file
        if folder != key[0]:
            notes.append(f"{file.name} lies in sub-{folder}, but says that it is of {key[0]}.")
    return refused, notes


def protocols_that_differ(protocols: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return a sentence for each protocol that was changed within the study.

    Parameters
    ----------
    protocols : sequence of (participant, name, sha256)
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for participant, name, digest in protocols:
        found[name][digest].append(participant)
    said = []
    for name, versions in found.items():
        if len(versions) < 2:
            continue
        most = max(versions, key=lambda digest: len(versions[digest]))
        others = "; ".join(
            f"{digest[:12]} for {_some(people)}"
            for digest, people in versions.items()
            if digest != most
        )
        said.append(
            f"The protocol {name} was changed within the study: {len(versions[most])} sessions were run with "
            f"{most[:12]}, others with {others}. The column protocol_hash tells them apart."
        )
    return said


def _some(people: list[str], at_most: int = 5) -> str:
    named = sorted(set(people))
    more = f" and {len(named) - at_most} more" if len(named) > at_most else ""
    return ", ".join(named[:at_most]) + more
