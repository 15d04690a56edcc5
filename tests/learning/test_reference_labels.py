"""Our labels are those of the reference's label generator, on real databases; where they are not, it says why.

The reference gets the same keys, links, times and kinds, but reads the files by itself (with pandas). It computes in
32-bit floats: whole numbers must agree exactly, others to that precision. The limits of its hosted model, such as no
FIRST and LAST, are lifted: they are not its label generator's.
"""

from __future__ import annotations

import datetime as dt
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import penstock as ps
from penstock.database import Database

AMBIGUOUS: dict[str, set[str]] = {
    "retail": set(),
    "football": {"matches.away_team"},
    "stats_se": {"posts.LastEditorUserId", "postLinks.RelatedPostId"},
    "chinook": set(),
}
"""Second links between two tables, cut on both sides: the reference follows none where there are several."""

SINGLE_PRECISION = 1e-6
"""Relative: sums of 32-bit floats that the reference adds in an order of its own."""

Example = tuple[Any, pd.Timestamp, int]
"""Entity, cutoff, step (0 without FORECAST)."""


@dataclass(frozen=True)
class Pair:
    """One database, opened by us and by the reference."""

    ours: Database
    theirs: Any
    frames: Mapping[str, pd.DataFrame] = field(repr=False)

    def our_labels(self, text: str, *at: str) -> dict[Example, Any]:
        rows = self.ours.labels(text, at=list(at)).to_pylist()
        return {(r["entity"], pd.Timestamp(r["cutoff"]), r.get("step", 0)): plain(r["target"]) for r in rows}

    def their_labels(self, text: str, *at: str) -> dict[Example, Any]:
        found: dict[Example, Any] = {}
        for cutoff in map(pd.Timestamp, at):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Encountered the following warnings during parsing", UserWarning)
                rows = self.theirs.get_train_table(text, size=200_000, anchor_time=cutoff, max_iterations=1)
            columns = (rows["ENTITY"], rows["ANCHOR_TIMESTAMP"], rows["TARGET"])
            found |= {(entity, cutoff, 0): plain(target) for entity, cutoff, target in zip(*columns, strict=True)}
        return found


def plain(value: Any) -> Any:
    """Values that compare whatever held them: lists as sets, numbers as Python's."""
    if isinstance(value, (list, np.ndarray)):
        return frozenset(str(part) for part in value)
    return value.item() if isinstance(value, np.generic) else value


def same(left: Any, right: Any) -> bool:
    """Equal, or the same number to 32-bit precision."""
    if isinstance(left, float):
        return bool(left == pytest.approx(right, rel=SINGLE_PRECISION, abs=0))
    return bool(left == right)


def unlike(ours: Mapping[Example, Any], theirs: Mapping[Example, Any]) -> dict[Example, tuple[Any, Any]]:
    """The examples that only one side has, or whose targets differ."""
    return {
        example: (ours.get(example), theirs.get(example))
        for example in ours.keys() | theirs.keys()
        if example not in ours or example not in theirs or not same(ours[example], theirs[example])
    }


