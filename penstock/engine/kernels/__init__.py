"""The sweep's inner loops, compiled by numba; each file is one idea.

Every kernel takes a `Walk`: keys, where each one's events and spine rows begin, and for each window and row the range
``[begin, end)`` of events that belong, counted from the key's first event. A kernel works out each key alone, so what
it writes does not depend on how keys are grouped or who runs next to it. Importing a file compiles its kernels the
first time and reads them from the cache ever after.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules


def warm() -> None:
    """Compile every kernel, once on a machine and for a version: some ten seconds, and a second from then on."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


def ready() -> bool:
    """Whether the kernels are compiled, as far as their own folder tells; True where numba keeps them elsewhere."""
    folder = Path(__file__).parent
    if os.environ.get("NUMBA_CACHE_DIR") or not os.access(folder, os.W_OK):
        return True
    tag = f"py{sys.version_info.major}{sys.version_info.minor}"
    return any((folder / "__pycache__").glob(f"*.{tag}.nbi"))
