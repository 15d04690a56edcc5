"""Why answers are what they are, for whom, and what would change them."""
