"""Where entities stand in the graph: which table's rows they are, and which tables' rows are about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.errors import RequestError
from penstock.features.views.bound import BoundEntity
from penstock.features.views.broken import Sieve, untabled
from penstock.features.views.declared import Definitions, Entity, LatestView
from penstock.features.views.entities import KEY, Joins, Virtual
from penstock.features.views.twins import twins
from penstock.plan import Stream
from penstock.schema import Column, Dtype, Graph, Link, Table

Way = tuple[str, tuple[str, ...]]
"""A table, and its columns that hold an entity's key."""
_NO_KEYS = (Dtype.LIST, Dtype.OTHER)


@dataclass(frozen=True)
class Rooted:
    """Entities with the graph that has a table for each of them, and one for each key that parents are looked up by.

    ``asked`` is what expressions may speak of.
    """

    graph: Graph
    joins: Joins
    entities: Mapping[str, BoundEntity]
    asked: Graph

    def about(self, entity: BoundEntity) -> Graph:
        """What expressions about an entity may speak of: also of the row that it is, by a key of several columns."""
        virtual = self.joins.virtual.get(entity.table)
        row = None if virtual is None else virtual.row(self.graph)
        return self.asked if row is None else replace(self.asked, links=(*self.asked.links, row))


def rooted(definitions: Definitions, graph: Graph, sieve: Sieve) -> Rooted:
    """Every entity in the graph. Entities, and views of newest values, that do not fit its tables are held back."""
    found = _Standing({}, (), {})
    for entity in definitions.entities.values():
        with sieve.over("entity", entity.name):
            _check_keys(entity)
            found = found.with_all(_fitting(entity, definitions, graph, found, sieve))
    whole = replace(graph, links=tuple(dict.fromkeys((*graph.links, *found.links))))
    taken = {*(table.name for table in graph), *found.virtual}
    joins = Joins({**found.virtual, **{one.name: one for one in twins(whole) if one.name not in taken}})
    return Rooted(joins.graph(whole), joins, found.entities, Joins(found.virtual).graph(whole))


@dataclass(frozen=True)
class _Standing:
    """Entities as they stand in the graph, with the virtual tables and the links that they need."""

    virtual: Mapping[str, Virtual]
    links: tuple[Link, ...]
    entities: Mapping[str, BoundEntity]

    def with_all(self, other: _Standing) -> _Standing:
        """Both together."""
        virtual, entities = {**self.virtual, **other.virtual}, {**self.entities, **other.entities}
        return _Standing(virtual, (*self.links, *other.links), entities)


def _fitting(entity: Entity, definitions: Definitions, graph: Graph, others: _Standing, sieve: Sieve) -> _Standing:
    """An entity with those of its views whose tables hold its key; the others are held back, one by one."""
    taken = {*(table.name for table in graph), *others.virtual}
    views = [one for one in _latest(definitions) if one.entity == entity.name]
    try:
        return _standing(entity, views, graph, taken)
    except RequestError:
        return _without_misfits(entity, views, graph, taken, sieve)


def _without_misfits(
    entity: Entity, views: Sequence[LatestView], graph: Graph, taken: Collection[str], sieve: Sieve
) -> _Standing:
    """An entity with as many of its views as it can have, in their order. Raises where it cannot stand alone either."""
    found: _Standing | None = None
    kept: tuple[LatestView, ...] = ()
    for view in views:
        with sieve.over("view", view.name):
            found = _standing(entity, (*kept, view), graph, taken)
            kept = (*kept, view)
    return found or _standing(entity, (), graph, taken)


def _standing(entity: Entity, views: Sequence[LatestView], graph: Graph, taken: Collection[str]) -> _Standing:
    for view in views:
        _table(view, view.table, graph)
    table = _own_table(entity, graph)
    if table is not None and len(table.keys) == 1:
        links = _links(entity, table, views, graph)
        return _Standing({}, tuple(links), {entity.name: _real(entity, table, graph)})
    made = _virtual(entity, table, views, graph, _free(entity.name, taken))
    dtypes = _agreeing(entity, made.ways, graph)
    if table is None:
        bound = BoundEntity(entity.name, entity.keys, dtypes, made.name, KEY, virtual=True)
    else:
        made, own = replace(made, own=table.name), Link(table.name, made.column(table.name), made.name)
        bound = BoundEntity(entity.name, entity.keys, dtypes, made.name, KEY, table.name, virtual=True, own=own)
    return _Standing({made.name: made}, (), {entity.name: bound})


