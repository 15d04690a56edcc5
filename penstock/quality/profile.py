"""What a table looked like: counts and distributions of its columns, kept as JSON so that nobody reads it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from penstock.errors import RequestError

QUANTILES = 200
"""How many quantiles a profile keeps of a column: at the levels 1/400, 3/400, …"""
FEW = 500
"""Values are counted one by one only where there are at most about so many different ones."""
_FORMAT = 1


@dataclass(frozen=True)
class ColumnProfile:
    """One column: its type, NULLs, about how many different values, and how they are spread.

    Times count as microseconds since 1970. ``mean``, ``std`` and ``quantiles`` are of numbers and times; ``top`` (each
    value with its count, the most frequent first) of columns with few different values. What is no finite number is
    left out of the former and counted in ``odd``. ``least`` and ``most`` are of numbers, times and texts
    that are few; None where there is no value.
    """

    name: str
    type: str
    nulls: int
    distinct: int
    least: int | float | str | None = None
    most: int | float | str | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    top: Mapping[str, int] = field(default_factory=dict)
    odd: int = 0


@dataclass(frozen=True)
class Profile:
    """How many rows a table had, and its columns' profiles by name."""

    rows: int
    columns: Mapping[str, ColumnProfile]

    def values(self, column: str) -> int:
        """How many rows have a value (finite, if a number) in a column."""
        return self.rows - self.columns[column].nulls - self.columns[column].odd

    def to_json(self) -> str:
        """The profile as a text that `from_json` reads."""
        told = {name: asdict(column) for name, column in self.columns.items()}
        return json.dumps({"format": _FORMAT, "rows": self.rows, "columns": told}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """The profile that a text holds. Raises ``RequestError`` (``PROFILE_UNREADABLE``) where it holds none."""
        try:
            told = json.loads(text)
            if told["format"] != _FORMAT:
                raise ValueError(f"its format is {told['format']}")
            columns = {name: _column(column) for name, column in told["columns"].items()}
            return cls(int(told["rows"]), columns)
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError("PROFILE_UNREADABLE", f"this is no profile: {error}") from error


def _column(told: Mapping[str, object]) -> ColumnProfile:
    found = ColumnProfile(**told)  # type: ignore[arg-type]  # its own words
    return ColumnProfile(**{**asdict(found), "quantiles": tuple(found.quantiles)})
