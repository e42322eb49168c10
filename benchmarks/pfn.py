"""The transformer, its output distribution and the prior of networks against the released code: outputs, then speed.

python benchmarks/pfn.py PATH/TO/TransformersCanDoBayesianInference [BATCH]

Both transformers get the same weights. The released one masks an attention of all points with all points; ours attends
to the labelled ones alone. Labelled points are half of the points.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import types
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from claimbench.nn.prior_fitted import PriorFittedTransformer
from claimbench.nn.riemann import Riemann, equal_mass_borders
from claimbench.papers.pfn import tabular_priors

FEATURES, WIDTH, LAYERS, HEADS, BUCKETS = 18, 128, 4, 4, 100


def per_second(function: Callable[[], Any], least_s: float = 3.0) -> float:
    """Calls a second, after one that is not timed."""
    function()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < least_s:
        function()
        calls += 1
    return calls / (time.perf_counter() - start)


def with_weights_of(ours: PriorFittedTransformer, theirs: nn.Module) -> None:
    """Give the released transformer our weights."""
    pairs = [(theirs.encoder, ours.encode_x), (theirs.y_encoder, ours.encode_y)]
    pairs += [(theirs.decoder[i], ours.head[i]) for i in (0, 2)]
    for layer, block in zip(theirs.transformer_encoder.layers, ours.blocks, strict=True):
        pairs += [
            (layer.self_attn.out_proj, block.attention.out),
            (layer.linear1, block.feed_forward.up),
            (layer.linear2, block.feed_forward.down),
        ]
        pairs += [(layer.norm1, block.norms[0]), (layer.norm2, block.norms[1])]
        layer.self_attn.in_proj_weight.data.copy_(block.attention.qkv.weight)
        layer.self_attn.in_proj_bias.data.copy_(block.attention.qkv.bias)
    for target, source in pairs:
        target.weight.data.copy_(source.weight)
        target.bias.data.copy_(source.bias)


def networks_of(path: str) -> Callable[[int, int, int], tuple[torch.Tensor, torch.Tensor]]:
    """The released sampler of the tables' prior of networks, with the released sizes and spreads."""
    package = types.ModuleType("priors")  # its own __init__ imports GPyTorch
    package.__path__ = [f"{path}/priors"]
    sys.modules["priors"] = package
    from priors import mlp
    from priors.utils import gamma_sampler_f, scaled_beta_sampler_f

    def draw(datasets: int, points: int, features: int) -> tuple[torch.Tensor, torch.Tensor]:
        hyper = (
            lambda: 3, scaled_beta_sampler_f(2.0, 4.0, 150, 2), nn.Tanh,
            gamma_sampler_f(*tabular_priors.WEIGHT_SPREAD), gamma_sampler_f(*tabular_priors.NOISE_SPREAD),
            lambda: 0.0, True, scaled_beta_sampler_f(1.0, 1.6, features, 2), None, False, None, True, None, True, False,
            lambda _: ([], []), 0.0,
        )  # fmt: skip
        x, y, _ = mlp.get_batch(datasets, points, features, "cpu", hyper, batch_size_per_gp_sample=1)
        return x, y

    return draw


def main(path: str, batch: int = 16) -> None:
    sys.path.insert(0, path)
    with contextlib.redirect_stdout(io.StringIO()):
        from bar_distribution import FullSupportBarDistribution, get_bucket_limits
        from transformer import TransformerModel

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    ours = PriorFittedTransformer(FEATURES, BUCKETS, WIDTH, LAYERS, HEADS, 2 * WIDTH)
    for parameter in ours.parameters():  # attention and MLPs start at zero, which would compare nothing
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    warnings.simplefilter("ignore", UserWarning)  # torch on the released model's layout
    theirs = TransformerModel(
        nn.Linear(FEATURES, WIDTH), BUCKETS, WIDTH, HEADS, 2 * WIDTH, LAYERS, y_encoder=nn.Linear(1, WIDTH)
    )
    with_weights_of(ours, theirs)

    sample = torch.randn(20_000, generator=generator)
    borders = equal_mass_borders(sample, BUCKETS)
    with contextlib.redirect_stdout(io.StringIO()):
        difference = float((get_bucket_limits(BUCKETS, ys=sample) - borders).abs().max())
    print(f"borders: largest difference {difference:.0e}")
    logits, y = torch.randn(2000, BUCKETS, generator=generator), 2 * torch.randn(2000, generator=generator)
    released, density = FullSupportBarDistribution(borders), Riemann(borders)
    losses = (released(logits, y) + density.log_density(logits, y)).abs().max()
    means = (released.mean(logits) - density.mean(logits)).abs().max()
    print(f"output distribution: largest difference of a loss {float(losses):.0e}, of a mean {float(means):.0e}")
    few = logits[:200]
    slow, fast = (
        per_second(lambda: released.quantile(few)),
        per_second(lambda: (density.quantile(few, 0.159), density.quantile(few, 0.841))),
    )
    print(f"quantiles: {200 * slow:.0f} against {200 * fast:.0f} distributions/s ({fast / slow:.1f}x)")

    for points in (32, 100, 500):
        n = points // 2
        x = torch.randn(batch, points, FEATURES, generator=generator)
        y = torch.randn(batch, points, generator=generator)

        def answer_released(x: torch.Tensor = x, y: torch.Tensor = y, n: int = n) -> torch.Tensor:
            return theirs((x.transpose(0, 1), y.T), single_eval_pos=n).transpose(0, 1)

        def answer_ours(x: torch.Tensor = x, y: torch.Tensor = y, n: int = n) -> torch.Tensor:
            return ours(x, y[:, :n])

        def step(net: nn.Module, answer: Callable[[], torch.Tensor]) -> None:
            net.zero_grad()
            answer().square().mean().backward()

        theirs.eval()
        with torch.no_grad():
            difference = float((answer_released() - answer_ours()).abs().max())
            rates = [per_second(answer) for answer in (answer_released, answer_ours)]
        theirs.train()
        steps = [
            per_second(lambda net=net, answer=answer: step(net, answer))
            for net, answer in ((theirs, answer_released), (ours, answer_ours))
        ]
        print(
            f"{points} points: largest difference of an output {difference:.0e}; training "
            f"{steps[0]:.2f} against {steps[1]:.2f} steps/s ({steps[1] / steps[0]:.1f}x); answering "
            f"{batch * rates[0]:.0f} against {batch * rates[1]:.0f} datasets/s ({rates[1] / rates[0]:.1f}x)"
        )

    draw = networks_of(path)
    slow = per_second(lambda: draw(32, 50, 60))
    fast = per_second(lambda: tabular_priors.networks(32, 50, 60, generator))
    rates = f"{32 * slow:.0f} against {32 * fast:.0f} datasets/s ({fast / slow:.1f}x)"
    print(f"prior of networks, 50 rows, up to 60 features: {rates}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
