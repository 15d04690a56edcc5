"""How good the answers are, beside what others give on the same rows: ``python -m benchmarks.accuracy``."""
