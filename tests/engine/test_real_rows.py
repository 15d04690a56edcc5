"""Windows of rows, gaps and functions on real shopping baskets, against plain Python over lists."""

from __future__ import annotations

import datetime as dt
import statistics
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps

CUTOFFS = [dt.datetime(2017, 4, 1), dt.datetime(2017, 8, 15, 12), dt.datetime(2018, 1, 2)]  # noqa: DTZ001
Bought = list[tuple[dt.datetime, int, float, int]]
"""What a household bought, in order: when, transaction, value, store."""


def gap(bought: Bought) -> float | None:
    """The mean of the times between neighbours, in days."""
    steps = [(b[0] - a[0]) / dt.timedelta(days=1) for a, b in pairwise(bought)]
    return statistics.fmean(steps) if steps else None


def within(bought: Bought, cutoff: dt.datetime, newest: int, oldest: int) -> Bought:
    """What was bought from so many days before the cutoff to fewer."""
    day = dt.timedelta(days=1)
    return [b for b in bought if cutoff - oldest * day < b[0] <= cutoff - newest * day]


def streak(truths: list[bool]) -> int:
    """How many in a row are as the first, negative if that is false."""
    run = next((n for n, truth in enumerate(truths) if truth != truths[0]), len(truths))
    return run if truths[0] else -run


QUIET = "COUNT(transactions.*, {}, {}, days) = 0"
STREAK = ", ".join(QUIET.format(-7 * n - 7, -7 * n) for n in range(4))
MEANINGS: dict[str, Callable[[Bought, dt.datetime], Any]] = {
    "AVG(transactions.sales_value, -5, 0, rows)": lambda b, _: statistics.fmean(v[2] for v in b[-5:]) if b else None,
    "MAX(transactions.sales_value, -30, 0, rows)": lambda b, _: max((v[2] for v in b[-30:]), default=None),
    "MEDIAN(transactions.sales_value, -10, -5, rows)": lambda b, _: (
        statistics.median(v[2] for v in b[-10:-5]) if b[-10:-5] else None
    ),
    "SUM(transactions.sales_value WHERE transactions.sales_value > 3.0, -3, 0, rows)": lambda b, _: sum(
        [v[2] for v in b if v[2] > 3][-3:]
    ),
    "COUNT_DISTINCT(transactions.store_id, -10, 0, rows)": lambda b, _: len({v[3] for v in b[-10:]}),
    "COUNT(transactions.*, -10, 0, rows)": lambda b, _: len(b[-10:]),
    "GAP(transactions.*, -5, 0, rows)": lambda b, _: gap(b[-5:]),
    "GAP(transactions.*, -INF, 0, days)": lambda b, _: gap(b),
    f"STREAK_OF({STREAK})": lambda b, t: streak([not within(b, t, 7 * n, 7 * n + 7) for n in range(4)]),
}


@pytest.fixture(scope="module")
def bought(shared: Path) -> dict[str, Bought]:
    """Each household's purchases in order."""
    table = pq.read_table(shared / "data" / "journey" / "transactions.parquet").to_pydict()
    found: dict[str, Bought] = defaultdict(list)
    columns = ("household_id", "transaction_timestamp", "transaction_id", "sales_value", "store_id")
    for who, when, number, value, store in zip(*(table[c] for c in columns), strict=True):
        found[who].append((when, number, value, store))
    return {who: sorted(rows) for who, rows in found.items()}


def test_real_baskets_give_what_plain_lists_give(shared: Path, bought: dict[str, Bought]) -> None:
    db = ps.connect(shared / "data" / "journey")
    pairs = [(who, cutoff) for who in sorted(bought)[::3] for cutoff in CUTOFFS]
    spine = pa.table({"entity": [who for who, _ in pairs], "cutoff": [cutoff for _, cutoff in pairs]})
    found = db.features(list(MEANINGS), spine, entity="households")
    for number, meaning in enumerate(MEANINGS.values()):
        expected = []
        for who, cutoff in pairs:
            rows = bought[who]
            expected.append(meaning(rows[: bisect_right(rows, cutoff, key=lambda row: row[0])], cutoff))
        ours = found[2 + number].to_pylist()
        assert [value is None for value in ours] == [value is None for value in expected], list(MEANINGS)[number]
        known = [(a, b) for a, b in zip(ours, expected, strict=True) if b is not None]
        assert [a for a, _ in known] == pytest.approx([b for _, b in known]), list(MEANINGS)[number]
