"""A piecewise constant density over buckets, with half-normal tails (Mueller et al. 2022: Riemann distribution)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

#: median of the half-normal of scale 1: half of an outer bucket's mass lies inside it
HALF_NORMAL_MEDIAN = 0.6744897501960817


def equal_mass_borders(sample: Float[Tensor, ...], buckets: int) -> Float[Tensor, " borders"]:
    """Borders (at most buckets + 1,) of buckets that hold as many of the values each; the outer ones are the extremes.

    Inner borders lie midway between neighbouring values; borders that coincide are one.

    Raises:
        ValueError: fewer values than buckets.
    """
    values = sample.flatten().sort().values
    if len(values) < buckets:
        raise ValueError(f"{len(values)} values cannot fill {buckets} buckets; allowed: at least one value a bucket")
    cuts = (torch.arange(1, buckets) * len(values)) // buckets
    inner = (values[cuts - 1] + values[cuts]) / 2
    return torch.unique(torch.cat([values[:1], inner, values[-1:]]))


class Riemann:
    """The distribution that logits over buckets describe.

    The first and the last bucket are half-normals that start at their inner border and point outwards, with half of
    their mass inside the bucket.

    Args:
        borders: (buckets + 1,) increasing.
    """

    def __init__(self, borders: Float[Tensor, " borders"]) -> None:
        if len(borders) < 4 or not bool((borders.diff() > 0).all()):
            raise ValueError("borders must increase strictly and leave at least three buckets")
        self.borders = borders
        self.widths = borders.diff()
        self.scales = self.widths[[0, -1]] / HALF_NORMAL_MEDIAN

    @property
    def buckets(self) -> int:
        return len(self.widths)

    def log_density(
        self, logits: Float[Tensor, "*shape buckets"], y: Float[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        """(...) of ``logits`` (..., buckets) at ``y`` (...)."""
        borders = self.borders.to(y)
        bucket = torch.searchsorted(borders[1:-1].contiguous(), y.contiguous())
        log_p = torch.log_softmax(logits, -1).gather(-1, bucket[..., None])[..., 0]
        inside = -self.widths.to(y).log()[bucket]
        low, high = self.scales.to(y)
        left = _log_half_normal((borders[1] - y).clamp_min(0), low)
        right = _log_half_normal((y - borders[-2]).clamp_min(0), high)
        return log_p + torch.where(bucket == 0, left, torch.where(bucket == self.buckets - 1, right, inside))

    def mean(self, logits: torch.Tensor) -> torch.Tensor:
        """(...) of ``logits`` (..., buckets)."""
        borders = self.borders.to(logits)
        centres = (borders[1:] + borders[:-1]) / 2
        low, high = self.scales.to(logits) * math.sqrt(2 / math.pi)
        centres = torch.cat([(borders[1] - low)[None], centres[1:-1], (borders[-2] + high)[None]])
        return (logits.softmax(-1) * centres).sum(-1)

    def quantile(self, logits: torch.Tensor, level: float) -> torch.Tensor:
        """(...) of ``logits`` (..., buckets), for a level between 0 and 1."""
        p = logits.softmax(-1)
        borders = self.borders.to(logits)
        cumulative = p.cumsum(-1)
        bucket = (cumulative < level).sum(-1).clamp(max=self.buckets - 1)
        mass = p.gather(-1, bucket[..., None])[..., 0]
        before = cumulative.gather(-1, bucket[..., None])[..., 0] - mass
        share = ((level - before) / mass).clamp(0, 1)
        inside = borders[bucket] + share * self.widths.to(logits)[bucket]
        low, high = self.scales.to(logits)
        left = borders[1] - low * math.sqrt(2) * torch.erfinv(1 - share)
        right = borders[-2] + high * math.sqrt(2) * torch.erfinv(share)
        return torch.where(bucket == 0, left, torch.where(bucket == self.buckets - 1, right, inside))


def _log_half_normal(distance: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return 0.5 * math.log(2 / math.pi) - scale.log() - (distance / scale).square() / 2
