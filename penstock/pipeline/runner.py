"""The one runner: walks stages in order, skips what is done, and writes each run to the journal."""

from __future__ import annotations

import fcntl
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from penstock.errors import PenstockError, RefusedError, system_error
from penstock.pipeline.journal import Journal, Outcome, Run, State
from penstock.pipeline.stages import Progress, Stage

Clock = Callable[[], int]


@dataclass
class _Ending:
    """How a stage ends unless it says otherwise: as failed, whatever stopped it."""

    state: State = "failed"
    outcome: Outcome = field(default_factory=Outcome)
    failure: str | None = "stopped before its end"


def run(
    stages: Iterable[Stage], journal: Journal, *, progress: Progress, now: Clock, anew: bool = False, about: int = 1
) -> tuple[Run, ...]:
    """Do the stages, in this order, and return how each of them went.

    Each stage is asked for when its turn comes, so that it can rest on what those before it made; ``about`` how many
    there will be is for the progress alone. A stage that fails stops no other: what needs its table goes on from that
    table's last good version. With ``anew`` nothing is skipped. Raises ``RefusedError`` while another run of the
    project is at work.
    """
    with alone(journal.path.with_suffix(".lock")), journal.held_open():
        journal.bury()
        batch, before = uuid4().hex[:12], journal.newest()
        for done, stage in enumerate(stages):
            share = _part(progress, min(done / about, 1.0), 1 / about)
            share(str(stage), 0.0)
            known = before.get((stage.kind, stage.name))
            if known is not None and not anew and stage.is_done(known.fingerprint):
                journal.note_unchanged(known, batch, now())
            else:
                _do(stage, journal, batch, share, now)
        return journal.of_batch(batch)


def _do(stage: Stage, journal: Journal, batch: str, progress: Progress, now: Clock) -> None:
    number = journal.begin(batch, stage.kind, stage.name, now(), stage.fingerprint)
    ending, started, cpu = _Ending(), time.monotonic(), time.process_time()
    try:
        if stage.broken is not None:
            raise stage.broken
        ending.outcome = stage.do(progress)
        ending.state, ending.failure = ("done" if ending.outcome.changed else "unchanged"), None
    except PenstockError as error:
        ending.failure = str(error)
    except OSError as error:  # a full disk, missing rights: others may still go well
        ending.failure = str(system_error(error))
    except KeyboardInterrupt:
        ending.state, ending.failure = "killed", "interrupted"
        raise
    finally:
        spent = {"seconds": time.monotonic() - started, "cpu": time.process_time() - cpu, "memory": _peak_memory()}
        journal.end(number, ending.state, ending.outcome, spent, ending.failure)


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def _part(progress: Progress, start: float, width: float) -> Progress:
    return lambda message, share: progress(message, start + share * width)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock that the system gives back when this process ends, however it ends.

    Raises ``RefusedError`` when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            message = f"another run of this project is at work (process {holder})"
            raise RefusedError("RUN_BUSY", message, hint="Wait for it, or see: penstock status") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
