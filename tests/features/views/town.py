"""The schema of a town, said by hand: customers who order, drivers who make trips between places, stock of shops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, Service, View
from penstock.pipeline.featurefiles import definitions_of
from penstock.pipeline.projectfile import read_project
from penstock.pipeline.site import Site
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table

INT, FLOAT, TEXT, TIME, LIST = Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.TIMESTAMP, Dtype.LIST


def table(name: str, columns: Mapping[str, Dtype], **roles: Any) -> Table:
    """A table of the graph."""
    return Table(name, tuple(Column(one, dtype, Kind.CATEGORICAL) for one, dtype in columns.items()), **roles)


TABLES = (
    table("customers", {"customer_id": INT, "city": TEXT, "since": TIME}, key="customer_id", happened="since"),
    table(
        "orders", {"order_id": INT, "customer_id": INT, "amount": FLOAT, "tags": LIST, "at": TIME, "odd": Dtype.OTHER},
        key="order_id", happened="at",
    ),
    table("trips", {"driver_id": INT, "origin": INT, "dest": INT, "km": FLOAT, "at": TIME}, happened="at"),
    table("shifts", {"driver_id": INT, "hours": FLOAT, "at": TIME}, happened="at"),
    table("stock", {"shop": TEXT, "item": INT, "count": INT}, key=("shop", "item"), known="_known"),
    table("sales", {"shop": TEXT, "item": INT, "price": FLOAT, "at": TIME}, happened="at"),
    table("Order Lines", {"line id": INT, "größe": FLOAT, "order": INT}, key="line id"),
)  # fmt: skip
LINKS = (Link("orders", "customer_id", "customers", "97.3% are there"), Link("Order Lines", "order", "orders"))
GRAPH = Graph(TABLES, LINKS)
DRIVER, STOCK = Entity("driver", ("driver_id",)), Entity("stock", ("shop", "item"), "stock")
PLACE = Entity("place", ("place_id",))
CUSTOMER = Entity("customer", ("customer_id",), "customers")


def town(*declared: Entity | View | Service, graph: Graph = GRAPH) -> Bound:
    """These definitions, with the town's entities, fitted to its tables. Raises the first error where any is broken."""
    bound = bind(definitions((DRIVER, STOCK, PLACE, CUSTOMER, *declared)), graph)
    bound.must_be_sound()
    return bound


def definitions(declared: Iterable[Entity | View | Service]) -> Definitions:
    """Definitions by name, of those of a name the last."""
    given = list(declared)
    entities = {one.name: one for one in given if isinstance(one, Entity)}
    services = {one.name: one for one in given if isinstance(one, Service)}
    views = {one.name: one for one in given if not isinstance(one, Entity | Service)}
    used = {getattr(view, "entity", None) for view in views.values()} | {CUSTOMER.name}
    said = {one.name for one in given[4:]}
    return Definitions({name: one for name, one in entities.items() if name in used or name in said}, views, services)


def site(folder: Path, **files: str) -> Site:
    """A project with a ``penstock.toml`` (``toml``) and other files in ``features`` (``recent_pql``, ``code_py``)."""
    (folder / "features").mkdir(exist_ok=True)
    (folder / "penstock.toml").write_text(files.pop("toml", ""), encoding="utf-8")
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / "features" / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return Site(read_project(folder), lambda: 0)


def read(folder: Path, **files: str) -> Definitions:
    """The definitions of a project with these files. Raises the error of the first that is broken."""
    found = definitions_of(site(folder, **files))
    for one in found.broken:
        raise one.error
    return found
