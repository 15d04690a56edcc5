"""What was known, when: definitions become values, the same for training and serving."""
