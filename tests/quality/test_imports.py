"""Checks of dbt and Great Expectations: carried over with what they mean, or named as left out."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest

from penstock.errors import RequestError
from penstock.quality.check import Check, check
from penstock.quality.contract import Contract
from penstock.quality.contractfile import contract_text, parse_contract
from penstock.quality.imports.dbt import from_dbt
from penstock.quality.imports.great_expectations import from_great_expectations
from penstock.quality.run import run_checks

SCHEMA_FILE = """
version: 2
sources:
  - name: raw
    tables:
      - name: users
        identifier: raw_users
        columns:
          - name: email
            tests: [not_null, unique]
seeds:
  - name: countries
    columns:
      - name: code
        tests:
          - accepted_values: {values: [1, 2], quote: false}
models:
  - name: orders
    tests:
      - dbt_utils.unique_combination_of_columns:
          combination_of_columns: [order_id, line]
      - dbt_utils.expression_is_true:
          name: totals_add_up
          expression: "total = net + tax"
          config: {where: "status <> 'draft'", severity: warn}
      - dbt_expectations.expect_table_row_count_to_be_between: {min_value: 1, max_value: 100}
      - dbt_utils.equal_rowcount: {compare_model: ref('mirror')}
      - dbt_utils.recency: {datepart: day, field: placed_at, interval: 2}
    columns:
      - name: order_id
        data_tests:
          - not_null: {severity: WARN}
          - unique:
              config: {where: "order_id > 0"}
      - name: status
        data_tests:
          - name: known_status
            test_name: accepted_values
            arguments: {values: [paid, open]}
          - dbt_utils.not_empty_string
          - dbt_utils.not_accepted_values: {values: ["it's"]}
          - dbt_expectations.expect_column_values_to_match_regex: {regex: "^[a-z]+$", row_condition: "order_id > 1"}
      - name: user_id
        data_tests:
          - relationships: {to: "ref('users')", field: id}
          - dbt_utils.relationships_where:
              to: source('raw', 'users')
              field: id
              from_condition: user_id <> 0
          - dbt_utils.not_null_proportion: {at_least: 0.95}
      - name: total
        data_tests:
          - dbt_utils.accepted_range: {min_value: 0, inclusive: false}
          - dbt_expectations.expect_column_values_to_be_between: {min_value: 0, max_value: 10, strictly: true}
          - dbt_utils.at_least_one
          - dbt_utils.expression_is_true: {expression: ">= 0"}
"""

LEFT_OUT_FILE = """
models:
  - name: orders
    tests:
      - elementary.volume_anomalies
      - my_own_test: {max: 3}
    columns:
      - name: status
        tests:
          - not_null: {config: {error_if: ">10"}}
          - unique: {config: {enabled: false}}
          - accepted_values: {values: "{{ var('states') }}"}
          - relationships: {to: "users", field: id}
          - dbt_utils.relationships_where: {to: ref('users'), field: id, to_condition: "active"}
          - dbt_expectations.expect_column_values_to_match_regex: {regex: "(?=a)b"}
          - dbt_expectations.expect_column_values_to_be_of_type: {column_type: text}
          - dbt_utils.at_least_one: {group_by_columns: [day]}
unit_tests:
  - name: adds_up
    model: orders
