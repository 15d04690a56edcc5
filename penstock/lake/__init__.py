"""Sources in, Arrow tables through, files out."""

from __future__ import annotations
