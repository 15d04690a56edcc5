"""The newest row of a key, found without joins where there need be none."""

from __future__ import annotations

import pyarrow as pa

from penstock.engine.newest import newest
from penstock.engine.relational import Relational
from penstock.plan import Stream
from penstock.schema import Dtype, Graph
from penstock.settings import Settings
from tests import strategies as make


def test_zero_is_a_key_with_either_sign() -> None:
    table = make.table("readings", "place", {"happened": "at"}, place=Dtype.FLOAT, at=Dtype.TIMESTAMP)
    rows = make.MemoryRows(Graph((table,)), {"readings": [{"place": 0.0, "at": make.START}]})
    spine = pa.table({"entity": [-0.0, 0.0, 1.0], "cutoff": pa.array([make.START] * 3, pa.timestamp("us"))})
    relational = Relational(rows, Settings(memory=1 << 28, threads=1, cache=None))
    assert newest(relational, spine, Stream("readings")).row.tolist()[2] == -1
    for key in (-0.0, 0.0):
        one = spine.slice(0, 1).set_column(0, "entity", pa.array([key]))
        assert newest(relational, one, Stream("readings")).row.tolist() == [0]
