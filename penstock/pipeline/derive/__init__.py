"""Derived tables: SQL files and Python functions become tables of the lake, with the lineage of each column."""

from __future__ import annotations

from penstock.pipeline.derive.building import Derived, derive
from penstock.pipeline.derive.declare import table
from penstock.pipeline.derive.derivation import Derivation, Origin
from penstock.pipeline.derive.lineage import Lineage, lineage_of
from penstock.pipeline.derive.load import load

__all__ = ["Derivation", "Derived", "Lineage", "Origin", "derive", "lineage_of", "load", "table"]
