"""Feast repositories as projects."""

from __future__ import annotations
