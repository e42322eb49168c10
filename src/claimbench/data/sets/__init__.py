"""The shared datasets, by kind, each entry beside its loader."""

from __future__ import annotations

from claimbench.data.entries import Entry
from claimbench.data.sets.graphs import DATASETS as GRAPHS
from claimbench.data.sets.images import DATASETS as IMAGES
from claimbench.data.sets.retrieval import DATASETS as RETRIEVAL
from claimbench.data.sets.searches import DATASETS as SEARCHES
from claimbench.data.sets.tables import DATASETS as TABLES
from claimbench.data.sets.texts import DATASETS as TEXTS

DATASETS: dict[str, Entry] = {entry.name: entry for entry in (*GRAPHS, *IMAGES, *TEXTS, *TABLES, *RETRIEVAL, *SEARCHES)}
