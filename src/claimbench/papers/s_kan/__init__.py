"""Kolmogorov-Arnold networks whose nodes choose their family of activation functions."""
