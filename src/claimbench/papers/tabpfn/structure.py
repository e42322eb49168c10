"""What must not change the answer (Section 4.1, Figure 1): the order of training rows, the other test rows, and, over
all cyclic shifts of the classes, their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from claimbench.papers.tabpfn import checkpoints
from claimbench.papers.tabpfn.classifier import ClaimBenchTabPFNClassifier

if TYPE_CHECKING:
    from torch import nn

    from claimbench.run import Run


def changes(run: Run) -> dict[str, float]:
    """Largest absolute change of a probability: ``order``, ``alone``, ``other``, ``renamed`` (all shifts together) and,
    for contrast, ``renamed_one`` (a single member) and ``shown`` (a training row left out)."""
    h, random = run.h, run.rng("table")
    x = random.normal(size=(h.rows, h.columns))
    y = (np.argsort(np.argsort(x @ random.normal(size=h.columns))) * h.classes) // h.rows
    test_x = random.normal(size=(h.queries, h.columns))
    network: str | tuple[nn.Module, dict[str, Any]] = h.network
    if run.method == "random":
        network = random_network(run)
    elif "network" in run.inputs:
        network = checkpoints.trained(run.inputs["network"])
    single = ClaimBenchTabPFNClassifier(network, members=1)
    p = single.fit(x, y).predict_proba(test_x)

    order = random.permutation(h.rows)
    other = test_x.copy()
    other[0] = -other[0]
    alone = np.concatenate([single.predict_proba(row[None]) for row in test_x])
    changed = single.predict_proba(other)
    shuffled = ClaimBenchTabPFNClassifier(network, members=1).fit(x[order], y[order]).predict_proba(test_x)
    fewer = ClaimBenchTabPFNClassifier(network, members=1).fit(x[:-1], y[:-1]).predict_proba(test_x)
    renamed_one = np.roll(single.fit(x, (y + 1) % h.classes).predict_proba(test_x), -1, axis=1)
    every = ClaimBenchTabPFNClassifier(network, members=2 * h.classes * h.columns)
    everywhere = every.fit(x, y).predict_proba(test_x)
    renamed = np.roll(every.fit(x, (y + 1) % h.classes).predict_proba(test_x), -1, axis=1)

    def largest(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a - b).max())

    return {
        "order": largest(shuffled, p),
        "alone": largest(alone, p),
        "other": largest(changed[1:], p[1:]),
        "renamed": largest(renamed, everywhere),
        "renamed_one": largest(renamed_one, p),
        "shown": largest(fewer, p),
    }


def random_network(run: Run) -> tuple[nn.Module, dict[str, int]]:
    """A network in which every weight is drawn, so that no block is the identity, as all are before training."""
    from claimbench.nn.prior_fitted import PriorFittedTransformer

    h = run.h
    with run.torch_stream("init"):
        net = PriorFittedTransformer(h.columns, h.classes, h.width, h.layers, h.heads, h.inner, query_sees_itself=False)
    generator = run.torch_generator("weights", "cpu")
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:  # not the scales of the normalisations
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / parameter.shape[1]) ** 0.5)
    return net.eval(), {"max_features": h.columns, "max_classes": h.classes, "max_rows": h.rows}
