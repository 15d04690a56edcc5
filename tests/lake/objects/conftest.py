"""A real S3 server on loopback, with a bucket of each test's own."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Put = Callable[[str, bytes], None]
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=ada/20240101/us-east-1/s3/aws4_request"}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server that lasts as long as the tests."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment that names the server; its URL."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ada")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "verysecret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    return s3_server


@pytest.fixture
def bucket(s3: str, tmp_path: Path, worker_id: str) -> str:
    """A new, empty bucket."""
    name = f"b-{worker_id}-{tmp_path.name}".replace("_", "-").lower()[:63].rstrip("-")
    assert _request(s3, "PUT", f"/{name}") == 200
    return name


@pytest.fixture
def put(s3: str, bucket: str) -> Put:
    """Stores bytes under a key of the bucket, by a plain request."""

    def store(key: str, content: bytes) -> None:
        assert _request(s3, "PUT", f"/{bucket}/{key}", content) == 200

    return store


def _request(server: str, method: str, path: str, content: bytes = b"") -> int:
    connection = http.client.HTTPConnection(server.removeprefix("http://"))
    try:
        connection.request(method, path, content, SIGNED)
        return connection.getresponse().status
    finally:
        connection.close()
