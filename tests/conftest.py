"""What every test may ask for: the real databases, real servers, and a cache that is not the user's.

A test that needs `shared` or a server is skipped with a reason where there is none. Under `PENSTOCK_REQUIRE_SERVERS`
(as in CI) a missing server is a failure instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

SLOW_IS_FINE = [hypothesis.HealthCheck.too_slow]  # a loaded machine is no defect
hypothesis.settings.register_profile("dev", deadline=None, max_examples=25, suppress_health_check=SLOW_IS_FINE)
hypothesis.settings.register_profile(
    "ci", deadline=None, max_examples=120, derandomize=True, print_blob=True, suppress_health_check=SLOW_IS_FINE
)
hypothesis.settings.register_profile("many", deadline=None, max_examples=400, suppress_health_check=SLOW_IS_FINE)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

LONG = (
    "engine/test_oracle.py", "learning/test_ask.py", "learning/test_report_page.py", "lake/ingest/test_kills.py",
    "lake/versioned/test_laws.py", "online/answering/test_equal.py", "online/feeding/test_crowds.py",
    "online/feeding/test_feed_laws.py", "online/syncing/test_crowds.py", "online/syncing/test_kills.py",
    "online/syncing/test_sync_laws.py", "pipeline/derive/test_rebuilding_law.py", "pipeline/test_kills.py",
    "pipeline/test_servers.py", "test_database.py", "test_projects_page.py", "test_readme.py",
)  # fmt: skip
"""Files that take longest: they come first, so that no process is left with one of them while others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; otherwise the order stays."""
    long = {ROOT / "tests" / name for name in LONG}
    items.sort(key=lambda item: item.path not in long)


def _absent(reason: str) -> NoReturn:
    if os.environ.get("PENSTOCK_REQUIRE_SERVERS"):
        pytest.fail(f"PENSTOCK_REQUIRE_SERVERS is set, but {reason}")
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers kept between runs go to the test's own folder; numba's compiled kernels stay shared beside the source."""
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "penstock-cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real databases and conformance files, beside the repository."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the real databases are not here: ../shared/data is absent")
    return folder


@pytest.fixture(scope="module")
def postgres_url(worker_id: str) -> Iterator[str]:
    """A PostgreSQL database of this test file, empty at its start and dropped at its end."""
    url = os.environ.get("PENSTOCK_TEST_POSTGRES")
    if not url:
        _absent("there is no PostgreSQL: set PENSTOCK_TEST_POSTGRES=postgresql://user:password@host/database")
    name = f"{urlsplit(url).path.strip('/')}_{worker_id}"
    _on_postgres(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    _on_postgres(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def mysql_url(worker_id: str) -> Iterator[str]:
    """A MySQL or MariaDB database of this test file, empty at its start and dropped at its end."""
    url = os.environ.get("PENSTOCK_TEST_MYSQL")
    if not url:
        _absent("there is no MySQL or MariaDB: set PENSTOCK_TEST_MYSQL=mysql://user:password@host/database")
    name = f"{urlsplit(url).path.strip('/')}_{worker_id}"
    _on_mysql(url, f"DROP DATABASE IF EXISTS `{name}`", f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    _on_mysql(url, f"DROP DATABASE IF EXISTS `{name}`")


def _on_postgres(url: str, *statements: str) -> None:
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    try:
        connection = dbapi.connect(url, autocommit=True)
    except dbapi.Error as error:
        _absent(f"PostgreSQL does not answer: {error}")
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _on_mysql(url: str, *statements: str) -> None:
    pymysql = pytest.importorskip("pymysql")
    parts = urlsplit(url)
    try:
        connection = pymysql.connect(
            host=parts.hostname, port=parts.port or 3306, user=parts.username, password=unquote(parts.password or "")
        )
    except pymysql.MySQLError as error:
        _absent(f"MySQL does not answer: {error}")
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
