"""What the tests of projects share."""

from __future__ import annotations

import pytest

from tests.pipeline.servers import Server, mysql_server, postgres_server


@pytest.fixture(params=["postgres", "mysql"])
def server(request: pytest.FixtureRequest) -> Server:
    """An empty database on each of the two."""
    url = request.getfixturevalue(f"{request.param}_url")
    return postgres_server(url) if request.param == "postgres" else mysql_server(url)
