"""What was served, kept by key hash, and worked out again from the lake: proof that training and serving agree."""

from __future__ import annotations

from penstock.online.verifying.served import Entry, ServedLog
from penstock.online.verifying.verdict import FeatureVerdict, Verified
from penstock.online.verifying.verify import Recomputed, answered_by, verify

__all__ = ["Entry", "FeatureVerdict", "Recomputed", "ServedLog", "Verified", "answered_by", "verify"]
