"""Tables of columns that are nothing alike, made from a seed, and parts of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from penstock.pipeline.change import ColumnPrint, prints

NAMES = ("shop_code", "amount", "customer", "paid_at", "weight", "colour", "visits", "blurb")


def table(rows: int = 400, seed: int = 0, start: int = 0) -> pa.Table:
    """Eight columns: texts, numbers and instants, no two alike; ``start`` moves time and the blurb on."""
    rng = np.random.default_rng([seed, start])
    hours = start + rng.integers(0, 400, rows)
    words = np.array(["north", "south", "hill", "lake", "sand", "moss", "fern", "dune", "reef", "bark"])
    return pa.table({
        "shop_code": pa.array([f"S{n:04d}" for n in rng.integers(0, 300, rows)]),
        "amount": pa.array(np.round(rng.gamma(2, 40, rows), 2)),
        "customer": pa.array(rng.integers(90_000, 99_000, rows)),
        "paid_at": pa.array(1_700_000_000_000_000 + hours * 3_600_000_000, pa.timestamp("us")),
        "weight": pa.array(rng.normal(-5000, 3, rows)),
        "colour": pa.array(np.array(["red", "blue", "green", "grey"])[rng.choice(4, rows, p=[0.6, 0.2, 0.15, 0.05])]),
        "visits": pa.array(rng.poisson(3, rows)),
        "blurb": pa.array([" ".join(rng.choice(words, 6)) + f" {start + n}" for n in range(rows)]),
    })  # fmt: skip


def of(**columns: object) -> tuple[ColumnPrint, ...]:
    """The prints of a table of these columns."""
    return prints(pa.table(columns))
