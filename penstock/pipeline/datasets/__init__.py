"""Dataset snapshots: every table's version, the queries and the settings, pinned under one name and one hash."""

from __future__ import annotations

from penstock.pipeline.datasets.dataset import Dataset, Pinned
from penstock.pipeline.datasets.difference import TableDifference, differences
from penstock.pipeline.datasets.export import export
from penstock.pipeline.datasets.shelf import Datasets

__all__ = ["Dataset", "Datasets", "Pinned", "TableDifference", "differences", "export"]
