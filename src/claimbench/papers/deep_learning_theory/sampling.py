"""Ensembles of random networks, sampled exactly.

For one input, ``z_{l+1}`` given layer l is a vector of independent Gaussians of variance ``C_b + C_W Q_l`` with
``Q_l`` the mean of ``s(z)^2``: n normals a layer instead of n^2. The dense path draws the weights themselves and is
the check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from claimbench.papers.deep_learning_theory.activations import Activation


def gram(
    activation: Activation,
    width: int,
    layers: int,
    nets: int,
    C_W: Sequence[float],
    C_b: float,
    K1: float,
    generator: torch.Generator,
) -> Float[Tensor, "variances nets layers"]:
    """Variances of the neurons of every layer given the layer before, without weights (eqs. 4.7 to 4.10).

    Args:
        activation: ``s``.
        width: of every layer.
        layers: number of preactivation layers.
        nets: number of networks.
        C_W: variances of the weights (over the width); networks are drawn for each from the same normals.
        C_b: variance of the biases.
        K1: variance of the first layer.
        generator: its device is used.

    Returns:
        float64.
    """
    device = generator.device
    kernels = torch.empty(len(C_W), nets, layers, dtype=torch.float64, device=device)
    for rows in _batches(nets, width, device):
        drawn = torch.empty(rows.stop - rows.start, width, device=device)
        given = [torch.full((len(drawn),), K1, device=device) for _ in C_W]
        for layer in range(layers):
            if layer + 1 < layers:
                drawn.normal_(generator=generator)
            for index, variance in enumerate(C_W):
                kernels[index, rows, layer] = given[index].double()
                if layer + 1 < layers:
                    s = activation.value(drawn * given[index].sqrt()[:, None])
                    given[index] = C_b + variance / width * _squared_norm(s)
    return kernels


def residual(
    activation: Activation,
    width: int,
    layers: int,
    nets: int,
    C_W: float,
    K1: float,
    gamma: float,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "nets layers"], Float[Tensor, "nets layers"]]:
    """Residual networks ``z' = gamma z + W s(z)`` without biases (appendix B), their branches without weights.

    Args: as of :func:`gram`, with one variance of the weights, and ``gamma``, the weight of the skip connection.

    Returns:
        For every network and layer, float64: the mean of z^2 over the neurons, and the mean of z_i^2 z_j^2 over pairs
        of different neurons.
    """
    device = generator.device
    squares = torch.empty(nets, layers, dtype=torch.float64, device=device)
    pairs = torch.empty_like(squares)
    for rows in _batches(nets, width, device):
        z = torch.empty(rows.stop - rows.start, width, device=device).normal_(generator=generator).mul_(math.sqrt(K1))
        drawn = torch.empty_like(z)
        for layer in range(layers):
            square = z * z
            squares[rows, layer] = mean = square.mean(1).double()
            pairs[rows, layer] = (width * mean**2 - _squared_norm(square).double() / width) / (width - 1)
            if layer + 1 < layers:
                deviation = (C_W / width * _squared_norm(activation.value(z))).sqrt()[:, None]
                z.mul_(gamma).addcmul_(drawn.normal_(generator=generator), deviation)
    return squares, pairs


def _batches(nets: int, floats: int, device: torch.device) -> Iterator[slice]:
    """Networks that are drawn at once, for so many floats a network: what the cache of a core holds, or fills a GPU."""
    most = max(1, (262_144 if device.type == "cpu" else 16_000_000) // floats)
    for first in range(0, nets, most):
        yield slice(first, min(nets, first + most))


def _squared_norm(x: Float[Tensor, "nets width"]) -> Float[Tensor, " nets"]:
    return torch.linalg.vector_norm(x, dim=1).square()


def dense(
    activation: Activation,
    width: int,
    layers: int,
    nets: int,
    C_W: float,
    C_b: float,
    K1: float,
    generator: torch.Generator,
    inputs: int = 16,
) -> tuple[Float[Tensor, "nets layers"], Float[Tensor, "nets layers"]]:
    """Networks with every weight drawn, those of the first layer on an input of ``inputs`` features.

    Args: as of :func:`gram`, with one variance of the weights.

    Returns:
        As of :func:`residual`.
    """
    device = generator.device
    squares = torch.empty(nets, layers, dtype=torch.float64, device=device)
    pairs = torch.empty_like(squares)
    x = torch.linspace(1.0, 2.0, inputs, device=device)
    x *= math.sqrt((K1 - C_b) / C_W * inputs) / x.norm()
    for rows in _batches(nets, width**2, device):
        n = rows.stop - rows.start
        h = x.expand(n, -1)
        for layer in range(layers):
            fan_in = h.shape[1]
            W = torch.randn(n, width, fan_in, generator=generator, device=device)
            z = torch.bmm(W, h[:, :, None])[:, :, 0] * math.sqrt(C_W / fan_in)
            if C_b:
                z = z + math.sqrt(C_b) * torch.randn(n, width, generator=generator, device=device)
            square = z * z
            mean = square.mean(1, dtype=torch.float64)
            squares[rows, layer] = mean
            pairs[rows, layer] = (width * mean**2 - (square * square).mean(1, dtype=torch.float64)) / (width - 1)
            h = activation.value(z)
    return squares, pairs


def tangent(
    activation: Activation,
    width: int,
    layers: int,
    nets: int,
    C_W: float,
    K1: float,
    Theta1: float,
    generator: torch.Generator,
) -> dict[str, Float[Tensor, "nets layers"]]:
    """The whole NTK of one input by its layer recursion (eq. 8.12), C_b = lambda_b = 0, lambda_W = 1.

    Args: as of :func:`gram`, with one variance of the weights; ``Theta1`` is the NTK of the first layer.

    Returns:
        Per network and layer, float64: ``Theta`` mean of H_ii; and means over pairs i != j of ``HH``
        H_ii H_jj, ``H2`` H_ij^2, ``zH`` z_i^2 H_jj, ``zzH`` z_i z_j H_ij; ``z2`` mean of z_i^2.
    """
    device = generator.device
    found = {
        name: torch.empty(nets, layers, dtype=torch.float64, device=device)
        for name in ("Theta", "HH", "H2", "zH", "zzH", "z2")
    }
    pairs = width * (width - 1)
    for rows in _batches(nets, width**2, device):
        n = rows.stop - rows.start
        z = math.sqrt(K1) * torch.randn(n, width, generator=generator, device=device)
        H = Theta1 * torch.eye(width, device=device).expand(n, -1, -1)
        for layer in range(layers):
            # sums of float32 products: their rounding is far below the spread of the networks
            diagonal, square = H.diagonal(dim1=1, dim2=2).double(), (z * z).double()
            found["Theta"][rows, layer] = diagonal.mean(1)
            found["z2"][rows, layer] = square.mean(1)
            found["HH"][rows, layer] = (diagonal.sum(1) ** 2 - (diagonal**2).sum(1)) / pairs
            found["H2"][rows, layer] = (_squared_norm(H.flatten(1)).double() - (diagonal**2).sum(1)) / pairs
            found["zH"][rows, layer] = (square.sum(1) * diagonal.sum(1) - (square * diagonal).sum(1)) / pairs
            zHz = (torch.bmm(H, z[:, :, None])[:, :, 0].double() * z).sum(1)
            found["zzH"][rows, layer] = (zHz - (square * diagonal).sum(1)) / pairs
            if layer + 1 < layers:
                W = torch.randn(n, width, width, generator=generator, device=device)
                s, slope = activation.value(z), activation.slope(z) * math.sqrt(C_W / width)
                z = torch.bmm(W, s[:, :, None])[:, :, 0] * math.sqrt(C_W / width)
                W *= slope[:, None, :]
                H = torch.bmm(torch.bmm(W, H), W.transpose(1, 2))
                H.diagonal(dim1=1, dim2=2).add_(s.square().mean(1)[:, None])
    return found


def batch_errors(
    values: dict[str, Float[Tensor, "nets layers"]],
    statistic: Callable[[dict[str, Tensor]], Tensor],
    batches: int = 50,
) -> tuple[Float[Tensor, " layers"], Float[Tensor, " layers"]]:
    """A statistic of per-network values and its standard error, from equal batches of networks.

    Args:
        values: each (nets, layers).
        statistic: from a dict of means over networks, each (..., layers), to (..., layers).
        batches: number of batches.

    Returns:
        The statistic of all networks, and its standard error, (layers,).
    """
    n = next(iter(values.values())).shape[0] // batches * batches
    grouped = {name: value[:n].view(batches, -1, value.shape[1]).mean(1) for name, value in values.items()}
    whole = statistic({name: value.mean(0) for name, value in grouped.items()})
    # leave one batch out: the bias of a ratio of means is taken care of
    left_out = {name: (value.sum(0) - value) / (batches - 1) for name, value in grouped.items()}
    replicates = statistic(left_out)
    error = ((batches - 1) / batches * (replicates - replicates.mean(0)).square().sum(0)).sqrt()
    return batches * whole - (batches - 1) * replicates.mean(0), error


def extrapolated(
    widths: Sequence[int], values: Float[Tensor, "widths layers"], errors: Float[Tensor, "widths layers"]
) -> tuple[Float[Tensor, " layers"], Float[Tensor, " layers"]]:
    """Limit of infinite width by a polynomial in 1/width through all widths, and its standard error.

    Args:
        widths: as many as the polynomial has coefficients.
        values: at each width.
        errors: standard errors of the values.
    """
    powers = torch.tensor(
        [[float(widths[0] / n) ** k for k in range(len(widths))] for n in widths], dtype=torch.float64
    )
    weights = torch.linalg.inv(powers)[0]
    return (weights[:, None] * values).sum(0), (weights[:, None] ** 2 * errors**2).sum(0).sqrt()
