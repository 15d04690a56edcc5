"""What came of reading another tool's checks: contracts, and by name whatever could not be carried over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from penstock.errors import PenstockError, SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned.scan import text
from penstock.quality.check import Check
from penstock.quality.contract import Contract, with_own_names


@dataclass(frozen=True)
class LeftOut:
    """Something that was not carried over: its name, where it is, and why."""

    name: str
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.name}: {self.reason}"


@dataclass(frozen=True)
class Imported:
    """The contracts by table, and what was left out."""

    contracts: Mapping[str, Contract]
    left_out: tuple[LeftOut, ...] = ()

    def __str__(self) -> str:
        told = [f"{table}: {len(contract.checks)} checks" for table, contract in self.contracts.items()]
        return "\n".join([*told, *(f"left out: {one}" for one in self.left_out)])


class Unfit(Exception):  # noqa: N818  # never leaves this room
    """A check that has no equal here, and why."""


def gathered(found: Iterable[tuple[str, Check | LeftOut]]) -> Imported:
    """Contracts of checks (each with its table); patterns that cannot be read here are left out."""
    checks: dict[str, list[Check]] = {}
    left_out = []
    for table, one in found:
        refused = _refused_pattern(one) if isinstance(one, Check) else one
        if refused is not None:
            left_out.append(refused)
        elif isinstance(one, Check):
            checks.setdefault(table, []).append(one)
    contracts = {table: Contract(table, with_own_names(those)) for table, those in sorted(checks.items())}
    return Imported(contracts, tuple(left_out))


def _refused_pattern(check: Check) -> LeftOut | None:
    """A regular expression in a dialect that the engine does not read (it has no look-ahead, for one)."""
    if check.kind != "regex":
        return None
    try:
        with Sql({}) as sql:
            sql.arrow(f"SELECT regexp_matches('', {text(check.text('pattern'))})")
    except SourceError as error:
        return LeftOut(check.name, check.place, f"its pattern cannot be read: {error.message.partition(chr(10))[0]}")
    return None


def attempted(make: Callable[[], Iterable[Check]], name: str, place: str) -> Sequence[Check | LeftOut]:
    """The checks that are made, or why they cannot be."""
    try:
        return list(make())
    except Unfit as error:
        return [LeftOut(name, place, str(error))]
    except PenstockError as error:
        return [LeftOut(name, place, error.message)]
