"""What is known of why a task falls short: looked into by hand, shown only where the run finds it so."""

from __future__ import annotations

from collections.abc import Mapping

KNOWN: Mapping[str, str] = {}
