"""Rows to learn from: who was there at which cutoff, what came of it, and how they are parted in time."""
