"""What comes from what: questions about the columns of derived tables and the tables they are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from penstock.pipeline.derive.derivation import Derivation, Origin


@dataclass(frozen=True)
class Lineage:
    """The lineage of all derived tables of a project.

    ``reads`` holds the tables that each derived table reads, ``values`` the columns that each of its columns is made
    of, ``uses`` the columns that decide which rows it has or without which it could not be made. All of them one step:
    the questions follow the steps to their ends.
    """

    reads: Mapping[str, tuple[str, ...]]
    values: Mapping[Origin, frozenset[Origin]] = field(repr=False)
    uses: Mapping[str, frozenset[Origin]] = field(repr=False)

    @cached_property
    def _used_by(self) -> Mapping[Origin, tuple[tuple[str, str | None], ...]]:
        """The derived columns made of each column; None for a table as a whole."""
        found: dict[Origin, list[tuple[str, str | None]]] = {}
        for (table, column), origins in self.values.items():
            for origin in origins:
                found.setdefault(origin, []).append((table, column))
        for table, origins in self.uses.items():
            for origin in origins:
                found.setdefault(origin, []).append((table, None))
        return {origin: tuple(given) for origin, given in found.items()}

    @cached_property
    def _read_by(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for table, reads in self.reads.items():
            for read in reads:
                found.setdefault(read, []).append(table)
        return {table: tuple(given) for table, given in found.items()}

    def downstream(self, column: Origin) -> tuple[tuple[str, str | None], ...]:
        """All that a column ends up in: derived columns, and None for a table whose rows it decides.

        A table whose rows a column decides passes that on to the tables that read it.
        """
        found: set[tuple[str, str | None]] = set()
        waiting: list[tuple[str, str | None]] = [column]
        while waiting:
            table, name = waiting.pop()
            after = self._used_by.get((table, name), ()) if name is not None else self._rows_of(table)
            fresh = [one for one in after if one not in found]
            found.update(fresh)
            waiting.extend(fresh)
        return tuple(sorted(found, key=lambda one: (one[0], one[1] is not None, one[1] or "")))

    def _rows_of(self, table: str) -> tuple[tuple[str, str | None], ...]:
        return tuple((reader, None) for reader in self._read_by.get(table, ()))

    def readers(self, table: str) -> tuple[str, ...]:
        """The derived tables that a table ends up in."""
        found: dict[str, None] = {}
        waiting = [table]
        while waiting:
            fresh = [one for one in self._read_by.get(waiting.pop(), ()) if one not in found]
            found.update(dict.fromkeys(fresh))
            waiting.extend(fresh)
        return tuple(sorted(found))

    def upstream(self, table: str, column: str | None = None) -> tuple[Origin, ...]:
        """The columns that a derived column is made of, or with None those that decide the table's rows.

        They are columns of tables that nothing derives.
        """
        start = self.uses.get(table, frozenset()) if column is None else self.values.get((table, column), frozenset())
        found: set[Origin] = set()
        seen: set[Origin] = set()
        waiting = list(start)
        if column is None:
            waiting += [one for read in self._derived_reads(table) for one in self.uses[read]]
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            if one[0] in self.reads:
                waiting.extend(self.values.get(one, ()))
            else:
                found.add(one)
        return tuple(sorted(found))

    def _derived_reads(self, table: str) -> tuple[str, ...]:
        """The derived tables that a derived table rests on."""
        found: dict[str, None] = {}
        waiting = [table]
        while waiting:
            fresh = [one for one in self.reads.get(waiting.pop(), ()) if one in self.reads and one not in found]
            found.update(dict.fromkeys(fresh))
            waiting.extend(fresh)
        return tuple(found)

    def to_dict(self) -> dict[str, object]:
        """The same for machines: by table its reads, its columns' origins and what decides its rows, one step each."""
        return {
            table: {
                "reads": list(reads),
                "columns": {
                    column: [f"{a}.{b}" for a, b in sorted(origins)]
                    for (owner, column), origins in self.values.items()
                    if owner == table
                },
                "uses": [f"{a}.{b}" for a, b in sorted(self.uses.get(table, frozenset()))],
            }
            for table, reads in self.reads.items()
        }

    def to_mermaid(self) -> str:
        """The tables as a Mermaid flowchart."""
        names = dict.fromkeys([*(read for reads in self.reads.values() for read in reads), *self.reads])
        marks = {name: f"t{number}" for number, name in enumerate(names)}
        lines = ["flowchart LR"]
        for name, mark in marks.items():
            shown = name.replace('"', "#quot;")
            lines.append(f'    {mark}["{shown}"]' if name in self.reads else f'    {mark}[("{shown}")]')
        lines += [f"    {marks[read]} --> {marks[table]}" for table, reads in self.reads.items() for read in reads]
        return "\n".join(lines)

    def __str__(self) -> str:
        """The tables as a tree, from those that nothing derives; a table is written out where it stands first."""
        roots = sorted({read for reads in self.reads.values() for read in reads} - self.reads.keys())
        roots += [table for table, reads in self.reads.items() if not reads]
        shown: set[str] = set()
        return "\n".join(line for root in roots for line in self._tree(root, "", "", shown))

    def _tree(self, table: str, before: str, below: str, shown: set[str]) -> Iterator[str]:
        again = table in shown and table in self._read_by
        yield f"{before}{table}{' …' if again else ''}"
        if again:
            return
        shown.add(table)
        readers = self._read_by.get(table, ())
        for reader in readers:
            last = reader == readers[-1]
            yield from self._tree(
                reader, below + ("└── " if last else "├── "), below + ("    " if last else "│   "), shown
            )


def lineage_of(derivations: Iterable[Derivation]) -> Lineage:
    """The lineage of a project's derived tables."""
    given = tuple(derivations)
    return Lineage(
        {one.name: one.reads for one in given},
        {(one.name, column): origins for one in given for column, origins in one.direct.items()},
        {one.name: one.direct_uses for one in given},
    )
