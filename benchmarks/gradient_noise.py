"""A stack of 20-layer networks against one network after the other in plain PyTorch: equal parameters first, then time.

python benchmarks/gradient_noise.py [NETWORKS [STEPS]]      # the paper released no code to compare with
"""

from __future__ import annotations

import math
import sys
import time

import torch
from torch import nn

from claimbench.papers.gradient_noise import deep_mlp, noise

WIDTH, DEPTH, FEATURES, CLASSES, BATCH, RATE, CLIP = 50, 20, 64, 10, 50, 0.1, 10.0


def single(flat: torch.Tensor, sizes: list[tuple[int, int]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias in deep_mlp.views(flat[None], sizes):
        layer = nn.Linear(*weight.shape[1:])
        layer.weight.data, layer.bias.data = weight[0].T.clone(), bias[0, 0].clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def main(networks: int = 10, steps: int = 200) -> None:
    torch.set_num_threads(1)
    sizes = deep_mlp.layer_sizes(FEATURES, WIDTH, DEPTH, CLASSES)
    flats = [deep_mlp.initial("he", sizes, torch.Generator().manual_seed(s)) for s in range(networks)]
    inputs = torch.randn(networks, BATCH, FEATURES, generator=torch.Generator().manual_seed(100))
    y = torch.randint(CLASSES, (networks, BATCH), generator=torch.Generator().manual_seed(101))

    def stacked(count: int, eta: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        x = inputs.to(dtype)
        stack = deep_mlp.Stack(torch.stack(flats).to(dtype), sizes)
        limits = torch.full((networks,), CLIP, dtype=dtype)
        generators = [torch.Generator().manual_seed(s) for s in range(networks)]
        scratch = torch.empty(stack.flat.shape[1], dtype=dtype)
        for step in range(count):
            stack.backward(x, y)
            stack.clip(limits)
            noise.add_to_stack(stack.gradients, step, [eta] * networks, noise.GAMMA, generators, scratch)
            stack.flat.add_(stack.gradients, alpha=-RATE)
        return stack.flat

    def one_by_one(count: int, eta: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        x = inputs.to(dtype)
        found = []
        for index, flat in enumerate(flats):
            net = single(flat, sizes).to(dtype)
            optimizer = noise.GradientNoise(
                torch.optim.SGD(net.parameters(), lr=RATE),
                eta,
                generator=torch.Generator().manual_seed(index),
                clip=lambda net=net: nn.utils.clip_grad_norm_(net.parameters(), CLIP),
            )
            for _ in range(count):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x[index]), y[index]).backward()
                optimizer.step()
            linear = [layer for layer in net if isinstance(layer, nn.Linear)]
            found.append(
                torch.cat([part.detach().t().flatten() for layer in linear for part in (layer.weight, layer.bias)])
            )
        return torch.stack(found)

    difference = float((stacked(3, 0.0, torch.float64) - one_by_one(3, 0.0, torch.float64)).abs().max())
    print(f"largest difference of a parameter after 3 steps without noise, in float64: {difference:.1e}")
    best = {"stacked": math.inf, "one by one": math.inf}
    for _ in range(3):  # in turns
        for name, train in (("stacked", stacked), ("one by one", one_by_one)):
            start = time.perf_counter()
            train(steps, 0.01)
            best[name] = min(best[name], time.perf_counter() - start)
    for name, seconds in best.items():
        print(f"{name:12s} {1e3 * seconds / steps / networks:.3f} ms a network and step")
    print(f"{best['one by one'] / best['stacked']:.1f}x")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
