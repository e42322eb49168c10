"""ClaimBench: rerun the experiments of machine-learning papers and say which of their claims hold."""

__version__ = "0.1.0"
