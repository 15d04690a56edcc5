"""Features of the past: a spine's rows with a column a feature, each value as the live store would have given it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from penstock.engine.execute import Progress, quiet
from penstock.engine.relational import Relational
from penstock.errors import RequestError
from penstock.features.historical.on_demand import Request
from penstock.features.historical.spine import cutoffs, to_table
from penstock.features.historical.stored import stored
from penstock.features.views.bound import Bound
from penstock.features.views.chosen import needed, output_names, resolve


def historical(
    bound: Bound,
    relational: Relational,
    spine: object,
    features: str | Sequence[str],
    *,
    time: str | None = None,
    full_names: bool | None = None,
    progress: Progress = quiet,
) -> pa.Table:
    """The spine's rows, order and columns as they are, with one column more for each feature.

    ``features`` are ``view:feature``, ``view:*`` or names of services; ``relational`` reads
    `penstock.features.views.entities.EntityRows`. The spine (Arrow, pandas, Polars, a dict of columns, a list of dicts,
    or a file) has the entities' key columns, the columns that on-demand features request, and instants: in the column
    ``time``, else ``cutoff``, else ``event_timestamp``, else its only column of times. Times without a zone are UTC.

    A value is what was known at that instant. It is NULL where the row says so, where it had become older than the
    view's maximum age, for rows without a key or without an instant, and for entities nothing was known of, whose
    counts are NULL too. Raises ``RequestError`` for unknown features, columns that are not there, keys that are none,
    and names that two columns would share (``full_names`` spells them ``view__feature``).
    """
    rows = to_table(spine)
    chosen = resolve(bound, features)
    names = output_names(chosen, full_names)
    _check_names(rows, names, full=bool(full_names))
    cutoff = cutoffs(rows, time)
    values = stored(bound, relational, rows, cutoff, needed(bound, chosen), progress)
    request = Request(bound, relational, rows, values)
    for name, one in zip(names, chosen, strict=True):
        rows = rows.append_column(name, request.value(one))
    return rows


def _check_names(rows: pa.Table, names: Sequence[str], *, full: bool) -> None:
    taken = [name for name in names if name in rows.column_names]
    if taken:
        message = f"the spine has columns named as features are: {', '.join(taken)}"
        hint = "Rename them." if full else "Rename them, or ask for full names (view__feature)."
        raise RequestError("SPINE_COLUMN", message, name=taken[0], hint=hint)


__all__ = ["historical"]
