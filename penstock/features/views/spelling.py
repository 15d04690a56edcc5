"""How Python code declares features: functions that give the values of `declared`, in plain words."""

from __future__ import annotations

import ast
import datetime as dt
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from penstock.errors import RequestError
from penstock.features.views.arguments import about, named, text, texts, unfit
from penstock.features.views.declared import (
    Entity,
    ExpressionView,
    LatestView,
    OnDemandFunction,
    OnDemandView,
    RoleView,
    Service,
    View,
)
from penstock.schema import Dtype

_MICROSECONDS = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
Names = str | Sequence[str]


def entity(
    name: str,
    key: Names,
    *,
    table: str | None = None,
    joins: Mapping[str, Names] | None = None,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> Entity:
    """What features are about: see `Entity`.

    >>> entity("stock", ["shop_id", "item_id"]).keys
    ('shop_id', 'item_id')
    """
    if not isinstance(joins, Mapping | None):
        raise unfit(joins, "joins", "dictionary of tables and columns")
    joined = {
        text(one, "a table in joins"): texts(columns, f"{one} in joins") for one, columns in (joins or {}).items()
    }
    known = None if table is None else text(table, "table")
    return Entity(text(name, "name"), texts(key, "key"), known, joined, about(description, owner, tags))


def latest(
    name: str,
    of: Entity | str,
    table: str,
    columns: Sequence[str] | Mapping[str, str],
    *,
    keys: Names = (),
    ttl: str | float | dt.timedelta | None = None,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> LatestView:
    """Columns of the newest row of a table, by their names or as ``{"name": "column"}``: see `LatestView`.

    >>> latest("last", "driver", "trips", ["km"], ttl="1 day").ttl
    86400000000
    """
    chosen = named(columns, "columns") if isinstance(columns, Mapping) else _alike(columns)
    said = about(description, owner, tags)
    return LatestView(
        text(name, "name"), _called(of), text(table, "table"), chosen, texts(keys, "keys"), age(ttl), said
    )


def expressions(
    name: str,
    of: Entity | str,
    features: Mapping[str, str],
    *,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> ExpressionView:
    """Expressions in PQL about an entity (or ``table.key``): see `ExpressionView`.

    >>> expressions("recent", "customers.customer_id", {"orders": "COUNT(orders.*, -30, 0, days)"}).entity
    'customers.customer_id'
    """
    return ExpressionView(text(name, "name"), _called(of), named(features, "features"), about(description, owner, tags))


def role(
    name: str,
    view: LatestView | ExpressionView | str,
    keys: Mapping[str, str],
    *,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> RoleView:
    """Another view, of an entity that other columns name: see `RoleView`.

    >>> role("origin", "places", {"place_id": "origin_id"}).view
    'places'
    """
    of = view.name if isinstance(view, LatestView | ExpressionView | RoleView) else text(view, "view")
    return RoleView(text(name, "name"), of, named(keys, "keys"), about(description, owner, tags))


def calculated(
    name: str,
    features: Mapping[str, str],
    *,
    inputs: Mapping[str, str] | None = None,
    requested: Mapping[str, str] | None = None,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> OnDemandView:
    """Features calculated in PQL when they are asked for: see `OnDemandView`.

    >>> calculated("now", {"share": "amount / 100"}, requested={"amount": "float"}).requested
    {'amount': <Dtype.FLOAT: 'float'>}
    """
    kinds, said = dtypes(named(requested, "requested")), about(description, owner, tags)
    return OnDemandView(text(name, "name"), named(features, "features"), named(inputs, "inputs"), kinds, about=said)


def on_demand(
    gives: Mapping[str, str],
    *,
    inputs: Mapping[str, str] | None = None,
    requested: Mapping[str, str] | None = None,
    name: str = "",
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> Callable[[OnDemandFunction], OnDemandView]:
    """Turn a function into features that it works out when they are asked for: see `OnDemandView`.

    It gets an Arrow table with the columns ``inputs`` and ``requested``, and returns the columns ``gives``, row for
    row. Its name is the view's.

    >>> @on_demand({"double": "float"}, requested={"amount": "float"})
    ... def doubled(rows):
    ...     import pyarrow.compute as pc
    ...
    ...     return {"double": pc.multiply(rows["amount"], 2)}
    >>> doubled.name, doubled.features
    ('doubled', {'double': 'float'})
    """
    features, rests, kinds = (
        named(gives, "what it gives"),
        named(inputs, "inputs"),
        dtypes(named(requested, "requested")),
    )
    text(name, "name")

    def made(function: OnDemandFunction) -> OnDemandView:
        said = about(description or inspect.getdoc(function) or "", owner, tags)
        called = name or getattr(function, "__name__", "")
        return OnDemandView(called, features, rests, kinds, function, _source(function), said)

    return made


def service(
    name: str,
    features: str | View | Sequence[str | View],
    *,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> Service:
    """Features that are asked for together: ``view:feature`` and ``view:*``, or a view for all that it has.

    >>> service("fraud", ["last:km", "recent:*"]).features
    ('last:km', 'recent:*')
    """
    several = [features] if isinstance(features, str | View) else features
    if not isinstance(several, Sequence):
        raise unfit(features, "features", "list of texts and views")
    return Service(text(name, "name"), tuple(_ref(one) for one in several), about(description, owner, tags))


def age(told: object) -> int | None:
    """The microseconds of a maximum age: seconds, or a text such as ``36 hours``. None or 0: any age.

    Raises ``RequestError`` (``FEATURE_TTL``) for what is no length of time.

    >>> age("1 day"), age(1.5), age(dt.timedelta(minutes=1)), age(0)
    (86400000000, 1500000, 60000000, None)
    """
    if told is None:
        return None
    if isinstance(told, dt.timedelta):
        found: int | None = told // dt.timedelta(microseconds=1)
    elif isinstance(told, str):
        found = _length(told)
    else:
        found = _seconds(told)
    if found is None or not 0 <= found < 2**62:
        hint = 'Write seconds, or a text such as "36 hours" or "1.5 days".'
        raise RequestError("FEATURE_TTL", f"{told!r} is no length of time", hint=hint)
    return found or None


def _seconds(told: object) -> int | None:
    if not isinstance(told, int | float) or isinstance(told, bool) or not 0 <= told < 1e12:
        return None
    found = round(told * 1_000_000)
    return None if found == 0 and told else found  # a length of less than a microsecond is not: any age


def _length(text: str) -> int | None:
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([a-z]+?)s?\s*", text)
    if match is None or match[2] not in _MICROSECONDS:
        return None
    length = Decimal(match[1]) * _MICROSECONDS[match[2]]
    return None if length and not round(length) else round(length)


def dtypes(told: Mapping[str, str]) -> dict[str, Dtype]:
    """Dtypes by name. Raises ``RequestError`` (``FEATURE_DTYPE``) for one that there is not.

    >>> dtypes({"amount": "float"})
    {'amount': <Dtype.FLOAT: 'float'>}
    """
    there = [str(one) for one in Dtype if one is not Dtype.OTHER]
    for column, one in told.items():
        if one not in there:
            raise RequestError("FEATURE_DTYPE", f"{column} cannot be {one!r}", name=str(one), candidates=there)
    return {column: Dtype(one) for column, one in told.items()}


def _alike(columns: object) -> dict[str, str]:
    """Columns under their own names."""
    return {one: one for one in texts(columns, "columns")}


def _ref(one: object) -> str:
    """What a service names: features by their text, or all of a view."""
    return f"{one.name}:*" if isinstance(one, View) else text(one, "a feature")


def _called(of: object) -> str:
    return of.name if isinstance(of, Entity) else text(of, "its entity")


def _source(function: OnDemandFunction) -> str:
    """The function's text without its decorators; nothing where none can be read, as in an interactive session."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return ""
    if isinstance(tree.body[0], ast.FunctionDef):
        tree.body[0].decorator_list = []
    return ast.unparse(tree)


__all__ = [
    "Entity", "ExpressionView", "LatestView", "OnDemandView", "RoleView", "Service", "age", "calculated", "dtypes",
    "entity", "expressions", "latest", "on_demand", "role", "service",
]  # fmt: skip
