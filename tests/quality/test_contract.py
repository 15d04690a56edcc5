"""Contracts and their files: read what was written, and say what is wrong where."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import PenstockError, RequestError, SchemaError
from penstock.quality.check import check
from penstock.quality.contract import Contract, with_own_names
from penstock.quality.contractfile import (
    contract_text,
    parse_contract,
    read_contract,
    read_contracts,
    write_contract,
)
from penstock.quality.tomltext import toml_key, toml_value
from tests.quality.made_up import any_checks

contracts = st.builds(
    lambda table, checks, version: Contract(table, with_own_names(checks), version),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.lists(any_checks(), max_size=5),
    st.integers(1, 10**6),
)


@given(contracts)
def test_what_is_written_is_read_again_and_written_the_same(contract: Contract):
    text = contract_text(contract)
    again = parse_contract(text)
    assert again == contract
    assert again.fingerprint == contract.fingerprint
    assert contract_text(again) == text


@given(contracts, st.randoms())
def test_the_order_of_checks_does_not_matter(contract: Contract, random):
    checks = list(contract.checks)
    random.shuffle(checks)
    assert Contract(contract.table, tuple(checks), contract.version) == contract


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_toml_gives_texts_back(value: str, key: str):
    assert tomllib.loads(f"{toml_key(key)} = {toml_value(value)}") == {key: value}
    assert tomllib.loads(f"a = {toml_value(('x' * 99, value))}") == {"a": ["x" * 99, value]}


@pytest.mark.parametrize("value", ['a\n"""', '"""\n""""', '\n"', '\n""', "a\r\nb\\", 'x\n\\"""'])
def test_quotes_in_texts_of_several_lines_come_back(value: str):
    assert tomllib.loads(f"a = {toml_value(value)}") == {"a": value}


def test_the_layout_is_always_the_same():
    contract = Contract(
        "orders",
        (
            check("range", "amount", max=10_000, min=0, severity="warn", mostly=0.99),
            check("sql", query="SELECT *\nFROM orders\nWHERE paid < 0", name="never_paid_back"),
            check("unique", "order_id", "line"),
        ),
        3,
    )
    assert (
        contract_text(contract)
        == '''table = "orders"
version = 3

[[checks]]
check = "sql"
query = """
SELECT *
FROM orders
WHERE paid < 0"""
name = "never_paid_back"

[[checks]]
check = "range"
column = "amount"
max = 10000
min = 0
mostly = 0.99
severity = "warn"

[[checks]]
check = "unique"
columns = ["order_id", "line"]
'''
    )
    assert str(contract).splitlines()[0] == "orders, version 3"
    assert "warn   amount_range: amount is at least 0 and at most 10000, in 99 % of the rows" in str(contract)


WRONG = [
    ("table = ", RequestError, "CONTRACT_UNREADABLE: contracts/orders.toml: Invalid value"),
    ("", SchemaError, "CONTRACT_MISSING_KEY: contracts/orders.toml: the contract needs table"),
    ('table = "orders"\nchecs = []', SchemaError, "Did you mean 'checks'?"),
    ('table = "orders"\nversion = 0', RequestError, "version must be a whole number from 1, and is 0"),
    ('table = "orders"\nchecks = [1]', RequestError, "checks must be tables"),
    ('table = "orders"\n[[checks]]\ncolumn = "a"', SchemaError, "contracts/orders.toml, check 1: check is missing"),
    ('table = "orders"\n[[checks]]\ncheck = "notnull"', SchemaError, "Did you mean 'not_null'?"),
    (
        'table = "orders"\n[[checks]]\ncheck = "range"\ncolumn = "a"\nmni = 3',
        SchemaError,
        "contracts/orders.toml, check 1: a range check has no key 'mni'",
    ),
    (
        'table = "orders"\n[[checks]]\ncheck = "not_null"\ncolumn = "a"\ncolumns = ["a"]',
        RequestError,
        "both column and columns are given",
    ),
    (
        'table = "orders"\n[[checks]]\ncheck = "unique"\ncolumns = "a"',
        RequestError,
        "columns must be a list of texts, and is 'a'",
    ),
    (
        'table = "orders"\n[[checks]]\ncheck = "accepted"\ncolumn = "a"\nvalues = [{ a = 1 }]',
        RequestError,
        "values cannot be {'a': 1}",
    ),
    (
        'table = "orders"\n[[checks]]\ncheck = "not_null"\ncolumn = "a"\n[[checks]]\ncheck = "not_null"\ncolumn = "a"',
        SchemaError,
        "CONTRACT_NAME_TWICE: contracts/orders.toml, check 2: two checks are called 'a_not_null'",
    ),
]


@pytest.mark.parametrize(("text", "error", "says"), WRONG, ids=[says[:50] for _, _, says in WRONG])
def test_a_bad_contract_is_refused_by_file_and_place(text: str, error: type[PenstockError], says: str):
    with pytest.raises(error, match=re.escape(says)):
        parse_contract(text, "contracts/orders.toml")


def test_a_contract_is_kept_beside_its_tables_and_its_version_grows_with_its_meaning(tmp_path):
    folder = tmp_path / "contracts"
    first = Contract("orders", (check("not_null", "id"),))
    assert write_contract(folder, first) == first
    assert write_contract(folder, Contract("orders", (check("not_null", "id", name="named"),))).version == 1
    second = write_contract(folder, Contract("orders", (check("not_null", "id", severity="warn"),)))
    assert second.version == 2
    assert read_contracts(folder) == {"orders": second}
    assert [path.name for path in folder.iterdir()] == ["orders.toml"]


def test_a_contract_says_where_each_check_was_written(tmp_path):
    write_contract(tmp_path, Contract("orders", (check("not_null", "id"),)))
    assert read_contract(tmp_path / "orders.toml").checks[0].place == f"{tmp_path / 'orders.toml'}, check 1"


def test_files_that_hold_no_contract_are_refused(tmp_path):
    with pytest.raises(RequestError, match=r"CONTRACT_UNREADABLE: .*absent.toml: .*No such file"):
        read_contract(tmp_path / "absent.toml")
    (tmp_path / "b.toml").write_bytes(b'table = "\xff"')
    with pytest.raises(RequestError, match=r"CONTRACT_UNREADABLE: .*b.toml: .*utf-8"):
        read_contract(tmp_path / "b.toml")
    (tmp_path / "b.toml").write_text('table = "a"')
    with pytest.raises(RequestError, match=r"CONTRACT_TABLE_NAME: .*b.toml holds the contract of 'a'"):
        read_contract(tmp_path / "b.toml")
    with pytest.raises(RequestError, match=re.escape("'../a' cannot name a contract's file")):
        write_contract(tmp_path, Contract("../a"))
    assert read_contracts(tmp_path / "absent") == {}
