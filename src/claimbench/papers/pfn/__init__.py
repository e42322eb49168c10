"""Prior-data fitted networks: transformers that are trained on datasets drawn from a prior."""
