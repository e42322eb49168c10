"""Similarity of representations: centred kernel alignment (CKA) on a batch, layer pairs, and the kernels of a guide.

Source: Section 3 (objective); the released code for pairs of layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

EPSILON = 1e-12


def layer_pairs(guide_layers: int, target_layers: int) -> dict[int, int]:
    """Target layer -> guide layer: guide layer i goes to target layer round(i (T - 1) / (G - 1)), ties to even.

    Of several guide layers that fall on one target layer the last counts (as in the released code).
    """
    if guide_layers == 1:
        return {0: 0}
    return {round(i * (target_layers - 1) / (guide_layers - 1)): i for i in range(guide_layers)}


def centred(kernel: torch.Tensor) -> torch.Tensor:
    """``H K H`` of symmetric kernels (..., n, n), without the products."""
    rows = kernel.mean(-1, keepdim=True)
    return kernel - rows - rows.transpose(-1, -2) + rows.mean(-2, keepdim=True)


def unit(kernel: torch.Tensor) -> torch.Tensor:
    """Centred kernels (..., n, n) of Frobenius norm 1 (0 where all features are constant)."""
    kernel = centred(kernel)
    return kernel / kernel.flatten(-2).norm(dim=-1)[..., None, None].clamp_min(EPSILON)


def gram(features: torch.Tensor) -> torch.Tensor:
    """``A A^T`` (n, n) of the features (n, ...) of n samples, flattened."""
    flat = features.flatten(1)
    return flat @ flat.T


def cka(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Linear CKA of two sets of features (n, ...) of the same samples; the biased estimator, which depends on n."""
    return (unit(gram(a)) * unit(gram(b))).sum()


class _Dissimilarity(torch.autograd.Function):
    """1 - CKA with its gradient in closed form: with the centred kernel K of the features A and the guide's M, and
    c = <K, M> / (|K| |M|), dc/dA = 2 A (M / |M| - c K / |K|) / |K|."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, guide: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        a = features - features.mean(2, keepdim=True)
        kernel = torch.bmm(a.transpose(1, 2), a)
        scale = kernel.flatten(1).norm(dim=1).clamp_min(EPSILON)
        similarity = (kernel.flatten(1) * guide.flatten(1)).sum(1) / (scale * norm)
        if ctx.needs_input_grad[0]:
            towards = kernel.mul_((similarity / scale)[:, None, None])
            towards = towards.addcmul_(guide, (1.0 / norm)[:, None, None], value=-1.0)
            derivative = torch.bmm(a, towards).mul_((2.0 / scale)[:, None, None])
            # the guide's kernel may lack its centring; that of the derivative makes up for it
            ctx.save_for_backward(derivative.sub_(derivative.mean(2, keepdim=True)))
        return 1.0 - similarity

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (derivative,) = ctx.saved_tensors
        return derivative * grad[0][:, None, None], None, None


def dissimilarity(features: torch.Tensor, guide: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
    """1 - CKA (networks,) of ``features`` (networks, width, n) and a guide.

    Args:
        features: of the networks that are trained.
        guide: kernels (networks, n, n), up to constants added to rows and columns.
        norm: (networks,) Frobenius norms of the centred guide kernels.
    """
    return _Dissimilarity.apply(features, guide, norm)


# ---- guides ----------------------------------------------------------------------------------------------------------


def centred_norm(kernel: torch.Tensor) -> torch.Tensor:
    """Frobenius norms (...) of the centred kernels (..., n, n), without centring them."""
    n = kernel.shape[-1]
    rows = kernel.mean(-1)
    squares = (
        torch.linalg.vector_norm(kernel, dim=(-2, -1)).square()
        - 2 * n * rows.square().sum(-1)
        + (n * rows.mean(-1)).square()
    )
    return squares.clamp_min(0).sqrt().clamp_min(EPSILON)


class CachedGuide:
    """Kernels of all layers over a whole, small training set: any batch is a part of them, so the guide runs once.

    Args:
        features: maps images (n, ...) to the features of each layer.
        x: all training samples.
        batch: images at a time.
    """

    def __init__(
        self, features: Callable[[torch.Tensor], list[torch.Tensor]], x: torch.Tensor, batch: int = 500
    ) -> None:
        with torch.no_grad():
            parts = [features(part) for part in x.split(batch)]
            self.layers, self.samples = len(parts[0]), len(x)
            # centred over all samples, so that no batch has a large mean; the layers of a pair of samples lie together
            self._flat = torch.empty(self.samples**2, self.layers)
            for layer in range(self.layers):
                self._flat[:, layer] = centred(gram(torch.cat([part[layer] for part in parts]))).flatten()

    def kernels(self, chosen: np.ndarray[Any, Any], rows: torch.Tensor, wanted: list[int]) -> torch.Tensor:
        """Kernels (wanted, n, n) of the samples with these numbers, up to constants of rows and columns."""
        places = torch.from_numpy((chosen[:, None] * self.samples + chosen[None]).ravel())
        part = self._flat.index_select(0, places)
        if wanted != list(range(self.layers)):
            part = part[:, wanted]
        return part.T.reshape(len(wanted), len(chosen), len(chosen))


class LiveGuide:
    """A guide that is run on every batch.

    Args:
        features: maps images (n, ...) to the features of each layer.
        layers: their number.
    """

    def __init__(self, features: Callable[[torch.Tensor], list[torch.Tensor]], layers: int) -> None:
        self.features, self.layers = features, layers

    def kernels(self, chosen: np.ndarray[Any, Any], rows: torch.Tensor, wanted: list[int]) -> torch.Tensor:
        """Kernels (wanted, n, n) of these rows."""
        found = self.features(rows)
        return torch.stack([gram(found[layer]) for layer in wanted])
