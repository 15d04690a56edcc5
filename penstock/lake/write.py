"""Results written out: Parquet or CSV files, or rows of a table in a database; writing again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from penstock.errors import SourceError
from penstock.lake.source import printable
from penstock.lake.sources import database_kind
from penstock.lake.upsert import Incoming, incoming

_SERVERS = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_FORMS = (
    "file.parquet",
    "file.csv",
    "postgresql://…#table",
    "mysql://…#table",
    "file.duckdb#table",
    "file.sqlite#table",
)


def write(table: pa.Table, destination: str, key: Sequence[str] = ()) -> None:
    """Write the rows to a file, or to a table named after ``#`` of a database, which is made when it is not there.

    A file is replaced as a whole, and appears complete or not at all. In a table, rows with the same ``key`` are
    replaced and others stay, in one transaction; without a key all are replaced. Lists become text where a
    destination has none. Raises ``SourceError`` when the destination is none of these or cannot be written.
    """
    writer = check(destination)
    place, _, name = destination.rpartition("#")
    if writer is None:
        _to_file(incoming(table, "", key), Path(destination).expanduser())
    else:
        writer(place, incoming(table, name, key))


def check(destination: str) -> Callable[[str, Incoming], None] | None:
    """What writes to a destination; None for a file. Raises ``SourceError`` when it is no place to write to."""
    if destination.endswith((".parquet", ".csv")) and "://" not in destination:
        return None
    place, _, name = destination.rpartition("#")
    writer = _writer(place if name else "")
    if not place or not name or writer is None:
        shown = printable(destination) if "://" in destination else destination
        raise SourceError("WRITE_DESTINATION", f"{shown} is no place to write rows to", candidates=_FORMS)
    return writer


def _writer(place: str) -> Callable[[str, Incoming], None] | None:
    scheme = urlsplit(place).scheme.partition("+")[0].lower() if "://" in place else ""
    kind = _SERVERS.get(scheme, "") if scheme else database_kind(Path(place))
    return _WRITERS.get(kind)


def _postgres(place: str, coming: Incoming) -> None:
    from penstock.lake.postgres import write_rows

    write_rows(place, coming)


def _mysql(place: str, coming: Incoming) -> None:
    from penstock.lake.mysql import write_rows

    write_rows(place, coming)


def _sqlite(place: str, coming: Incoming) -> None:
    from penstock.lake.sqlite import write_rows

    write_rows(Path(place), coming)


def _duckdb(place: str, coming: Incoming) -> None:
    from penstock.lake.tables import write_rows

    write_rows(Path(place), coming)


_WRITERS: Mapping[str, Callable[[str, Incoming], None]] = {
    "postgres": _postgres,
    "mysql": _mysql,
    "sqlite": _sqlite,
    "duckdb": _duckdb,
}


def _to_file(coming: Incoming, path: Path) -> None:
    """Write beside the place and rename, so that a reader sees the old file or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            draft = Path(folder) / path.name
            if path.suffix == ".csv":
                pacsv.write_csv(coming.flat(), draft)
            else:
                pq.write_table(coming.rows, draft)
            draft.replace(path)
    except OSError as error:
        raise SourceError(
            "CANNOT_WRITE", f"cannot write {path}: {error}", hint="Name a folder you may write to."
        ) from error
