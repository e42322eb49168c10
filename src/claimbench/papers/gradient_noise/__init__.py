"""Gradient noise: annealed Gaussian noise added to every gradient of very deep networks."""
