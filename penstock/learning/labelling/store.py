"""Label sets kept in the lake: each is a versioned table, each label a row of it, and every change a newer version."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RequestError, SourceError
from penstock.lake.frames import content_hash
from penstock.lake.reserved import LABELS as PREFIX
from penstock.lake.sql import Sql
from penstock.lake.versioned import DELETED, KNOWN, Lake, Roles, VersionedTable
from penstock.learning.labelling.door import Defaults, gather, kind_for
from penstock.learning.labelling.label import INSTANT, REJECTED, Labels, ValueKind, in_microseconds, typed, value_kind
from penstock.learning.rows.timeline import now as present

_KEY = ("entity", "happened", "labeller")
_SAID = ("written", "source", "confidence", "note")
_NAME = re.compile(r"[A-Za-z]\w*")
_TRIES = 10


@dataclass(frozen=True)
class Added:
    """What a change did: how many labels are new, correct, confirm (the same, said again later) or withdraw an older
    one, or say nothing new.

    ``late`` labels were known before what is held of the same labeller, entity and time, and were left out.
    """

    new: int = 0
    corrected: int = 0
    confirmed: int = 0
    unchanged: int = 0
    late: int = 0
    withdrawn: int = 0
    rejected: pa.Table = field(default_factory=REJECTED.empty_table)

    def __str__(self) -> str:
        told = {"new": self.new, "corrected": self.corrected, "confirmed": self.confirmed}
        told |= {"unchanged": self.unchanged, "late": self.late, "withdrawn": self.withdrawn}
        told["rejected"] = self.rejected.num_rows
        return ", ".join(f"{count:,} {what}" for what, count in told.items() if count) or "nothing"


@dataclass(frozen=True)
class LabelStore:
    """All label sets of a lake. ``now`` says what time it is, in microseconds."""

    lake: Lake
    now: Callable[[], int] = present

    def names(self) -> tuple[str, ...]:
        """The sets' names, in order."""
        return tuple(n.removeprefix(PREFIX) for n in self.lake.names() if n.startswith(PREFIX))

    def create(self, name: str, entity: str, kind: str) -> LabelSet:
        """A new set of labels of ``kind`` (truth, number, category) about the rows of the table ``entity``.

        Gives the set that is there, if it is the same. Raises ``RequestError`` if it is another.
        """
        if not _NAME.fullmatch(name):
            hint = "Use letters, digits and underscores, a letter first."
            raise RequestError("LABELS_NAME", f"a label set cannot be called {name!r}", name=name, hint=hint)
        wanted = value_kind(kind)
        roles = Roles(key=_KEY, happened="happened", links={"entity": entity}, origin="labels")
        made = LabelSet(name, self.lake.create(PREFIX + name, _schema(wanted), roles), self.now)
        if (made.entity, made.kind) != (entity, wanted):
            message = f"there is a set {name!r} already: {made.kind} labels of {made.entity}"
            raise RequestError("LABELS_OTHER_SET", message, name=name, hint="Choose another name.")
        return made

    def set(self, name: str) -> LabelSet:
        """The set called so. Raises ``SourceError`` with the ones that exist."""
        if name not in self.names():
            hint = f"Give some: penstock labels apply {name} (its rules), or penstock labels import {name} FILE"
            message = f"there are no labels {name!r}"
            raise SourceError("LABELS_UNKNOWN_SET", message, name=name, candidates=self.names(), hint=hint)
        return LabelSet(name, self.lake.table(PREFIX + name), self.now)

    def add(self, name: str, labels: Labels, *, entity: str | None = None, **how: Any) -> Added:
        """Add labels to a set, which is made when it is not there: then ``entity`` names the table they are about.

        The kind of a new set follows from the values. Everything else is as in `LabelSet.add`.
        """
        if name in self.names():
            return self.set(name).add(labels, **how)
        if entity is None:
            hint = "Name the table that these labels are about: --entity customers, or entity='customers'."
            raise RequestError("LABELS_NO_ENTITY", f"the set {name!r} is new", name=name, hint=hint)
        return self.create(name, entity, kind_for(labels)).add(labels, **how)


def _schema(kind: ValueKind) -> pa.Schema:
    text, number = pa.string(), pa.float64()
    return pa.schema([
        ("entity", text), ("happened", INSTANT), ("value", kind.arrow), ("written", text), ("labeller", text),
        ("source", text), ("confidence", number), ("note", text),
    ])  # fmt: skip


