"""What is collected here: all but the script that Feast's own environments run."""

from __future__ import annotations

collect_ignore = ["feast_script.py"]
