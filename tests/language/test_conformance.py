"""Every verdict of the reference is ours, but for the differences that docs/language-differences.md explains."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

import pytest

from penstock import language
from penstock.errors import QueryError
from tests.conftest import ROOT
from tests.language.made_up import schema_of
from tests.language.reference import validator
from tests.language.shop import NAMED, SHOP, SHOP_GRAPH, STORES_GRAPH, code

DOCUMENT = ROOT / "docs" / "language-differences.md"


def rows(heading: str) -> list[tuple[str, ...]]:
    """The rows of the table under a heading, without the backticks of code."""
    section = DOCUMENT.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")) for line in lines]


EXTENSIONS, REFUSED, CODES, CANONICAL = map(
    rows, ("Extensions", "Refused, though the reference accepts it", "Other codes", "Canonical text")
)
EXTENDED = {query: expected for query, _, expected in EXTENSIONS}


def probes(shared: Path) -> dict[str, list[dict[str, str]]]:
    """The recorded verdicts, by query."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (shared / "pql" / "conformance.tsv").open() as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            found[row["query"]].append(row)
    return found


def test_every_recorded_verdict_is_ours_but_for_the_extensions(shared: Path) -> None:
    for query, recorded in probes(shared).items():
        accepted = any(row["verdict"] == "OK" for row in recorded)
        ours = code(query.replace("churn_90d", "churn"))
        assert (ours == "OK") == (accepted or query.replace("churn_90d", "churn") in EXTENDED), (query, ours)


def test_every_recorded_verdict_and_code_is_ours_in_the_strict_dialect(shared: Path) -> None:
    for query, recorded in probes(shared).items():
        accepted = any(row["verdict"] == "OK" for row in recorded)
        codes = {name for row in recorded for name in row["codes"].split(",")}
        ours = code(query, "kumo")
        assert ours == "OK" if accepted else ours in codes, (query, ours, codes)


def test_every_recorded_canonical_text_is_ours(shared: Path) -> None:
    for query, recorded in probes(shared).items():
        for row in recorded:
            if row["canonical"]:
                assert language.query(query, SHOP_GRAPH).canonical == row["canonical"]


@pytest.mark.parametrize(("query", "extension", "refusal"), EXTENSIONS)
def test_an_extension_is_accepted_by_default_and_refused_in_the_strict_dialect(
    query: str, extension: str, refusal: str
) -> None:
    assert code(query) == "OK"
    assert code(query, "kumo") == refusal


@pytest.mark.parametrize(("query", "refusal", "reason"), REFUSED)
def test_a_listed_refusal_is_ours(query: str, refusal: str, reason: str) -> None:
    assert code(query) == refusal
    assert reason


@pytest.mark.parametrize(("query", "reference", "ours"), CODES)
def test_a_listed_code_is_ours(query: str, reference: str, ours: str) -> None:
    assert code(query) == ours != reference


@pytest.mark.parametrize(("query", "canonical"), CANONICAL)
def test_a_listed_canonical_text_is_ours(query: str, canonical: str) -> None:
    assert language.query(query, SHOP_GRAPH).canonical == canonical


def test_the_reference_still_says_what_the_document_says_it_says() -> None:
    verdict = validator(SHOP)
    for query, _, refusal in EXTENSIONS:
        said = verdict(query)
        assert not said.accepted, query
        assert refusal in said.codes, (query, said.codes)
    assert all(verdict(query).accepted for query, _, _ in REFUSED)
    assert all(reference in verdict(query).codes for query, reference, _ in CODES)
    assert all(verdict(query).canonical != ours for query, ours in CANONICAL)


def examples(shared: Path) -> list[dict[str, str]]:
    """The collected queries, each ``{NAME}`` filled with a value."""
    with (shared / "pql" / "examples.tsv").open() as file:
        found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [{**row, "query": re.sub(r"\{\w+\}", "1", row["query"])} for row in found]


def test_every_valid_example_parses_and_prints_as_the_reference_prints_it(shared: Path) -> None:
    valid = [row for row in examples(shared) if "OK" in (row["enterprise_verdict"], row["rfm_verdict"])]
    assert len(valid) > 150
    for row in valid:
        tree = language.parse(row["query"])
        assert language.parse(str(tree)) == tree
        assert str(tree) == re.sub(r"TOP \d+", f"TOP {tree.spec.top_k}", row["canonical"])


INVALID_ONLY_FOR_ONE_MODEL = "(RFM"


def test_every_example_that_is_meant_to_fail_fails(shared: Path) -> None:
    """On the schema it was written for. What only one model cannot do is refused in the strict dialect alone."""
    for row in examples(shared):
        if not row["task"].startswith("INVALID:"):
            continue
        dialect = "kumo" if INVALID_ONLY_FOR_ONE_MODEL in row["task"] else None
        schema = STORES_GRAPH if row["schema_where_known"].startswith("USERS(") else schema_of(row["query"])
        with pytest.raises(QueryError, match="PQL_"):
            language.query(row["query"], schema, dialect)


def test_every_valid_example_fits_a_schema_made_up_from_it(shared: Path) -> None:
    for row in examples(shared):
        if "OK" in (row["enterprise_verdict"], row["rfm_verdict"]) and not row["task"].startswith("INVALID:"):
            query = language.query(row["query"], schema_of(row["query"]))
            assert query.plan().fingerprint
            assert language.query(query.canonical, query.graph).fingerprint == query.fingerprint


def test_a_named_target_is_what_it_stands_for() -> None:
    named = language.query("PREDICT churn FOR EACH users.user_id", SHOP_GRAPH, named=NAMED)
    written = language.query("PREDICT COUNT(orders.*, 0, 90) = 0 FOR EACH users.user_id", SHOP_GRAPH)
    assert named.fingerprint == written.fingerprint
    assert named.canonical == written.canonical
