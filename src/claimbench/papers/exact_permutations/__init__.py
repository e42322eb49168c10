"""Exact Learning of Permutations for Nonzero Binary Inputs (arXiv 2502.16763)."""