@pytest.fixture(scope="module")
def pair(shared: Path) -> Iterator[Callable[[str], Pair]]:
    """Opens a database for both, once."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", DeprecationWarning)  # what its imports say of each other
        pytest.importorskip(
            "kumo_relational_engine.rfm", reason="the reference's label generator (kumo-relational-engine) is absent"
        )
        from kumo_relational_engine.api.common import ValidationResponse
        from kumo_relational_engine.pql.validator.rfm_validator import RfmValidator

        patch.setattr(RfmValidator, "validate", lambda self, query: ValidationResponse())
        yield functools.cache(lambda name: opened(shared / "data" / name))


def opened(folder: Path) -> Pair:
    from kumo_relational_engine.rfm import KumoRelational

    database = ps.connect(folder)
    for link in AMBIGUOUS[folder.name] & {str(link) for link in database.graph.links}:
        database.unlink(link)
    frames = {table.name: read(folder, database, table.name) for table in database.graph if len(table.keys) == 1}
    return Pair(database, KumoRelational(reference_graph(database, frames), verbose=False), frames)


def read(folder: Path, database: Database, name: str) -> pd.DataFrame:
    """The table as pandas reads it; the reference wants its instants in nanoseconds."""
    file = next(folder.glob(f"{name}.*"))
    frame = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    for column in database.graph.table(name).columns:
        if column.kind == "timestamp":
            frame[column.name] = pd.to_datetime(frame[column.name]).astype("datetime64[ns]")
    return frame


def reference_graph(database: Database, frames: Mapping[str, pd.DataFrame]) -> Any:
    from kumo_relational_engine.rfm import Graph
    from kumo_relational_engine.rfm.backend.local import LocalTable

    described = [database.graph.table(name) for name in frames]
    made = [LocalTable(frames[t.name], t.name, primary_key=t.keys[0], time_column=t.happened) for t in described]
    graph = Graph(tables=made, edges=[])
    for link in database.graph.links:
        if link.table in frames and link.to in frames:
            graph.link(link.table, link.columns[0], link.to)
    for table in described:
        for column in table.columns:
            graph[table.name][column.name].stype = str(column.kind)
    return graph


# ---------------------------------------------------------------- where both agree

RETAIL = """
PREDICT COUNT(invoices.*, 0, 90, days) = 0 FOR EACH customers.CustomerID WHERE COUNT(invoices.*, -365, 0, days) > 0
PREDICT COUNT(invoices.*, 0, 48, hours) FOR EACH customers.CustomerID
PREDICT COUNT(invoices.*, 0, 7, days) > 0 AND COUNT(invoices.*, 7, 14, days) = 0 FOR EACH customers.CustomerID
PREDICT COUNT(invoices.*, 0, 30, days) FOR EACH customers.CustomerID
    WHERE COUNT(invoices.* WHERE invoices.Country = 'France', -90, 0, days) > 1 OR customers.Country = 'Spain'
PREDICT customers.Country FOR EACH customers.CustomerID
PREDICT customers.Country = 'France' FOR EACH customers.CustomerID
PREDICT SUM(items.Quantity, 0, 7, days) FOR EACH products.StockCode
PREDICT AVG(items.UnitPrice, 0, 30, days) FOR EACH products.StockCode
PREDICT MIN(items.Quantity, 0, 1, months) FOR EACH products.StockCode
PREDICT SUM(items.Quantity WHERE items.UnitPrice > 5 AND NOT items.Quantity < 0, 0, 2, weeks)
    FOR EACH products.StockCode
"""

FOOTBALL = """
PREDICT COUNT(matches.*, 0, 90, days) FOR EACH teams.team
PREDICT SUM(matches.home_score, 0, 4, days) FOR EACH teams.team
PREDICT AVG(matches.away_score, 0, 6, months) FOR EACH teams.team WHERE COUNT(matches.*, -12, 0, months) > 5
PREDICT COUNT(matches.*, 0, 90, days) > 0 AND NOT SUM(matches.home_score, 0, 90, days) > 4 FOR EACH teams.team
PREDICT COUNT(matches.* WHERE matches.tournament = 'Friendly' OR matches.neutral = TRUE, 0, 90, days)
    FOR EACH teams.team
PREDICT COUNT(goals.* WHERE goals.minute > 80 OR goals.own_goal = TRUE, 0, 180, days) > 1 FOR EACH teams.team
PREDICT LIST_DISTINCT(goals.scorer, 0, 365, days) RANK TOP 10 FOR EACH teams.team
PREDICT LIST_DISTINCT(matches.tournament, 0, 90, days) CLASSIFY FOR EACH teams.team
PREDICT COUNT(goals.*, 0, 180, days) > 0 FOR EACH teams.team ASSUMING COUNT(matches.*, 0, 90, days) > 1
PREDICT MAX(matches.home_score, 0, 90, days) FOR EACH teams.team
    ASSUMING COUNT(matches.* WHERE matches.neutral = TRUE, 0, 90, days) > 0 AND COUNT(matches.*, 0, 90, days) > 2
