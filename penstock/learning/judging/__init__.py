"""How good answers were: metrics, how sure they are, baselines, windows, and comparison."""
