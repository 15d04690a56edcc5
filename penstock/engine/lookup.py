"""What the entity's own row, or a parent's, said at each cutoff."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from penstock.engine.compile import identifier
from penstock.engine.relational import TYPES, Relational
from penstock.schema import Link


def look_up(
    relational: Relational, spine: pa.Table, root: str, key: str, hops: tuple[Link, ...], columns: Sequence[str]
) -> dict[str, pa.ChunkedArray]:
    """These columns of the row reached from each spine row's entity by ``hops``, as shown at the cutoff.

    ``exists`` says whether there was such a row. One value a spine row, in its order. To SQL, names that differ in case
    alone are one: such columns are looked up apart.
    """
    first: dict[str, str] = {}
    for name in columns:
        first.setdefault(name.casefold(), name)
    found = _found(relational, spine, root, key, hops, list(first.values()))
    rest = [name for name in columns if name not in found]
    return {**look_up(relational, spine, root, key, hops, rest), **found} if rest else found


def _found(
    relational: Relational, spine: pa.Table, root: str, key: str, hops: tuple[Link, ...], columns: Sequence[str]
) -> dict[str, pa.ChunkedArray]:
    numbered = pa.table({"entity": spine["entity"], "at": spine["cutoff"].cast(pa.int64())})
    held = relational.hold(numbered.append_column("row", pa.array(np.arange(len(numbered)))))
    needs = [list(link.columns) for link in hops] + [list(columns)]
    own = relational.keyed(root, needs[0], final=False)
    text = f"{held} s LEFT JOIN {own} r0 ON r0.{identifier(key)} = s.entity{_at('r0')}"
    for depth, link in enumerate(hops, 1):
        parent = relational.rows.graph.table(link.to)
        pairs = zip(link.columns, parent.keys, strict=True)
        on = " AND ".join(
            f"TRY_CAST(r{depth - 1}.{identifier(c)} AS {TYPES[parent.column(k).dtype]}) = r{depth}.{identifier(k)}"
            for c, k in pairs
        )
        above = relational.keyed(link.to, needs[depth], final=False)
        text += f" LEFT JOIN {above} r{depth} ON {on}{_at(f'r{depth}')}"
    last = f"r{len(hops)}"
    read = [f"{last}.{identifier(c)} AS c{n}" for n, c in enumerate(columns)]
    chosen = ", ".join([f"{last}._from IS NOT NULL AS told", *read])
    try:
        found = relational.query(f"SELECT {chosen} FROM {text} ORDER BY s.row")
    finally:
        relational.drop(held)
    return {"exists": found["told"], **{name: found[f"c{n}"] for n, name in enumerate(columns)}}


def _at(alias: str) -> str:
    return f" AND {alias}._from <= s.at AND s.at < {alias}._until"
