"""featuretools' Deep Feature Synthesis on the same rows, in an environment of its own, for the same LightGBM.

featuretools (1.31) does not run beside pandas 3, so that an environment is made for it in the user's cache folder. It
gets the same tables with the same keys, clocks and links, the same hidden columns, and the rows' own cutoffs. Computing
is slow, so that at most so many training and validation rows are drawn by lot (test rows never), it is stopped at a
limit, and what it computed is kept under what it was computed from.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.accuracy import keep, peers
from benchmarks.accuracy.asked import Asked, Said
from benchmarks.accuracy.judge import Array
from benchmarks.accuracy.rfm import own_columns, spine
from benchmarks.accuracy.tasks import tables
from penstock.learning.rows.dataset import Samples
from penstock.plan import Field
from penstock.schema import Column, Dtype, Kind

VERSION = "1.31.0"
PACKAGES = (f"featuretools=={VERSION}", "pandas<3", "pyarrow")
_DAY = 86_400_000_000
_DEFAULT = ["sum", "std", "max", "skew", "min", "mean", "count", "percent_true", "num_unique", "mode"]
_MORE = [*_DEFAULT, "median", "trend", "time_since_last", "time_since_first", "avg_time_between", "entropy"]
_DATES = ["day", "year", "month", "weekday"]


@dataclass(frozen=True)
class Setting:
    """Primitives, and windows as multiples of the horizon (None: all time)."""

    aggregates: Sequence[str]
    transforms: Sequence[str]
    windows: Sequence[int | None]


SETTINGS: Mapping[str, Setting] = {
    "featuretools default": Setting(_DEFAULT, _DATES, (None,)),
    "featuretools generous": Setting(_MORE, [*_DATES, "age"], (None, 1, 4, 12)),
}


class Unfinished(Exception):  # noqa: N818  what happened, not an error of ours
    """The limit was reached, or featuretools gave up."""


def answers(asked: Asked, said: Said, *, most: int, limit: int) -> tuple[dict[str, Array], dict[str, str]]:
    """What the same LightGBM says with each setting's features; and for the others why there is nothing."""
    found: dict[str, Array] = {}
    missing: dict[str, str] = {}
    if asked.kind == "ranking":
        return found, dict.fromkeys(SETTINGS, "n/a")
    parts = peers.rows(asked, most)
    for name, setting in SETTINGS.items():
        if missing:  # what is too slow without windows is so with them
            missing[name] = next(iter(missing.values()))
            continue
        try:
            found[name] = peers.boosted(asked, said, parts, features(asked, parts, setting, limit))
        except Unfinished as why:
            missing[name] = str(why)
    return found, missing


def features(asked: Asked, parts: tuple[Samples, ...], setting: Setting, limit: int) -> list[pa.Table]:
    """The features of each part's rows, in order; with the step ahead of a forecast."""
    whole = computed(asked, parts, setting, limit)
    if parts[0].step is not None:
        whole = whole.append_column("step", own_columns(parts)["step"])
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    return [whole.slice(start, len(part)) for start, part in zip(starts, parts, strict=False)]


