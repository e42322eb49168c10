"""Guidance: training that aligns a network's layers with those of a guide network."""
