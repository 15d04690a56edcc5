"""What must hold of tables."""

from __future__ import annotations