def computed(asked: Asked, parts: tuple[Samples, ...], setting: Setting, limit: int) -> pa.Table:
    """The features of all rows, in order; from the cache if they were computed before."""
    everything = spine(parts)
    rows, place = distinct(everything)
    horizon = max(1, (asked.query.horizon_microseconds or 30 * _DAY) // _DAY)
    job = {
        "entity": asked.query.entity,
        "key": asked.query.key,
        "aggregates": list(setting.aggregates),
        "transforms": list(setting.transforms),
        "layout": 2,
        "windows": [None if times is None else times * horizon for times in setting.windows],
    }
    made_of = keep.fingerprint(
        json.dumps([job, VERSION, asked.db.rows.fingerprint, hidden(asked)]),
        rows["cutoff"].cast(pa.int64()).to_numpy(),
        "\n".join(map(str, rows["entity"].to_pylist())),
    )
    folder = keep.folder()
    with tempfile.TemporaryDirectory() as temporary:
        path = (folder or Path(temporary)) / f"deep-{made_of}.parquet"
        if not path.is_file():
            _compute(asked, job, rows, path, limit)
        table = pq.read_table(path)
    ordered = table.take(pa.array(np.argsort(table["row"].to_numpy()))).drop_columns(["row"])
    return ordered.take(pa.array(place))


def distinct(rows: pa.Table) -> tuple[pa.Table, Array]:
    """Each (entity, cutoff) once, and where each row finds its own."""
    entity = rows["entity"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    keys = np.column_stack([entity.astype(np.int64), rows["cutoff"].cast(pa.int64()).to_numpy()])
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    kept = rows.take(pa.array(first))
    return kept.set_column(0, "row", pa.array(np.arange(len(first)))), place.ravel()


def _compute(asked: Asked, job: Mapping[str, Any], rows: pa.Table, path: Path, limit: int) -> None:
    """Run the job in featuretools' environment; what did not finish leaves a mark, so as not to be tried again."""
    mark = path.with_suffix(f".over-{limit}")
    if mark.exists():
        raise Unfinished(f"> {limit} s")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "job.json"
        pq.write_table(named(rows, {"entity"}), Path(folder) / "spine.parquet")
        answer = Path(folder) / "answer.parquet"
        whole = {
            **job,
            "spine": str(Path(folder) / "spine.parquet"),
            "answer": str(answer),
            **_laid(asked, Path(folder)),
        }
        told.write_text(json.dumps(whole), encoding="utf-8")
        command = [str(environment()), str(Path(__file__).with_name("deep.py")), str(told)]
        try:
            subprocess.run(command, check=True, timeout=limit)
        except subprocess.TimeoutExpired as error:
            mark.touch()
            raise Unfinished(f"> {limit} s") from error
        except subprocess.CalledProcessError as error:
            raise Unfinished("failed") from error
        path.write_bytes(answer.read_bytes())


def _laid(asked: Asked, folder: Path) -> dict[str, Any]:
    """The database's tables as files, with all that featuretools needs to know of them."""
    links = [link for link in asked.db.graph.links if len(link.columns) == 1 and link.table != link.to]
    names: dict[str, set[str]] = {
        table.name: set(table.keys[:1] if len(table.keys) == 1 else ()) for table in asked.db.graph
    }
    for link in links:
        names[link.table].add(link.columns[0])
    told = {}
    for name, rows in tables(asked.db, hidden(asked)).items():
        described = asked.db.graph.table(name)
        seen = [described.column(c) for c in rows.column_names]
        kinds = {c.name: kind for c in seen if (kind := _kind(c, names[name])) is not None}
        kept = [c for c in rows.column_names if c in kinds or c in names[name]]
        pq.write_table(named(rows.select(kept), names[name]), folder / f"{name}.parquet")
        told[name] = {
            "path": str(folder / f"{name}.parquet"),
            "key": described.keys[0] if len(described.keys) == 1 else None,
            "time": described.happened,
            "kinds": kinds,
            "names": sorted(names[name]),
        }
    joined = [(link.table, link.columns[0], link.to, asked.db.graph.table(link.to).keys[0]) for link in links]
    return {"tables": told, "links": joined}


def hidden(asked: Asked) -> tuple[str, ...]:
    """The columns that featuretools must not see: what leaks, and a column that is to be filled in."""
    fields = [node for node in asked.query.target.walk() if isinstance(node, Field)] if asked.query.static else []
    return (*asked.task.leaking, *(f"{field.table}.{field.column}" for field in fields))


def named(rows: pa.Table, names: set[str]) -> pa.Table:
    """The table with its keys and links as text: as numbers, pandas would make 7 into 7.0 beside a NULL."""
    return pa.table({c: rows[c].cast(pa.string()) if c in names else rows[c] for c in rows.column_names})


def _kind(column: Column, names: set[str]) -> str | None:
    """What featuretools is told a column is; None for one that it does not get."""
    if column.name in names:
        return None
    if column.dtype is Dtype.TIMESTAMP:
        return "timestamp"
    if column.kind in (Kind.ID, Kind.TEXT, Kind.IGNORED, Kind.MULTICATEGORICAL):
        return None
    return "bool" if column.dtype is Dtype.BOOL else str(column.kind)


def environment() -> Path:
    """The Python of featuretools' environment, made if it is not there."""
    place = (keep.folder() or Path(tempfile.gettempdir())) / f"featuretools-{VERSION}"
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (place / "complete").exists():
        print(f"making an environment for featuretools {VERSION}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *PACKAGES]
        subprocess.run(install, check=True)
        (place / "complete").touch()
    return python
