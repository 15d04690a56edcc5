"""Learning: from features and labels to a model with its evidence.

A question goes through the rooms in this order: `rows` (who, when, and what came of it), `leaks` (what knows the
future), `encoding` (a matrix of numbers), `fitting` or `ranking` (a model), `calibration` (answers that mean what they
say), `judging` (how good they were), `reasons` (why). `ask` and `answers` take it through.
"""

from __future__ import annotations
