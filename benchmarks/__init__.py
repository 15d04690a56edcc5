"""Measurements against floors, never run by the tests."""

from __future__ import annotations
