"""The whole way on real servers: tables in, a prediction out, and written back."""

from __future__ import annotations

import pytest

import penstock as ps
from penstock import demo, lake


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_question_becomes_a_prediction_on_a_server(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    made = demo.generate(3, 500, 8)
    for name, table in made.tables.items():
        lake.write(table, f"{url}#{name}", [demo.KEYS[name]])
    db = ps.connect(url)
    assert {(str(link), link.to) for link in db.graph.links} == {
        ("subscribers.plan_id", "plans"),
        ("usage_events.subscriber_id", "subscribers"),
        ("support_interactions.subscriber_id", "subscribers"),
    }
    local = ps.connect(dict(made.tables))
    at = "2026-05-01"
    assert db.labels(demo.QUESTION, at=at).equals(local.labels(demo.QUESTION, at=at))
    answer = db.predict(demo.QUESTION)
    assert 0.5 < answer.evaluation.metrics["auroc"] <= 1
    for _ in range(2):
        answer.write(f"{url}#churn")
    written = lake.SourceRows.of(url).read("churn", ["entity", "probability"])
    assert sorted(written["entity"].to_pylist()) == sorted(answer.to_arrow()["entity"].to_pylist())
