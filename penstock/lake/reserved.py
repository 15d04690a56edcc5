"""Names of lake tables that are kept for what is beside the data: labels, and messages that could not become rows."""

from __future__ import annotations

LABELS = "labels_"
"""How the names of label sets begin."""
DEAD = "__dead"
"""How the names of tables of dead letters end."""
DEAD_KEY = ("stream", "partition", "position")
"""The key of each of those."""
