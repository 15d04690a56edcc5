"""The past as training asks for it: values of features for the rows of a spine, each as of its own cutoff."""

from __future__ import annotations

from penstock.features.historical.retrieve import historical

__all__ = ["historical"]
