"""The shared datasets, by kind, each entry beside its loader."""

from __future__ import annotations

from claimbench.data.entries import Entry
from claimbench.data.sets import graphs, images, tables, texts

DATASETS: dict[str, Entry] = {
    entry.name: entry for module in (graphs, images, tables, texts) for entry in module.DATASETS
}
