"""Where labels come in: rows of any table are read as labels, one by one, or refused with their place and a reason."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from penstock import lake
from penstock.errors import RequestError, SourceError
from penstock.lake.delimited import read_csv, sniff
from penstock.learning.labelling.label import INSTANT, LABELS, REJECTED, Labels, ValueKind, kind_of, text_of
from penstock.learning.rows.timeline import now as present
from penstock.window import instant

_NEEDED = ("entity", "value")
_COLUMNS = ("entity", "happened", "known", "value", "labeller", "source", "confidence", "note")
_FARTHEST = 62_000_000_000_000_000  # about the year 3900, and as far back: numbers beyond it count something else


@dataclass(frozen=True)
class Defaults:
    """What holds of labels that do not say it themselves."""

    labeller: str = "unnamed"
    source: str = "table"
    happened: int | None = None


class UnfitError(Exception):
    """A row that is no label; its text says why."""


def from_table(
    table: object,
    columns: Mapping[str, str] | None = None,
    *,
    labeller: str = "unnamed",
    source: str = "table",
    now: Callable[[], int] = present,
) -> Labels:
    """Labels from an Arrow, pandas or Polars table, or a dict of columns.

    ``columns`` maps a label's parts (``entity``, ``value``, ``happened``, ``known``, ``labeller``, ``source``,
    ``confidence``, ``note``) to the table's columns; a part that is not mapped is read from the column of its own
    name, if there is one. ``entity`` and ``value`` are needed. Raises ``SourceError`` for columns that do not exist
    and for values of several types.
    """
    rows = _as_arrow(table)
    return read(rows, _mapped(rows.column_names, columns or {}, "the table"), Defaults(labeller, source), now, "row")


def from_csv(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    *,
    labeller: str = "unnamed",
    source: str | None = None,
    now: Callable[[], int] = present,
) -> Labels:
    """Labels from a CSV file, read as `from_table` reads a table; ``source`` is the file's name unless given.

    Raises ``SourceError`` for a file that cannot be read; rows that are no labels come back as rejected.
    """
    file = Path(path)
    if not file.is_file():
        beside = sorted(p.name for p in file.parent.glob("*.csv")) if file.parent.is_dir() else []
        raise SourceError("SOURCE_ABSENT", f"there is no file {file.name}", name=file.name, candidates=beside)
    rows = read_csv(file, sniff(file))
    places = _mapped(rows.column_names, columns or {}, file.name)
    return read(rows, places, Defaults(labeller, source or file.name), now, f"{file.name} row", first=2)


def _as_arrow(table: object) -> pa.Table:
    if isinstance(table, Mapping):
        for name, values in table.items():
            _one_type(str(name), values)
    return lake.to_arrow(table)


def _one_type(name: str, values: object) -> None:
    """Values of one column are of one type. Raises ``SourceError``."""
    if not isinstance(values, list | tuple):
        return
    kinds = {"number" if isinstance(v, int | float) and not isinstance(v, bool) else type(v).__name__
             for v in values if v is not None}  # fmt: skip
    if len(kinds) > 1:
        raise SourceError(
            "LABELS_MIXED_VALUES",
            f"the column {name!r} holds values of several types: {', '.join(sorted(kinds))}",
            hint="Give all of them as one type, or all as text.",
        )


def _mapped(there: Iterable[str], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Which column each part of a label is in. Raises ``SourceError`` naming what is missing."""
    names = list(there)
    for part, column in columns.items():
        if part not in _COLUMNS:
            raise RequestError("LABELS_PART", f"a label has no {part!r}", name=part, candidates=_COLUMNS)
        if column not in names:
            message = f"{where} has no column {column!r}, which was to be the {part}"
            raise SourceError("LABELS_COLUMN", message, name=column, candidates=names)
    found = {part: columns.get(part, part) for part in _COLUMNS if part in columns or part in names}
    for part in _NEEDED:
        if part not in found:
            raise SourceError(
                "LABELS_COLUMN",
                f"{where} has no column {part!r}",
                name=part,
                candidates=names,
                hint=f"Say which column it is: columns={{'{part}': …}}.",
            )
    return found


