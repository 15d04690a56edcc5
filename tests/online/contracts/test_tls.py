"""Stores behind TLS: a server is spoken to whose certificate is trusted, and no other."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from click.testing import CliRunner

from penstock.cli import main
from penstock.errors import PenstockError, StoreError
from penstock.online.store import Part
from penstock.online.stores import open_store
from penstock.online.waiting import within
from tests.conftest import _absent
from tests.online.contracts.suite import put
from tests.pipeline.shop import made
from tests.redisserver import OwnRedis, await_port, free_port, own_redis

PASSWORD = "s3cr@t/word"
LAX = "ssl_exclude_verify_flags=VERIFY_X509_STRICT"


def openssl(*arguments: object) -> None:
    program = shutil.which("openssl")
    if program is None:
        _absent("there is no openssl to make certificates with")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def authority(folder: Path, name: str, *extension: str) -> None:
    """Somebody who signs certificates, and one of his for this machine."""
    own, key, asked, made = (folder / f"{name}{part}" for part in (".pem", "-key", "-asked", "-certificate"))
    new_key = ["-newkey", "rsa:2048", "-nodes", "-keyout"]
    openssl("req", "-x509", *new_key, f"{own}.key", "-out", own, "-days", 2, "-subj", f"/CN={name}", *extension)
    openssl("req", *new_key, key, "-out", asked, "-subj", "/CN=store")
    openssl("x509", "-req", "-in", asked, "-CA", own, "-CAkey", f"{own}.key", "-CAcreateserial", "-days", 2,
            "-extfile", folder / "extensions", "-out", made)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three authorities, each with a certificate for this machine; one does not say what its key is for."""
    where = tmp_path_factory.mktemp("certificates")
    (where / "extensions").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    for name in ("ours", "theirs"):
        authority(where, name, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    authority(where, "lax")
    return where


@contextmanager
def secure_redis(folder: Path, name: str) -> Iterator[OwnRedis]:
    """A server with that authority's certificate; it speaks TLS alone, and wants a password."""
    files = ["--tls-cert-file", folder / f"{name}-certificate", "--tls-key-file", folder / f"{name}-key"]
    trust = ["--tls-ca-cert-file", folder / f"{name}.pem", "--tls-auth-clients", "no", "--requirepass", PASSWORD]
    with own_redis("--port", "0", *map(str, [*files, *trust]), port_option="--tls-port") as made:
        yield made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[OwnRedis]:
    with secure_redis(folder, "ours") as made:
        yield made


def url(server: OwnRedis, *, kind: str = "rediss", password: str = PASSWORD, **more: object) -> str:
    query = urlencode({name: str(value) for name, value in more.items()})
    return f"{kind}://:{quote(password, '')}@127.0.0.1:{server.port}/0?{query}"


def test_a_server_that_is_trusted_keeps_a_store(server: OwnRedis, folder: Path) -> None:
    store = open_store(url(server, ssl_ca_certs=folder / "ours.pem"))
    with store.feeding():
        store.write([put("s", b"k", b"v")])
    assert store.read("s", [b"k"]) == [[Part(0, b"v")]]
    store.close()


def test_whom_to_trust_may_be_in_the_environment(
    server: OwnRedis, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ours.pem"))
    store = open_store(url(server))
    assert store.notes() == {}
    store.close()


def refused(url: str) -> PenstockError:
    """How a store is refused; never with its password."""
    with pytest.raises(PenstockError) as caught:
        open_store(url)
    for form in (PASSWORD, quote(PASSWORD, ""), "other-word"):
        assert form not in str(caught.value)
    return caught.value


def test_a_server_that_is_not_trusted_is_said_to_be(server: OwnRedis, folder: Path) -> None:
    for told in ({}, {"ssl_ca_certs": folder / "theirs.pem"}):
        error = refused(url(server, **told))
        assert error.code == "STORE_UNTRUSTED"
        assert f"rediss://127.0.0.1:{server.port}/0 does not prove who it is" in str(error).replace("//@", "//")
        assert "ssl_ca_certs=FILE" in str(error)


def test_a_certificate_that_newer_pythons_refuse_is_told_from_one_of_a_stranger(folder: Path) -> None:
    """From Python 3.13 on an authority has to say what its key is for; there is a way to take one that does not."""
    with secure_redis(folder, "lax") as server:
        told = url(server, ssl_ca_certs=folder / "lax.pem")
        if ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT:
            error = refused(told)
            assert error.code == "STORE_UNTRUSTED"
            assert "with key usage and key identifiers" in str(error)
            assert f"?{LAX}" in str(error)
            told += f"&{LAX}"
        store = open_store(told)
        assert store.notes() == {}
        store.close()


def test_one_that_has_another_name_is_not_trusted(server: OwnRedis, folder: Path) -> None:
    told = url(server, ssl_ca_certs=folder / "ours.pem").replace("127.0.0.1", "localhost")
    assert refused(told).code == "STORE_UNTRUSTED"


def test_a_wrong_password_is_said_to_be(server: OwnRedis, folder: Path) -> None:
    error = refused(url(server, password="other-word", ssl_ca_certs=folder / "ours.pem"))
    assert error.code == "STORE_REFUSED"


def test_plain_words_to_a_server_that_speaks_tls_and_the_other_way_round(server: OwnRedis, folder: Path) -> None:
    assert refused(url(server, kind="redis")).code == "STORE_LOST"
    with own_redis() as plain, within(1):
        error = refused(url(plain, ssl_ca_certs=folder / "ours.pem"))
    assert error.code == "STORE_LOST"
    assert "does it speak TLS at this port?" in str(error)


def test_a_file_of_certificates_that_is_not_there_is_told(server: OwnRedis, folder: Path) -> None:
    error = refused(url(server, ssl_ca_certs=folder / "none.pem"))
    assert isinstance(error, StoreError)


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
@pytest.mark.parametrize("shape", ["{}://ada:se/cret@host/0", "{}://ada:x@cret:se/", "{}://host:{}/0?password=secret"])
def test_a_password_that_breaks_a_url_is_not_told(kind: str, shape: str) -> None:
    with pytest.raises(PenstockError) as caught:
        open_store(shape.format(kind, free_port()))
    assert "cret" not in str(caught.value)


@contextmanager
def own_postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL that lets nobody in but over TLS, in a folder of its own; its URL."""
    found = [shutil.which("initdb"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")))]
    programs = next((Path(one).parent for one in reversed(found) if one is not None), None)
    if programs is None:
        _absent("there is no initdb to make a PostgreSQL with")
    with tempfile.TemporaryDirectory() as place:
        owner = "postgres" if os.getuid() == 0 else None  # it refuses to be anybody's who may do anything
        for name in ("certificate", "key"):
            shutil.copy(folder / f"ours-{name}", f"{place}/{name}")
        for path in (Path(place), *Path(place).iterdir()):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if owner:
                shutil.chown(path, owner)
        data, port = f"{place}/data", free_port()
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "ada", "-A", "trust", "-N", "-E", "UTF8", "--no-locale"],
            check=True, capture_output=True, cwd=place, user=owner,
        )  # fmt: skip
        (Path(data) / "pg_hba.conf").write_text("hostssl all all all trust\n")
        told = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "ssl": "on",
                "ssl_cert_file": f"{place}/certificate", "ssl_key_file": f"{place}/key"}  # fmt: skip
        options = [word for name, value in told.items() for word in ("-c", f"{name}={value}")]
        command = [programs / "postgres", "-D", data, *options]
        process = subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL, user=owner)
        try:
            await_port(process, port)
            url = f"postgresql://ada@127.0.0.1:{port}/postgres"
            _await_ready(url)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _await_ready(url: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            assert "starting up" in str(error)
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


def test_postgresql_over_tls(folder: Path) -> None:
    with own_postgres(folder) as url:
        for trust in ("sslmode=require", f"sslmode=verify-full&sslrootcert={folder / 'ours.pem'}"):
            store = open_store(f"{url}?{trust}")
            store.write([put("s", b"k", trust.encode())])
            assert store.read("s", [b"k"]) == [[Part(0, trust.encode())]]
            store.close()
        for file in ("theirs.pem", "none.pem"):
            error = refused(f"{url}?sslmode=verify-full&sslrootcert={folder / file}")
            assert error.code == "STORE_UNTRUSTED"
            assert "sslrootcert=FILE" in str(error)
        assert refused(f"{url}?sslmode=disable").code == "STORE_LOST"


def test_no_word_of_the_command_line_has_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made(tmp_path, customers=2, days=5))
    project = Path("penstock.toml").read_text()
    for store in (
        "rediss://ada:{}@127.0.0.1:{}/0?ssl_password=s3cret",
        "postgresql://ada:{}@127.0.0.1:{}/x?sslpassword=s3cret",
    ):
        told = store.format(quote(PASSWORD, ""), free_port())
        Path("penstock.toml").write_text(f'{project}\n[online]\nstore = "{told}"\n')
        for command in (
            ["online", "status"],
            ["online", "status", "--json"],
            ["online", "sync", "--json"],
            ["run", "--json"],
        ):
            found = CliRunner().invoke(main, command)
            assert found.exit_code != 0
            assert "STORE_LOST" in found.output
            for form in (PASSWORD, quote(PASSWORD, ""), "s3cret"):
                assert form not in found.output
