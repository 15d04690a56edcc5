"""Names of lake tables that are kept for what is beside the data: labels, what could not become rows, what waits."""

from __future__ import annotations

LABELS = "labels_"
"""How the names of label sets begin."""
DEAD = "__dead"
"""How the names of tables of dead letters end."""
DEAD_KEY = ("stream", "partition", "position")
"""The key of each of those."""
AWAITED = "__awaited"
"""How the names of tables end that hold the keys of rows that a source has yet to show."""
TAIL = "tail"
"""The fact that commits of a stream's segments have, and how their batches' names begin."""
COMPARED = "compared"
"""The fact of a table whether it is compared with a source (``yes``), so that rows of the lake can be gone from it."""
