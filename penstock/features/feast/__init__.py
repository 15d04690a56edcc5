"""Feast repositories: what they define, read without running them, as a project's file."""

from __future__ import annotations

from penstock.features.feast.repository import Imported, read_repository, write_project
from penstock.features.feast.values import LeftOut

__all__ = ["Imported", "LeftOut", "read_repository", "write_project"]
