"""Queries made by lot, right and wrong, on the schemas of `tests.language.shop`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FUNCTIONS = ("COUNT", "SUM", "AVG", "MIN", "MAX", "COUNT_DISTINCT", "FIRST", "LAST", "LIST_DISTINCT")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "IS", "IS NOT", "IN", "LIKE", "NOT LIKE", "CONTAINS", "NOT CONTAINS")
CONSTANTS = ("5", "-3", "2.5", "'x'", '"y"', "True", "false", "NULL", "2024-01-01", "2024-01-01 10:00:00")
FITTING = {
    "int": ("= 5", "> -3", "<= 2.5", "IS NULL", "IN (1, 2)", "!= 0"),
    "float": ("= 0.5", "> 3", "IS NOT NULL", "IN (1, 2.5)"),
    "string": (
        "= 'x'",
        "!= 'y'",
        "IN ('a', 'b')",
        "LIKE '%x%'",
        "NOT CONTAINS 'x'",
        "STARTS WITH 'x'",
        "< 'b'",
        "IS NULL",
    ),
    "bool": ("= true", "!= False", "IS NULL"),
    "date": ("> 2024-01-01", "<= 2024-01-01 10:00:00", "IS NOT NULL"),
}


@dataclass
class Lot:
    """Draws queries about one schema; ``right`` is how often a part is made to fit."""

    random: random.Random
    schema: dict[str, Any]
    right: float = 0.9

    def fits(self) -> bool:
        """Whether the next part is to fit."""
        return self.random.random() < self.right

    def one(self, *options: str) -> str:
        """One of them."""
        return self.random.choice(options)

    def table(self) -> str:
        """A table, those with a time more often."""
        tables = self.schema["tables"]
        return self.one(*tables, *(name for name, table in tables.items() if table.get("time")))

    def column(self, table: str) -> str:
        """A column of a table."""
        return f"{table}.{self.one(*self.schema['tables'][table]['columns'])}"

    def comparison(self, column: str) -> str:
        """A comparison of a column with a constant."""
        table, name = column.split(".")
        if self.fits():
            return f"{column} {self.one(*FITTING[self.schema['tables'][table]['columns'][name][1]])}"
        operator = self.one(*OPERATORS)
        constant = "(1, 'x')" if operator == "IN" and self.fits() else self.one(*CONSTANTS)
        return f"{column} {operator} {constant}"

    def children(self, table: str) -> list[str]:
        """The tables whose rows point to a table."""
        return [link.split(".")[0] for link, to in self.schema["links"] if to == table]

    def near(self, table: str) -> str:
        """The table itself or one of its parents; now and then any."""
        parents = [to for link, to in self.schema["links"] if link.startswith(f"{table}.")]
        return self.one(table, table, *parents) if self.fits() else self.table()

    def aggregate(self, root: str, ahead: bool, depth: int = 1) -> str:
        """An aggregate about a row of ``root``."""
        children = self.children(root)
        table = self.one(*children) if children and self.fits() else self.table()
        function = self.one(*FUNCTIONS, "COUNT", "COUNT", "SUM")
        column = f"{table}.*" if function == "COUNT" and self.random.random() < 0.6 else self.column(table)
        where = ""
        if self.random.random() < 0.35:
            nested = depth > 0 and self.random.random() < 0.25
            condition = (
                self.aggregate(table, False, 0) + " > 0" if nested else self.comparison(self.column(self.near(table)))
            )
            where = f" WHERE {condition}"
        return f"{function}({column}{where}{self.window(ahead)})"

    def window(self, ahead: bool) -> str:
        """A window; now and then none, or one that looks the other way."""
        if not self.fits():
            return self.one("", ", 5, 5", ", -7, 7", ", 7, 0", ", 0, 30", ", -30, 0")
        bounds = self.one("0, 30", "7, 14", "0, 1") if ahead else self.one("-30, 0", "-INF, 0", "-14, -7")
        return f", {bounds}{self.one('', ', days', ', weeks', ', months', ', HOURS')}"

    def condition(self, root: str, ahead: bool, static: bool) -> str:
        """A condition on a row of ``root``."""
        if self.random.random() < 0.2:
            left, right = self.condition(root, ahead, static), self.condition(root, ahead, static)
            return self.one(f"{left} AND {right}", f"({left} OR {right})", f"NOT {left}", f"NOT ({left} AND {right})")
        if static == self.fits():
            return self.comparison(self.column(self.near(root)))
        operator = self.one("> 3", "= 0", "IS NULL", "= 'x'", "!= true", "IN (1, 2)", "CONTAINS 'x'", "> 2024-01-01")
        return f"{self.aggregate(root, ahead)} {operator}"

    def query(self) -> str:
        """A whole query."""
        keyed = [name for name, table in self.schema["tables"].items() if table["key"]]
        root = self.one(*keyed)
        static = self.random.random() < 0.3
        kind = self.random.random()
        target = self.column(self.near(root)) if static else self.aggregate(root, True)
        target = self.condition(root, True, static) if kind < 0.35 else target
        lists = target.startswith("LIST_DISTINCT") or ".tags" in target
        spec = self.one("", " CLASSIFY", " RANK TOP 10", " RANK TOP 25") if lists else ""
        if not self.fits():
            spec = self.one(
                " CLASSIFY", " RANK TOP 10", " RANK", " TOP 3", " FORECAST 4 TIMEFRAMES", " FORECAST 0 TIMEFRAMES"
            )
        key = f"{root}.{self.schema['tables'][root]['key']}" if self.fits() else self.column(root)
        who = self.one(f"EACH {key}", f"EACH {key}", f"{key} = 5", f"{key} IN (1, 2)")
        who = who if self.fits() else self.one(key, f"EACH {key} = 5", f"{key} > 3", f"{key} = 'a'", f"{key} IN 3")
        where = f" WHERE {self.condition(root, False, static or self.random.random() < 0.5)}" if kind > 0.6 else ""
        assuming = f" ASSUMING {self.condition(root, True, False)}" if not static and 0.3 < kind < 0.45 else ""
        return f"PREDICT {target}{spec} FOR {who}{where}{assuming}"


def draw(schema: dict[str, Any], seed: int, count: int) -> Iterator[str]:
    """This many queries, the same for the same seed."""
    lot = Lot(random.Random(seed), schema)
    for number in range(count):
        lot.right = (0.995, 0.88)[number % 2]
        yield lot.query()
