"""The hyper-parameters of a Gaussian process by the No-U-Turn sampler (Section 5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from claimbench.errors import Skipped
from claimbench.papers.pfn import gaussian_process as gp

if TYPE_CHECKING:
    from claimbench.run import Run


def sample(x: torch.Tensor, y: torch.Tensor, warm_up: int, samples: int) -> torch.Tensor:
    """(samples, 2) of (log length, log scale) from their posterior. Draws from torch's global stream.

    Args:
        x: (n, 1).
        y: (n,).
    """
    try:
        from pyro.infer import MCMC, NUTS
    except ImportError:
        raise Skipped("pyro is not installed; pip install 'claimbench[bayes]'") from None

    def potential(at: dict[str, torch.Tensor]) -> torch.Tensor:
        logs = at["logs"]
        return -(gp.log_posterior(logs, x, y) + logs.sum())  # a density of the logarithms

    means = [shape / rate for shape, rate in (gp.LENGTH_PRIOR, gp.SCALE_PRIOR)]
    start = torch.tensor(means, dtype=torch.float64).log()
    chain = MCMC(
        NUTS(potential_fn=potential),
        num_samples=samples,
        warmup_steps=warm_up,
        initial_params={"logs": start},
        disable_progbar=True,
    )
    chain.run()
    return chain.get_samples()["logs"].detach()


def log_density(logs: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Log of the mean of the predictive densities at the last point: ``logs`` (samples, 2), ``x`` (n + 1, 1), ``y``
    (n + 1,)."""
    mean, variance = gp.answers(logs, x, y[:-1])
    return gp.normal_log_density(y[-1], mean, variance).logsumexp(0) - torch.tensor(float(len(logs))).log()


def answer(run: Run, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Log densities (datasets,) at the last points, one chain for each dataset."""
    found = []
    n = y.shape[1] - 1
    with run.torch_stream(f"nuts/{n}"):
        for points, values in zip(x, y, strict=True):
            run.alive()
            logs = sample(points[:n], values[:n], run.h.warm_up, run.h.samples)
            found.append(log_density(logs, points, values))
    return torch.stack(found)
