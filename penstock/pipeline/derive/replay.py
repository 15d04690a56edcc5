"""The first build of a table whose rows are made one by one: its history, made from the histories of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned import DELETED, KNOWN
from penstock.lake.versioned.scan import quoted
from penstock.pipeline.derive.compare import ADDED, KEPT, WHAT
from penstock.pipeline.derive.derivation import UNTIL, Derivation
from penstock.pipeline.derive.inputs import Input, history
from penstock.pipeline.derive.running import fitted

_UNCLEAR = "_penstock_unclear"


def replayable(derivation: Derivation) -> bool:
    """Whether a table's history can be made: rows are made one by one, by keys, and hang on no row's absence."""
    return derivation.transparent and derivation.shape.replayed is not None and bool(derivation.roles.key)


def replayed(derivation: Derivation, inputs: Mapping[str, Input]) -> Iterator[pa.RecordBatch]:
    """All versions of the rows, as far as the logs of the inputs go back: the table's columns and `WHAT`.

    Raises ``SourceError`` (``SQL_FAILED``) where a key had two rows at once, or none: then there is no such history.
    """
    with Sql({name: history(one) for name, one in inputs.items()}) as sql:
        for batch in sql.batches(_versions(derivation)):
            at = batch.schema.names.index(_UNCLEAR)
            if any(batch.column(at).to_pylist()):
                raise SourceError("SQL_FAILED", "a key has two rows at once")
            yield fitted(derivation, batch.drop_columns([_UNCLEAR]), (KNOWN, DELETED, WHAT))


def _versions(derivation: Derivation) -> str:
    columns = ", ".join(map(quoted, derivation.schema.names))
    key = ", ".join(map(quoted, derivation.roles.key))
    missing = " OR ".join(f"{quoted(name)} IS NULL" for name in derivation.roles.key)
    happened = derivation.roles.happened
    own = f"_penstock_nth = 1 AND {KNOWN} <= TRY_CAST({quoted(happened)} AS TIMESTAMP)" if happened else "FALSE"
    after = "coalesce(_penstock_next, '-infinity'::TIMESTAMP)"
    return f"""
        WITH versions AS (
            SELECT {columns}, {KNOWN}, {UNTIL} FROM (\n{derivation.shape.replayed}\n)
            WHERE coalesce({KNOWN} < {UNTIL}, TRUE)),
        ordered AS MATERIALIZED (
            SELECT *, row_number() OVER w AS _penstock_nth, lead({KNOWN}) OVER w AS _penstock_next,
                coalesce(lead(TRUE) OVER w, FALSE) AS _penstock_more
            FROM versions WINDOW w AS (PARTITION BY {key} ORDER BY {KNOWN} NULLS FIRST))
        SELECT {columns}, CASE WHEN {own} THEN NULL ELSE {KNOWN} END AS {KNOWN},
            FALSE AS {DELETED}, CASE WHEN {UNTIL} IS NULL THEN {ADDED} ELSE {KEPT} END AS {WHAT},
            {missing} OR (_penstock_more AND coalesce({after} < {UNTIL}, TRUE)) AS {_UNCLEAR}
        FROM ordered
        UNION ALL
        SELECT {columns}, {UNTIL} AS {KNOWN}, TRUE AS {DELETED}, {KEPT} AS {WHAT}, FALSE AS {_UNCLEAR}
        FROM ordered WHERE {UNTIL} IS NOT NULL AND NOT (_penstock_more AND {after} <= {UNTIL})"""
