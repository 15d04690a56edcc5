"""Work done by children of a process that has every module already: each costs little, and can be killed."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

Work = Callable[[], None]


def child(work: Work, out: int | None = None) -> int:
    """The process id of a child that works; its modules' names go to ``out``, if given."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        if out is not None:
            os.write(out, json.dumps(sorted(sys.modules)).encode())
        code = 0
    except Exception:  # noqa: BLE001 - whatever it is, the parent is told
        traceback.print_exc()
    finally:
        os._exit(code)


def warmed(work: Work) -> None:
    """Import whatever a child needed, so that the next ones need not."""
    read, write = os.pipe()
    pid = child(work, write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        names = json.loads(stream.read() or b"[]")
    os.waitpid(pid, 0)
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def ended(work: Work, seconds: float | None) -> dict[str, object]:
    """How a child ended that was killed after so long (None: that was left alone), and how long it took."""
    started = time.monotonic()
    pid = child(work)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"killed": os.WIFSIGNALED(status), "code": code, "took": time.monotonic() - started}


def say(told: object) -> None:
    """A line of JSON on stdout."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
