"""The split protocols, one class each: which samples (or labels, or edges) train, validate and test."""

from __future__ import annotations

from claimbench.data.splits.base import Parts, Split, count, fraction, make, parameter, word
from claimbench.data.splits.given import AsGiven
from claimbench.data.splits.graphs import LabelledNodes, Links, Unsupervised
from claimbench.data.splits.samples import BinarySubset, BinarySubsets, Halves, KFold, Public, Random, SampleSplit

__all__ = [
    "PROTOCOLS",
    "Parts",
    "SampleSplit",
    "Split",
    "count",
    "fraction",
    "make",
    "parameter",
    "word",
]

PROTOCOLS: dict[str, type[Split]] = {
    protocol.name: protocol
    for protocol in (
        KFold,
        Random,
        Halves,
        BinarySubset,
        BinarySubsets,
        Public,
        AsGiven,
        Unsupervised,
        LabelledNodes,
        Links,
    )
}
