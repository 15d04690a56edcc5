"""TOML read into frozen values: every key known, every value of its kind, secrets filled in from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from penstock.errors import RequestError

Value = TypeVar("Value")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something is said: ``penstock.toml: [tables.orders] mode``."""

    file: str
    section: str = ""
    key: str = ""

    def __str__(self) -> str:
        return f"{self.file}{': ' if self.section or self.key else ''}" + " ".join(
            part for part in (f"[{self.section}]" if self.section else "", self.key) if part
        )

    def within(self, name: str) -> Place:
        """The section called so inside this one."""
        return Place(self.file, f"{self.section}.{name}" if self.section else name)

    def at(self, key: str) -> Place:
        """A key of this section."""
        return Place(self.file, self.section, key)


def read_value(kind: type[Value], told: object, place: Place, **given: object) -> Value:
    """A frozen value of class ``kind`` from a TOML section; ``given`` are fields that the section does not say.

    Raises ``RequestError`` for a key that is none (with the ones that exist), a missing one and a value of a wrong
    kind. A key that is a word of Python has its field's name with an underscore after it (``from`` is ``from_``).
    """
    if not isinstance(told, Mapping):
        raise RequestError("PROJECT_VALUE", f"{place} is no section", hint="Write it as a table of keys and values.")
    hints = get_type_hints(kind)
    named = {field.name.rstrip("_"): field for field in fields(kind) if field.name not in given}  # type: ignore[arg-type]
    for key in told:
        if key not in named:
            raise RequestError("PROJECT_KEY", f"{place}: there is no key {key!r}", name=key, candidates=named)
    for key, field in named.items():
        if key not in told and _required(field):
            raise RequestError("PROJECT_MISSING", f"{place} does not say {key}", candidates=named)
    read = {named[key].name: _checked(hints[named[key].name], value, place.at(key)) for key, value in told.items()}
    return kind(**read, **given)


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _checked(kind: Any, value: object, place: Place) -> Any:
    """The value as a field of this type takes it."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return read_value(kind, value, place.within(place.key) if place.key else place)
    if origin is Literal:
        return _chosen(inner, value, place)
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        return tuple(_checked(inner[0], item, place) for item in _must_be(list, items, place, "list of texts"))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        pairs = _must_be(dict, value, place, "table of keys and values")
        return {name: _checked(inner[1], one, place.at(f"{place.key}.{name}")) for name, one in pairs.items()}
    kinds = [one for one in inner or (kind,) if one is not type(None)]
    return _plain(kinds[0], value, place) if len(kinds) == 1 and not inner else _of_several(kinds, value, place)


def _of_several(kinds: list[Any], value: object, place: Place) -> Any:
    if len(kinds) == 1:
        return _checked(kinds[0], value, place)
    return _must_be(tuple(kinds), value, place, "value of these kinds")


def _chosen(choices: tuple[str, ...], value: object, place: Place) -> object:
    if value not in choices:
        raise RequestError("PROJECT_VALUE", f"{place} cannot be {value!r}", name=str(value), candidates=choices)
    return value


def _plain(kind: Any, value: object, place: Place) -> Any:
    """A text, a number or a truth value; a whole number is a number, but no truth value is one."""
    if kind is object:
        return value
    truth = isinstance(value, bool)
    if kind is float and isinstance(value, int) and not truth:
        return float(value)
    wanted = () if truth and kind is not bool else kind
    return _must_be(wanted, value, place, _WORDS[kind])


def _must_be(kind: Any, value: object, place: Place, words: str) -> Any:
    if not isinstance(value, kind):
        raise RequestError("PROJECT_VALUE", f"{place} is {value!r}, which is no {words}")
    return value


_WORDS = {str: "text", int: "whole number", bool: "truth value", float: "number"}


def filled(text: str, place: Place) -> str:
    """A text with ``${NAME}`` replaced by the environment's value. Raises ``RequestError`` when that is not set.

    The value itself is in no message.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            hint = f"Set it: export {found[1]}=…"
            raise RequestError(
                "PROJECT_SECRET", f"{place} needs the environment variable {found[1]}, which is not set", hint=hint
            )
        return os.environ[found[1]]

    return _VARIABLE.sub(value, text)
