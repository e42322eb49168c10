"""Networks a second of exact-permutations, beside the released recipe; outputs are compared before anything is timed.

    python benchmarks/exact_permutations.py [--official DIR]      # DIR: a checkout of github.com/opallab/permlearn

Three ways to a trained ensemble member at k = 30: the released recipe (one network, a Python loop of SGD steps), the
same steps for a batch of networks, and the exact solution of readout training that the laptop tier uses.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable

import torch

from claimbench.papers.exact_permutations import kernels, networks

K, WIDTH, STEPS, RATE, BATCH = 30, 2048, 100, 1e-3, 16
OFFICIAL_STEPS = 10_000


def modules(parameters: tuple[torch.Tensor, ...], official: str | None) -> torch.nn.Module:
    """The released network (or the same from torch's modules), with given initial values."""
    if official:
        spec = importlib.util.spec_from_file_location("official_model", f"{official}/model.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        net = module.NTKMLP(K, WIDTH, K)
        first, second = net.fc1, net.fc2
    else:
        first, second = torch.nn.Linear(K, WIDTH), torch.nn.Linear(WIDTH, K)
        net = torch.nn.Sequential(first, torch.nn.ReLU(), second)
    w, b, v, a = (part[0] for part in parameters)
    with torch.no_grad():
        for target, value in ((first.weight, w), (first.bias, b[:, 0]), (second.weight, v), (second.bias, a[:, 0])):
            target.copy_(value)
    return net


def train_modules(net: torch.nn.Module, targets: torch.Tensor, steps: int) -> torch.nn.Module:
    """The released loop: SGD on the mean squared error, one step a full batch."""
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE)
    inputs = torch.eye(K)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(net(inputs), targets.T).backward()
        optimiser.step()
    return net


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", help="checkout of the released code (default: torch's modules)")
    official = parser.parse_args().official
    torch.set_num_threads(1)
    targets = torch.eye(K)[torch.randperm(K, generator=torch.Generator().manual_seed(0))]
    test = torch.tensor(kernels.pair_inputs(K), dtype=torch.float32)

    start = networks.official_initial(1, WIDTH, K, torch.Generator().manual_seed(1))
    trained = train_modules(modules(start, official), targets, STEPS)
    with torch.no_grad():
        theirs = trained(test).T
    ours = networks.official_outputs(networks.train_official(start, targets, STEPS, RATE), test)[0]
    gap = float((ours - theirs).abs().max())
    print(f"outputs after {STEPS} steps differ by at most {gap:.1e}")
    if gap > 1e-4:
        sys.exit("the outputs differ; the times would mean nothing")

    batch = networks.official_initial(BATCH, WIDTH, K, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(3)

    def solve() -> None:
        w, v = networks.initial(BATCH, WIDTH, K, generator)
        networks.outputs(w, networks.train_readout(w, v, targets), test)

    share = OFFICIAL_STEPS / STEPS
    arms: dict[str, tuple[Callable[[], object], float]] = {
        "released recipe": (lambda: train_modules(modules(start, official), targets, STEPS), share),
        "same steps, batched": (lambda: networks.train_official(batch, targets, STEPS, RATE), share / BATCH),
        "exact readout solution": (solve, 1 / BATCH),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(6):
        for name, (function, scale) in arms.items():
            elapsed = seconds(function) * scale
            if turn:
                times[name].append(elapsed)
    base = statistics.median(times["released recipe"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:24} {median:9.4f} s a network  {1 / median:10.2f} networks/s  {base / median:9.1f} x")


if __name__ == "__main__":
    main()
