"""TabPFN: a transformer that solves small tabular classification problems (Hollmann et al. 2023)."""
