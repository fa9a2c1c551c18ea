"""Sources by name: those of this package and those that other packages bring as entry points."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from pydantic import ValidationError

from duchenne.stimuli.errors import UsageError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.recorder.sources.base import Source

GROUP = "duchenne.sources"


def source_names() -> list[str]:
    """Return the names of all installed sources, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load_source(name: str) -> type[Source]:
    """Return the class of a source.

    Raises
    ------
    UsageError
        Where no installed package brings a source of that name.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise UsageError(
            f"No source named '{name}'{did_you_mean(name, points)} (see: duchenne sources list)"
        )
    loaded: type[Source] = points[name].load()
    return loaded


def create_source(name: str, source_id: str, settings: Mapping[str, str]) -> Source:
    """Build a source from its name and its settings as text.

    Parameters
    ----------
    name : str
        As in :func:`source_names`.
    source_id : str
        Stable LSL identity of the stream.
    settings : mapping of str to str
        The source's own options.

    Returns
    -------
    Source
        Not opened yet.

    Raises
    ------
    UsageError
        For an unknown source, an unknown option, or a value that does not fit, naming it.
    """
    source_class = load_source(name)
    model = source_class.Options
    own = [key for key in model.model_fields if key != "source_id"]
    for key in settings:
        if key not in own:
            raise UsageError(
                f"Source '{name}' has no option '{key}'{did_you_mean(key, own, most=20)}"
            )
    try:
        options = model.model_validate({**settings, "source_id": source_id})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            what = model.model_fields[key].description
            raise UsageError(f"Source '{name}' needs the option {key}: {what}.") from None
        raise UsageError(
            f"Source '{name}', option {key}={first['input']}: {first['msg']}."
        ) from None
    return source_class(options)