def read(
    table: pa.Table,
    columns: Mapping[str, str],
    defaults: Defaults,
    now: Callable[[], int] = present,
    place: str = "row",
    first: int = 1,
) -> Labels:
    """Rows as labels, those that are none rejected with place and reason; ``first`` is the number of the first row."""
    held = {part: _values(table.column(column)) for part, column in columns.items()}
    said = ({part: values[n] for part, values in held.items()} for n in range(table.num_rows))
    found = gather(((f"{place} {first + n}", row) for n, row in enumerate(said)), defaults, now())
    kind = ValueKind.TRUTH if pa.types.is_boolean(table.schema.field(columns["value"]).type) else None
    return Labels(found.rows, found.rejected, found.skipped, kind)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python values; instants in UTC and microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(INSTANT, safe=False)
    return list(column.to_pylist())


def gather(said: Iterable[tuple[str, Mapping[str, object]]], defaults: Defaults, now: int) -> Labels:
    """Labels from (place, parts) pairs. Equal ones count once; one labeller's contradictions are rejected."""
    rows: list[dict[str, object]] = []
    rejected: list[dict[str, str]] = []
    seen: dict[tuple[object, ...], object] = {}
    repeated = 0
    for place, parts in said:
        try:
            row = _label(parts, defaults, now)
            key = (row["entity"], row["happened"], row["labeller"], row["known"])
            before = seen.setdefault(key, row)
            if before is not row:
                _must_equal(before, row)
                repeated += 1
                continue
            rows.append(row)
        except UnfitError as error:
            rejected.append({"place": place, "reason": str(error)})
    skipped = {"they say what another row says": repeated} if repeated else {}
    return Labels(pa.Table.from_pylist(rows, LABELS), pa.Table.from_pylist(rejected, REJECTED), skipped)


def _must_equal(before: object, row: dict[str, object]) -> None:
    assert isinstance(before, dict)
    if before["written"] != row["written"]:
        said = f"{row['labeller']} says {before['written']!r} and {row['written']!r} of {row['entity']} at one time"
        raise UnfitError(said)


def _label(parts: Mapping[str, object], defaults: Defaults, now: int) -> dict[str, object]:
    """One label's columns. Raises ``UnfitError``."""
    entity, written = text_of(parts.get("entity")), text_of(parts.get("value"))
    if entity is None:
        raise UnfitError("it names no entity")
    if written is None:
        raise UnfitError("it has no value")
    happened = _moment(parts.get("happened"), "happened")
    happened = defaults.happened if happened is None else happened
    known = _moment(parts.get("known"), "known")
    for name, moment in (("happened", happened), ("known", known)):
        if moment is not None and moment > now:
            raise UnfitError(f"{name} lies in the future: {_shown(moment)}")
    if known is not None and happened is not None and known < happened:
        raise UnfitError(f"it was known ({_shown(known)}) before it happened ({_shown(happened)})")
    return {
        "entity": entity,
        "happened": happened,
        "known": known,
        "written": written,
        "labeller": text_of(parts.get("labeller")) or defaults.labeller,
        "source": text_of(parts.get("source")) or defaults.source,
        "confidence": _confidence(parts.get("confidence")),
        "note": text_of(parts.get("note")),
    }


def _moment(value: Any, name: str) -> int | None:
    """An instant in microseconds; None where none is said."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str | int | dt.date) or isinstance(value, bool):
        raise UnfitError(f"{name} is no time: {value!r}")
    try:
        moment = instant(value)
    except (RequestError, OverflowError):
        raise UnfitError(f"{name} is no time: {value!r}") from None
    if abs(moment) > _FARTHEST:
        raise UnfitError(f"{name} is no time: {value!r}")
    return moment


def _shown(moment: int) -> str:
    return str(pa.scalar(moment, INSTANT).as_py())


def _confidence(value: object) -> float | None:
    text = text_of(value)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        raise UnfitError(f"the confidence {text!r} is no number") from None
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise UnfitError(f"the confidence {text} does not lie between 0 and 1")
    return number


def kind_for(labels: Labels) -> ValueKind:
    """The kind of a set that begins with these labels."""
    return labels.kind or kind_of(labels.rows["written"].to_pylist())


__all__ = ["Defaults", "from_csv", "from_table", "gather", "kind_for", "read"]
