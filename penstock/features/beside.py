"""What others did up to the cutoff: the other rows of the entity's parents, its peers, and what its rows point to.

Every one of these is an aggregate of an anchored stream, so that two entities with the same parent, or the same
category, share one answer, and none depends on which rows are asked about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from penstock.expression import Arithmetic, Call, Expr
from penstock.features.below import LAST_FEW, kept_rows, share
from penstock.features.definitions import Feature
from penstock.features.ground import Ground
from penstock.features.ways import clocked, field_of, parents, pointers
from penstock.plan import Aggregate, Anchor, Field, Peers, Stream, aggregates
from penstock.schema import Dtype, Kind, Link, Table
from penstock.window import Lookahead

MOST_POINTERS = 4
MOST_STREAMS = 32
"""How many streams of others are swept at most, and how many rows they may have together."""
MOST_ROWS = 8_000_000
MOST_NUMBERS = 4
FEWEST_ALIKE, MOST_ALIKE = 2, 500
"""How many different values a column may have for entities that share one to be peers."""
FEWEST_PEERS = 5
"""How many entities a value has at least, on the average."""


@dataclass(frozen=True)
class Others:
    """Whose rows: those of the row of ``root`` that ``anchor`` names, reached by ``hops`` and what follows them."""

    anchor: Anchor
    root: str
    hops: tuple[Link, ...] = ()

    def stream(self, hops: tuple[Link, ...] = ()) -> Stream:
        """The rows at the end of ``hops`` below theirs."""
        return Stream(self.root, (*self.hops, *hops), anchor=self.anchor)


def beside(ground: Ground) -> Iterator[Feature]:
    """All features about others, the likeliest first, as far as sweeping their streams is affordable."""
    swept: dict[object, int] = {}
    for feature in _all(ground):
        streams = [node.stream for node in aggregates(feature.expression) if node.stream.anchor is not None]
        for stream in streams:
            path, rows = _path(stream), ground.survey.count(stream.table)
            if len(swept) < MOST_STREAMS and (not swept or sum(swept.values()) + rows <= MOST_ROWS):
                swept.setdefault(path, rows)
        if all(_path(stream) in swept for stream in streams):
            yield feature


def _path(stream: Stream) -> object:
    """What streams have in common that are swept together."""
    return stream.root, stream.hops, stream.anchor


def _all(ground: Ground) -> Iterator[Feature]:
    towards = list(pointers(ground.graph, ground.entity.name))[:MOST_POINTERS]
    siblings = [Others(field, link.to, hops) for field, link in towards for hops in _back(ground, field, link)]
    peers = [Others(Peers(field), ground.entity.name) for field in _alike(ground)]
    for others in siblings:
        yield from _target(ground, others, "the target among a parent's rows", 0)
    for others in peers:
        yield from _target(ground, others, "the target among peers", 1)
    for field, link in towards:
        yield from _rows_of(ground, Others(field, link.to), "other rows of its parents", 1)
    yield from _against(ground, [*peers, Others(Peers(), ground.entity.name)])
    yield from _usual(ground)
    yield from _differences(ground, towards)


def _back(ground: Ground, field: Field, link: Link) -> list[tuple[Link, ...]]:
    """From the parent that a field points to back down to the entity's table: by that column, and by any beside it."""
    beside_it = [other for other in ground.graph.links_from(link.table) if other.to == link.to]
    return [(first, *reversed(field.hops)) for first in sorted(beside_it, key=lambda other: other != link)]


