"""A guided step of the deep network: the released similarity code as its training loop uses it, against ours.

python benchmarks/guidance.py PATH/TO/untrainable-networks/rep_sim/rep_sims.py [STEPS]

The released loop runs the target twice and the guide once a step and centres every kernel with explicit matrices; only
its file of similarities can be imported, so the loop around it is repeated here. First the losses on one batch, then
milliseconds for batches of 128 and 256: a base step, a guided step as released, ours with one network and with five.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from claimbench.papers.guidance import convolutional, fully_connected
from claimbench.papers.guidance.alignment import CachedGuide, centred_norm, dissimilarity, layer_pairs

LAYERS, FIRST, WIDTH, CLASSES, SAMPLES, IMAGE = 48, 128, 64, 10, 1000, (1, 28, 28)
SIZES = [784, FIRST, *[WIDTH] * (LAYERS - 1), CLASSES]


def released(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("rep_sims", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CKA(torch.device("cpu"))


class Plain(nn.Module):
    """One network of a stack as a chain of modules whose linear outputs are kept, as hooks would."""

    def __init__(self, stack: fully_connected.FullyConnected) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(SIZES[:-1]))
        self.normal = nn.ModuleList(nn.BatchNorm1d(width) for width in SIZES[1:-1])
        self.output = nn.Linear(SIZES[-2], SIZES[-1])
        for layer, weight in zip([*self.linear, self.output], stack.weights, strict=True):
            layer.weight.data = weight[0].detach().clone()
        self.output.bias.data = stack.bias[0, :, 0].detach().clone()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        features = []
        for linear, normal in zip(self.linear, self.normal, strict=True):
            features.append(linear(x))
            x = torch.relu(normal(features[-1]))
        return self.output(x), features


def main(path: str, steps: int = 60) -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SAMPLES, 784, generator=generator)
    y = torch.randint(CLASSES, (SAMPLES,), generator=generator)
    torch.manual_seed(0)
    net = convolutional.network("residual-18", IMAGE, CLASSES, {"widths": [8, 16, 32, 64], "stem": 2})
    guide = convolutional.Stacked(net, IMAGE)
    pairs = layer_pairs(21, LAYERS)
    cka = released(path)
    start = time.perf_counter()
    cached = CachedGuide(guide.features, x)
    print(f"kernels of {SAMPLES} images: {time.perf_counter() - start:.2f} s, once")

    def as_released(plain: Plain, rows: torch.Tensor) -> torch.Tensor:
        given, features = guide.features(rows), plain(rows)[1]
        parts = [1 - cka.linear_CKA(features[t], given[g].flatten(1)) for t, g in pairs.items()]
        return torch.stack(parts).sum()

    def ours(stack: fully_connected.FullyConnected, chosen: list[np.ndarray[Any, Any]]) -> tuple[torch.Tensor, ...]:
        rows = torch.stack([x[numbers].T for numbers in chosen])
        logits, features = stack(rows, None, frozenset(pairs))
        kernels = torch.stack([cached.kernels(numbers, x, list(pairs.values())) for numbers in chosen], 1)
        norms = centred_norm(kernels)
        alike = [dissimilarity(features[layer], kernels[i], norms[i]) for i, layer in enumerate(pairs)]
        return logits, torch.stack(alike).sum(0)

    rng = np.random.default_rng(0)
    for batch in (128, 256):
        one = fully_connected.FullyConnected(SIZES, [torch.Generator().manual_seed(1)])
        plain = Plain(one)
        numbers = rng.permutation(SAMPLES)[:batch]
        difference = abs(float(as_released(plain, x[numbers]).detach()) - float(ours(one, [numbers])[1].detach()))
        print(f"batch {batch}: difference of the alignment loss (21 pairs) {difference:.1e}")

        def base(_: Any, net: Plain = plain, size: int = batch) -> torch.Tensor:
            picked = rng.permutation(SAMPLES)[:size]
            return F.cross_entropy(net(x[picked])[0], y[picked])

        def naive(_: Any, net: Plain = plain, size: int = batch) -> torch.Tensor:
            picked = rng.permutation(SAMPLES)[:size]
            return F.cross_entropy(net(x[picked])[0], y[picked]) + as_released(net, x[picked])

        def mine(stack: fully_connected.FullyConnected, size: int = batch) -> torch.Tensor:
            picked = [rng.permutation(SAMPLES)[:size] for _ in range(stack.networks)]
            logits, alike = ours(stack, picked)
            labels = torch.stack([y[numbers] for numbers in picked])
            return (F.cross_entropy(logits, labels, reduction="none").mean(1) + alike).sum()

        five = fully_connected.FullyConnected(SIZES, [torch.Generator().manual_seed(s) for s in range(5)])
        arms = {
            "base, plain": (base, plain, 1), "guided, as released": (naive, plain, 1),
            "guided, ours": (mine, one, 1), "guided, ours, five at once": (mine, five, 5),
        }  # fmt: skip
        best = dict.fromkeys(arms, float("inf"))
        for _ in range(3):  # in turns
            for name, (loss, module, networks) in arms.items():
                optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
                start = time.perf_counter()
                for _ in range(steps):
                    optimizer.zero_grad()
                    loss(module).backward()
                    optimizer.step()
                best[name] = min(best[name], (time.perf_counter() - start) / steps / networks)
        for name, seconds in best.items():
            print(f"  {name:28s} {1e3 * seconds:6.2f} ms a network, {best['guided, as released'] / seconds:.1f}x")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