"""

STATS_SE = """
PREDICT COUNT(posts.*, 0, 91, days) > 0 FOR EACH users.Id
PREDICT COUNT(badges.*, 0, 91, days) = 0 FOR EACH users.Id WHERE COUNT(posts.*, -91, 0, days) > 0
PREDICT AVG(posts.Score, 0, 91, days) FOR EACH users.Id
PREDICT AVG(posts.Score, 0, 91, days) > 2 FOR EACH users.Id
PREDICT FIRST(posts.Score, 0, 91, days) FOR EACH users.Id
PREDICT SUM(posts.ViewCount, 0, 91, days) FOR EACH users.Id WHERE users.Reputation > 100
PREDICT MAX(posts.FavoriteCount, 0, 91, days) FOR EACH users.Id
PREDICT COUNT(posts.FavoriteCount, 0, 91, days) FOR EACH users.Id WHERE COUNT(posts.*, -INF, 0, days) > 3
PREDICT COUNT(posts.* WHERE posts.FavoriteCount IS NULL, 0, 91, days) FOR EACH users.Id
PREDICT COUNT(posts.* WHERE NOT posts.FavoriteCount > 1, 0, 91, days) FOR EACH users.Id
PREDICT COUNT(posts.* WHERE NOT (posts.FavoriteCount > 1 AND posts.ViewCount > 99), 0, 91, days) FOR EACH users.Id
PREDICT COUNT(posts.* WHERE posts.FavoriteCount != 1, 0, 91, days) FOR EACH users.Id
PREDICT LIST_DISTINCT(posts.PostTypeId, 0, 91, days) CLASSIFY FOR EACH users.Id
PREDICT COUNT(postLinks.*, 0, 12, months) > 0 FOR EACH posts.Id WHERE NOT posts.ViewCount > 1000
PREDICT posts.ViewCount FOR EACH posts.Id
PREDICT posts.FavoriteCount IS NULL FOR EACH posts.Id
PREDICT NOT posts.FavoriteCount > 1 FOR EACH posts.Id
PREDICT posts.Score > 3 OR posts.FavoriteCount > 1 FOR EACH posts.Id
"""

CHINOOK = """
PREDICT SUM(Invoice.Total, 0, 1, months) FOR EACH Customer.CustomerId
PREDICT SUM(Invoice.Total, 0, 3, months) > 10.005 FOR EACH Customer.CustomerId
PREDICT COUNT(Invoice.* WHERE Invoice.BillingCountry IN ('USA', 'Canada'), 0, 12, months) FOR EACH Customer.CustomerId
PREDICT MAX(Invoice.Total, 30, 400, days) FOR EACH Customer.CustomerId WHERE Customer.State IS NULL
PREDICT MAX(Invoice.Total, 0, 36, months) > 14 OR COUNT(Invoice.*, 0, 36, months) > 4 FOR EACH Customer.CustomerId
PREDICT Track.GenreId FOR EACH Track.TrackId
PREDICT Track.Composer IS NOT NULL FOR EACH Track.TrackId WHERE Track.UnitPrice > 1
"""

CUTOFFS = {
    "retail": ["2010-10-31 12:50:00"],  # a month later is November 30
    "football": ["2018-06-01", "2022-06-05"],  # days with matches: the window's ends count
    "stats_se": ["2012-02-29 23:59:59"],
    "chinook": ["2021-06-15", "2022-10-31"],
}


def questions(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.strip().replace("\n    ", " ").split("\n")]


ASKED = [
    (name, question)
    for name, text in {"retail": RETAIL, "football": FOOTBALL, "stats_se": STATS_SE, "chinook": CHINOOK}.items()
    for question in questions(text)
]


@pytest.mark.parametrize(("name", "question"), ASKED, ids=[f"{name}: {question}" for name, question in ASKED])
def test_labels_are_those_of_the_reference(pair: Callable[[str], Pair], name: str, question: str) -> None:
    both = pair(name)
    theirs = both.their_labels(question, *CUTOFFS[name])
    assert theirs
    assert unlike(both.our_labels(question, *CUTOFFS[name]), theirs) == {}


def test_an_entity_exists_from_the_instant_it_is_born(pair: Callable[[str], Pair]) -> None:
    both, question = pair("stats_se"), "PREDICT COUNT(badges.*, 0, 7, days) FOR EACH users.Id"
    users = both.frames["users"].sort_values("CreationDate")
    born = users.iloc[5_000]
    before = born.CreationDate - dt.timedelta(seconds=1)
    for cutoff, exists in [(before, False), (born.CreationDate, True)]:
        ours = both.our_labels(question, str(cutoff))
        assert unlike(ours, both.their_labels(question, str(cutoff))) == {}
        assert ((born.Id, cutoff, 0) in ours) is exists


@pytest.mark.parametrize("team", ["Brazil", "Japan"])
def test_forecast_steps_are_those_of_the_reference(pair: Callable[[str], Pair], team: str) -> None:
    both, at = pair("football"), pd.Timestamp("2018-06-01")
    theirs = both.their_labels(
        f"PREDICT SUM(matches.home_score, 0, 60, days) FORECAST 4 TIMEFRAMES FOR teams.team = '{team}'", str(at)
    )
    ours = both.our_labels(
        "PREDICT SUM(matches.home_score, 0, 60, days) FORECAST 4 TIMEFRAMES FOR EACH teams.team", str(at)
    )
    steps = [((team, at, 1 + i), (team, at + i * dt.timedelta(days=60), 0)) for i in range(4)]
    assert [ours[mine] for mine, _ in steps] == [theirs[his] for _, his in steps]
    assert len(theirs) == 4


# ---------------------------------------------------------------- where we differ: docs/language-differences.md


def test_steps_of_a_forecast_in_months_begin_at_calendar_months(pair: Callable[[str], Pair]) -> None:
    both, one = pair("football"), "PREDICT SUM(matches.home_score, 0, 1, months)"
    theirs = both.their_labels(f"{one} FORECAST 3 TIMEFRAMES FOR teams.team = 'Japan'", "2018-06-01")
    assert [at for _, at, _ in theirs] == [pd.Timestamp(t) for t in ("2018-06-01", "2018-07-02", "2018-08-02")]
    months = ["2018-06-01", "2018-07-01", "2018-08-01"]
    alone = both.their_labels(f"{one} FOR EACH teams.team", *months)
    steps = {
        (team, pd.Timestamp(months[step - 1]), 0): total
        for (team, _, step), total in both.our_labels(
            f"{one} FORECAST 3 TIMEFRAMES FOR EACH teams.team", months[0]
        ).items()
    }
    assert unlike(steps, alone) == {}


def test_undefined_values_stay_with_their_entity_beside_other_conditions(pair: Callable[[str], Pair]) -> None:
    both, at = pair("retail"), pd.Timestamp("2010-06-01")
    question = (
        "PREDICT MAX(items.Quantity, 0, 7, days) > 100 OR COUNT(items.*, 0, 7, days) = 3 FOR EACH products.StockCode"
    )
    items = both.frames["items"]
    window = items[(items.InvoiceDate > at) & (items.InvoiceDate <= at + dt.timedelta(days=7))]
    sold = window.groupby("StockCode").Quantity.agg(["max", "size"])
    truth = {(code, at, 0): bool(row["max"] > 100 or row["size"] == 3) for code, row in sold.iterrows()}
    ours, theirs = both.our_labels(question, str(at)), both.their_labels(question, str(at))
    assert ours == truth
    assert theirs.keys() == truth.keys()
    assert theirs != truth


def answered_alone(both: Pair, question: str, at: str) -> dict[Example, Any]:
    """Our labels of a question that crashes the reference."""
    with pytest.raises(IndexError, match=r"[Bb]oolean index"):
        both.their_labels(question, at)
    return both.our_labels(question, at)


def test_is_null_of_an_aggregate_is_true_where_there_are_no_rows(pair: Callable[[str], Pair]) -> None:
    both, at, largest = pair("stats_se"), "2013-01-01", "MAX(posts.FavoriteCount, 0, 91, days)"
    empty = answered_alone(both, f"PREDICT {largest} IS NULL FOR EACH users.Id", at)
    defined = both.their_labels(f"PREDICT {largest} FOR EACH users.Id", at)
    everyone = both.their_labels("PREDICT COUNT(posts.*, 0, 91, days) FOR EACH users.Id", at)
    assert empty == {user: user not in defined for user in everyone}


def test_the_negation_of_a_condition_is_undefined_where_it_is(pair: Callable[[str], Pair]) -> None:
    both, at, above = pair("stats_se"), "2013-01-01", "AVG(posts.Score, 0, 91, days) > 2"
    negated = answered_alone(both, f"PREDICT NOT {above} FOR EACH users.Id", at)
    plainly = both.their_labels(f"PREDICT {above} FOR EACH users.Id", at)
    assert negated == {user: not value for user, value in plainly.items()}


def test_where_takes_an_undefined_comparison_for_false_and_its_negation_for_true(pair: Callable[[str], Pair]) -> None:
    both, at = pair("stats_se"), "2013-01-01"
    asked, high = "PREDICT COUNT(posts.*, 0, 91, days) > 0 FOR EACH users.Id", "MAX(posts.Score, -91, 0, days) > 3"
    low = answered_alone(both, f"{asked} WHERE NOT {high}", at)
    rest = both.our_labels(f"{asked} WHERE {high}", at)
    assert low | rest == both.their_labels(asked, at)
    assert not low.keys() & rest.keys()
    posts, users, now = both.frames["posts"], both.frames["users"], pd.Timestamp(at)
    seen = posts[(posts.CreationDate > now - dt.timedelta(days=91)) & (posts.CreationDate <= now) & (posts.Score > 3)]
    alive = users[users.CreationDate <= now]  # some posts are older than their owner's account
    assert {user for user, _, _ in rest} == set(seen.OwnerUserId) & set(alive.Id)


def test_ties_in_time_go_by_key(pair: Callable[[str], Pair]) -> None:
    both, at = pair("stats_se"), pd.Timestamp("2013-01-01")
    question = "PREDICT LAST(posts.Score, 0, 91, days) FOR EACH users.Id"
    posts = both.frames["posts"].dropna(subset="OwnerUserId")
    window = posts[(posts.CreationDate > at) & (posts.CreationDate <= at + dt.timedelta(days=91))]
    by_user = window.sort_values(["CreationDate", "Id"]).groupby("OwnerUserId")
    ours = both.our_labels(question, str(at))
    last = by_user.Score.last().to_dict()
    assert ours == {user: last[user[0]] for user in ours}
    tied = by_user.CreationDate.agg(lambda times: len(times) > 1 and times.iloc[-1] == times.iloc[-2])
    differ = unlike(ours, both.their_labels(question, str(at)))
    assert all(tied[user] for user, _, _ in differ)


def test_distinct_values_are_counted_as_the_reference_lists_them(pair: Callable[[str], Pair]) -> None:
    both, at = pair("football"), "2018-06-01"
    counted = both.our_labels("PREDICT COUNT_DISTINCT(matches.tournament, 0, 90, days) FOR EACH teams.team", at)
    listed = both.their_labels(
        "PREDICT LIST_DISTINCT(matches.tournament, 0, 90, days) CLASSIFY FOR EACH teams.team", at
    )
    assert counted == {team: len(listed.get(team, ())) for team in counted}
    assert listed.keys() <= counted.keys()


def test_every_entity_is_forecast_where_the_reference_takes_one(pair: Callable[[str], Pair]) -> None:
    both, at = pair("football"), "2018-06-01"
    question = "PREDICT COUNT(matches.*, 0, 60, days) FORECAST 4 TIMEFRAMES FOR EACH teams.team"
    ours, theirs = both.our_labels(question, at), both.their_labels(question, at)
    assert len({team for team, _, _ in theirs}) == 1
    assert len(ours) == 4 * len(both.frames["teams"])


@pytest.mark.parametrize(
    ("name", "question", "error"),
    [
        ("football", "PREDICT COUNT_DISTINCT(matches.city, 0, 90, days) FOR EACH teams.team", AttributeError),
        ("football", "PREDICT LAST(matches.tournament, 0, 90, days) FOR EACH teams.team", ValueError),
        (
            "football",
            "PREDICT COUNT(goals.* WHERE goals.scorer LIKE '%o', 0, 90, days) FOR EACH teams.team",
            AssertionError,
        ),
        ("stats_se", "PREDICT COUNT(postLinks.*, 0, 91, days) FOR EACH users.Id", ValueError),
    ],
)
def test_some_questions_have_labels_here_alone(
    pair: Callable[[str], Pair], name: str, question: str, error: type[Exception]
) -> None:
    both, at = pair(name), "2013-06-01"
    assert any(both.our_labels(question, at).values())
    with pytest.raises(error):
        both.their_labels(question, at)
