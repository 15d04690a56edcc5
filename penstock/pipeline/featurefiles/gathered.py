"""All that a project declares, from wherever it stands; each name once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from penstock.errors import RequestError, SchemaError
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.broken import Sieve, What
from penstock.features.views.declared import Definitions, Entity, Service, what_of
from penstock.lake.recipes import recipes_of
from penstock.lake.versioned import VersionedTable
from penstock.pipeline.derive.written import text_of
from penstock.pipeline.featurefiles.pql import pql_view
from penstock.pipeline.featurefiles.python import python_declared
from penstock.pipeline.featurefiles.sections import Declared, declared_in
from penstock.pipeline.knowngraph import graph_of
from penstock.pipeline.site import Site
from penstock.schema import Graph

FOLDER = "features"


def definitions_of(site: Site) -> Definitions:
    """The features of a project: of ``penstock.toml``, and of ``*.pql`` and ``*.py`` in its folder ``features``.

    Reading a Python file runs it; files whose names begin with ``_`` are passed over. What is not understood is
    ``broken``, with its place; so is a name that is declared twice, with both places.
    """
    found = _Found()
    for what, name, read in declared_in(site.file):
        found.add(what, name, partial(_of_section, read))
    folder = site.file.folder / FOLDER
    for path in sorted(path for path in folder.glob("*") if not path.name.startswith(("_", "."))):
        file = f"{FOLDER}/{path.name}"
        if path.suffix == ".pql" and path.is_file():
            found.add("view", path.stem, partial(_of_pql, path, file))
        elif path.suffix == ".py" and path.is_file():
            found.add("file", file, partial(_of_python, path, file))
    return found.definitions


def bound_of(site: Site, tables: Mapping[str, VersionedTable], graph: Graph | None = None) -> Bound:
    """The features of a project as they fit its tables as they were at one moment, or another graph of them."""
    return bind(definitions_of(site), graph_of(tables) if graph is None else graph, recipes_of(tables))


def _of_section(read: Callable[[], Declared]) -> list[Declared]:
    return [read()]


def _of_pql(path: Path, file: str) -> list[Declared]:
    return [pql_view(path, _text(path), file)]


def _of_python(path: Path, file: str) -> list[Declared]:
    return list(python_declared(path, _text(path), file))


def _text(path: Path) -> str:
    try:
        return text_of(path)
    except SchemaError as error:
        raise RequestError("FEATURE_TEXT", f"{FOLDER}/{error.message}", hint=error.hint) from error


@dataclass(frozen=True)
class _Found:
    """What was declared so far, by what it is and its name, and what is broken."""

    declared: dict[tuple[What, str], Declared] = field(default_factory=dict)
    sieve: Sieve = field(default_factory=Sieve)

    def add(self, what: What, name: str, read: Callable[[], list[Declared]]) -> None:
        """What a section or a file declares."""
        found: list[Declared] = []
        with self.sieve.over(what, name):
            found = read()
        for one in found:
            self._one(what_of(one), one)

    def _one(self, what: What, one: Declared) -> None:
        before = self.declared.setdefault((what, one.name), one)
        if before is not one:
            message = f"{before.about.place} and {one.about.place} both declare {_ARTICLES[what]} {what} {one.name}"
            hint = "Rename one of them, or take it out."
            self.sieve.hold(what, one.name, RequestError("FEATURE_TWICE", message, name=one.name, hint=hint))

    @property
    def definitions(self) -> Definitions:
        """All of it; of what is broken in one place, nothing."""
        sound = {place: one for place, one in self.declared.items() if not self.sieve.holds(*place)}
        return Definitions(
            {name: one for (_, name), one in sound.items() if isinstance(one, Entity)},
            {name: one for (_, name), one in sound.items() if not isinstance(one, Entity | Service)},
            {name: one for (_, name), one in sound.items() if isinstance(one, Service)},
            self.sieve.broken,
        )


_ARTICLES: Mapping[What, str] = {"entity": "an", "view": "a", "service": "a"}
