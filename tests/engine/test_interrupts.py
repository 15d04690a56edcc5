"""Who stops a question inside the engine gets an interrupt, and no error of the engine's own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, threading, time
from penstock.engine.relational import Relational
from penstock.settings import Settings

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
relational = Relational(None, Settings.from_environment())
relational.query("SELECT 1")
def again():
    while True:  # the engine looks for signals now and then
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=again, daemon=True).start()
try:
    relational.query("SELECT count(*) FROM range(3000000000) AS n(x) WHERE hash(x) = 1")
except KeyboardInterrupt:
    os._exit(42)
"""


def test_an_interrupt_inside_the_engine_is_an_interrupt() -> None:
    child = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, timeout=300)
    assert child.returncode == 42, child.stderr.decode()
