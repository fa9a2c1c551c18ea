"""Reading loosely typed values: marker fields and table cells that may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries keyed by column name."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def markers_in_order(events: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the understood markers of ``Recording.events``, ordered by time."""
    known = events[events["event"].notna() & events["time_s"].notna()]
    return records(known.sort_values("time_s", kind="stable"))


def typed_frame(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with exactly these columns and types, whatever the rows hold."""
    made = {
        name: pd.Series([row.get(name) for row in rows], dtype=pd.api.types.pandas_dtype(kind))
        for name, kind in columns.items()
    }
    return pd.DataFrame(made)


def field(marker: Mapping[str, Any] | None, name: str) -> Any:
    """Return one field of a marker's JSON object; None where it has none."""
    fields = marker.get("fields") if marker else None
    return fields.get(name) if isinstance(fields, dict) else None


def text(value: Any) -> str | None:
    """Return a value as text; None for missing and empty."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return str(value) or None


def number(value: Any) -> float:
    """Return a value as a number; NaN for missing and for what is no number."""
    if value is None or value is pd.NA:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def percent(share: float) -> str:
    """Return a share as per cent with one decimal, rounded down: below a limit it never reads as it."""
    return f"{np.floor(share * 1000 + 1e-9) / 10:.1f}%"


def integer(value: Any) -> int | None:
    """Return a value as a whole number; None for missing."""
    as_number = number(value)
    return int(as_number) if np.isfinite(as_number) else None


def rectangle(value: Any) -> tuple[float, float, float, float] | None:
    """Return ``[x0, y0, x1, y1]`` as numbers; None unless it spans an area."""
    if not isinstance(value, list | tuple | np.ndarray) or len(value) != 4:
        return None
    x0, y0, x1, y1 = (number(part) for part in value)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
