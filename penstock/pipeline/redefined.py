"""Derived tables whose definitions were changed: what the next run makes of their columns, and of features on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from penstock.errors import RefusedError
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.broken import BrokenDefinition
from penstock.features.views.declared import Definitions
from penstock.features.views.lineage import lineage
from penstock.lake.recipes import recipes_of
from penstock.lake.versioned import OWN_COLUMNS, Roles, VersionedTable
from penstock.pipeline.derive import Derivation
from penstock.pipeline.derive.building import DEFINITION
from penstock.pipeline.derive.recipes import recipes_to_be
from penstock.pipeline.knowngraph import known_graph

Known = Mapping[str, tuple[pa.Schema, Roles]]
"""Tables as a graph is made of them: their columns, and what these are for."""


@dataclass(frozen=True)
class Redefined:
    """A derived table whose rows were made by another definition than the files hold now: ``files`` are those that
    changed, its own or those of tables that it reads.

    ``retyped`` are columns that views read, with their types before and after; ``broken`` the views that would not fit
    any more, and ``anew`` those that fit and get another version.
    """

    table: str
    files: tuple[str, ...]
    retyped: tuple[tuple[str, str, str], ...] = ()
    broken: tuple[BrokenDefinition, ...] = ()
    anew: tuple[str, ...] = ()

    def error(self) -> RefusedError | None:
        """Why the table is not to be made so; None where no view breaks."""
        if not self.broken:
            return None
        message = f"{', '.join(self.files)}: what was changed there breaks {', '.join(map(str, self.broken))}"
        reasons = [one.error.message for one in self.broken if one.error.code != "FEATURE_BROKEN"]
        hint = "\n  ".join([*reasons, "Change the view as well, or keep the column as it was."])
        return RefusedError("DERIVE_BREAKS", message, name=self.table, hint=hint)

    def __str__(self) -> str:
        told = f"changed: {', '.join(self.files)}"
        if self.anew:
            told += f"; new version of view{'s' if len(self.anew) > 1 else ''} {', '.join(self.anew)}"
        retyped = (f"{self.table}.{column} becomes {after} (was {was})" for column, was, after in self.retyped)
        return "\n".join([told, *retyped])


@dataclass(frozen=True)
class Redefining:
    """A project's features beside its derived tables as their files define them now.

    ``tables`` and ``known`` are the lake's, and ``before`` the features as they fit these: what is broken already is
    broken by nobody else.
    """

    definitions: Definitions
    tables: Mapping[str, VersionedTable]
    known: Known
    derivations: Sequence[Derivation]
    before: Bound

    @cached_property
    def all(self) -> Mapping[str, Redefined]:
        """The derived tables that the lake has and the next run makes otherwise."""
        now, then = recipes_of(self.tables), recipes_to_be(self.derivations)
        changed = [one for one in self.derivations if one.name in now and now[one.name] != then[one.name]]
        return {one.name: self._of(one) for one in changed}

    def after(self) -> Bound:
        """The features as they will fit once the definitions have been run; those that break views are not."""
        refused = {name for name, one in self.all.items() if one.broken}
        return self._bound([one for one in self.derivations if one.name not in refused])

    def _bound(self, derivations: Sequence[Derivation]) -> Bound:
        recipes = {**recipes_of(self.tables), **recipes_to_be(derivations)}
        made = {one.name: (pa.schema([*one.schema, *OWN_COLUMNS]), one.roles) for one in derivations}
        return bind(self.definitions, known_graph({**self.known, **made}), recipes)

    def _of(self, one: Derivation) -> Redefined:
        """What becomes of a table, and of the views that read it."""
        readers = self._readers.get(one.name, {})
        changed = [other for other in _below(one, self.derivations) if self._is_changed(other)]
        after = self._bound(changed if one in changed else [*changed, one])
        broken = tuple(view for name, view in after.broken_views.items() if name in readers)
        anew = tuple(name for name in readers if name in after.views and _differ(self.before, after, name))
        read = set().union(*readers.values())
        made = {field.name: str(field.type) for field in one.schema}
        kept = {field.name: str(field.type) for field in self.known[one.name][0] if field.name in read}
        retyped = tuple((name, kind, made[name]) for name, kind in kept.items() if made.get(name, kind) != kind)
        return Redefined(one.name, tuple(f"tables/{other.file}" for other in changed), retyped, broken, anew)

    def _is_changed(self, one: Derivation) -> bool:
        """Whether a table's own definition is another one than its rows were made by."""
        return one.name in self.tables and self.tables[one.name].facts().get(DEFINITION) != one.fingerprint

    @cached_property
    def _readers(self) -> Mapping[str, Mapping[str, set[str]]]:
        """By table the stored views that read it, each with the columns."""
        found: dict[str, dict[str, set[str]]] = {}
        for view in self.before.views:
            for one in lineage(self.before, view):
                for table, column in (*one.values, *one.uses):
                    found.setdefault(table, {}).setdefault(view, set()).add(column)
        return found


def _below(one: Derivation, derivations: Sequence[Derivation]) -> list[Derivation]:
    """A derivation and those that it rests on, in order."""
    wanted = {one.name}
    for other in reversed(derivations):
        if other.name in wanted:
            wanted |= set(other.reads)
    return [other for other in derivations if other.name in wanted]


def _differ(before: Bound, after: Bound, view: str) -> bool:
    return before.views[view].fingerprint != after.views[view].fingerprint
