"""A repository's objects as they were found, and values of theirs as they are needed: texts, lists, fields, ages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from penstock.features.feast.evaluate import DEFINED, Scope
from penstock.features.feast.values import LeftOut, Made, Named, Unread
from penstock.schema import Dtype

VIEWS = ("FeatureView", "BatchFeatureView", "StreamFeatureView")

_DTYPES: Mapping[str, Dtype] = {
    "BOOL": Dtype.BOOL,
    "FLOAT": Dtype.FLOAT,
    "DOUBLE": Dtype.FLOAT,
    "FLOAT32": Dtype.FLOAT,
    "FLOAT64": Dtype.FLOAT,
    "INT32": Dtype.INT,
    "INT64": Dtype.INT,
    "JSON": Dtype.STRING,
    "STRING": Dtype.STRING,
    "UUID": Dtype.STRING,
    "TIMEUUID": Dtype.STRING,
    "TIME_UUID": Dtype.STRING,
    "UNIXTIMESTAMP": Dtype.TIMESTAMP,
    "UNIX_TIMESTAMP": Dtype.TIMESTAMP,
}
"""What each type of Feast is here: those of `feast.types` and of `ValueType`, in capitals."""


class Unfit(Exception):  # noqa: N818  # never leaves this room
    """A definition that has no equal here, and why."""


@dataclass(frozen=True)
class Feature:
    """A field of a schema; ``dtype`` None where there is no such kind here."""

    name: str
    dtype: Dtype | None
    told: str


def gathered(scopes: Mapping[str, Scope]) -> tuple[list[Made], list[LeftOut]]:
    """The objects that names of the modules hold, each once, in order; and definitions that nothing holds."""
    values = [value for scope in scopes.values() for value in scope.names.values()]
    held = {id(one): one for one in values if isinstance(one, Made)}
    unheld = {id(one): one for value in values if isinstance(value, list) for one in value}
    lost = [one for key, one in unheld.items() if isinstance(one, Made) and one.kind in DEFINED and key not in held]
    reason = "no name of a module holds it: Feast does not see it either"
    found = sorted(held.values(), key=lambda one: one.where)
    return found, [LeftOut(one.name or one.kind, one.where, reason) for one in lost]


def text(made: Made, name: str, default: str = "") -> str:
    """A text that an object was given. Raises `Unfit` where it cannot be read or is none."""
    found = made.said.get(name)
    if isinstance(found, Unread):
        raise Unfit(f"its {name}: {found.reason}")
    if found is None:
        return default
    if not isinstance(found, str):
        raise Unfit(f"its {name} is no text")
    return found


def listed(made: Made, name: str) -> list[object]:
    """A list that an object was given; without one nothing. Raises `Unfit`."""
    found = made.said.get(name)
    if isinstance(found, Unread):
        raise Unfit(f"its {name}: {found.reason}")
    if found is None:
        return []
    if not isinstance(found, list):
        raise Unfit(f"its {name} is no list")
    return found


def texts(made: Made, name: str) -> dict[str, str]:
    """A mapping of texts that an object was given; without one nothing. Raises `Unfit`."""
    found = made.said.get(name)
    if isinstance(found, Unread):
        raise Unfit(f"its {name}: {found.reason}")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unfit(f"its {name} is no dictionary")
    return {str(key): str(value) for key, value in found.items()}


def about(made: Made) -> dict[str, object]:
    """Description, owner and tags, as far as they can be read: no part of a meaning."""
    told: dict[str, object] = {}
    for name in ("description", "owner"):
        if isinstance(made.said.get(name), str) and made.said[name]:
            told[name] = made.said[name]
    tags = made.said.get("tags")
    if isinstance(tags, dict) and tags:
        told["tags"] = {str(key): str(value) for key, value in tags.items()}
    return told


def age(made: Made, name: str) -> timedelta | None:
    """A length of time that an object was given; None for none or zero, which in Feast is no bound."""
    found = made.said.get(name)
    if isinstance(found, Unread):
        raise Unfit(f"its {name}: {found.reason}")
    if found is None or found == 0:
        return None
    if not isinstance(found, timedelta):
        raise Unfit(f"its {name} is no timedelta")
    if found < timedelta(0):
        raise Unfit(f"its {name} is below zero")
    return found or None


def fields(made: Made, name: str = "schema") -> Iterator[Feature]:
    """The fields of a schema. Raises `Unfit` where one cannot be read."""
    for one in listed(made, name):
        if not isinstance(one, Made) or one.kind not in ("Field", "Feature"):
            raise Unfit(f"its {name} holds what is no Field")
        if not one.name:
            raise Unfit(f"its {name} holds a Field whose name cannot be read")
        yield Feature(one.name, *_dtype(one.said.get("dtype")))


def _dtype(told: object) -> tuple[Dtype | None, str]:
    """The dtype that a type of Feast is here (None: none), and what Feast calls it."""
    if isinstance(told, Named):
        name = told.last.upper()
        items = name.removesuffix("_LIST")
        return (_DTYPES.get(name) if items == name else Dtype.LIST if items in _DTYPES else None), told.last
    if isinstance(told, list) and told and isinstance(told[0], Named):
        inner = told[1] if len(told) > 1 else None
        known = told[0].last == "Array" and isinstance(inner, Named) and inner.last.upper() in _DTYPES
        return (Dtype.LIST if known else None), _shown(told)
    return None, "a type that cannot be read"


def _shown(told: object) -> str:
    if isinstance(told, list):
        head, *rest = map(_shown, told)
        return f"{head}({', '.join(rest)})" if rest else head
    return told.last if isinstance(told, Named) else str(told)
