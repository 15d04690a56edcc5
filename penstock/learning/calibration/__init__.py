"""From a model's numbers to answers that mean what they say."""
