"""Checks as values: what they ask, and what is no check."""

from __future__ import annotations

import re

import pytest

from penstock.errors import PenstockError, RequestError, SchemaError
from penstock.quality.check import check
from penstock.quality.kinds import KINDS, duration, microseconds

EXAMPLES = [
    (check("row_count", min=1, max=9), "the number of rows is at least 1 and at most 9"),
    (check("not_null", "id"), "id is never NULL"),
    (check("unique", "a", "b"), "no two rows have the same a, b"),
    (check("unique", "a", nulls_equal=True), "no two rows have the same a, NULL included"),
    (check("accepted", "status", values=["b", "a", "b"]), "status is one of a, b"),
    (check("range", "amount", above=0, max=9, mostly=0.995), "amount is above 0 and at most 9, in 99.5 % of the rows"),
    (check("regex", "code", pattern="^A", where="id > 3"), "code matches ^A, where id > 3"),
    (check("regex", "code", pattern="^A", matches=False), "code does not match ^A"),
    (check("foreign_key", "user_id", table="users"), "each user_id is in users"),
    (check("foreign_key", "a", "b", table="t", to=["x", "y"]), "each a, b is in t (x, y)"),
    (check("freshness", "placed", at_most="36 hours"), "the newest placed is at most 36 hours old"),
    (check("expression", condition="a <=\n  b"), "in each row a <= b"),
    (check("sql", query="SELECT 1\nWHERE FALSE"), "no row comes of SELECT 1 WHERE FALSE"),
    (check("volume", drop=0.2), "the number of rows never shrinks by more than 20 %"),
    (
        check("volume", drop=0.2, rise=2),
        "the number of rows neither shrinks by more than 20 % nor grows by more than 200 %",
    ),
    (check("null_rate", "a"), "the share of NULL in a rises by at most 0.05"),
    (check("mean", "a"), "the mean of a moves by at most 0.5 standard deviations"),
    (check("share", "a", values=["x"]), "the share of x in a moves by at most 0.1"),
    (check("share", "a"), "the share of each value of a moves by at most 0.1"),
    (check("psi", "a"), "the population stability index of a is at most 0.2"),
    (check("wasserstein", "a"), "the distribution of a moves by at most 0.1 standard deviations (Wasserstein)"),
]


@pytest.mark.parametrize(("one", "says"), EXAMPLES, ids=lambda value: getattr(value, "name", ""))
def test_each_check_is_a_sentence(one, says):
    assert one.sentence == says


def test_every_kind_has_its_sentence_tried():
    assert {one.kind for one, _ in EXAMPLES} == set(KINDS)


def test_the_fingerprint_is_of_what_is_asked():
    one = check("accepted", "a", values=["x", "y"])
    assert one.fingerprint == check("accepted", "a", values=["y", "x"], name="n", severity="warn").fingerprint
    others = [
        check("accepted", "a", values=["x"]),
        check("accepted", "b", values=["x", "y"]),
        check("accepted", "a", values=["x", "y"], where="b"),
        check("accepted", "a", values=["x", "y"], mostly=0.5),
        check("accepted", "a", values=["x", "y", 1]),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 6


WRONG = [
    (lambda: check("nul", "a"), SchemaError, "CHECK_UNKNOWN_KIND: there is no check called 'nul'"),
    (lambda: check("not_null"), SchemaError, "CHECK_COLUMNS: a not_null check takes one column, not 0"),
    (lambda: check("row_count", "a", min=1), SchemaError, "a row_count check takes no column, not 1"),
    (lambda: check("unique"), SchemaError, "a unique check takes 1 or more columns, not 0"),
    (lambda: check("unique", "a", "a"), SchemaError, "names a column twice"),
    (lambda: check("unique", "a", 3), RequestError, "a column's name must be a text"),
    (lambda: check("accepted", "a"), SchemaError, "CHECK_MISSING_KEY: a accepted check needs values"),
    (lambda: check("range", "a"), SchemaError, "a range check needs one of min, max, above, below"),
    (lambda: check("accepted", "a", values=[]), RequestError, "must be a list of at least one value, and is ()"),
    (lambda: check("accepted", "a", values=[float("nan")]), RequestError, "values cannot be nan"),
    (lambda: check("accepted", "a", values=["\ud800"]), RequestError, "values cannot be"),
    (lambda: check("range", "a", min=True), RequestError, "min of a range check must be a number, a text, a date"),
    (lambda: check("regex", "a", pattern=" "), RequestError, "pattern of a regex check must be a text"),
    (lambda: check("freshness", "a", at_most="soon"), RequestError, "must be a length of time such as '36 hours'"),
    (lambda: check("row_count", min=1.5), RequestError, "min of a row_count check must be a whole number from 0"),
    (lambda: check("volume", drop=-1), RequestError, "drop of a volume check must be a number from 0"),
    (lambda: check("psi", "a", bins=1), RequestError, "bins of a psi check must be a whole number from 2 to 100"),
    (lambda: check("psi", "a", where="b"), SchemaError, "a psi check has no key 'where'"),
    (lambda: check("row_count", min=1, mostly=0.5), SchemaError, "a row_count check has no key 'mostly'"),
    (lambda: check("not_null", "a", mostly=0), RequestError, "mostly must lie above 0 and up to 1, and is 0"),
    (lambda: check("not_null", "a", mostly=True), RequestError, "mostly must lie above 0 and up to 1, and is True"),
    (lambda: check("not_null", "a", severity="eror"), SchemaError, "Did you mean 'error'?"),
    (lambda: check("not_null", "a", where=3), RequestError, "where must be a text, and is 3"),
]


@pytest.mark.parametrize(("make", "error", "says"), WRONG, ids=[says[:40] for _, _, says in WRONG])
def test_what_is_no_check_is_refused_with_its_reason(make, error, says):
    with pytest.raises(error, match=re.escape(says)) as raised:
        make()
    assert isinstance(raised.value, PenstockError)


def test_lengths_of_time_are_read_and_said():
    assert [microseconds(text) for text in ("1 second", "2 minutes", "1.5 weeks")] == [
        10**6,
        12 * 10**7,
        907200 * 10**6,
    ]
    assert [microseconds(text) for text in ("", "2", "days", "-1 day", "1 month", "1 days ago")] == [None] * 6
    assert [duration(10**6), duration(7_200 * 10**6), duration(0)] == ["1 second", "2 hours", "0 seconds"]
