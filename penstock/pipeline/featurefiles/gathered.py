"""All that a project declares, from wherever it stands; each name once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from penstock.errors import RequestError, SchemaError
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, Service, View
from penstock.pipeline.derive.written import text_of
from penstock.pipeline.featurefiles.pql import pql_view
from penstock.pipeline.featurefiles.python import python_declared
from penstock.pipeline.featurefiles.sections import Declared, declared_in
from penstock.pipeline.site import Site
from penstock.schema import Graph

FOLDER = "features"
_One = TypeVar("_One", bound=Declared)


def definitions_of(site: Site) -> Definitions:
    """The features of a project: of ``penstock.toml``, and of ``*.pql`` and ``*.py`` in its folder ``features``.

    Reading a Python file runs it; files whose names begin with ``_`` are passed over. Raises ``RequestError`` for
    what is not understood, with its place, and for a name that is declared twice, with both places.
    """
    entities: dict[str, Entity] = {}
    views: dict[str, View] = {}
    services: dict[str, Service] = {}
    for one in _all(site):
        if isinstance(one, Entity):
            _add(entities, one, "an entity")
        elif isinstance(one, Service):
            _add(services, one, "a service")
        else:
            _add(views, one, "a view")
    return Definitions(entities, views, services)


def bound_of(site: Site, graph: Graph) -> Bound:
    """The features of a project as they fit its tables. Raises as `definitions_of` and `bind`."""
    return bind(definitions_of(site), graph)


def _all(site: Site) -> Iterator[Declared]:
    yield from declared_in(site.file)
    folder = site.file.folder / FOLDER
    for path in sorted(path for path in folder.glob("*") if not path.name.startswith(("_", "."))):
        if path.suffix in (".pql", ".py") and path.is_file():
            yield from _of_file(path, f"{FOLDER}/{path.name}")


def _of_file(path: Path, file: str) -> Iterator[Declared]:
    try:
        text = text_of(path)
    except SchemaError as error:
        raise RequestError("FEATURE_TEXT", f"{FOLDER}/{error.message}", hint=error.hint) from error
    if path.suffix == ".py":
        yield from python_declared(path, text, file)
    else:
        yield pql_view(path, text, file)


def _add(into: dict[str, _One], one: _One, what: str) -> None:
    if one.name in into:
        message = f"{into[one.name].about.place} and {one.about.place} both declare {what} {one.name}"
        raise RequestError("FEATURE_TWICE", message, name=one.name, hint="Rename one of them, or take it out.")
    into[one.name] = one