def _alike(ground: Ground) -> list[Field]:
    """Categories that part the entities: their own, and their parents'."""
    own = ground.fields(ground.entity, Kind.CATEGORICAL)
    above = [
        f
        for hops in parents(ground.graph, ground.entity.name, 1)
        for f in ground.fields(ground.graph.table(hops[-1].to), Kind.CATEGORICAL, hops=hops)
    ]
    target = {node.column for node in ground.query.target.walk() if isinstance(node, Field)}
    most = min(MOST_ALIKE, ground.survey.count(ground.entity.name) // FEWEST_PEERS)
    chosen = []
    for field in [*own[:3], *above[:2]]:
        distinct = ground.survey.profile(field.table, field.column).distinct
        if FEWEST_ALIKE <= distinct <= most and (field.hops or field.column not in target):
            chosen.append(field)
    return chosen


# ---------------------------------------------------------------- the target


def _target(ground: Ground, others: Others, family: str, rank: int) -> Iterator[Feature]:
    """What is asked of the entity, asked of all rows of its table that belong to the others, by row."""
    if ground.query.static:
        yield from _known_answers(ground, others, family, rank)
        return
    size = _size(ground, others)
    for node in aggregates(ground.query.target):
        if not isinstance(node.window, Lookahead) or node.function not in ("COUNT", "SUM", "AVG"):
            continue
        if any(isinstance(a.window, Lookahead) for a in aggregates(node.stream.where)):
            continue
        stream = replace(others.stream(node.stream.hops), where=node.stream.where)
        recent, lately = node.window.behind(1), (*ground.lookbacks.few[1:],)
        for window in (recent, *lately):
            theirs: Expr = ground.aggregate(node.function, stream, node.value, window)
            if node.function != "AVG" and size is not None:
                theirs = Arithmetic("/", theirs, size)
            if not isinstance(others.anchor, Peers):  # what all of a cohort did tells cutoffs apart more than entities
                yield Feature(theirs, family=family, rank=rank)
            own = ground.aggregate(node.function, replace(node.stream), node.value, window)
            yield Feature(Arithmetic("/", own, theirs), family=family, rank=rank + 1)


def _size(ground: Ground, others: Others) -> Aggregate | None:
    """How many rows of the entity's table the others have; None where that is not known at a cutoff."""
    stream = others.stream()
    if clocked(ground.graph, stream):
        return ground.aggregate("COUNT", stream, None, ground.lookbacks.ever)
    dated = any(ground.graph.table(way[-1].to).happened for way in parents(ground.graph, ground.entity.name))
    return None if dated else ground.aggregate("COUNT", stream, None, None)


def _known_answers(ground: Ground, others: Others, family: str, rank: int) -> Iterator[Feature]:
    """The answers of earlier rows, for a question about a column: only before the row's own moment."""
    if ground.entity.happened is None or not ground.graph.links_from(ground.entity.name):
        return
    stream, windows, target = others.stream(), ground.lookbacks.before, ground.query.target
    if isinstance(target, Field):
        if target.hops or target.table != ground.entity.name:
            return
        if target.dtype in (Dtype.INT, Dtype.FLOAT) and target.kind is Kind.NUMERICAL:
            yield from (ground.feature(family, "AVG", stream, target, w, rank) for w in windows)
        else:
            yield ground.feature(family, "MODE", stream, target, windows[-1], rank)
            for kept in list(kept_rows(ground, stream, [target]))[:4]:
                yield Feature(share(ground, stream, kept, windows[-1]), family=family, rank=rank)
        latest = [ground.aggregate("LAST_N", stream, target, windows[-1], n) for n in range(1, 6)]
        yield from (Feature(last, family=family, rank=rank) for last in latest[:3])
        if target.dtype in (Dtype.INT, Dtype.FLOAT) and target.kind is Kind.NUMERICAL:
            yield Feature(Call("MEAN_OF", tuple(latest)), family=family, rank=rank)
    elif not aggregates(target) and not any(isinstance(n, Field) and n.hops for n in target.walk()):
        kept = replace(stream, where=target)
        yield from (Feature(share(ground, stream, kept, w), family=family, rank=rank) for w in windows)


# ---------------------------------------------------------------- parents and peers


def _rows_of(ground: Ground, others: Others, family: str, rank: int) -> Iterator[Feature]:
    """What the rows below a parent tell, the nearest first."""
    ways = sorted((hops for hops in ground.paths(others.root) if len(hops) <= 2), key=len)
    for hops in ways[:8]:
        stream = others.stream(hops)
        if clocked(ground.graph, stream):
            yield from _brief(ground, stream, family, rank + 2 * (len(hops) - 1))


def _brief(ground: Ground, stream: Stream, family: str, rank: int) -> Iterator[Feature]:
    """How many, how long ago, the level of their numbers, and their commonest categories' shares."""
    windows = ground.past
    target = _asked(ground) if stream.table == ground.entity.name else set()
    table = ground.graph.table(stream.table)
    yield from (ground.feature(family, "COUNT", stream, None, w, rank) for w in windows)
    yield ground.feature(family, "TIME_SINCE", stream, None, windows[-1], rank)
    numbers = [f for f in ground.fields(table, Kind.NUMERICAL) if f.column not in target]
    for place, field in enumerate(numbers[:MOST_NUMBERS]):
        yield from (ground.feature(family, "AVG", stream, field, w, rank + place // 2) for w in windows)
        yield ground.feature(family, "LAST", stream, field, windows[-1], rank + place // 2)
        if not ground.query.static:
            yield ground.feature(family, "AVG", stream, field, LAST_FEW, rank + place // 2)
    categories = [f for f in ground.fields(table, Kind.CATEGORICAL) if f.column not in target]
    for field in categories[:2]:
        for kept in list(kept_rows(ground, stream, [field]))[:2]:
            yield Feature(share(ground, stream, kept, windows[-1]), family=family, rank=rank + 1)


def _asked(ground: Ground) -> set[str]:
    return {n.column for n in ground.query.target.walk() if isinstance(n, Field)} if ground.query.static else set()


def _against(ground: Ground, peers: list[Others]) -> Iterator[Feature]:
    """The entity against the mean of its peers at the same cutoff: its rows and their numbers."""
    if ground.query.static:
        yield from _columns_against(ground, [others for others in peers if others.anchor != Peers()])
        return
    streams = [Stream(ground.entity.name, hops) for hops in ground.paths(ground.entity.name) if len(hops) == 1]
    for others in peers:
        size = _size(ground, others)
        for own in [s for s in streams if clocked(ground.graph, s)][:3]:
            theirs = replace(own, anchor=others.anchor)
            for window in ground.lookbacks.few:
                counts = [ground.aggregate("COUNT", s, None, window) for s in (own, theirs)]
                mean = counts[1] if size is None else Arithmetic("/", counts[1], size)
                yield Feature(Arithmetic("/", counts[0], mean), family="against peers", rank=2)
            for field in ground.fields(ground.graph.table(own.table), Kind.NUMERICAL)[:2]:
                for window in ground.lookbacks.few:
                    pair = [ground.aggregate("AVG", s, field, window) for s in (own, theirs)]
                    yield Feature(Arithmetic("/", *pair), family="against peers", rank=4)


def _columns_against(ground: Ground, peers: list[Others]) -> Iterator[Feature]:
    """The entity's own numbers against the mean of its peers' before it."""
    if ground.entity.happened is None:
        return
    numbers = [field for field in ground.fields(ground.entity, Kind.NUMERICAL) if field.column not in _asked(ground)]
    for others in peers:
        for field in numbers[:MOST_NUMBERS]:
            mean = ground.aggregate("AVG", others.stream(), field, ground.past[-1])
            yield Feature(Arithmetic("/", field, mean), family="against peers", rank=3)


# ---------------------------------------------------------------- sideways


def _usual(ground: Ground) -> Iterator[Feature]:
    """What others did with the parent that the entity's last row points to, and with the one it usually meets."""
    for link in ground.graph.links_to(ground.entity.name):
        events = ground.graph.table(link.table)
        if events.happened is None:
            continue
        for field, other in _elsewhere(ground, events, link):
            for function, rank in (("LAST", 3), ("MODE", 4)):
                anchor = ground.aggregate(function, Stream(ground.entity.name, (link,)), field, ground.past[-1])
                for hops in [hops for hops in ground.paths(other.to) if len(hops) == 1][:3]:
                    stream = Stream(other.to, hops, anchor=anchor)
                    if clocked(ground.graph, stream):
                        yield from _brief(ground, stream, f"rows of its {_usually(function)} parent", rank)


def _usually(function: str) -> str:
    return {"LAST": "last", "MODE": "usual"}[function]


def _elsewhere(ground: Ground, events: Table, link: Link) -> list[tuple[Field, Link]]:
    """The other parents that an event points to."""
    return [
        (field_of(events, other.columns[0]), other)
        for field, other in pointers(ground.graph, events.name, 0)
        if other != link and other.to != ground.entity.name
    ]


def _differences(ground: Ground, towards: list[tuple[Field, Link]]) -> Iterator[Feature]:
    """Two parents of one table side by side: home and away team, sender and receiver."""
    for place, (first, link) in enumerate(towards):
        for second, other in towards[place + 1 :]:
            if link.to != other.to or first.hops or second.hops:
                continue
            for feature in _either(ground, first, link):
                mirrored = _of(feature.expression, second)
                if mirrored is not None:
                    yield replace(feature, expression=Arithmetic("-", feature.expression, mirrored))


def _either(ground: Ground, field: Field, link: Link) -> Iterator[Feature]:
    family = "one parent against another"
    for hops in _back(ground, field, link):
        yield from _target(ground, Others(field, link.to, hops), family, 1)
    yield from _rows_of(ground, Others(field, link.to), family, 2)


def _of(expression: Expr, anchor: Field) -> Expr | None:
    """The same about another parent; None of what is no number."""
    if isinstance(expression, Arithmetic | Call):
        mirrored = {part: _of(part, anchor) for part in expression.children}
        return None if None in mirrored.values() else expression.over(lambda part: mirrored[part] or part)
    if isinstance(expression, Aggregate) and expression.dtype in (Dtype.INT, Dtype.FLOAT):
        own = expression.stream.anchor is None
        return expression if own else replace(expression, stream=replace(expression.stream, anchor=anchor))
    return None


__all__ = ["beside"]