def stream_of(found: Rooted, view: LatestView) -> Stream:
    """The rows that a view of latest values is about: the entity's own, or those that point to it."""
    entity = found.entities[view.entity]
    if view.table == entity.table and view.keys in ((), (entity.column,)):
        return Stream(entity.table)
    links = [link for link in found.graph.links_to(entity.table) if link.table == view.table]
    if entity.virtual and view.keys:
        columns = (found.joins.virtual[entity.table].column(view.table, view.keys),)
        links = [link for link in links if link.columns == columns]
    elif view.keys:
        links = [link for link in links if link.columns == view.keys]
    else:
        links = _usual(links, found.joins.virtual.get(entity.table), view) or links
    if len(links) == 1:
        return Stream(entity.table, (links[0],))
    message = f"{view.name}: {view.table} points to {entity.name} by {len(links)} links"
    hint = 'Say which columns of the table hold the key: keys = ["…"].'
    raise RequestError("FEATURE_LINK", view.about.said(message), name=view.table, candidates=map(str, links), hint=hint)


def _usual(links: Sequence[Link], virtual: Virtual | None, view: LatestView) -> list[Link]:
    """Of several links of a table to a virtual one, the one that is not there for another view's sake."""
    usual = virtual is not None and view.table in virtual.joins and virtual.column(view.table)
    return [link for link in links if link.column == usual]


def _latest(definitions: Definitions) -> Iterable[LatestView]:
    return (view for view in definitions.views.values() if isinstance(view, LatestView))


def _free(name: str, taken: Iterable[str]) -> str:
    """A name that no table has."""
    while name in taken:
        name = f"{name} entity"
    return name


def _check_keys(entity: Entity) -> None:
    if not entity.keys or len(set(entity.keys)) < len(entity.keys) or not all(entity.keys):
        hint = "Name the columns of spines and requests that say which one is meant, each once."
        raise _wrong(entity, "FEATURE_ENTITY_KEY", f"its key cannot be {list(entity.keys)}", hint=hint)


# ------------------------------------------------------------ entities with a table of their own


def _own_table(entity: Entity, graph: Graph) -> Table | None:
    if entity.table is None:
        return None
    table = _table(entity, entity.table, graph)
    if not table.keys:
        hint = f"Say what its key is: [tables.{table.name}] key = …; or leave the entity's table out."
        raise _wrong(entity, "FEATURE_ENTITY_KEY", f"table {table.name} has no key", hint=hint)
    if len(table.keys) != len(entity.keys):
        message = f"its key is {' and '.join(entity.keys)}, and that of {table.name} is {' and '.join(table.keys)}"
        raise _wrong(entity, "FEATURE_ENTITY_KEY", message, hint="Name as many columns, in the same order.")
    return table


def _real(entity: Entity, table: Table, graph: Graph) -> BoundEntity:
    dtypes = _agreeing(entity, [(table.name, table.keys)], graph)
    return BoundEntity(entity.name, entity.keys, dtypes, table.name, table.keys[0], table.name)


def _links(entity: Entity, table: Table, views: Sequence[LatestView], graph: Graph) -> list[Link]:
    """The links to the entity's own table that are not in the graph: of its joins, its views, and alike columns."""
    said = [(name, columns) for name, columns in entity.joins.items() if columns]
    said += [(view.table, view.keys) for view in views if view.keys and (view.table, view.keys) != _own(table)]
    linked = {link.table for link in graph.links_to(table.name)} | {name for name, _ in said} | {table.name}
    for view in views:
        if not view.keys and view.table not in linked:
            said.append((view.table, _like_keys(entity, view, graph)))
            linked.add(view.table)
    ways = [_checked(entity, name, columns, graph) for name, columns in said]
    _agreeing(entity, [_own(table), *ways], graph)
    key = table.column(table.keys[0])
    alike = [one for one in graph if one.name not in (*linked, *entity.joins) and _points(one, entity.keys[0], key)]
    ways += [(one.name, entity.keys) for one in alike]
    return [Link(name, columns[0], table.name) for name, columns in ways]


def _points(table: Table, column: str, key: Column) -> bool:
    """Whether a table has a column that is called like an entity's key and holds such values; its own key does not."""
    return table.has(column) and table.keys != (column,) and table.column(column).dtype is key.dtype


def _own(table: Table) -> Way:
    return table.name, table.keys


def _like_keys(entity: Entity, view: LatestView, graph: Graph) -> tuple[str, ...]:
    """The columns of a view's table that are called like the entity's keys."""
    table = _table(view, view.table, graph)
    if all(table.has(key) for key in entity.keys):
        return entity.keys
    message = f"{view.name}: {view.table} has no link to {entity.name} and no {' and '.join(entity.keys)}"
    hint = 'Say which columns of the table hold the key: keys = ["…"].'
    raise RequestError(
        "FEATURE_LINK", view.about.said(message), name=entity.keys[0], candidates=table.offered, hint=hint
    )


