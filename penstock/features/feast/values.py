"""What a Feast repository's text says, as values: things that are made, names of packages, and what cannot be read."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Where:
    """A line of a file, told from the repository's folder on."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class LeftOut:
    """Something that was not carried over: what, where it stands, and why."""

    name: str
    where: Where
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.name}: {self.reason}"


@dataclass(frozen=True)
class Named:
    """A name of a package that was imported: ``feast.Entity``."""

    path: str

    @property
    def last(self) -> str:
        """Its last part."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Function:
    """A function as it is written: its definition, and the text of its module."""

    node: ast.FunctionDef
    text: str


@dataclass(frozen=True, eq=False)
class Made:
    """An object that calling a class of Feast would make: what it was given, by name.

    A value that cannot be read is `Unread`. ``function`` is what a decorator stands above.
    """

    kind: str
    said: Mapping[str, object]
    where: Where
    function: Function | None = None

    @property
    def name(self) -> str:
        """Its name; without one that of its function, or nothing."""
        named = self.said.get("name")
        if isinstance(named, str) and named:
            return named
        return "" if self.function is None else self.function.node.name


@dataclass(frozen=True)
class Projection:
    """Some features of a view, or a view in a role: another name for it, and other names for its keys."""

    view: Made
    features: tuple[str, ...] | None = None
    alias: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unread:
    """A value that only running the code would tell, and why."""

    reason: str


class UnreadableError(ValueError):
    """An expression that only running the code would tell; its text says why."""
