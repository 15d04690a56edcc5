"""Expectations by their names, as Great Expectations and the dbt package of the same kind spell them, as checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from penstock.lake.versioned.scan import quoted, text
from penstock.quality.check import Check, Severity
from penstock.quality.imports.imported import Unfit
from penstock.quality.kinds import Option, Scalar
from penstock.quality.literals import literal

Arguments: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Asked:
    """An expectation of a table: its arguments, the rows it is asked of, and what the check takes over as it is."""

    table: str
    arguments: Arguments
    where: str = ""
    mostly: float = 1.0
    severity: Severity = "error"
    name: str = ""
    place: str = ""

    def check(self, kind: str, *columns: str, **options: object) -> Check:
        """A check of rows."""
        told = cast(Mapping[str, Option], options)
        return Check(kind, columns, tuple(told.items()), self.where, self.mostly, self.severity, self.name, self.place)

    def of_table(self, kind: str, *columns: str, **options: object) -> Check:
        """A check of the whole table, which knows no tolerance."""
        if self.mostly != 1:
            raise Unfit("a tolerance (mostly) says nothing of a whole table")
        where = "" if kind == "sql" else self.where
        return replace(self, where=where).check(kind, *columns, **options)

    def aggregate(self, what: str, condition: str) -> Check:
        """A check that an aggregate over the rows fulfils a condition, in which it is called ``observed``."""
        rows = f"FROM {quoted(self.table)}{f' WHERE {self.where}' if self.where else ''}"
        query = f"SELECT * FROM (SELECT {what} AS observed {rows}) WHERE NOT ({condition})"
        return self.of_table("sql", query=query)

    # ------------------------------------------------------------ arguments

    def text(self, name: str) -> str:
        """An argument that must be a text."""
        value = self.arguments.get(name)
        if not isinstance(value, str) or not value:
            raise Unfit(f"{name} is missing")
        return value

    @property
    def column(self) -> str:
        """The column it is about."""
        return self.text("column")

    def listed(self, name: str) -> tuple[Scalar, ...]:
        """An argument that must be a list."""
        value = self.arguments.get(name)
        if not isinstance(value, list) or not value:
            raise Unfit(f"{name} is no list of values")
        return tuple(self.scalar(one, name) for one in value)

    def scalar(self, value: object, name: str) -> Scalar:
        """A single value."""
        if not isinstance(value, Scalar):
            raise Unfit(f"{name} is no plain value")
        return value

    def flag(self, name: str, usual: bool = False) -> bool:
        """An argument that is true or false."""
        return bool(self.arguments.get(name, usual))

    def bounds(self) -> dict[str, Scalar]:
        """Its bounds as options of a range."""
        both = self.flag("strictly") or not self.flag("inclusive", True)
        names = {"min_value": ("min", "above", "strict_min"), "max_value": ("max", "below", "strict_max")}
        found = {}
        for name, (inclusive, exclusive, strict) in names.items():
            if self.arguments.get(name) is not None:
                option = exclusive if both or self.flag(strict) else inclusive
                found[option] = self.scalar(self.arguments[name], name)
        if not found:
            raise Unfit("it has no bounds")
        return found

    def within(self, what: str) -> str:
        """SQL that says that something lies in its bounds."""
        signs = {"min": ">=", "above": ">", "max": "<=", "below": "<"}
        return " AND ".join(f"{what} {signs[name]} {literal(value)}" for name, value in self.bounds().items())


def expectation(name: str, asked: Asked) -> Iterator[Check]:
    """The checks that an expectation is. Raises ``Unfit`` where it has no equal here."""
    if name not in _EXPECTATIONS:
        raise Unfit("it has no equal")
    for parameter in ("parse_strings_as_datetimes", "flags", "group_by", "group_by_columns"):
        if asked.arguments.get(parameter):
            raise Unfit(f"{parameter} has no equal")
    if any(isinstance(value, dict) for value in asked.arguments.values()):
        raise Unfit("it takes parameters when it runs")
    made = _EXPECTATIONS[name](asked)
    yield from [made] if isinstance(made, Check) else made


def _in_sql(asked: Asked, name: str) -> str:
    return ", ".join(literal(value) for value in asked.listed(name))


def _row_count(asked: Asked) -> Check:
    found = asked.bounds()
    counts = {name.replace("above", "min").replace("below", "max"): int(str(value)) for name, value in found.items()}
    counts |= {"min": counts["min"] + 1} if "above" in found else {}
    counts |= {"max": counts["max"] - 1} if "below" in found else {}
    return asked.of_table("row_count", **counts)


def _row_count_is(asked: Asked) -> Check:
    value = asked.arguments.get("value")
    return asked.of_table("row_count", min=value, max=value)


def _patterns(asked: Asked) -> str:
    return "|".join(f"(?:{pattern})" for pattern in asked.listed("regex_list"))


def _matches_list(asked: Asked) -> Check | list[Check]:
    if asked.arguments.get("match_on", "any") == "any":
        return asked.check("regex", asked.column, pattern=_patterns(asked))
    tests = [f"regexp_matches({quoted(asked.column)}, {text(str(one))})" for one in asked.listed("regex_list")]
    return asked.check("expression", asked.column, condition=" AND ".join(tests))


def _compound(asked: Asked) -> Check:
    """Rows in which every column is missing are passed over, as that tool does unless told otherwise."""
    columns = tuple(map(str, asked.listed("column_list")))
    skips = str(asked.arguments.get("ignore_row_if", "all_values_are_missing"))
    if "any" in skips:
        return asked.check("unique", *columns)
    if skips == "never":
        return asked.check("unique", *columns, nulls_equal=True)
    some = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in columns)
    where = f"({asked.where}) AND ({some})" if asked.where else some
    return replace(asked, where=where).check("unique", *columns, nulls_equal=True)


def _pair(asked: Asked, sign: str) -> Check:
    first, second = (asked.text(name if name in asked.arguments else name.lower()) for name in ("column_A", "column_B"))
    return asked.check("expression", first, second, condition=f"{quoted(first)} {sign} {quoted(second)}")


def _sum_of_columns(asked: Asked) -> Check:
    columns = tuple(map(str, asked.listed("column_list")))
    whole = literal(asked.scalar(asked.arguments.get("sum_total"), "sum_total"))
    return asked.check("expression", *columns, condition=f"{' + '.join(map(quoted, columns))} = {whole}")


def _contains(asked: Asked) -> Check:
    """Every value of a set occurs: what is missing is returned."""
    wanted = ", ".join(f"({literal(value)})" for value in asked.listed("value_set"))
    there = f"SELECT {quoted(asked.column)} FROM {quoted(asked.table)}"
    there += f" WHERE {quoted(asked.column)} IS NOT NULL{f' AND ({asked.where})' if asked.where else ''}"
    query = f"SELECT value AS missing FROM (VALUES {wanted}) AS wanted(value) WHERE value NOT IN ({there})"
    return asked.of_table("sql", query=query)


def _recent(asked: Asked) -> Check:
    unit, count = str(asked.arguments.get("datepart", "")), asked.arguments.get("interval")
    if unit not in ("second", "minute", "hour", "day", "week"):
        raise Unfit(f"a {unit or 'length of time without a unit'} is no fixed length of time")
    return asked.of_table("freshness", asked.column, at_most=f"{count} {unit}s")


def _unexpected_rows(asked: Asked) -> Check:
    query = asked.text("unexpected_rows_query").replace("{batch}", quoted(asked.table))
    if "{" in query:
        raise Unfit("its query has other places to fill than {batch}")
    return asked.of_table("sql", query=query)


def _column_says(said: str) -> Callable[[Asked], Check]:
    """A condition of one column, which is written as ``{}``."""
    return lambda asked: asked.check("expression", asked.column, condition=said.replace("{}", quoted(asked.column)))


def _aggregate(function: str) -> Callable[[Asked], Check]:
    """An aggregate of one column (written as ``{}``) within bounds."""
    return lambda asked: asked.aggregate(function.replace("{}", quoted(asked.column)), asked.within("observed"))


def _length_is(asked: Asked) -> Check:
    value = literal(asked.scalar(asked.arguments.get("value"), "value"))
    return asked.check("expression", asked.column, condition=f"length({quoted(asked.column)}) = {value}")


_EXPECTATIONS: Mapping[str, Callable[[Asked], Check | list[Check]]] = {
    "expect_column_values_to_not_be_null": lambda a: a.check("not_null", a.column),
    "expect_column_values_to_be_null": _column_says("{} IS NULL"),
    "expect_column_values_to_be_unique": lambda a: a.check("unique", a.column),
    "expect_compound_columns_to_be_unique": _compound,
    "expect_column_values_to_be_in_set": lambda a: a.check("accepted", a.column, values=a.listed("value_set")),
    "expect_column_distinct_values_to_be_in_set": lambda a: a.check("accepted", a.column, values=a.listed("value_set")),
    "expect_column_distinct_values_to_contain_set": _contains,
    "expect_column_distinct_values_to_equal_set": lambda a: [
        a.check("accepted", a.column, values=a.listed("value_set")),
        _contains(a),
    ],
    "expect_column_values_to_not_be_in_set": lambda a: a.check(
        "expression", a.column, condition=f"{quoted(a.column)} NOT IN ({_in_sql(a, 'value_set')})"
    ),
    "expect_column_values_to_be_between": lambda a: a.check("range", a.column, **a.bounds()),
    "expect_column_values_to_match_regex": lambda a: a.check("regex", a.column, pattern=a.text("regex")),
    "expect_column_values_to_not_match_regex": lambda a: a.check(
        "regex", a.column, pattern=a.text("regex"), matches=False
    ),
    "expect_column_values_to_match_regex_list": _matches_list,
    "expect_column_values_to_not_match_regex_list": lambda a: a.check(
        "regex", a.column, pattern=_patterns(a), matches=False
    ),
    "expect_column_values_to_match_like_pattern": lambda a: a.check(
        "expression", a.column, condition=f"{quoted(a.column)} LIKE {text(a.text('like_pattern'))}"
    ),
    "expect_column_values_to_not_match_like_pattern": lambda a: a.check(
        "expression", a.column, condition=f"{quoted(a.column)} NOT LIKE {text(a.text('like_pattern'))}"
    ),
    "expect_column_value_lengths_to_be_between": lambda a: a.check(
        "expression", a.column, condition=a.within(f"length({quoted(a.column)})")
    ),
    "expect_column_value_lengths_to_equal": _length_is,
    "expect_column_to_exist": _column_says("{} IS NULL OR {} IS NOT NULL"),
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count_is,
    "expect_column_min_to_be_between": _aggregate("min({})"),
    "expect_column_max_to_be_between": _aggregate("max({})"),
    "expect_column_mean_to_be_between": _aggregate("avg({})"),
    "expect_column_median_to_be_between": _aggregate("median({})"),
    "expect_column_sum_to_be_between": _aggregate("sum({})"),
    "expect_column_stdev_to_be_between": _aggregate("stddev_samp({})"),
    "expect_column_unique_value_count_to_be_between": _aggregate("count(DISTINCT {})"),
    "expect_column_proportion_of_unique_values_to_be_between": _aggregate("count(DISTINCT {}) / count({})"),
    "expect_column_pair_values_a_to_be_greater_than_b": lambda a: _pair(a, ">=" if a.flag("or_equal") else ">"),
    "expect_column_pair_values_to_be_equal": lambda a: _pair(a, "="),
    "expect_multicolumn_sum_to_equal": _sum_of_columns,
    "expect_row_values_to_have_recent_data": _recent,
    "unexpected_rows_expectation": _unexpected_rows,
}