@dataclass(frozen=True)
class LabelSet:
    """The labels of one name: ``entity`` is the table they are about, ``kind`` what their values are."""

    name: str
    table: VersionedTable = field(repr=False)
    now: Callable[[], int] = field(default=present, repr=False)

    @property
    def entity(self) -> str:
        """The table that the labels are about."""
        return (self.table.roles.links or {}).get("entity", "")

    @property
    def kind(self) -> ValueKind:
        """What the values are."""
        return next(kind for kind in ValueKind if kind.arrow == self.table.schema.field("value").type)

    # ------------------------------------------------------------ reading

    def history(self) -> pa.Table:
        """Every version of every label, in the order they were known.

        Columns ``entity``, ``happened`` (NULL: none), ``value``, ``written``, ``labeller``, ``source``,
        ``confidence``, ``note``, ``known`` and ``deleted``.
        """
        order = ", ".join((KNOWN, *_KEY))
        with Sql({"labels": self.table.refresh().scan()}, rows="log") as sql:
            rows = sql.arrow(f"SELECT * FROM labels ORDER BY {order}")
        names = {KNOWN: "known", DELETED: "deleted"}
        return rows.rename_columns([names.get(name, name) for name in rows.column_names])

    def at(self, instant: int | None = None) -> pa.Table:
        """The labels that held at an instant (default: all that is known), in order; withdrawn ones are not there."""
        rows = self.history()
        if instant is not None:
            rows = rows.filter(pc.less_equal(rows["known"].cast(pa.int64()), instant))
        newest = {key: place for place, key in enumerate(_keys(rows))}
        rows = rows.take(pa.array(sorted(newest.values()), pa.int64()))
        rows = rows.filter(pc.invert(rows["deleted"])).drop_columns(["deleted"])
        return rows.sort_by([(name, "ascending") for name in _KEY])

    # ------------------------------------------------------------ writing

    def add(self, labels: Labels, *, among: pa.Array | None = None, rejected: str = "refuse") -> Added:
        """Add labels; those that were added before, in any version, change nothing, so adding twice adds once.

        ``among`` are the keys of the entities that exist: labels of others are rejected, as are values that the set's
        kind does not hold. With ``rejected="keep"`` the good ones are added all the same; else nothing is, and
        ``SourceError`` (``LABELS_REJECTED``) says what was wrong with the first.
        """
        if rejected not in ("refuse", "keep"):
            raise RequestError("LABELS_REJECTED_HOW", f"rejected labels cannot be {rejected!r}", name=rejected,
                               candidates=("refuse", "keep"))  # fmt: skip
        checked = self._checked(labels, among)
        if checked.rejected.num_rows and rejected == "refuse":
            hint = "Mend them, or add the others alone: --keep-good, or rejected='keep'."
            message = f"{checked.rejected.num_rows:,} labels are rejected, the first {checked.first_rejected}"
            raise SourceError("LABELS_REJECTED", message, hint=hint)
        return replace(self._commit(checked.rows, again=False), rejected=checked.rejected)

    def correct(self, entity: object, value: object, *, among: pa.Array | None = None, **parts: Any) -> Added:
        """Say something else of an entity: ``happened`` and ``labeller`` name the label (``labeller`` is needed).

        What was said before stays in the history, and holds for cutoffs before this was known. ``source``,
        ``confidence`` and ``note`` may be given too. Raises ``RequestError`` for a value of another kind, and for an
        entity that is not ``among`` the keys of those that exist.
        """
        said = {"entity": entity, "value": value, "source": "correction", **parts}
        labels = self._checked(gather([("the correction", said)], Defaults(), self.now()), among)
        if labels.rejected.num_rows:
            raise RequestError("LABELS_REJECTED", labels.first_rejected)
        return self._commit(labels.rows, again=True)

    def withdraw(self, entity: object, labeller: str, happened: Any = None) -> Added:
        """Take a label back, from now on: it holds no longer, and stays in the history.

        Raises ``RequestError`` where there is no such label.
        """
        said = gather([("it", {"entity": entity, "labeller": labeller, "happened": happened, "value": "-"})],
                      Defaults(), self.now())  # fmt: skip
        key = _keys(said.rows)[0] if len(said) else None
        held = self.at()
        mine = [place for place, other in enumerate(_keys(held)) if other == key]
        if not mine:
            message = f"{labeller} has no such label of {self.entity} {entity}"
            known = sorted({row["labeller"] for row in held.to_pylist() if row["entity"] == str(entity)})
            raise RequestError("LABELS_NOT_THERE", message, name=labeller, candidates=known)
        gone = held.take(pa.array(mine)).drop_columns(["known", "value"])
        done = self._commit(gone.append_column("known", pa.nulls(1, INSTANT)), again=True, deleted=True)
        return Added(withdrawn=done.corrected)

    def _checked(self, labels: Labels, among: pa.Array | None) -> Labels:
        """The labels whose values and entities fit."""
        there = None if among is None else set(among.cast(pa.string()).to_pylist())
        kind = self.kind
        bad: list[dict[str, str]] = []
        good: list[int] = []
        for place, row in enumerate(labels.rows.to_pylist()):
            reason = self._unfit(row, kind, there)
            if reason:
                bad.append({"place": f"entity {row['entity']}", "reason": reason})
            else:
                good.append(place)
        rejected = pa.concat_tables([labels.rejected, pa.Table.from_pylist(bad, REJECTED)])
        return replace(labels, rows=labels.rows.take(pa.array(good, pa.int64())), rejected=rejected)

    def _unfit(self, row: Mapping[str, Any], kind: ValueKind, there: set[str] | None) -> str:
        if typed(row["written"], kind) is None:
            return f"{row['written']!r} is no {kind} value, as the labels {self.name} are"
        if there is not None and row["entity"] not in there:
            return f"{self.entity} has no such row"
        return ""

    def _commit(self, rows: pa.Table, *, again: bool, deleted: bool = False) -> Added:
        """Commit what is news; another writer's commit in between means reading and deciding again."""
        for _ in range(_TRIES):
            newest = self.table.refresh().newest()
            number = 0 if newest is None else newest.number
            coming, done = _news(self.history(), rows, self.now(), again=again, deleted=deleted)
            if not coming:
                return done
            made = self._written(coming)
            batch = blake2b(f"{content_hash(made)} after {number}".encode(), digest_size=16).hexdigest()
            staged = self.table.stage(made.to_batches())
            try:
                self.table.commit(staged, batch=batch, after=number)
            except SourceError as error:
                self.table.discard(staged)
                if error.code != "LAKE_CONFLICT":
                    raise
                continue
            return done
        raise SourceError("LAKE_BUSY", f"labels {self.name}: other writers came first {_TRIES} times")

    def _written(self, coming: list[dict[str, Any]]) -> pa.Table:
        kind = self.kind
        for row in coming:
            row["value"] = typed(row["written"], kind)
        return pa.Table.from_pylist(coming, self.table.schema)


