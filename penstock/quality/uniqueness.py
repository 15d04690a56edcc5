"""Rows that share a key, counted exactly in eight bytes a row: by hashes first, and by value where hashes meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from penstock.lake.sql import Sql
from penstock.lake.versioned.scan import quoted

Hashes = npt.NDArray[np.uint64]

_FEW, _SHOWN = 10_000, 100
_BYTES = 24
"""Bytes a row while its hashes are gathered, joined and sorted."""


def repeated(
    sql: Sql, table: str, columns: Sequence[str], where: str, memory: int | None = None
) -> tuple[int, int, str]:
    """How many rows are looked at, how many share their key with another, and SQL for some of the latter.

    ``where`` is the SQL condition of the rows that are looked at. Equal keys have equal hashes; where two hashes are
    equal, their rows are compared by value, so that the count is exact. Where the hashes would take more than
    ``memory`` (default a quarter of what the settings allow), they come in several passes, a part in each.
    """
    names = ", ".join(map(quoted, columns))
    source = f"{quoted(table)} WHERE {where}"
    rows, met = _met(sql, names, source, (sql.settings.memory // 4 if memory is None else memory) // _BYTES)
    if not len(met):
        return rows, 0, ""
    among = f"{source} AND {_one_of(names, met)}" if len(met) <= _FEW else source
    groups = f"SELECT count(*) AS n FROM {among} GROUP BY {names} HAVING count(*) > 1"
    failed = int(sql.arrow(f"SELECT coalesce(sum(n), 0)::BIGINT AS n FROM ({groups})")["n"][0].as_py())
    shown = f"{source} AND {_one_of(names, met[:_SHOWN])}"
    return rows, failed, f"SELECT * FROM {shown} QUALIFY count(*) OVER (PARTITION BY {names}) > 1"


def _met(sql: Sql, names: str, source: str, most: int) -> tuple[int, Hashes]:
    """How many rows there are, and the hashes that more than one of them has."""
    rows, hashes = _sorted(sql, f"SELECT hash({names}) AS h FROM {source}", most)
    if hashes is not None:
        return rows, _twice(hashes)
    parts, met = -(-2 * rows // max(1, most)), []
    for part in range(parts):
        among = f"{source} AND (hash({names}) >> 32) % {parts} = {part}"
        met.append(_twice(_sorted(sql, f"SELECT hash({names}) AS h FROM {among}", rows)[1]))
    return rows, np.concatenate(met)


def _twice(hashes: Hashes | None) -> Hashes:
    """Those that come more than once among hashes in order."""
    return np.empty(0, np.uint64) if hashes is None else np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def _one_of(names: str, hashes: Hashes) -> str:
    return f"hash({names}) IN ({', '.join(map(str, hashes))})"


def _sorted(sql: Sql, statement: str, most: int) -> tuple[int, Hashes | None]:
    """How many hashes there are, and all of them in order; None instead where there are more than so many."""
    rows, parts = 0, list[Hashes]()
    for batch in sql.batches(statement):
        rows += batch.num_rows
        if rows > most:
            parts.clear()
        else:
            parts.append(batch.column(0).to_numpy(zero_copy_only=False))
    if rows > most:
        return rows, None
    hashes = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    hashes.sort()
    return rows, hashes
