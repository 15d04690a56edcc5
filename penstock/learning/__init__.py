"""Learning: from features and labels to a model with its evidence."""

from __future__ import annotations
