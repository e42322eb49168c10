"""From configuration and papers to cells, runs and jobs, each with its key."""
