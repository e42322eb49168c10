"""Bayesian neural networks of two layers: the prior, and inference by Bayes-by-Backprop and NUTS (Section 5.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from claimbench.errors import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable

Weights = dict[str, torch.Tensor]


def _pyro() -> Any:
    try:
        import pyro
    except ImportError:
        raise Skipped("pyro is not installed; pip install 'claimbench[bayes]'") from None
    return pyro


def shapes(features: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Of the weights, all standard normal."""
    return {"w1": (features, hidden), "b1": (1, hidden), "w2": (hidden, 2), "b2": (1, 2)}


def logits(weights: Weights, x: torch.Tensor, activation: str) -> torch.Tensor:
    """(..., points, 2) of inputs (..., points, features).

    ``none`` is what the released code has: nothing between the two layers, a bilinear logistic model.
    """
    inner = x @ weights["w1"] + weights["b1"]
    return (inner.tanh() if activation == "tanh" else inner) @ weights["w2"] + weights["b2"]


def draw(
    datasets: int, points: int, features: int, hidden: int, activation: str, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (datasets, points, features), standard normal, and sampled labels (datasets, points), 0 or 1."""
    weights = {
        name: torch.randn(datasets, *shape, generator=generator) for name, shape in shapes(features, hidden).items()
    }
    x = torch.randn(datasets, points, features, generator=generator)
    p = logits(weights, x, activation).softmax(-1)[..., 1]
    return x, torch.bernoulli(p, generator=generator)


def model(features: int, hidden: int, activation: str) -> Callable[..., None]:
    """The same network as a program of Pyro."""
    pyro = _pyro()
    from pyro import distributions

    def program(x: torch.Tensor, y: torch.Tensor) -> None:
        weights = {
            name: pyro.sample(name, distributions.Normal(0.0, 1.0).expand(shape).to_event(len(shape)))
            for name, shape in shapes(features, hidden).items()
        }
        with pyro.plate("rows", len(x)):
            pyro.sample("y", distributions.Categorical(logits=logits(weights, x, activation)), obs=y)

    return program


def by_backprop(
    program: Callable[..., None], x: torch.Tensor, y: torch.Tensor, steps: int, samples: int, learning_rate: float
) -> Weights:
    """Weights (samples, ...) from a factorised normal that was fitted to the posterior by SVI (Bayes-by-Backprop).

    Draws from torch's global stream.
    """
    pyro = _pyro()
    from pyro.infer import SVI, Trace_ELBO
    from pyro.infer.autoguide import AutoDiagonalNormal

    with pyro.get_param_store().scope():
        guide = AutoDiagonalNormal(program)
        svi = SVI(program, guide, pyro.optim.Adam({"lr": learning_rate}), loss=Trace_ELBO())
        for _ in range(steps):
            svi.step(x, y)
        with torch.no_grad():
            drawn = [guide(x, y) for _ in range(samples)]
    return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}


def by_nuts(
    program: Callable[..., None], x: torch.Tensor, y: torch.Tensor, warm_up: int, samples: int, depth: int
) -> Weights:
    """Weights (samples, ...) by the No-U-Turn sampler. Draws from torch's global stream."""
    _pyro()
    from pyro.infer import MCMC, NUTS

    chain = MCMC(NUTS(program, max_tree_depth=depth), num_samples=samples, warmup_steps=warm_up, disable_progbar=True)
    chain.run(x, y)
    return dict(chain.get_samples())


def predict(weights: Weights, x: torch.Tensor, activation: str) -> torch.Tensor:
    """Probabilities (samples, points) of class 1."""
    return logits(weights, x, activation).softmax(-1)[..., 1]


def cross_validated(x: torch.Tensor, y: torch.Tensor, query: torch.Tensor, h: Any, seed: int) -> Any:
    """Probability of class 1 (test,) by SVI; width and learning rate with the best cross-validated likelihood.

    Args:
        x: (train, features), standardised.
        y: (train,) 0 or 1.
        query: (test, features).
        h: ``widths``, ``rates``, ``folds``, ``svi_steps``, ``svi_samples``, ``activation``.
    """
    import itertools

    from sklearn.model_selection import StratifiedKFold

    def answered(
        width: int, rate: float, known: torch.Tensor, label: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        program = model(x.shape[1], width, h.activation)
        weights = by_backprop(program, known, label, h.svi_steps, h.svi_samples, rate)
        return predict(weights, asked, h.activation).mean(0)

    settings = list(itertools.product(h.widths, h.rates))
    losses = [0.0] * len(settings)
    if len(settings) > 1:
        for train, val in StratifiedKFold(h.folds, shuffle=True, random_state=seed).split(x, y):
            for place, (width, rate) in enumerate(settings):
                p = answered(width, rate, x[train], y[train], x[val]).clamp(1e-6, 1 - 1e-6)
                losses[place] -= float(torch.where(y[val] == 1, p, 1 - p).log().sum())
    width, rate = settings[losses.index(min(losses))]
    return answered(width, rate, x, y, query).double().numpy()
