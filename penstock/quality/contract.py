"""A contract: what must hold of one table, and which version of that promise this is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import count

from penstock.errors import SchemaError
from penstock.quality.check import Check
from penstock.quality.kinds import KINDS

_ORDER = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Contract:
    """The checks of one table, in their one order (by columns, kind and name), and the contract's version.

    Raises ``SchemaError`` (``CONTRACT_NAME_TWICE``) where two checks share a name.
    """

    table: str
    checks: tuple[Check, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.checks, key=lambda check: (check.columns, _ORDER[check.kind], check.name)))
        object.__setattr__(self, "checks", ordered)
        seen: dict[str, Check] = {}
        for check in ordered:
            if check.name in seen:
                message = f"{check.place or self.table}: two checks are called {check.name!r}"
                raise SchemaError("CONTRACT_NAME_TWICE", message, hint='Tell one apart: name = "…".')
            seen[check.name] = check

    @property
    def fingerprint(self) -> str:
        """A hash of what is promised: the checks' meanings and severities; not their names."""
        told = [self.table, sorted((check.fingerprint, check.severity) for check in self.checks)]
        return blake2b(json.dumps(told).encode(), digest_size=8).hexdigest()

    def __str__(self) -> str:
        lines = [f"{check.severity:5}  {check.name}: {check.sentence}" for check in self.checks]
        return "\n".join([f"{self.table}, version {self.version}", *lines])


def with_own_names(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks without doubles; those that would share a name are numbered.

    >>> from penstock.quality.check import check
    >>> two = [check("range", "a", min=0), check("range", "a", max=9), check("range", "a", min=0)]
    >>> [one.name for one in with_own_names(two)]
    ['a_range', 'a_range_2']
    """
    kept: dict[str, Check] = {}
    for check in dict.fromkeys(checks):
        names = (check.name if number == 1 else f"{check.name}_{number}" for number in count(1))
        name = next(name for name in names if name not in kept)
        kept[name] = check if name == check.name else replace(check, name=name)
    return tuple(kept.values())
