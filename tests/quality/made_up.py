"""Random tables, and random checks that fit them."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import strategies as st

from penstock.quality.check import Check, check

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("code", pa.string()),
        ("amount", pa.float64()),
        ("part", pa.int32()),
        ('odd "name"', pa.string()),
    ]
)
WORDS = ["", "a", "b", "A1", "it's", "new\nline", "%", "ü"]

_cells = {
    "id": st.none() | st.integers(-3, 6),
    "code": st.none() | st.sampled_from(WORDS),
    "amount": st.none() | st.sampled_from([-1.5, -0.0, 0.0, 0.1, 0.3, 2.0, float("inf"), float("nan")]),
    "part": st.none() | st.integers(0, 3),
    'odd "name"': st.none() | st.sampled_from(WORDS),
}
tables = st.lists(st.fixed_dictionaries(_cells), max_size=12).map(lambda rows: pa.Table.from_pylist(rows, SCHEMA))

_mostly = st.sampled_from([1.0, 1.0, 0.9, 0.5])
_severity = st.sampled_from(["error", "warn"])
_texts = st.sampled_from(["code", 'odd "name"'])


@st.composite
def checks_of_rows(draw: st.DrawFn) -> Check:
    kind = draw(st.sampled_from(["not_null", "unique", "accepted", "range", "regex", "foreign_key"]))
    columns, options = draw(_OF[kind])
    return check(kind, *columns, mostly=draw(_mostly), severity=draw(_severity), **options)


_column = st.sampled_from(SCHEMA.names)
_bounds = st.dictionaries(
    st.sampled_from(["min", "max", "above", "below"]), st.sampled_from([-1, 0, 0.1, 0.3, 2]), min_size=1
)
_OF = {
    "not_null": st.tuples(st.tuples(_column), st.just({})),
    "unique": st.tuples(
        st.lists(_column.filter(lambda name: name != "amount"), min_size=1, max_size=3, unique=True),
        st.sampled_from([{}, {"nulls_equal": True}]),
    ),
    "accepted": st.tuples(
        st.tuples(_texts), st.lists(st.sampled_from(WORDS), min_size=1).map(lambda values: {"values": values})
    ),
    "range": st.tuples(st.tuples(st.sampled_from(["id", "amount", "part"])), _bounds),
    "regex": st.tuples(
        st.tuples(_texts),
        st.fixed_dictionaries(
            {"pattern": st.sampled_from(["^a", "[A-Z]", "'", "^[a-z]$", "^$"]), "matches": st.booleans()}
        ),
    ),
    "foreign_key": st.sampled_from(
        [
            (("id",), {"table": "parents", "to": ["id"]}),
            (("part", "code"), {"table": "parents", "to": ["part", "code"]}),
        ]
    ),
}

# ---------------------------------------------------------------- any check at all, for writing and reading

_anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_names = _anything.filter(bool)
_scalars = (
    _anything
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones()).filter(lambda when: 2 < when.year < 9998)
)
_spoken = _anything.filter(str.strip)


@st.composite
def any_checks(draw: st.DrawFn) -> Check:
    kind = draw(st.sampled_from(["not_null", "accepted", "range", "regex", "expression", "sql", "volume", "psi"]))
    options = draw(_ANY[kind])
    columns = () if kind in ("sql", "volume") else (draw(_names),)
    rows = kind not in ("sql", "volume", "psi")
    return check(
        kind,
        *columns,
        where=draw(_anything) if rows else "",
        mostly=draw(st.floats(0, 1, exclude_min=True)) if rows else 1.0,
        severity=draw(_severity),
        name=draw(_anything),
        **options,
    )


_ANY = {
    "not_null": st.just({}),
    "accepted": st.fixed_dictionaries({"values": st.lists(_scalars, min_size=1)}),
    "range": st.dictionaries(
        st.sampled_from(["min", "max", "above", "below"]),
        _scalars.filter(lambda value: not isinstance(value, bool)),
        min_size=1,
    ),
    "regex": st.fixed_dictionaries({"pattern": _spoken, "matches": st.booleans()}),
    "expression": st.fixed_dictionaries({"condition": _spoken}),
    "sql": st.fixed_dictionaries({"query": _spoken}),
    "volume": st.fixed_dictionaries({"drop": st.floats(0, 10), "min_rows": st.integers(0, 10**9)}),
    "psi": st.fixed_dictionaries({"max": st.floats(0, 10), "bins": st.integers(2, 100)}),
}
