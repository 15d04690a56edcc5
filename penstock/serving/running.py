"""A server while it runs: one process or several at one port, until it is told to stop."""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from typing import Any

from penstock.errors import RequestError
from penstock.garbage import collecting_seldom
from penstock.lake.streams import stopping_on_signals
from penstock.lake.streams.listening import Listening, bound, check_open
from penstock.serving.app import ServingApp
from penstock.serving.limits import USUAL, Limits
from penstock.serving.metrics import SIZE, Metrics
from penstock.serving.service import FeatureService

TOKEN = "PENSTOCK_TOKEN"
"""The environment variable with the token that requests must bear."""

_DOOR = "SERVE"
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 10.0
Opened = Callable[[], FeatureService]


@dataclass(frozen=True)
class Listen:
    """Where a server can be reached: ``http`` and, where it serves Arrow Flight too, ``flight``."""

    http: str
    flight: str | None = None


def serve(
    opened: Opened,
    host: str = "127.0.0.1",
    port: int = 6566,
    *,
    workers: int = 1,
    flight_port: int | None = None,
    stop: threading.Event | None = None,
    told: Callable[[Listen], None] = lambda listen: None,
) -> None:
    """Serve features until ``stop`` is set, or until SIGTERM or SIGINT where none is given.

    ``opened`` makes the service, which is closed at the end; each of several ``workers`` is a process that calls it
    anew, so that it has to be something to pickle. Port 0 is any that is free; ``told`` hears where the server listens
    once it does. Raises ``SourceError``: ``SERVE_OPEN`` where others could reach it and ``PENSTOCK_TOKEN`` is not set,
    ``SERVE_PORT`` where the port is taken.
    """
    token = os.environ.get(TOKEN) or None
    check_open(host, token, TOKEN, _DOOR)
    if workers < 1:
        raise RequestError("SERVE_WORKERS", f"{workers} workers cannot serve", hint="One is the least.")
    where = bound(host, port, _DOOR)
    with where, ExitStack() as stack:
        until = stop if stop is not None else stack.enter_context(stopping_on_signals())
        if workers == 1:
            service = stack.enter_context(closing(opened()))
            with listening(service, where, host, token=token, flight_port=flight_port) as listen, collecting_seldom():
                told(listen)
                until.wait()
        else:
            _many(_Work(opened, where, host, token, flight_port), workers, until, told)


@contextmanager
def listening(
    service: FeatureService,
    where: socket.socket,
    host: str = "127.0.0.1",
    *,
    token: str | None = None,
    flight_port: int | None = None,
    limits: Limits = USUAL,
    metrics: Metrics | None = None,
) -> Iterator[Listen]:
    """A server in this process, while the context lasts."""
    app = ServingApp(service, token, limits, metrics or Metrics.alone())
    with ExitStack() as stack:
        flight = None
        if flight_port is not None:
            from penstock.serving.flight import flying

            flight = stack.enter_context(flying(service, host, flight_port, token=token))
        server = Listening(app, where, "serving", _protocol())
        stack.callback(app.close)
        stack.callback(server.join)
        stack.callback(server.stop)
        yield Listen(_url("http", host, where.getsockname()[1]), flight)


def _protocol() -> Any:
    """Our own shortest way where the parser that it needs is installed."""
    try:
        from penstock.serving.quick import QuickProtocol
    except ImportError:
        return "auto"
    return QuickProtocol


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


# ---------------------------------------------------------------------------------------------------- processes


@dataclass(frozen=True)
class _Work:
    """What a worker does; the first of them has the Flight port."""

    opened: Opened
    where: socket.socket
    host: str
    token: str | None
    flight_port: int | None

    def begin(self, place: int, counters: Sequence[Any], listens: Any) -> SpawnProcess:
        """A worker's process, begun."""
        process = multiprocessing.get_context("spawn").Process(
            target=_worker, args=(self, place, counters, listens), name=f"serving-{place}", daemon=True
        )
        process.start()
        return process


def _worker(work: _Work, place: int, counters: Sequence[Any], listens: Any) -> None:
    with stopping_on_signals() as stop, closing(work.opened()) as service:
        flight_port = work.flight_port if place == 0 else None
        metrics = Metrics(counters, place)
        own = listening(service, work.where, work.host, token=work.token, flight_port=flight_port, metrics=metrics)
        with own as listen, collecting_seldom():
            listens.put((place, listen))
            parent = multiprocessing.parent_process()
            while not stop.wait(_LOOK_SECONDS) and (parent is None or parent.is_alive()):
                pass


def _many(work: _Work, workers: int, until: threading.Event, told: Callable[[Listen], None]) -> None:
    """Keep so many workers alive: one that dies is replaced."""
    context = multiprocessing.get_context("spawn")
    counters = [context.RawArray("d", SIZE) for _ in range(workers)]
    listens = context.Queue()
    processes = [work.begin(place, counters, listens) for place in range(workers)]
    try:
        heard: dict[int, Listen] = {}
        while not until.wait(_LOOK_SECONDS):
            while len(heard) < workers and not listens.empty():
                place, listen = listens.get()
                heard[place] = listen
                if len(heard) == workers:
                    told(heard[0])
            for place, process in enumerate(processes):
                if not process.is_alive():
                    _refuse_early_death(process, heard)
                    processes[place] = work.begin(place, counters, listens)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(_STOP_SECONDS)


def _refuse_early_death(process: SpawnProcess, heard: dict[int, Listen]) -> None:
    """A worker that dies before any has listened would die again."""
    if not heard:
        message = f"a worker ended with status {process.exitcode} before it listened"
        raise RequestError("SERVE_WORKER", message, hint="Serve with one worker to see why.")
