"""Stimulus sets: a table of what can be shown, its norms and where its files are.

A set is a folder with `manifest.tsv` (one row per stimulus) and `manifest.json` (its codebook).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.checks import Problem, media_notes, media_problems, value_problems
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.reading import read_manifest
from duchenne.stimuli.stimulus import COLUMNS, EXPRESSIONS, KINDS, Kind, Stimulus
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import pandas as pd

__all__ = ["COLUMNS", "EXPRESSIONS", "KINDS", "Kind", "Problem", "Stimulus", "StimulusSet"]


@dataclass(frozen=True)
class StimulusSet:
    """Stimuli in the order of their manifest.

    Attributes
    ----------
    name : str
        Name of the set.
    folder : Path
        Absolute folder of the manifest.
    stimuli : tuple of Stimulus
        At least one, with unique ids.
    places : mapping of str to str
        File and line of each stimulus in its manifest, by id; empty for sets made by code.
    """

    name: str
    folder: Path
    stimuli: tuple[Stimulus, ...]
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def load(cls, path: str | Path) -> StimulusSet:
        """Read a manifest; the media files themselves are not opened (see `check`).

        Parameters
        ----------
        path : str or Path
            A `manifest.tsv`, or the folder that holds one.

        Raises
        ------
        DuchenneError
            The manifest is missing or not UTF-8 text, lacks a column, or a row holds something that
            cannot be: a repeated id, a file outside the folder, a norm beyond its scale.
        """
        manifest = read_manifest(Path(path))
        if manifest.problems:
            others = len(manifest.problems) - 1
            more = f" (and {others} more: duchenne stimuli check)" if others else ""
            raise DuchenneError(f"{manifest.problems[0]}{more}")
        return cls(manifest.name, manifest.folder, manifest.stimuli, manifest.places)

    @classmethod
    def bundled(cls) -> StimulusSet:
        """Return the demonstration set that ships with the package."""
        return cls.load(Path(__file__).parent / "bundled")

    def __getitem__(self, stimulus_id: str) -> Stimulus:
        """Return the stimulus of that id.

        Raises
        ------
        DuchenneError
            The set has no such stimulus.
        """
        for stimulus in self.stimuli:
            if stimulus.id == stimulus_id:
                return stimulus
        hint = did_you_mean(stimulus_id, [s.id for s in self.stimuli])
        raise DuchenneError(
            f"no stimulus {stimulus_id!r} in the set {self.name} ({self.folder}){hint}"
        )

    def __contains__(self, stimulus_id: object) -> bool:
        return any(s.id == stimulus_id for s in self.stimuli)

    def __iter__(self) -> Iterator[Stimulus]:
        return iter(self.stimuli)

    def __len__(self) -> int:
        return len(self.stimuli)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories in order of first appearance."""
        return tuple(dict.fromkeys(s.category for s in self.stimuli))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per stimulus with the columns of the manifest, `id` first.

        Returns
        -------
        DataFrame
            Shape (n stimuli, `COLUMNS`). Missing numbers are NaN, missing texts None;
            `width_px` and `height_px` are nullable integers. Other numbers of the manifest follow
            in columns of their own.
        """
        import pandas as pd  # noqa: PLC0415 -- 75 MB that a recorder does not need

        rows = [{name: getattr(s, name) for name in COLUMNS} for s in self.stimuli]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        others = dict.fromkeys(name for s in self.stimuli for name in s.measures)
        for name in others:
            frame[name] = [s.measures.get(name, math.nan) for s in self.stimuli]
        numeric = (
            "valence",
            "arousal",
            "dominance",
            "norm_min",
            "norm_max",
            "duration_s",
            "luminance",
        )
        types: dict[str, Any] = dict.fromkeys(numeric, "float64")
        types |= {"width_px": "Int64", "height_px": "Int64", "redistributable": "bool"}
        return frame.astype(types)

    def check(self, ids: Collection[str] | None = None) -> list[Problem]:
        """Look for everything that would spoil a session, opening every media file.

        Films of a variable frame rate, and films without sound, count as problems unless the manifest
        says that they are meant (see `duchenne.stimuli.checks.media_notes`).

        Parameters
        ----------
        ids : collection of str, optional
            Check these stimuli alone; all by default.

        Returns
        -------
        list of Problem
            Empty when all is well.
        """
        chosen = [s for s in self.stimuli if ids is None or s.id in ids]
        counts = Counter(s.id for s in chosen)
        found = [
            Problem(i, f"the id is used {n} times; ids must be unique", str(self.folder))
            for i, n in counts.items()
            if n > 1
        ]
        found += value_problems(chosen) + media_problems(chosen)
        faulty = {problem.id for problem in found}
        found += media_notes(s for s in chosen if s.id not in faulty)
        return [self._placed(problem) for problem in found]

    def _placed(self, problem: Problem) -> Problem:
        """Add the line of the manifest to a problem with a file."""
        place = self.places.get(problem.id)
        return problem if place is None else replace(problem, where=f"{problem.where} ({place})")
