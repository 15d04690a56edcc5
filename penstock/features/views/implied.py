"""Entities that views name without declaring them: ``customers.customer_id``, or a table with a key of its own."""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import QueryError, RequestError
from penstock.features.views.broken import Sieve, untabled
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.language import parse_expression
from penstock.language.tree import Column
from penstock.schema import Graph


def completed(definitions: Definitions, graph: Graph, sieve: Sieve) -> Definitions:
    """The definitions with every entity that a view names; a view whose entity is nowhere is held back."""
    entities, views = dict(definitions.entities), dict(definitions.views)
    for view in definitions.views.values():
        if isinstance(view, LatestView | ExpressionView) and view.entity not in entities:
            del views[view.name]
            with sieve.over("view", view.name):
                message = view.about.said(f"{view.name}: its entity {view.entity} is broken")
                sieve.must_be_sound("entity", view.entity, message)
                found = _implied(view, definitions, graph)
                entities.setdefault(found.name, found)
                views[view.name] = replace(view, entity=found.name)
    return replace(
        definitions, entities=entities, views={name: views[name] for name in definitions.views if name in views}
    )


def _implied(view: LatestView | ExpressionView, definitions: Definitions, graph: Graph) -> Entity:
    """The entity of ``table.key``, or of a table."""
    table, key = _named(view.entity)
    keys = graph.table(table).keys if table in graph else ()
    if not keys or (key and keys != (key,)):
        raise _unknown(view, table, keys, definitions, graph)
    declared = [one for one in definitions.entities.values() if one.table == table]
    if len(declared) == 1:
        return declared[0]
    if table in definitions.entities:
        message = f"{view.name}: {view.entity} means the table, and the entity {table} is something else"
        raise RequestError("FEATURE_ENTITY", view.about.said(message), hint=f"Declare it with table = {table!r}.")
    return Entity(table, keys, table)


def _named(text: str) -> tuple[str, str]:
    try:
        found = parse_expression(text)
    except QueryError:
        return text, ""
    return (found.table, found.column) if isinstance(found, Column) else (text, "")


def _unknown(
    view: LatestView | ExpressionView, table: str, keys: tuple[str, ...], definitions: Definitions, graph: Graph
) -> RequestError:
    if not graph.tables:
        return untabled(view.about.said(f"{view.name}: nobody knows {view.entity}"))
    there = [*definitions.entities, *(f"{one.name}.{one.key}" for one in graph if isinstance(one.key, str))]
    if keys:
        message = f"{view.name}: {view.entity} is not the key of {table}, which is {' and '.join(keys)}"
    else:
        message = f"{view.name}: there is no entity {view.entity!r}"
    hint = f'Bring a table {table} in (penstock run), or declare it in penstock.toml: [entities.{table}] key = "…".'
    if len(keys) == 1:
        hint = f"Say {table}.{keys[0]}, or declare another entity: [entities.NAME] key = …"
    return RequestError("FEATURE_ENTITY", view.about.said(message), name=view.entity, candidates=there, hint=hint)
