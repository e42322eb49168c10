"""A layer with random features against the released code and a dense layer: outputs first, then milliseconds a forward.

python benchmarks/snnk.py PATH/TO/neural-network-kernels [TOKENS]

Inputs of width 768, outputs of 3,072 (the first half of a feed-forward block of BERT), m features. The released layers
draw their projections anew in every forward, from a fixed seed; ours keep them.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from claimbench.papers.snnk.features import Universal
from claimbench.papers.snnk.layers import RectifiedLayer

D, OUT, COSINE_NORM = 768, 3072, 0.7


def best(function: Callable[[], Any], repeats: int = 5) -> float:
    seconds = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        with torch.no_grad():
            function()
        seconds = min(seconds, time.perf_counter() - start)
    return 1e3 * seconds


def main(path: str, tokens: int = 4096) -> None:
    sys.path.insert(0, f"{path}/src")
    from nnk.nnk import input_to_rfs_torch_vectorized, phi_relu_mapping_torch

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(tokens, D, generator=generator), torch.randn(OUT, D, generator=generator) / math.sqrt(D)
    dense = nn.Linear(D, OUT)
    dense_ms = best(lambda: torch.relu(dense(x)))
    print(f"dense layer with ReLU: {dense_ms:.1f} ms for {tokens} tokens")
    for m in (8, 16, 64, 512):
        theta = phi_relu_mapping_torch(weight, m, D)

        def released(m: int = m, theta: torch.Tensor = theta) -> torch.Tensor:
            return phi_relu_mapping_torch(x, m, D) @ theta.t()

        layer = RectifiedLayer(D, OUT, m, generator, kind="iid")
        torch.manual_seed(0)
        layer.projections = torch.cat([torch.randn(m, D), torch.zeros(m, 1)], 1)
        layer.theta.data = theta
        with torch.no_grad():
            difference = float((layer(x) - released()).abs().max() / released().abs().max())
        theirs, ours = best(released), best(lambda layer=layer: layer(x))
        print(
            f"ReLU features, m = {m:3d}: relative difference {difference:.0e}; released {theirs:7.1f} ms, "
            f"ours {ours:6.1f} ms ({theirs / ours:.1f}x; {dense_ms / ours:.1f}x the dense layer; "
            f"{D * OUT / (m * (D + OUT)):.0f}x fewer products)"
        )
    points = COSINE_NORM * nn.functional.normalize(x.double())
    weights, biases = nn.functional.normalize(weight.double()), torch.zeros(OUT, dtype=torch.float64)
    for m in (16, 64, 512):
        xis = torch.full((m,), 1 / (2 * math.pi), dtype=torch.float64)
        projections = torch.randn(m, D, generator=generator, dtype=torch.float64)

        def features(
            rows: torch.Tensor,
            of_input: bool,
            m: int = m,
            xis: torch.Tensor = xis,
            projections: torch.Tensor = projections,
        ) -> torch.Tensor:
            return input_to_rfs_torch_vectorized(
                rows.to(torch.complex128),
                lambda xi: torch.ones_like(xi).to(torch.complex128),
                (lambda xi: 2j * math.pi * xi) if of_input else (lambda xi: torch.ones_like(xi).to(torch.complex128)),
                xis, m, D, "cpu", proj_matrix=projections.to(torch.complex128),
            )  # fmt: skip

        mine = Universal("cos", projections, torch.ones(m, dtype=torch.float64))
        kept, psi = features(weights, False), mine.psi(weights, biases)
        theirs = (features(points, True) @ kept.T).real
        difference = float((mine.phi(points) @ psi.T - theirs).abs().max() / theirs.abs().max())
        slow = best(lambda features=features, kept=kept: (features(points, True) @ kept.T).real, 3)
        fast = best(lambda mine=mine, psi=psi: mine.phi(points) @ psi.T, 3)
        print(
            f"cosine features, m = {m:3d}, float64: relative difference {difference:.0e}; "
            f"released {slow:.1f} ms, ours {fast:.1f} ms ({slow / fast:.1f}x)"
        )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
