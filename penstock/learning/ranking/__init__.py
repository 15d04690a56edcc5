"""Items in order: candidates, factors, the model that orders them, and its reasons."""
