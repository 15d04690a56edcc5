"""What was known, when: definitions become values, the same for training and serving.

The functions here declare features in Python: see `penstock.features.views.spelling`.
"""

from __future__ import annotations

from penstock.features.views.spelling import calculated, entity, expressions, latest, on_demand, role, service

__all__ = ["calculated", "entity", "expressions", "latest", "on_demand", "role", "service"]
