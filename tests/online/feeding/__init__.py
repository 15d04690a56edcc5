"""Rows that stream in, and the store that follows them."""

from __future__ import annotations
