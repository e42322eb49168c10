"""FastRP: node embeddings by very sparse random projection (arXiv 1908.11512)."""