# ------------------------------------------------------------ entities that a virtual table stands for


def _virtual(entity: Entity, table: Table | None, views: Sequence[LatestView], graph: Graph, name: str) -> Virtual:
    joins = {} if table is None else dict(_own_joins(entity, table, graph))
    for one in graph:
        columns = entity.joins.get(one.name, entity.keys)
        if one.name not in joins and columns and (one.name in entity.joins or all(map(one.has, columns))):
            joins[one.name] = columns
    for unknown in entity.joins.keys() - joins.keys():
        _table(entity, unknown, graph)
    also: list[Way] = []
    for view in views:
        keys = view.keys or joins.get(view.table) or _like_keys(entity, view, graph)
        if joins.setdefault(view.table, keys) != keys:
            also.append((view.table, keys))
    if not joins:
        hint = 'Name a table and its columns: joins = { trips = ["driver_id"] }.'
        there = [one.name for one in graph]
        raise _wrong(entity, "FEATURE_ENTITY_ROWS", f"no table has {' and '.join(entity.keys)}", there, hint)
    ways = [_checked(entity, *way, graph) for way in (*joins.items(), *dict.fromkeys(also))]
    return Virtual(name, _key_dtype(entity, ways, graph), joins, tuple(dict.fromkeys(also)))


def _own_joins(entity: Entity, table: Table, graph: Graph) -> Iterator[Way]:
    """How the entity's own table and those that link to it hold its key, in the order in which the entity says it."""
    same = set(entity.keys) == set(table.keys)
    order = [table.keys.index(key) for key in entity.keys] if same else range(len(table.keys))
    yield table.name, tuple(table.keys[at] for at in order)
    for link in graph.links_to(table.name):
        if link.table not in (table.name, *entity.joins) and len(link.columns) == len(table.keys):
            yield link.table, tuple(link.columns[at] for at in order)


def _key_dtype(entity: Entity, ways: Sequence[Way], graph: Graph) -> Dtype:
    dtypes = _agreeing(entity, ways, graph)
    return dtypes[0] if len(dtypes) == 1 else Dtype.STRING


# ------------------------------------------------------------ what fits


def _table(said: Entity | LatestView, name: str, graph: Graph) -> Table:
    if name not in graph:
        message = said.about.said(f"{said.name}: there is no table {name!r}")
        if not graph.tables:
            raise untabled(message)
        raise RequestError("FEATURE_TABLE", message, name=name, candidates=[one.name for one in graph])
    return graph.table(name)


def _checked(entity: Entity, name: str, columns: tuple[str, ...], graph: Graph) -> Way:
    """A join whose columns are there, as many as the entity's keys."""
    table = _table(entity, name, graph)
    for column in columns:
        if not table.has(column):
            message = f"{name} has no column {column!r}"
            raise _wrong(entity, "FEATURE_COLUMN", message, table.offered, called=column)
    if len(columns) != len(entity.keys):
        message = f"its key is {' and '.join(entity.keys)}, and {name} joins by {' and '.join(columns)}"
        raise _wrong(entity, "FEATURE_ENTITY_KEY", message, hint="Name as many columns, in the same order.")
    return name, columns


def _agreeing(entity: Entity, ways: Sequence[Way], graph: Graph) -> tuple[Dtype, ...]:
    """The dtypes of the key's columns, which are the same wherever it stands."""
    found = [tuple(graph.table(name).column(column).dtype for column in columns) for name, columns in ways]
    for (name, columns), dtypes in zip(ways, found, strict=True):
        for column, dtype, first in zip(columns, dtypes, found[0], strict=True):
            if dtype in _NO_KEYS:
                raise _wrong(entity, "FEATURE_KEY_DTYPE", f"{name}.{column} is {dtype}, which can be no key")
            if dtype is not first:
                at = columns.index(column)
                message = f"{ways[0][0]}.{ways[0][1][at]} is {first}, and {name}.{column} is {dtype}"
                hint = f"Cast one of them, or leave the table out: joins = {{ {name} = [] }}."
                raise _wrong(entity, "FEATURE_KEY_DTYPE", message, hint=hint)
    return found[0]


def _wrong(
    entity: Entity,
    code: str,
    message: str,
    there: Iterable[str] = (),
    hint: str | None = None,
    called: str | None = None,
) -> RequestError:
    told = entity.about.said(f"entity {entity.name}: {message}")
    return RequestError(code, told, name=called, candidates=there, hint=hint)
