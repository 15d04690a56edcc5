"""Files as one table's rows, in its types and a bounded piece at a time; what does not fit is told, never dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.landing.columns import check_names, united
from penstock.lake.landing.deciding import Decided, decided_columns, manners
from penstock.lake.landing.files import found_files, opened_parts
from penstock.lake.landing.inorder import in_order
from penstock.lake.landing.piece import Part, Piece
from penstock.lake.landing.plan import Clock, ColumnPlan, Landed, landed
from penstock.lake.landing.rejects import Reject, Rejects
from penstock.lake.landing.settings import LandingSettings
from penstock.lake.source import file_state
from penstock.lake.versioned.roles import DELETED, KNOWN
from penstock.lake.versioned.stored import stored_schema


@dataclass
class Landing:
    """Files about to be read as one table.

    ``schema`` holds for all batches, in types that the lake keeps. `rejected` and `notes` are complete once the
    batches have been read; reading them again begins anew.
    """

    schema: pa.Schema
    _parts: list[Part] = field(repr=False)
    _columns: Decided = field(repr=False)
    _settings: LandingSettings = field(repr=False)
    _files: tuple[Path, ...] = field(repr=False)
    _state: str = field(repr=False)
    _said: tuple[str, ...] = ()
    _rejects: Rejects = field(default_factory=Rejects, repr=False)
    _met: dict[str, None] = field(default_factory=dict, repr=False)

    @property
    def present(self) -> tuple[str, ...]:
        """The columns that at least one file has; the others of `schema` are NULL in all rows."""
        return united(part.names for part in self._parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the files, and how it was read."""
        return tuple(dict.fromkeys((*self._said, *self._met)))

    def rejected(self) -> pa.Table:
        """The rows that were not taken: ``file``, ``row`` (as people count), ``reason`` and the row's beginning."""
        return self._rejects.table()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows that fit, in the order of files and rows.

        Raises ``SourceError`` for a file that cannot be read or that changes, or of which too many rows do not fit.
        """
        self._rejects, self._met = Rejects(), {}
        for part in self._parts:
            yield from self._of(part)
        if file_state(*self._files) != self._state:
            hint = "Land them when nobody writes them any more."
            raise SourceError("SOURCE_CHANGED", "the files changed while they were being read", hint=hint)

    def _of(self, part: Part) -> Iterator[pa.RecordBatch]:
        """One file's rows."""
        plans = self._plans(part)
        clock = self._clock()
        work = partial(_worked, part=part, plans=plans, clock=clock)
        count, rejects, sample = 0, 0, None
        tally = _Tally(part.name)
        for found in in_order(work, part.pieces(), self._settings.threads):
            numbered = [Reject(part.first_row + count + r.row, r.reason, r.text) for r in found.rejects]
            self._rejects.add(part.name, numbered)
            count, rejects, sample = count + found.count, rejects + len(numbered), sample or next(iter(numbered), None)
            tally.add(found)
            if self._rejects.rows > self._settings.most_rejects_kept:
                raise _too_many(part.name, rejects, count, sample)
            if found.rows.num_rows:
                yield found.rows
        self._met |= dict.fromkeys((*part.notes(), *tally.notes()))
        if rejects > max(self._settings.few_rejected, self._settings.most_rejected * count):
            raise _too_many(part.name, rejects, count, sample)

    def _plans(self, part: Part) -> list[ColumnPlan]:
        places = {name: at for at, name in enumerate(part.names)}
        read = manners(part, self._columns, self._settings)
        for name in self.schema.names:
            if name not in places:
                self._met[f"{part.name} has no column {name!r}: its values are NULL"] = None
        return [ColumnPlan(f.name, places.get(f.name), f.type, read[f.name]) for f in self.schema]

    def _clock(self) -> Clock | None:
        now = self._settings.now
        return None if now is None else Clock(now(), self._settings.ahead, frozenset(self._settings.clocks))


@dataclass
class _Tally:
    """Counts of a file that end in notes."""

    file: str
    nulls: dict[str, int] = field(default_factory=dict)
    future: dict[str, int] = field(default_factory=dict)

    def add(self, found: Landed) -> None:
        for mine, more in ((self.nulls, found.nulls), (self.future, found.future)):
            for name, count in more.items():
                mine[name] = mine.get(name, 0) + count

    def notes(self) -> Iterator[str]:
        for name, count in self.nulls.items():
            yield f"{name}: {count} values of {self.file} such as NA or NaN read as NULL"
        for name, count in self.future.items():
            yield f"{name}: {count} values of {self.file} lie in the future"


def land(
    paths: Sequence[Path] | Path, *, expected: pa.Schema | None = None, settings: LandingSettings | None = None
) -> Landing:
    """Files, or folders of parts, as the rows of one table: CSV and TSV (packed or not), JSON lines or Parquet.

    Values take the types of ``expected`` (a lake table's schema; its own two columns are passed over), and columns
    that it does not have come behind. Without it the types are decided on all values, as ``connect`` does. Raises
    ``SourceError`` for what cannot be read as a table at all.
    """
    chosen = settings or LandingSettings()
    files = found_files(paths)
    opened = tuple(files.values())
    state = file_state(*opened)
    table = None if expected is None else _without_own(expected)
    parts, notes = opened_parts(files, chosen)
    check_names({part.name: part.names for part in parts}, table)
    known = {} if table is None else {f.name: f.type for f in stored_schema(table)}
    given = stored_schema(pa.schema(list(chosen.types.items())))
    known |= dict(zip(given.names, given.types, strict=True))
    columns = decided_columns(parts, known, chosen)
    names = united([() if table is None else table.names, *(part.names for part in parts)])
    schema = pa.schema([(name, columns.kinds[name]) for name in names])
    new = [] if table is None else [f"{n!r} is a new column: NULL in earlier rows" for n in names if n not in known]
    return Landing(schema, parts, columns, chosen, opened, state, (*notes, *columns.notes, *new))


def _without_own(expected: pa.Schema) -> pa.Schema:
    return pa.schema([column for column in expected if column.name not in (KNOWN, DELETED)])


def _worked(made: Callable[[], Piece], *, part: Part, plans: list[ColumnPlan], clock: Clock | None) -> Landed:
    return landed(made(), part, plans, clock)


def _too_many(file: str, rejected: int, rows: int, sample: Reject | None) -> SourceError:
    such = "" if sample is None else f", such as row {sample.row}: {sample.reason}"
    return SourceError(
        "LANDING_TOO_MANY_REJECTED",
        f"{file}: {rejected} of {rows} rows do not fit{such}",
        hint="Mend the file, say the types of its columns, or allow more rows to be rejected.",
    )
