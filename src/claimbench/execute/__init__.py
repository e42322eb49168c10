"""Running jobs: fits and scores, meters, GPUs, progress."""
