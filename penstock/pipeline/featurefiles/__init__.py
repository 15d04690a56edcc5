"""Features as a project's files declare them: sections of `penstock.toml`, PQL files and Python files."""

from __future__ import annotations

from penstock.pipeline.featurefiles.gathered import bound_of, definitions_of

__all__ = ["bound_of", "definitions_of"]
