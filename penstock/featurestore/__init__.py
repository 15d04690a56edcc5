"""The feature store of a project: features declared once, read for training, served, and kept in step."""

from __future__ import annotations

from penstock.featurestore.features import ProjectFeatures
from penstock.featurestore.online import ProjectOnline
from penstock.featurestore.service import ProjectService

__all__ = ["ProjectFeatures", "ProjectOnline", "ProjectService"]
