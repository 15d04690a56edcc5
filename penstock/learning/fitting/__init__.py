"""From a matrix to a model: learners, the choice among them, and the training that puts all together."""
