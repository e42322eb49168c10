"""Scalable neural network kernels: random features that part a layer's inputs from its parameters."""
