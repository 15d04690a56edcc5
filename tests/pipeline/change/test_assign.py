from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.pipeline.change.assign import _best, assigned

NUMBERS = st.floats(-5, 8, allow_nan=False).map(lambda number: round(number, 2))


@st.composite
def odds(draw: st.DrawFn) -> dict[tuple[str, str], float]:
    ours, theirs = "abcd"[: draw(st.integers(0, 4))], "wxyz"[: draw(st.integers(0, 4))]
    return {(a, b): draw(NUMBERS) for a in ours for b in theirs}


def every(given: dict[tuple[str, str], float]) -> list[frozenset[tuple[str, str]]]:
    """Every way of pairing, pairs with odds below even left out: the naive way."""
    ours, theirs = (sorted({pair[side] for pair in given}) for side in (0, 1))
    padded = [*theirs, *[""] * len(ours)]
    return [
        frozenset(pair for pair in zip(ours, chosen, strict=True) if given.get(pair, 0) > 0)
        for chosen in set(permutations(padded, len(ours)))
    ]


def worth(way: frozenset[tuple[str, str]], given: dict[tuple[str, str], float]) -> float:
    return sum(given[pair] for pair in way)


@given(odds())
def test_the_sure_pairs_are_those_of_the_best_way_that_no_other_way_comes_near(given: dict[tuple[str, str], float]):
    ways = every(given)
    best = max((worth(way, given) for way in ways), default=0.0)
    expected = set()
    for pair, value in given.items():
        without = max((worth(way, given) for way in ways if pair not in way), default=0.0)
        if value >= 1 and best - without >= 1.5 - 1e-9:
            expected.add(pair)
    near = {
        p for p in given if abs(best - max((worth(w, given) for w in ways if p not in w), default=0.0) - 1.5) < 1e-6
    }
    assert set(assigned(given, 1, 1.5).sure) - near == expected - near


@given(odds())
def test_no_column_is_in_two_pairs_nor_sure_and_doubtful(given: dict[tuple[str, str], float]):
    found = assigned(given, 1, 1.5)
    for side in (0, 1):
        names = [pair[side] for pair in found.sure]
        assert len(names) == len(set(names))
    assert not {ours for ours, _ in found.sure} & set(found.doubtful)
    assert not {theirs for _, theirs in found.sure} & {name for may in found.doubtful.values() for name in may}
    assert all(given[ours, name] >= 0 for ours, may in found.doubtful.items() for name in may)


@given(odds(), st.randoms())
def test_the_order_in_which_pairs_come_does_not_matter(given: dict[tuple[str, str], float], random):
    items = list(given.items())
    random.shuffle(items)
    assert assigned(dict(items), 1, 1.5) == assigned(given, 1, 1.5)


@given(st.integers(11, 16), st.integers(0, 9))
def test_of_many_pairs_the_sure_ones_are_those_that_nothing_comes_near(size: int, seed: int):
    rng = np.random.default_rng(seed)
    names = [f"{n:02}" for n in range(size)]
    given = {(a, b): float(rng.uniform(0.1, 3) + 5 * (a == b and rng.random() < 0.7)) for a in names for b in names}
    expected = {
        pair for pair, value in given.items()
        if value >= 1 and all(value >= other + 1.5 for rival, other in given.items()
                              if rival != pair and (rival[0] == pair[0] or rival[1] == pair[1]))
    }  # fmt: skip
    assert set(assigned(given, 1, 1.5).sure) == expected
    assert expected


def test_the_best_whole_is_the_one_that_a_library_finds():
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(1)
    for _ in range(200):
        rows, columns = rng.integers(1, 8, 2)
        values = rng.uniform(-3, 8, (rows, columns))
        gain = np.maximum(values, 0)
        total = gain[linear_sum_assignment(-gain)].sum()
        ours = _best({(f"r{i}", f"c{j}"): values[i, j] for i in range(rows) for j in range(columns)})
        assert np.isclose(sum(values[int(a[1:]), int(b[1:])] for a, b in ours), total)
