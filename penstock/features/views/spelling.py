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
from penstock.features.views.declared import (
    About,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandFunction,
    OnDemandView,
    RoleView,
    Service,
)
from penstock.schema import Dtype, names

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
    joined = {one: _several(columns) for one, columns in (joins or {}).items()}
    return Entity(name, _several(key), table, joined, About(description, owner, dict(tags or {})))


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
    chosen = dict(columns) if isinstance(columns, Mapping) else {one: one for one in columns}
    about = About(description, owner, dict(tags or {}))
    return LatestView(name, _called(of), table, chosen, _several(keys), age(ttl), about)


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
    return ExpressionView(name, _called(of), _texts(features), About(description, owner, dict(tags or {})))


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
    about = About(description, owner, dict(tags or {}))
    return RoleView(name, view if isinstance(view, str) else view.name, dict(keys), about)


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
    about = About(description, owner, dict(tags or {}))
    return OnDemandView(name, _texts(features), dict(inputs or {}), dtypes(requested or {}), about=about)


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

    def made(function: OnDemandFunction) -> OnDemandView:
        about = About(description or inspect.getdoc(function) or "", owner, dict(tags or {}))
        called = name or getattr(function, "__name__", "")
        kinds = dtypes(requested or {})
        return OnDemandView(called, dict(gives), dict(inputs or {}), kinds, function, _source(function), about)

    return made


def service(
    name: str, features: Names, *, description: str = "", owner: str = "", tags: Mapping[str, str] | None = None
) -> Service:
    """Features that are asked for together: ``view:feature`` and ``view:*``.

    >>> service("fraud", ["last:km", "recent:*"]).features
    ('last:km', 'recent:*')
    """
    return Service(name, _several(features), About(description, owner, dict(tags or {})))


def age(told: str | float | dt.timedelta | None) -> int | None:
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
        found = None if isinstance(told, bool) or not 0 <= told < 1e12 else round(told * 1_000_000)
        found = None if found == 0 and told else found  # a length of less than a microsecond is not: any age
    if found is None or not 0 <= found < 2**62:
        hint = 'Write seconds, or a text such as "36 hours" or "1.5 days".'
        raise RequestError("FEATURE_TTL", f"{told!r} is no length of time", hint=hint)
    return found or None


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


def _several(told: Names) -> tuple[str, ...]:
    return names(told if isinstance(told, str) else tuple(told))


def _texts(features: Mapping[str, object]) -> dict[str, str]:
    """Expressions as they are written. Raises ``RequestError`` (``FEATURE_VALUE``) for one that is no text."""
    for name, text in features.items():
        if not isinstance(text, str):
            raise RequestError("FEATURE_VALUE", f"{name} is {text!r}, and an expression is a text")
    return {name: text for name, text in features.items() if isinstance(text, str)}


def _called(of: Entity | str) -> str:
    return of if isinstance(of, str) else of.name


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
