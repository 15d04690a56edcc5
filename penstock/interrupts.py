"""An interrupt (SIGINT) reaches an engine at once, however long it would be busy.

Python hears of a signal when its main thread runs Python next; one that waits for a query may hear of it when that
ends. The system's own handler wakes a thread here, and that tells the engine.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Engine(Protocol):
    """What works while Python waits, and can be told to stop."""

    def interrupt(self) -> object:
        """Stop what is under way, which fails then."""
        ...


_BUSY: dict[int, Engine] = {}


@contextmanager
def busy(engine: Engine) -> Iterator[None]:
    """What the engine does meanwhile may be stopped."""
    _BUSY[id(engine)] = engine
    try:
        yield
    finally:
        _BUSY.pop(id(engine), None)


@contextmanager
def heard() -> Iterator[None]:
    """Let an interrupt stop all that engines do meanwhile: for the main thread of a command."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_hear, args=(reader,), name="interrupts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)  # which ends the thread
        thread.join()
        os.close(reader)


def _hear(reader: int) -> None:
    while signals := os.read(reader, 64):
        # Whoever handles the signal otherwise, such as a server, lets what is under way come to its end.
        if signal.SIGINT in signals and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            for engine in list(_BUSY.values()):
                engine.interrupt()
