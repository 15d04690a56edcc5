"""Real servers with a small shop each, and what must hold of a project over them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from penstock.project import Project, open_project
from tests.lake.ingest.test_sources import on_mysql, on_postgres
from tests.pipeline.shop import write

WAITS = 180


@dataclass(frozen=True)
class Server:
    """A real server's database, and the words in which it differs from the other."""

    url: str
    do: Callable[..., None]
    quote: str
    instant: str
    retype: str

    def name(self, name: str) -> str:
        return self.quote + name.replace(self.quote, 2 * self.quote) + self.quote

    def tables(self, *statements: str) -> None:
        """Statements with ``TIME`` for the server's type of instants."""
        self.do(self.url, *(statement.replace("TIME", self.instant) for statement in statements))

    def retyped(self, table: str, column: str, kind: str) -> None:
        self.do(self.url, self.retype.format(table=table, column=column, kind=kind))


def postgres_server(url: str) -> Server:
    on_postgres(url, "DROP SCHEMA IF EXISTS other CASCADE", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    retype = "ALTER TABLE {table} ALTER {column} TYPE {kind} USING {column}::{kind}"
    return Server(url, on_postgres, '"', "timestamp", retype)


def mysql_server(url: str) -> Server:
    from penstock.lake.mysql import connect

    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        names = [name for (name,) in cursor.fetchall()]
    drops = [f"DROP TABLE `{name.replace('`', '``')}`" for name in names]
    on_mysql(url, "SET FOREIGN_KEY_CHECKS = 0", *drops)
    return Server(url, on_mysql, "`", "datetime(6)", "ALTER TABLE {table} MODIFY {column} {kind}")


def project(folder: Path, url: str, more: str = "") -> Project:
    """A project over one source."""
    write(folder, "penstock.toml", f'name = "trial"\n[sources.shop]\nurl = "{url}"\n{more}')
    return open_project(folder)


def again(one: Project) -> Project:
    return open_project(one.site.file.folder)


def values(one: Project, table: str, column: str, key: str = "id") -> dict[object, object]:
    return {row[key]: row[column] for row in one.rows(table).to_pylist()}


def failures(one: Project) -> dict[str, str]:
    """Why the tables of the newest walk failed."""
    return {run.name: run.failure or "" for run in one.run() if run.state == "failed"}


def must_rest(one: Project) -> None:
    """Nothing changed at the sources: the plan says so, and a run writes nothing."""
    plan = again(one).plan()
    changes = [change for verdict in plan.verdicts for change in verdict.changes.all]
    assert [str(change) for change in changes if "as declared" not in str(change)] == []
    assert [step.why for step in plan.refused] == []
    assert {run.name: (run.state, run.failure) for run in again(one).run(anew=True) if run.state != "unchanged"} == {}


SHOP = (
    "CREATE TABLE customers (id int PRIMARY KEY, plan varchar(9), since TIME)",
    (
        "CREATE TABLE orders (a int, b int, customer_id int, amount int, note varchar(40), at TIME, code int NOT NULL, "
        "PRIMARY KEY (a, b), UNIQUE (code), FOREIGN KEY (customer_id) REFERENCES customers (id))"
    ),
    (
        "CREATE TABLE parcels (id int PRIMARY KEY, order_b int, order_a int, code int, parent int, weight int, "
        "FOREIGN KEY (order_a, order_b) REFERENCES orders (a, b), FOREIGN KEY (code) REFERENCES orders (code), "
        "FOREIGN KEY (parent) REFERENCES parcels (id))"
    ),
    "INSERT INTO customers VALUES (1, 'a', '2024-01-01'), (2, 'b', '2024-01-02'), (3, NULL, NULL)",
    "INSERT INTO orders VALUES (1, 1, 1, 10, 'x', '2024-02-01', 7), (1, 2, 2, 20, 'y', '2024-02-02', 8)",
    "INSERT INTO parcels VALUES (1, 1, 1, 7, NULL, 5), (2, 2, 1, 8, 1, 6)",
)
USES = (
    '[queries]\nspent = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.id"\n[tables.orders]\ntime = "at"\n'
)
