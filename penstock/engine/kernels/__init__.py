"""The sweep's inner loops, compiled by numba; each file is one idea.

Every kernel takes a `Walk`: keys, where each one's events and spine rows begin, and for each window and row the range
``[begin, end)`` of events that belong, counted from the key's first event. A kernel works out each key alone, so what
it writes does not depend on how keys are grouped or who runs next to it. Importing a file compiles its kernels the
first time and reads them from the cache ever after.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules


def warm() -> None:
    """Compile every kernel, once on a machine and for a version: some ten seconds, and a second from then on."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
