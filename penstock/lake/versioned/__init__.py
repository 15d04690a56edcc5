"""Versioned tables in the open format Iceberg: every commit is a version, and rows are never changed in place.

A table is a log of row versions: the source's columns and two more, ``_known`` (when this system learnt of the row;
NULL: when it happened) and ``_deleted``. The newest known version of each key is what is true now.
"""

from __future__ import annotations

from penstock.lake.versioned.damage import Damage
from penstock.lake.versioned.differences import Differences
from penstock.lake.versioned.evolution import Turn
from penstock.lake.versioned.expiry import Expired
from penstock.lake.versioned.lake import Lake, open_lake
from penstock.lake.versioned.roles import DELETED, KNOWN, OWN_COLUMNS, ROLES, Roles
from penstock.lake.versioned.scan import Scan, ScanColumn
from penstock.lake.versioned.staged import Staged
from penstock.lake.versioned.table import VersionedTable
from penstock.lake.versioned.version import Version

__all__ = [
    "DELETED",
    "KNOWN",
    "OWN_COLUMNS",
    "ROLES",
    "Damage",
    "Differences",
    "Expired",
    "Lake",
    "Roles",
    "Scan",
    "ScanColumn",
    "Staged",
    "Turn",
    "Version",
    "VersionedTable",
    "open_lake",
]
