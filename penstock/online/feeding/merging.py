"""New rows put among what is kept of their keys, where that is surely what the lake would give; else in doubt.

Rows lie by when they happened, and of one instant by the keys of rows, which records do not hold: a row that happened
when a kept one did is in doubt. Any other has one place, and no row before it or behind it changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from struct import Struct
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.online import crowds, heads, records
from penstock.online.build import KeyRows
from penstock.online.catalogue import Space, ViewState
from penstock.online.holdings import Holding
from penstock.online.keys import packed
from penstock.online.rebuild import Parts, parts_of
from penstock.online.store import Change, OnlineStore
from penstock.online.texts import Texts
from penstock.window import END

_INSTANT = Struct("<q")
_HAPPENED, _SHOWN_FROM, _SHOWN_UNTIL = range(3)


@dataclass(frozen=True)
class Merged:
    """What to write, and the keys that are to be made again from the lake."""

    changes: list[Change]
    doubtful: pa.Array


def merged(
    store: OnlineStore, state: ViewState, holding: Holding, rows: KeyRows, texts: Texts, at: int, *, ties: bool = False
) -> Merged:
    """What to write so that new rows of these keys are kept beside those that are there.

    The rows are those of `penstock.online.build.built`, of row keys that nothing is known of yet. With ``ties`` rows of
    one instant are in no doubt: those that show later, and else new ones, come behind. Call it, and write, under the
    store's `feeding`.
    """
    space = state.spaces[holding.fingerprint]
    found, changes = parts_of(holding, space, rows, texts)
    names = packed(rows.keys)

    def join(kept: bytes, data: bytes) -> bytes | None:
        return _joined(holding, kept, data, at, ties=ties)

    doubtful = set()
    for number, coming in _by_number(found, space.first).items():
        there = store.read_part(space.name, [names[place] for place in coming], number)
        for (place, data), kept in zip(coming.items(), there, strict=True):
            some = _put(store, holding, space, names[place], number, kept, data, join)
            if some is None:
                doubtful.add(place)
            else:
                changes += some
    return Merged(changes, rows.keys.take(pa.array(sorted(doubtful), pa.int64())))


def _by_number(found: Mapping[int, Parts], first: int) -> dict[int, dict[int, bytes]]:
    """By the numbers of parts, from the first one that is kept, what comes to each key by its place."""
    coming: dict[int, dict[int, bytes]] = {}
    for place, parts in found.items():
        for number, data in parts.items():
            if number >= first:
                coming.setdefault(number, {})[place] = data
    return coming


def _put(
    store: OnlineStore,
    holding: Holding,
    space: Space,
    key: bytes,
    number: int,
    kept: bytes | None,
    data: bytes,
    join: Callable[[bytes, bytes], bytes | None],
) -> Iterable[Change] | None:
    """What to write so that new rows are in a part; None where two happened at one instant."""
    if kept is not None and not holding.newest and crowds.is_crowd(kept):
        return crowds.joined(store, holding, space, key, number, kept, data, join)
    whole = data if kept is None else join(kept, data)
    return None if whole is None else crowds.written(holding, space, key, number, whole, kept)


def _joined(holding: Holding, kept: bytes, data: bytes, at: int, *, ties: bool) -> bytes | None:
    """A part with new rows among those kept; None where two happened at one instant."""
    if holding.newest:
        return joined_heads(kept, data, at, ties=ties)
    return joined_records(kept, data, len(holding.columns), ties=ties)


def joined_records(kept: bytes, data: bytes, columns: int, *, ties: bool = False) -> bytes | None:
    """Records with new ones among them; None where two happened at one instant, unless ``ties`` puts new ones last.

    >>> rows = [np.array([[at, at, 9]], "<i8").tobytes() for at in (1, 2, 3)]
    >>> joined_records(rows[0] + rows[2], rows[1], 0) == b"".join(rows)
    True
    >>> joined_records(rows[0], rows[0], 0) is None
    True
    """
    width = 8 * (records.CLOCKS + columns)
    if _INSTANT.unpack_from(data)[0] > _INSTANT.unpack_from(kept, len(kept) - width)[0]:
        return kept + data
    before, new = records.from_bytes(kept, columns), records.from_bytes(data, columns)
    if not ties and np.isin(new[:, 0], before[:, 0]).any():
        return None
    whole = np.concatenate([before, new])
    clocks = (whole[:, 1], whole[:, 0]) if ties else (whole[:, 0],)
    return whole[np.lexsort(clocks)].tobytes()


def joined_heads(kept: bytes, data: bytes, at: int, *, ties: bool = False) -> bytes | None:
    """The newest rows with new ones among them, as far as one may be the last shown at ``at`` or later.

    None where two happened at one instant, unless ``ties`` puts new ones last.

    >>> old, new, late = (heads.to_bytes([[when, when, 99, name]]) for when, name in ((1, "a"), (5, "b"), (7, "c")))
    >>> heads.from_bytes(joined_heads(old, new, 6)), len(heads.from_bytes(joined_heads(new, late, 6)))
    ([[5, 5, 99, 'b']], 2)
    """
    rows, new = heads.from_bytes(kept), heads.from_bytes(data)
    if rows and len(new) == 1 and new[0][_HAPPENED] > rows[-1][_HAPPENED]:
        rows += new
        if (covered := _covered(rows, at)) is not None:
            return heads.to_bytes(rows[covered:])
    elif not ties and {row[0] for row in rows} & {row[0] for row in new}:
        return None
    else:
        rows = sorted([*rows, *new], key=_clocks if ties else _happened)
    return heads.to_bytes(list(_last_shown(rows, at))[::-1])


def _covered(rows: Sequence[Sequence[Any]], at: int) -> int | None:
    """How many of the first rows a later one covers that shows by ``at`` and for ever; None where that is none.

    It is found at once where rows show in the order in which they happened, as those of streams do, and there are no
    others then that are covered.

    >>> _covered([[1, 1, END], [2, 2, END], [7, 7, END]], 6)
    1
    """
    last = bisect_right(rows, at, key=itemgetter(_SHOWN_FROM)) - 1
    by_now = last >= 0 and rows[last][_SHOWN_FROM] <= at and rows[last][_SHOWN_UNTIL] == END
    return last if by_now else None


def _happened(row: Sequence[Any]) -> int:
    return int(row[0])


def _clocks(row: Sequence[Any]) -> tuple[int, int]:
    return int(row[0]), int(row[1])


def _last_shown(rows: Sequence[Sequence[Any]], at: int) -> Iterator[Sequence[Any]]:
    """The rows that no later one covers for all the time that they show from ``at`` on, last first."""
    seen: list[tuple[int, int]] = []
    least = END  # when the first of the later rows begins that show for ever
    for row in reversed(rows):
        begins, until = max(row[1], at), row[2]
        if until <= at or least <= begins or any(start <= begins and until <= end for start, end in seen):
            continue
        if until == END:
            least = begins
        else:
            seen.append((begins, until))
        yield row
