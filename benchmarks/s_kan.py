"""Milliseconds a training step: the selectable network, single families, pykan and an MLP of equal parameters.

python benchmarks/s_kan.py [PATH_OF_PYKAN]       # a folder with the package kan, for example from pip install --target

First the B-spline bases are compared with pykan's on the same points; then steps on 1,000 samples of two inputs
([2, 5, 1]) and of 64 ([64, 64, 64]): one network, and ten at once for the small ones.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import torch

from claimbench.papers.s_kan import bases, networks

SAMPLES = 1000


def best(step: Callable[[], None], repeats: int) -> float:
    step()
    seconds = math.inf
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(repeats):
            step()
        seconds = min(seconds, (time.perf_counter() - start) / repeats)
    return 1e3 * seconds


def stepper(net: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()

    return step


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def main(path: str | None = None) -> None:
    torch.set_num_threads(1)
    if path:
        sys.path.insert(0, path)
        from kan import KAN as PyKAN
        from kan.spline import B_batch, extend_grid

        x = torch.linspace(-1, 1, 501)[:, None]
        grid = extend_grid(torch.linspace(-1, 1, 6)[None], k_extend=3)
        theirs = B_batch(x, grid, k=3)[:, 0]
        difference = float((bases.bspline(x[:, 0])[0].T - theirs).abs().max())
        print(f"B-spline bases: largest difference from pykan {difference:.0e}")
    for sizes, repeats in (([2, 5, 1], 50), ([64, 64, 64], 5)):
        x = torch.rand(1, SAMPLES, sizes[0]) * 2 - 1
        print(f"{sizes}, {SAMPLES} samples")
        for method in (*bases.FAMILIES, "s-kan"):
            net = networks.KAN(sizes, networks.pool(method), generators(1))
            milliseconds = best(stepper(net, x), repeats)
            line = f"  {method:10s} {milliseconds:8.2f} ms"
            if sizes[0] == 2:
                ten = networks.KAN(sizes, networks.pool(method), generators(10))
                line += f", ten at once {best(stepper(ten, x.expand(10, -1, -1)), repeats) / 10:6.2f} ms a network"
            print(line)
        target = networks.KAN(sizes, ("rbf",), generators(1)).parameters_kept()
        mlp = networks.MLP(networks.mlp_sizes(sizes[0], sizes[-1], target), "silu", generators(1))
        print(f"  MLP        {best(stepper(mlp, x), repeats):8.2f} ms ({mlp.parameters_kept()} parameters, {target})")
        if path:
            theirs_net = PyKAN(width=sizes, grid=5, k=3, symbolic_enabled=False, auto_save=False, seed=0)
            theirs_net.speed()
            print(f"  pykan      {best(stepper(theirs_net, x[0]), max(1, repeats // 5)):8.2f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
