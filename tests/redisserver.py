"""Redis servers of a test's own: to be paused, killed, or spoken to over TLS."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.conftest import _absent

_SECONDS = 20


@dataclass(frozen=True)
class OwnRedis:
    """A server at a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """Where it is, without TLS."""
        return f"redis://127.0.0.1:{self.port}"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it say nothing for a while: connections are taken, and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def own_redis(*options: str, port_option: str = "--port", server: str = "redis-server") -> Iterator[OwnRedis]:
    """A server that keeps nothing on the disk, while the context lasts; ``port_option`` says which port is ours.

    ``server`` is the program: Redis's, or Valkey's.
    """
    program = shutil.which(server)
    if program is None:
        _absent(f"there is no {server} to start")
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options, port_option, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        await_port(process, port)
        yield OwnRedis(process, port)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def await_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a server listens."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < end, "the server does not listen"
            time.sleep(0.02)
        else:
            return
