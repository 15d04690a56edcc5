"""An HTTP server in a thread: one port, one application, alive until it is stopped."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from penstock.errors import SourceError
from penstock.lake.source import missing_package
from penstock.lake.streams.asgi import is_loopback

if TYPE_CHECKING:
    import uvicorn

_START_SECONDS = 10.0
_BACKLOG = 2048


def check_open(host: str, token: str | None, variable: str, door: str) -> None:
    """Refuse a host that others can reach where no token is set. Raises ``SourceError`` (``…_OPEN``)."""
    if token is None and not is_loopback(host):
        message = f"{host} can be reached from other machines"
        raise SourceError(f"{door}_OPEN", message, hint=f"Set {variable}, or listen on 127.0.0.1.")


def bound(host: str, port: int, door: str) -> socket.socket:
    """A socket at this place; port 0 is any that is free. Raises ``SourceError`` (``…_PORT``) where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is named, so that asyncio knows it for TCP and sends what is small at once
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        message = f"{host}:{port} cannot be listened on: {error.strerror}"
        raise SourceError(f"{door}_PORT", message, hint="Choose another port.") from error
    return made


class Listening:
    """A server that answers at a socket with an application (plain ASGI), in a thread of its own.

    ``http`` is a protocol of uvicorn's, by default the fastest of its own.
    """

    def __init__(self, app: Any, where: socket.socket, what: str, http: Any = "auto") -> None:
        try:
            import uvicorn
        except ImportError:
            where.close()
            raise missing_package(what, "uvicorn", "serve") from None
        config = uvicorn.Config(
            app,
            http=http,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=1_024,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
        self._server: uvicorn.Server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([where],), name=f"http-{where.getsockname()[1]}")
        self._thread.start()
        end = time.monotonic() + _START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.005)

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Take no more, and finish what is under way."""
        self._server.should_exit = True

    def join(self) -> None:
        """Wait until it has stopped."""
        self._thread.join()
