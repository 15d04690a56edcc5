"""Files landed in the lake: read in bounded memory into the lake's types, with the rows that do not fit set apart."""

from __future__ import annotations

from penstock.lake.landing.landing import Landing, land
from penstock.lake.landing.settings import LandingSettings

__all__ = ["Landing", "LandingSettings", "land"]
