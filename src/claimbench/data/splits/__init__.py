"""The split protocols, one class each: which samples (or labels, or edges) train, validate and test."""

from __future__ import annotations

from claimbench.data.splits.base import Parts, Split, make
from claimbench.data.splits.graphs import LabelledNodes, Links, Unsupervised
from claimbench.data.splits.samples import BinarySubset, BinarySubsets, Halves, KFold, Public, Random

__all__ = ["PROTOCOLS", "Parts", "Split", "make"]

PROTOCOLS: dict[str, type[Split]] = {
    protocol.name: protocol
    for protocol in (KFold, Random, Halves, BinarySubset, BinarySubsets, Public, Unsupervised, LabelledNodes, Links)
}
