"""A repository's definitions as sections of a project's file, and what has no equal there."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeAlias

from penstock.features.feast.arithmetic import expressions
from penstock.features.feast.objects import VIEWS, Feature, Unfit, about, age, fields, listed, text
from penstock.features.feast.sources import Origin, TableMade, columns_of, origin_of, placed, stream_section, unique
from penstock.features.feast.values import LeftOut, Made, Projection
from penstock.schema import Dtype

Section: TypeAlias = dict[str, object]


@dataclass
class Carried:
    """The sections of a project's file by kind and name, and what was left out."""

    name: str
    sources: dict[str, Section] = field(default_factory=dict)
    tables: dict[str, Section] = field(default_factory=dict)
    streams: dict[str, Section] = field(default_factory=dict)
    entities: dict[str, Section] = field(default_factory=dict)
    features: dict[str, Section] = field(default_factory=dict)
    services: dict[str, Section] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def sections(self) -> dict[str, dict[str, Section]]:
        """The sections by kind, in the order in which they are written."""
        kinds = ("sources", "tables", "streams", "entities", "features", "services")
        return {kind: getattr(self, kind) for kind in kinds}


@dataclass
class Carrier:
    """Carries the objects of a repository over into a project: ``store`` says where its offline store is."""

    root: Path
    folder: Path
    store: Mapping[str, object]
    carried: Carried
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    schemas: dict[str, list[Feature]] = field(default_factory=dict)
    tables: dict[int, TableMade] = field(default_factory=dict)

    def carry(self, objects: list[Made]) -> Carried:
        """Carry all of them over: entities, views on tables, views on demand, services."""
        steps: tuple[tuple[tuple[str, ...], Callable[[Made], None]], ...] = (
            (("Project",), self._project),
            (("Entity",), self._entity),
            (VIEWS, self._view),
            (("OnDemandFeatureView",), self._on_demand),
            (("FeatureService",), self._service),
            (("LabelView",), _label_view),
        )
        for kinds, step in steps:
            for made in objects:
                if made.kind in kinds:
                    self._attempt(made, step)
        for table in self._used():
            if not table.origin.streamed:
                self.carried.tables[table.name] = table.section()
            for made in table.feeding:
                self._attempt(made, partial(self._stream, table))
        return self.carried

    def _used(self) -> list[TableMade]:
        """The tables that views are on; sources that give no others are taken out."""
        used = [table for table in self.tables.values() if table.keys]
        for name, said in list(self.carried.sources.items()):
            said["tables"] = list(dict.fromkeys(table.from_ for table in used if table.source == name))
            if not said["tables"]:
                del self.carried.sources[name]
        return used

    def _stream(self, table: TableMade, made: Made) -> None:
        if made.kind == "KafkaSource":
            self.carried.streams[unique(made.name or table.name, self.carried.streams)] = stream_section(made, table)
        elif made.kind != "PushSource":
            raise Unfit(f"a {made.kind} is no stream here")

    def _attempt(self, made: Made, step: Callable[[Made], None]) -> None:
        try:
            step(made)
        except Unfit as unfit:
            self._left(made, str(unfit))

    def _left(self, made: Made, reason: str) -> None:
        self.carried.left_out.append(LeftOut(made.name or made.kind, made.where, reason))

    def _must_be_new(self, made: Made) -> str:
        name = made.name
        if not name:
            raise Unfit("its name cannot be read")
        if name in self.carried.features or name in self.carried.services:
            raise Unfit("another definition has this name")
        return name

    # ------------------------------------------------------------ entities

    def _project(self, made: Made) -> None:
        self.carried.name = made.name or self.carried.name

    def _entity(self, made: Made) -> None:
        if not made.name:
            raise Unfit("its name cannot be read")
        keys = [str(one) for one in listed(made, "join_keys")] or [text(made, "join_key") or made.name]
        if len(keys) != 1:
            raise Unfit("it has several join keys: name an entity for each, as Feast asks for")
        self.keys[made.name] = tuple(keys)
        self.carried.entities[made.name] = {"key": keys, **about(made)}

    def _entity_of(self, made: Made) -> tuple[str, tuple[str, ...]]:
        """The entity that a view is about; several together are one whose key is all of theirs."""
        names = [one.name if isinstance(one, Made) else str(one) for one in listed(made, "entities")]
        if not names:
            raise Unfit("it is about no entity: there is no one row for all")
        for name in names:
            if name not in self.keys:
                raise Unfit(f"its entity {name} was not carried over")
        if len(names) == 1:
            return names[0], self.keys[names[0]]
        whole, keys = "_".join(names), tuple(key for name in names for key in self.keys[name])
        self.carried.entities.setdefault(whole, {"key": list(keys)})
        return whole, keys

    # ------------------------------------------------------------ views on tables

    def _view(self, made: Made) -> None:
        name = self._must_be_new(made)
        for what in ("aggregations", "udf", "feature_transformation", "sink_source"):
            if made.said.get(what) or (what == "udf" and made.function is not None):
                raise Unfit("its rows are made by code: derive a table, or write its aggregates in PQL")
        entity, keys = self._entity_of(made)
        table = self._table(origin_of(made.said.get("source")))
        ttl = age(made, "ttl")
        kept = list(self._features(made, table, keys))
        if not kept:
            raise Unfit("none of its features has a kind that there is here")
        table.keys |= dict.fromkeys(keys)
        self.schemas[name] = kept
        told: Section = {"entity": entity, "table": table.name, "columns": [one.name for one in kept]}
        told |= {"ttl": f"{_seconds(ttl)} seconds"} if ttl else {}
        self.carried.features[name] = told | _named_by(about(made), made.said.get("source"), table)
        if any(isinstance(one, Made) and about(one) for one in listed(made, "schema")):
            self._left(made, "what its fields say of themselves: only views have descriptions and tags")

    def _features(self, made: Made, table: TableMade, keys: tuple[str, ...]) -> Iterator[Feature]:
        """The fields of a view that are features, and have a kind; without any, the columns that its file has."""
        told = list(fields(made)) or list(fields(made, "features")) or self._inferred(table)
        for one in told:
            if one.name in (*keys, table.time, table.created):
                continue
            if one.dtype is None:
                self.carried.left_out.append(
                    LeftOut(f"{made.name}:{one.name}", made.where, f"{one.told} is no kind of value here")
                )
            else:
                yield one

    def _inferred(self, table: TableMade) -> list[Feature]:
        """What Feast would take for features: the columns of the file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from penstock.lake.canonical import declared_dtype, items_of

        place = Path(os.path.normpath(self.folder / table.url))
        files = [place] if place.is_file() else sorted((place / table.from_).rglob("*.parquet"))
        try:
            schema = pq.read_schema(files[0]) if files else pa.schema([])
        except (OSError, pa.ArrowInvalid):
            schema = pa.schema([])
        if not schema.names:
            raise Unfit("it has no schema, and its file cannot be read for one")
        ours = {theirs: name for name, theirs in table.renames.items()}
        found = [(one, Dtype.LIST if items_of(one.type) else declared_dtype(one.type)) for one in schema]
        return [
            Feature(ours.get(one.name, one.name), None if dtype is Dtype.OTHER else dtype, str(one.type))
            for one, dtype in found
        ]

    def _table(self, origin: Origin) -> TableMade:
        made = self.tables.get(id(origin.batch)) or self._twin(origin)
        if made is None:
            url, from_ = placed(origin, self.root, self.folder, self.store) if not origin.streamed else ("", "")
            renames, time, created = columns_of(origin)
            name = unique(origin.name, [one.name for one in self.tables.values()])
            source = "" if origin.streamed else self._source(name, url, from_)
            made = TableMade(name, source, url, from_, origin, renames, time, created)
            self.tables[id(origin.batch)] = made
        if origin.pushed is not None and origin.pushed not in made.feeding:
            made.feeding.append(origin.pushed)
        return made

    def _twin(self, origin: Origin) -> TableMade | None:
        """The table of a source that says the same of itself, for that is the same source."""
        same = (
            one for one in self.tables.values() if not origin.streamed and one.origin.batch.said == origin.batch.said
        )
        return next(same, None)

    def _source(self, name: str, url: str, table: str) -> str:
        """The name of the source at a URL; it gives the tables that views are on, and no others."""
        for known, said in self.carried.sources.items():
            if said["url"] == url:
                tables = said["tables"]
                assert isinstance(tables, list)
                said["tables"] = list(dict.fromkeys([*tables, table]))
                return known
        found = unique(name, self.carried.sources)
        self.carried.sources[found] = {"url": url, "tables": [table]}
        return found

    # ------------------------------------------------------------ views on demand

    def _on_demand(self, made: Made) -> None:
        name = self._must_be_new(made)
        if listed(made, "aggregations"):
            raise Unfit("it aggregates what a request says")
        if made.said.get("write_to_online_store"):
            raise Unfit("it is worked out when rows are written (write_to_online_store)")
        inputs, requested = self._inputs(made)
        wanted = [one.name for one in fields(made)] or [one.name for one in fields(made, "features")]
        if made.function is None:
            raise Unfit("its function is not written above it as @on_demand_feature_view")
        found = expressions(made.function, {*inputs, *requested}, wanted)
        told: Section = {
            "inputs": {key: value for key, value in inputs.items() if key in found.used},
            "requested": {key: value for key, value in requested.items() if key in found.used},
            "expressions": found.texts,
        }
        self.carried.features[name] = told | about(made)
        for one in (*fields(made), *fields(made, "features")):
            if one.dtype is Dtype.INT and found.texts[one.name].startswith("("):
                self._left(made, f"that {one.name} is {one.told}: what is calculated is a float")

    def _inputs(self, made: Made) -> tuple[dict[str, str], dict[str, str]]:
        """What a view on demand reads: features by the names that its function has for them, and of the request."""
        inputs: dict[str, str] = {}
        requested: dict[str, str] = {}
        for one in listed(made, "sources"):
            if isinstance(one, Made) and one.kind == "RequestSource":
                for field_ in fields(one):
                    if field_.dtype is None:
                        raise Unfit(f"the request's {field_.name} is {field_.told}, no kind of value here")
                    requested[field_.name] = field_.dtype.value
                continue
            view, names = self._chosen(one)
            if inputs.keys() & set(names):
                raise Unfit("two of its inputs have features of one name")
            inputs |= {name: f"{view}:{name}" for name in names}
        return inputs, requested

    # ------------------------------------------------------------ services

    def _service(self, made: Made) -> None:
        name, asked = self._must_be_new(made), []
        for one in listed(made, "features"):
            view, names = ("", [one]) if isinstance(one, str) else self._chosen(one)
            asked += [f"{view}:{feature}" if view else feature for feature in names]
        if not asked:
            raise Unfit("it names no features")
        self.carried.services[name] = {"features": asked, **about(made)}

    def _chosen(self, told: object) -> tuple[str, list[str]]:
        """The view that is meant (in a role: a view of its own) and which of its features."""
        projection = told if isinstance(told, Projection) else Projection(told) if isinstance(told, Made) else None
        if projection is None:
            raise Unfit("it names what is no view")
        view = projection.view.name
        said = self.carried.features.get(view)
        if said is None:
            raise Unfit(f"{view or 'a view'} was not carried over")
        there = [one.name for one in self.schemas[view]] if view in self.schemas else list(_names(said["expressions"]))
        names = list(there) if projection.features is None else list(projection.features)
        for name in names:
            if name not in there:
                raise Unfit(f"{view}:{name} was not carried over")
        return (self._role(projection), names) if projection.alias or projection.keys else (view, names)

    def _role(self, projection: Projection) -> str:
        """The name of a view in a role, which is made when first met."""
        view = projection.view.name
        said = self.carried.features[view]
        keys = self.carried.entities[str(said["entity"])]["key"] if "entity" in said else None
        if not isinstance(keys, list):
            raise Unfit(f"{view} in a role: only views of entities have roles")
        if projection.keys.keys() - set(keys):
            raise Unfit(f"{view} in a role: it has no key {sorted(projection.keys.keys() - set(keys))[0]}")
        name = projection.alias or "_".join([view, *projection.keys.values()])
        role: Section = {"view": view, "keys": {key: projection.keys.get(key, key) for key in keys}}
        if self.carried.features.setdefault(name, role) != role:
            raise Unfit(f"two different views or roles are called {name}")
        return name


def _seconds(length: timedelta) -> int | float:
    seconds = length.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _label_view(_made: Made) -> None:
    raise Unfit("labels are kept as labels: penstock labels import")


def _names(mapping: object) -> Iterator[str]:
    assert isinstance(mapping, dict)
    yield from mapping


def _named_by(told: Section, source: object, table: TableMade) -> Section:
    """What is said of a view, with the names that its source has for clients as tags: where rows come in and from."""
    more: dict[str, object] = {}
    if isinstance(source, Made) and source.kind == "PushSource" and source.name:
        more["push_source"] = source.name
    if table.origin.called != table.name:
        more["data_source"] = table.origin.called
    tags = told.get("tags")
    return told | {"tags": {**(tags if isinstance(tags, dict) else {}), **more}} if more else told
