"""Names and values that differ in case alone are different, though SQL takes such names for one."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

import penstock as ps

START = dt.datetime(2024, 1, 1)  # noqa: DTZ001  instants inside have no zone


def test_features_of_categories_that_differ_in_case_alone_stay_apart():
    users = pa.table({"user_id": [1, 2]})
    visits = pa.table(
        {
            "visit_id": range(6),
            "user_id": [1, 1, 1, 2, 2, 1],
            "kind": ["Red", "red", "red", "Red", "red", "Blue"],
            "at": [START + dt.timedelta(days=day) for day in range(6)],
        }
    )
    db = ps.connect({"users": users, "visits": visits}).set("visits", time="at")
    some = [f"COUNT(visits.* WHERE visits.kind = '{kind}', -30, 0, days)" for kind in ("Red", "red")]
    spine = pa.table({"entity": [1, 2], "cutoff": [START + dt.timedelta(days=20)] * 2})
    shares = [f"{count} / COUNT(visits.*, -30, 0, days)" for count in some]
    found = db.features([*some, *shares], spine, entity="users").to_pydict()
    assert list(found.values())[2:] == [[1, 1], [2, 1], [0.25, 0.5], [0.5, 0.5]]
