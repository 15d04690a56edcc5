"""Keys of several columns: training, a store and a live database answer the same, whatever points by how many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions, Entity, ExpressionView
from penstock.lake.frames import FrameSource
from penstock.online.holdings import kept_for
from penstock.online.live import LiveReader
from penstock.online.reading import OnlineReader
from penstock.online.stores.lmdb import LmdbStore
from penstock.schema import Dtype, Graph, Link
from tests import strategies as make
from tests.features.historical.held import D, Held, filled, schema
from tests.online.answering.composites import PARTS, STALL, USER, bound_to, databases
from tests.online.answering.stored import SETTINGS, fill, same, trained


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LmdbStore]:
    """A store for all examples: each writes spaces of its own."""
    made = LmdbStore(tmp_path_factory.mktemp("composites") / "online")
    yield made
    made.close()


@settings(max_examples=40)
@given(
    databases(),
    st.permutations(["market", "day"]),
    st.sets(st.sampled_from(sorted(STALL)), min_size=1, max_size=5),
    st.sets(st.sampled_from(sorted(USER)), min_size=1),
    st.tuples(make.times(), make.times()),
    st.lists(
        st.tuples(make.maybe(PARTS["market"]), make.maybe(PARTS["day"]), st.integers(0, 3)), min_size=1, max_size=5
    ),
)
def test_parents_by_several_columns_are_those_of_training(
    store: LmdbStore, rows: make.MemoryRows, order: list[str], stall: set[str], user: set[str], times: Any, asked: Any
) -> None:
    stalls, users = {name: STALL[name] for name in sorted(stall)}, {name: USER[name] for name in sorted(user)}
    bound = bound_to(rows.graph, tuple(order), stalls, users)
    first, second = sorted(times)
    fill(store, bound, rows, first)
    market, day, who = ([row[n] for row in asked] for n in range(3))
    keys = {"day": day, "market": market, "user_id": who, "there_market": market[::-1], "there_day": day[::-1]}
    features = ["s:*", "u:*", "newest:why", "own:cost", "there:*"]
    source = FrameSource({t.name: rows.read(t.name, [c.name for c in t.columns]) for t in rows.graph})
    for at in (first, second):
        stored = OnlineReader(bound, store, lambda: first).read(features, keys, at=at, full_names=True)
        live = LiveReader(bound, source, lambda: first, SETTINGS).read(features, keys, at=at, full_names=True)
        theirs = trained(bound, rows, keys, at, features)
        assert stored.statuses == live.statuses
        for name, ours in stored.to_dict().items():
            view, feature = name.split("__")
            for place, value in enumerate(ours):
                told = theirs[name][place] if name in theirs else theirs[feature][place]
                assert same(value, told), f"{view}:{feature} of {asked[place]} at {at}: {value!r}, trained {told!r}"
                assert same(value, live.to_dict()[name][place]), f"{view}:{feature} of {asked[place]} live at {at}"


def test_what_no_store_can_look_up_is_left_to_training() -> None:
    grid = schema("grid", {"x": Dtype.INT, "y": Dtype.INT, "height": Dtype.FLOAT}, key=("x", "y"))
    posts = schema("posts", {"id": Dtype.INT, "x": Dtype.FLOAT, "y": Dtype.INT}, key="id")
    graph = Graph((grid, posts), (Link("posts", ("x", "y"), "grid"),))
    held = Held(graph, {"grid": filled(grid, [(0, 1, 7.5)]), "posts": filled(posts, [(1, -0.0, 1), (2, 3.0, 1)])})
    views = {
        "v": ExpressionView("v", "post", {"height": "grid.height"}),
        "k": ExpressionView("k", "cell", {"own": "cell.key"}),
    }
    cell = Entity("cell", ("x", "y"), "grid", {"posts": ()})
    entities = {"post": Entity("post", ("id",), "posts"), "cell": cell}
    bound = bind(Definitions(entities, views), graph)
    bound.must_be_sound()
    assert trained(bound, held, {"id": [1, 2]}, D[1], "v:height") == {"height": [7.5, None]}
    for name, why in (("v", r"v reads rows of grid by posts\.x\+y"), ("k", "k reads the key of cell itself")):
        with pytest.raises(RequestError, match=f"ONLINE_CANNOT: {why}"):
            kept_for(bound.views[name], bound.graph)
