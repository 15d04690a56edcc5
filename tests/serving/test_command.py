"""``penstock serve`` over a project on disk: what it answers, by both doors, is what the project says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from penstock.project import Project, open_project
from tests.conftest import ROOT
from tests.pipeline.shop import made, write

VIEWS = """FOR EACH customers.customer_id
orders_ever = COUNT(orders.*, -INF, 0, days)
spend = SUM(orders.amount, -INF, 0, days)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = made(tmp_path_factory.mktemp("project"), customers=8)
    write(folder, "features/orders.pql", VIEWS)
    opened = open_project(folder)
    opened.run()
    opened.online.sync()
    return opened


def posted(url: str, body: Any) -> Any:
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=60) as answer:
        return json.loads(answer.read())


def exchanged(where: str, command: Any, given: pa.Table) -> pa.Table:
    with flight.connect(where) as client:
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(json.dumps(command)))
        with writer:
            writer.begin(given.schema)
            writer.write_table(given)
            writer.done_writing()
            return reader.read_all()


def test_a_project_is_served(project: Project) -> None:
    folder: Path = project.site.file.folder
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "serve", "--project", folder, "--port", "0", "--flight-port", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        http, door = (process.stderr.readline().split()[-1] for _ in range(2))
        ids, refs = [1, 3, 999], ["orders:orders_ever", "orders:spend"]
        told = posted(f"{http}/get-online-features", {"features": refs, "entities": {"customer_id": ids}})
        ours = project.online.read(refs, {"customer_id": ids})
        assert [column["values"] for column in told["results"][1:]] == ours.values
        assert told["results"][1]["statuses"] == [status.name for status in ours.statuses[0]]
        spine = pa.table({"customer_id": ids, "event_timestamp": pa.array([ours.at] * 3, pa.timestamp("us"))})
        past = exchanged(door, {"api": "get_historical_features", "feature_refs": refs}, spine)
        assert [past[name].to_pylist() for name in ("orders_ever", "spend")] == ours.values
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            posted(f"{http}/get-online-features", {"features": ["gone:n"], "entities": {"customer_id": ids}})
        caught.value.close()
        assert posted(f"{http}/materialize-incremental", {"end_ts": "2030-01-01T00:00:00"}) is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
