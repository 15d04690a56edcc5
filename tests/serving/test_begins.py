"""What is known of a request by how it begins is what reading all of it says."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.lake.streams.asgi import AnswerError
from penstock.serving import bodies
from penstock.serving.begins import Begins

TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(["entities", '"entities":', "}", '{"', "\\", '":"', "é"]))
ENTITIES = st.dictionaries(TEXTS, st.lists(st.one_of(st.integers(), TEXTS), max_size=3), max_size=3)
MEMBERS = st.one_of(
    st.tuples(st.just("entities"), ENTITIES),
    st.tuples(st.just("features"), st.lists(TEXTS, max_size=3)),
    st.tuples(st.just("full_feature_names"), st.booleans()),
    st.tuples(st.sampled_from(["more", 'my"entities', "features"]), st.one_of(ENTITIES, TEXTS, st.just(7))),
    st.tuples(st.just("more"), st.fixed_dictionaries({"entities": ENTITIES})),
)
ENDS = st.sampled_from(["}", "} ", "", "}}", "]", ', "features": ["z"]}', ', "entities": {"z": [1]}}', '"}', "\\}"])


@st.composite
def requests(draw: st.DrawFn) -> list[bytes]:
    """Bodies that have much in common, not all of them JSON."""
    gap, ascii_only = draw(st.sampled_from(["", " "])), draw(st.booleans())

    def written(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=("," + gap, ":" + gap))

    members = [f"{written(name)}:{gap}{written(value)}" for name, value in draw(st.lists(MEMBERS, max_size=4))]
    first = "{" + ",".join([*members, f'"entities":{gap}{written(draw(ENTITIES))}']) + draw(ENDS)
    places = [at for at in range(len(first)) if first.startswith(('"entities":', ':"'), at)]
    cut = draw(st.sampled_from([*places, len(first) // 2])) + draw(st.sampled_from([0, 2, 11]))
    others = [first[:cut] + gap + draw(st.one_of(ENTITIES.map(written), TEXTS)) + draw(ENDS) for _ in range(3)]
    return [one.encode("utf-8", "surrogatepass") for one in (first, *others)]


def wanted(ask: bodies.Ask) -> tuple[Any, ...]:
    """All that a request says but whom it is about."""
    return msgspec.structs.astuple(ask)[1:]


@given(requests())
@example([b'{"more": "\\"entities\\":", "entities": {"a": [1]}}', b'{"more": "\\"entities":{"b": [2]}}'])
@example(
    [b'{"entities": {"a": [1]}, "my\\"entities":{"b": [2]}}', b'{"entities": {"a": [1]}, "my\\"entities":{"c": [3]}}']
)
@example([b'{"entities":{"a": [1]}}', b'{"entities":{"a": [1]}, "features": ["b"]}', b'{"entities":{"a": [1]}]'])
def test_what_is_known_by_its_begin_is_what_it_says(some: list[bytes]) -> None:
    begins = Begins[tuple[Any, ...]]()
    for body in some:
        found = begins.find(body)
        if found is not None:
            ask = bodies.read(body, bodies.Ask)
            assert found == (ask.entities, wanted(ask))
        with suppress(AnswerError):
            begins.keep(body, wanted(bodies.read(body, bodies.Ask)))


def test_requests_that_name_entities_last_are_known_from_then_on() -> None:
    begins = Begins[str]()
    body = b'{"features": ["a:b"], "entities": {"id": [%d]}}'
    assert begins.find(body % 1) is None
    begins.keep(body % 1, "b")
    assert begins.find(body % 27) == ({"id": [27]}, "b")
    for other in (body.replace(b"a:b", b"a:c") % 1, body % 1 + b" ", (body % 1).replace(b"]}", b"]"), b"", b"}"):
        assert begins.find(other) is None


def test_only_so_many_and_so_long_beginnings_are_kept() -> None:
    begins, body = Begins[int](), b'{"features": ["%d"], "entities": {}}'
    for number in range(600):
        begins.keep(body % number, number)
        assert begins.find(body % number) == ({}, number)
    assert sum(begins.find(body % number) is not None for number in range(600)) <= 256
    long = b'{"features": ["%b"], "entities": {}}' % (b"x" * 40_000)
    begins.keep(long, 1)
    assert begins.find(long) is None
