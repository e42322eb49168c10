"""What a user and a paper's author write: models of ``config.yaml``, ``paper.yaml`` and ``claims.yaml``."""