def _keys(rows: pa.Table) -> list[tuple[Any, ...]]:
    """What tells labels apart, row by row."""
    held = [rows["entity"].to_pylist(), rows["happened"].cast(pa.int64()).to_pylist(), rows["labeller"].to_pylist()]
    return list(zip(*held, strict=True))


def _news(
    history: pa.Table, rows: pa.Table, now: int, *, again: bool, deleted: bool
) -> tuple[list[dict[str, Any]], Added]:
    """The rows that are news beside a history, ready to be written, and how many there are of each sort.

    ``again``: what was said in an older version, but not in the newest, is news as well.
    """
    newest = dict(zip(_keys(history), in_microseconds(history).to_pylist(), strict=True))
    ever = {(key, _content(row)) for key, row in zip(_keys(history), in_microseconds(history).to_pylist(), strict=True)}
    coming: list[dict[str, Any]] = []
    counts = dict.fromkeys(("new", "corrected", "confirmed", "unchanged", "late"), 0)
    rows = rows.sort_by([(name, "ascending") for name in (*_KEY, "known")])
    for key, row in zip(_keys(rows), in_microseconds(rows).to_pylist(), strict=True):
        row["deleted"] = deleted
        before, said = newest.get(key), (key, _content(row))
        sort = _sort(before, row, again=again or said not in ever)
        counts[sort] += 1
        if sort in ("new", "corrected", "confirmed"):
            own = now if row["known"] is None else row["known"]
            row["known"] = own if before is None else max(own, before["known"] + 1)
            newest[key] = row
            ever.add(said)
            told = {name: row[name] for name in ("entity", "happened", "labeller", *_SAID)}
            coming.append({**told, KNOWN: row["known"], DELETED: deleted})
    return coming, Added(**counts)


def _content(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (*(row[name] for name in _SAID), row["deleted"])


def _sort(before: Mapping[str, Any] | None, row: Mapping[str, Any], *, again: bool) -> str:
    """What a row is beside the newest version of its label; ``again`` where the same was not said before, or may be."""
    if before is None:
        return "new"
    if _content(before) == _content(row):
        return "confirmed" if (row["known"] or 0) > before["known"] else "unchanged"
    if row["known"] is None:
        return "corrected" if again else "unchanged"
    if row["known"] > before["known"]:
        return "corrected"
    return "late" if again else "unchanged"


__all__ = ["Added", "LabelSet", "LabelStore"]
