"""The sweep's inner loops, compiled by numba; each file is one idea.

Every kernel takes a `Walk`: keys, where each one's events and spine rows begin, and for each window and row the range
``[begin, end)`` of events that belong, counted from the key's first event. A kernel works out each key alone, so what
it writes does not depend on how keys are grouped or who runs next to it. Importing a file compiles its kernels the
first time and reads them from the cache ever after.
"""

from __future__ import annotations