"""


def test_dbt_tests_become_the_same_checks(tmp_path):
    path = tmp_path / "schema.yml"
    path.write_text(SCHEMA_FILE)
    found = from_dbt(path)
    assert found.left_out == ()
    assert found.contracts["raw_users"].checks == (check("not_null", "email"), check("unique", "email"))
    assert found.contracts["countries"].checks == (check("accepted", "code", values=[1, 2]),)
    expected = [
        check("unique", "order_id", "line", nulls_equal=True),
        check(
            "expression",
            condition="total = net + tax",
            where="status <> 'draft'",
            severity="warn",
            name="totals_add_up",
        ),
        check("row_count", min=1, max=100),
        check(
            "sql",
            query='SELECT * FROM (SELECT count(*) - (SELECT count(*) FROM "mirror") AS observed FROM "orders")'
            " WHERE NOT (observed = 0)",
        ),
        check("freshness", "placed_at", at_most="2 days"),
        check("not_null", "order_id", severity="warn"),
        check("unique", "order_id", where="order_id > 0"),
        check("accepted", "status", values=["paid", "open"], name="known_status"),
        check("expression", "status", condition="trim(\"status\") <> ''"),
        check("expression", "status", condition="\"status\" NOT IN ('it''s')", name="status_expression_2"),
        check("regex", "status", pattern="^[a-z]+$", where="order_id > 1"),
        check("foreign_key", "user_id", table="users", to=["id"]),
        check("foreign_key", "user_id", table="users", to=["id"], where="user_id <> 0", name="user_id_foreign_key_2"),
        check("not_null", "user_id", mostly=0.95),
        check("range", "total", above=0),
        check("range", "total", above=0, below=10, name="total_range_2"),
        check("sql", query='SELECT * FROM (SELECT count("total") AS observed FROM "orders") WHERE NOT (observed > 0)'),
        check("expression", "total", condition='"total" >= 0'),
    ]
    assert found.contracts["orders"] == Contract("orders", tuple(expected))
    places = {one.place for one in found.contracts["orders"].checks}
    assert f"{path}: models.orders.user_id" in places


def test_what_dbt_alone_knows_is_named(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.yml").write_text(LEFT_OUT_FILE)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "b.yml").write_text(SCHEMA_FILE)
    found = from_dbt(tmp_path)
    assert found.contracts == {}
    assert [(one.name, one.reason) for one in found.left_out] == [
        ("elementary.volume_anomalies", "it has no equal"),
        ("my_own_test", "it has no equal"),
        ("not_null", "error_if has no equal"),
        ("unique", "it is switched off"),
        ("accepted_values", "it holds a template"),
        ("relationships", "to is neither ref nor source"),
        ("dbt_utils.relationships_where", "to_condition has no equal"),
        (
            "status_regex",
            "its pattern cannot be read: Invalid Input Error: invalid perl operator: (?=",
        ),
        ("dbt_expectations.expect_column_values_to_be_of_type", "it has no equal"),
        ("dbt_utils.at_least_one", "group_by_columns has no equal"),
        ("adds_up", "a unit test looks at code, not at rows"),
    ]
    assert f"left out: {tmp_path / 'models' / 'a.yml'}: models.orders: my_own_test: it has no equal" in str(found)


UNREADABLE = [
    ("models: [", "while parsing a flow node"),
    ("- a\n", "is no schema file of dbt"),
    ("models: {a: 1}", "models is no list of things with names"),
    ("models: [{name: a, tests: not_null}]", "models.a.tests is no list"),
    ("models: [{name: a, tests: [3]}]", "holds a test that cannot be read: 3"),
    ("models: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
]


@pytest.mark.parametrize(("text", "says"), UNREADABLE)
def test_a_file_that_is_none_of_dbts_is_refused(tmp_path, text: str, says: str):
    (tmp_path / "schema.yml").write_text(text)
    with pytest.raises(RequestError, match=f"IMPORT_UNREADABLE: .*schema.yml.*{re.escape(says)}"):
        from_dbt(tmp_path / "schema.yml")


def suite(*expectations: tuple[str, dict[str, object]], new: bool = False, **more: object) -> str:
    listed = [
        {("type" if new else "expectation_type"): name, "kwargs": kwargs, **more} for name, kwargs in expectations
    ]
    return json.dumps({("name" if new else "expectation_suite_name"): "orders.warning", "expectations": listed})


EQUALS: list[tuple[str, dict[str, object], Check]] = [
    ("expect_column_values_to_not_be_null", {"column": "a", "mostly": 0.9}, check("not_null", "a", mostly=0.9)),
    ("expect_column_values_to_be_null", {"column": "a"}, check("expression", "a", condition='"a" IS NULL')),
    ("expect_column_values_to_be_unique", {"column": "a"}, check("unique", "a")),
    (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["a", "b"], "ignore_row_if": "any_value_is_missing"},
        check("unique", "a", "b"),
    ),
    (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["a", "b"]},
        check("unique", "a", "b", nulls_equal=True, where='"a" IS NOT NULL OR "b" IS NOT NULL'),
    ),
    ("expect_column_values_to_be_in_set", {"column": "a", "value_set": ["x"]}, check("accepted", "a", values=["x"])),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 1, "max_value": 5, "strict_max": True},
        check("range", "a", min=1, below=5),
    ),
    ("expect_column_values_to_match_regex", {"column": "a", "regex": "^x"}, check("regex", "a", pattern="^x")),
    (
        "expect_column_values_to_not_match_regex_list",
        {"column": "a", "regex_list": ["x", "y"]},
        check("regex", "a", pattern="(?:x)|(?:y)", matches=False),
    ),
    (
        "expect_column_values_to_match_regex_list",
        {"column": "a", "regex_list": ["x", "y"], "match_on": "all"},
        check("expression", "a", condition="regexp_matches(\"a\", 'x') AND regexp_matches(\"a\", 'y')"),
    ),
    (
        "expect_column_value_lengths_to_be_between",
        {"column": "a", "min_value": 1},
        check("expression", "a", condition='length("a") >= 1'),
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "a", "column_B": "b", "or_equal": True},
        check("expression", "a", "b", condition='"a" >= "b"'),
    ),
    ("expect_table_row_count_to_equal", {"value": 3}, check("row_count", min=3, max=3)),
    ("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": None}, check("row_count", min=1)),
    (
        "expect_column_mean_to_be_between",
        {"column": "a", "min_value": 1, "max_value": 2},
        check(
            "sql",
            query='SELECT * FROM (SELECT avg("a") AS observed FROM "orders")'
            " WHERE NOT (observed >= 1 AND observed <= 2)",
        ),
    ),
    (
        "unexpected_rows_expectation",
        {"unexpected_rows_query": "SELECT * FROM {batch} WHERE a < 0"},
        check("sql", query='SELECT * FROM "orders" WHERE a < 0'),
    ),
]


@pytest.mark.parametrize(("name", "kwargs", "equal"), EQUALS, ids=[name for name, _, _ in EQUALS])
@pytest.mark.parametrize("new", [False, True], ids=["0.x", "1.x"])
def test_expectations_become_the_same_checks(tmp_path, name, kwargs, equal, new):
    path = tmp_path / "suite.json"
    path.write_text(suite((name, {**kwargs, "result_format": "BASIC"}), new=new))
    found = from_great_expectations(path)
    assert found.left_out == ()
    assert found.contracts == {"orders": Contract("orders", (equal,))}
    assert found.contracts["orders"].checks[0].place == f"{path}, expectation 1"


@pytest.mark.parametrize(("said", "severity"), [("critical", "error"), ("warning", "warn"), ("info", "warn")])
def test_severities_of_the_new_version_are_carried_over(tmp_path, said: str, severity: str):
    path = tmp_path / "suite.json"
    path.write_text(suite(("expect_column_values_to_be_unique", {"column": "a"}), new=True, severity=said))
    assert from_great_expectations(path).contracts["orders"].checks[0].severity == severity


CONDITIONS = [
    ('col("a").notNull()', "great_expectations__experimental__", '"a" IS NOT NULL'),
    ('col("a") >= 3', "great_expectations", '"a" >= 3'),
    ("a == 'it' and b != 3.5", "pandas", '"a" = \'it\' AND "b" <> 3.5'),
    ('(a=="x") & (b < 2)', "pandas", '"a" = \'x\' AND "b" < 2'),
    ("a % 2 = 0", "spark", "a % 2 = 0"),
]


@pytest.mark.parametrize(("condition", "parser", "where"), CONDITIONS)
def test_row_conditions_become_where(tmp_path, condition: str, parser: str, where: str):
    path = tmp_path / "suite.json"
    kwargs: dict[str, object] = {"column": "c", "row_condition": condition, "condition_parser": parser}
    path.write_text(suite(("expect_column_values_to_be_unique", kwargs)))
    assert from_great_expectations(path).contracts["orders"].checks == (check("unique", "c", where=where),)


GX_ALONE: list[tuple[str, dict[str, object], str]] = [
    ("expect_column_kl_divergence_to_be_less_than", {"column": "a"}, "it has no equal"),
    ("expect_column_values_to_be_of_type", {"column": "a", "type_": "int"}, "it has no equal"),
    ("expect_column_values_to_be_unique", {}, "column is missing"),
    ("expect_column_values_to_be_in_set", {"column": "a"}, "value_set is no list of values"),
    ("expect_column_values_to_be_between", {"column": "a"}, "it has no bounds"),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": {"$PARAMETER": "low"}},
        "it takes parameters when it runs",
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": "2020", "parse_strings_as_datetimes": True},
        "parse_strings_as_datetimes has no equal",
    ),
    (
        "expect_column_values_to_be_unique",
        {"column": "a", "row_condition": "a.str.len() > 3", "condition_parser": "pandas"},
        "its row condition cannot be read: a.str.len() > 3",
    ),
    ("expect_table_row_count_to_equal", {"value": -1}, "min of a row_count check must be a whole number from 0"),
]


@pytest.mark.parametrize(("name", "kwargs", "reason"), GX_ALONE, ids=[reason for _, _, reason in GX_ALONE])
def test_what_great_expectations_alone_knows_is_named(tmp_path, name: str, kwargs: dict[str, object], reason: str):
    path = tmp_path / "suite.json"
    path.write_text(suite((name, kwargs), ("expect_column_values_to_be_unique", {"column": "b"})))
    found = from_great_expectations(path, {"orders.warning": "sales"})
    assert found.contracts["sales"].checks == (check("unique", "b"),)
    (left,) = found.left_out
    assert (left.name, left.place) == (name, f"{path}, expectation 1")
    assert reason in left.reason


def test_suites_of_a_folder_are_read_and_other_json_is_passed_over(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.json").write_text(suite(("expect_column_values_to_be_unique", {"column": "a"})))
    (tmp_path / "other.json").write_text("[1]")
    assert from_great_expectations(tmp_path).contracts.keys() == {"orders"}
    with pytest.raises(RequestError, match=r"IMPORT_UNREADABLE: .*other.json is no suite of Great Expectations"):
        from_great_expectations(tmp_path / "other.json")
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(RequestError, match=r"IMPORT_UNREADABLE: .*torn.json: Expecting property name"):
        from_great_expectations(tmp_path)


def test_what_was_imported_can_be_written_and_run(tmp_path):
    (tmp_path / "schema.yml").write_text(SCHEMA_FILE)
    contract = from_dbt(tmp_path).contracts["orders"]
    assert parse_contract(contract_text(contract)) == contract
    orders = pa.table(
        {
            "order_id": [1, 2, 2], "line": [1, 1, None], "status": ["paid", "OPEN", " "], "user_id": [1, None, 9],
            "total": [1.0, 12.0, 0.0], "net": [1.0, 1.0, 1.0], "tax": [0.0, 0.0, 0.0],
            "placed_at": pa.array([0, 1, 2], pa.timestamp("us")),
        }
    )  # fmt: skip
    tables = {"orders": orders, "users": pa.table({"id": [1]}), "mirror": orders.slice(0, 2)}
    report = run_checks(contract, tables, now=lambda: 0)
    assert [result.error for result in report.results if result.error] == []
    failed = {result.check.name: result.failed_rows for result in report.failures}
    mirror = next(one.name for one in contract.checks if "mirror" in one.text("query"))
    assert failed == {
        mirror: 1,
        "known_status": 2,
        "order_id_unique": 2,
        "status_expression": 1,
        "status_regex": 2,
        "totals_add_up": 2,
        "total_range": 1,
        "total_range_2": 2,
        "user_id_foreign_key": 1,
        "user_id_foreign_key_2": 1,
        "user_id_not_null": 1,
    }
