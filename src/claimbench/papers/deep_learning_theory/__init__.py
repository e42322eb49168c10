"""The Principles of Deep Learning Theory: finite-width statistics of random networks (arXiv 2106.10165)."""
