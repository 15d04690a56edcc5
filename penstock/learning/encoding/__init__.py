"""From features to a matrix of numbers, and which of them survive."""
