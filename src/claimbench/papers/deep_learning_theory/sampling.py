"""Ensembles of random networks, sampled exactly.

For one input, ``z_{l+1}`` given layer l is a vector of independent Gaussians of variance ``C_b + C_W Q_l`` with
``Q_l`` the mean of ``s(z)^2``: n normals a layer instead of n^2. The dense path draws the weights themselves and is
the check.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from claimbench.papers.deep_learning_theory.activations import Activation


def gram(
    activation: Activation,
    width: int,
    layers: int,
    nets: int,
    C_W: float,
    C_b: float,
    K1: float,
    generator: torch.Generator,
    gamma: float = 0.0,
    batch_floats: int = 4_000_000,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Per network and layer, without weights.

    Args:
        activation: ``s``.
        width: of every layer.
        layers: number of preactivation layers.
        nets: number of networks.
        C_W, C_b: variances of the initialisation (weights over the width).
        K1: variance of the first layer.
        generator: its device is used.
        gamma: weight of the skip connection.
        batch_floats: preactivations held at once.

    Returns:
        ``squares`` (nets, layers): mean of z^2 over the neurons. ``kernels`` (nets, layers): for gamma = 0 the
        variance of the layer's neurons given the layer before; else the mean over pairs of different neurons of z_i^2
        z_j^2. float64.
    """
    device = generator.device
    squares = torch.empty(nets, layers, dtype=torch.float64, device=device)
    kernels = torch.empty(nets, layers, dtype=torch.float64, device=device)
    for first in range(0, nets, max(1, batch_floats // width)):
        rows = slice(first, min(nets, first + max(1, batch_floats // width)))
        n = rows.stop - rows.start
        z = math.sqrt(K1) * torch.randn(n, width, generator=generator, device=device)
        kernel = torch.full((n,), K1, dtype=torch.float32, device=device)
        for layer in range(layers):
            square = z * z
            mean = square.mean(1, dtype=torch.float64)
            squares[rows, layer] = mean
            if gamma:
                fourth = (square * square).mean(1, dtype=torch.float64)
                kernels[rows, layer] = (width * mean**2 - fourth) / (width - 1)
            else:
                kernels[rows, layer] = kernel.double()
            if layer + 1 < layers:
                kernel = C_b + C_W * activation.value(z).square().mean(1)
                drawn = torch.randn(n, width, generator=generator, device=device)
                z = torch.addcmul(gamma * z, kernel.sqrt()[:, None], drawn)
    return squares, kernels


def dense(
    activation: Activation,
    width: int,
    layers: int,
    nets: int,
    C_W: float,
    C_b: float,
    K1: float,
    generator: torch.Generator,
    batch: int = 500,
    inputs: int = 16,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`gram` for gamma = 0, with every weight drawn, those of the first layer on an input of ``inputs``
    features: ``squares`` and the pair means of z_i^2 z_j^2 (nets, layers)."""
    device = generator.device
    squares = torch.empty(nets, layers, dtype=torch.float64, device=device)
    pairs = torch.empty_like(squares)
    x = torch.linspace(1.0, 2.0, inputs, device=device)
    x *= math.sqrt((K1 - C_b) / C_W * inputs) / x.norm()
    for first in range(0, nets, batch):
        rows = slice(first, min(nets, first + batch))
        n = rows.stop - rows.start
        h = x.expand(n, -1)
        for layer in range(layers):
            fan_in = h.shape[1]
            W = torch.randn(n, width, fan_in, generator=generator, device=device) * math.sqrt(C_W / fan_in)
            z = torch.bmm(W, h[:, :, None])[:, :, 0]
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
    batch: int = 200,
) -> dict[str, torch.Tensor]:
    """The whole NTK of one input by its layer recursion (eq. 8.12), C_b = lambda_b = 0, lambda_W = 1.

    Returns:
        Per network and layer (nets, layers), float64: ``Theta`` mean of H_ii; and means over pairs i != j of ``HH``
        H_ii H_jj, ``H2`` H_ij^2, ``zH`` z_i^2 H_jj, ``zzH`` z_i z_j H_ij; ``z2`` mean of z_i^2.
    """
    device = generator.device
    found = {
        name: torch.empty(nets, layers, dtype=torch.float64, device=device)
        for name in ("Theta", "HH", "H2", "zH", "zzH", "z2")
    }
    pairs = width * (width - 1)
    for first in range(0, nets, batch):
        rows = slice(first, min(nets, first + batch))
        n = rows.stop - rows.start
        z = math.sqrt(K1) * torch.randn(n, width, generator=generator, device=device)
        H = Theta1 * torch.eye(width, device=device).expand(n, -1, -1)
        for layer in range(layers):
            diagonal, square = H.diagonal(dim1=1, dim2=2).double(), (z * z).double()
            found["Theta"][rows, layer] = diagonal.mean(1)
            found["z2"][rows, layer] = square.mean(1)
            found["HH"][rows, layer] = (diagonal.sum(1) ** 2 - (diagonal**2).sum(1)) / pairs
            found["H2"][rows, layer] = (H.double().square().sum((1, 2)) - (diagonal**2).sum(1)) / pairs
            found["zH"][rows, layer] = (square.sum(1) * diagonal.sum(1) - (square * diagonal).sum(1)) / pairs
            zHz = torch.einsum("bi,bij,bj->b", z.double(), H.double(), z.double())
            found["zzH"][rows, layer] = (zHz - (square * diagonal).sum(1)) / pairs
            if layer + 1 < layers:
                W = torch.randn(n, width, width, generator=generator, device=device) * math.sqrt(C_W / width)
                s, slope = activation.value(z), activation.slope(z)
                Ws = W * slope[:, None, :]
                H = torch.bmm(torch.bmm(Ws, H), Ws.transpose(1, 2))
                H = H + torch.eye(width, device=device) * s.square().mean(1)[:, None, None]
                z = torch.bmm(W, s[:, :, None])[:, :, 0]
    return found


def batch_errors(
    values: dict[str, torch.Tensor], statistic: Any, batches: int = 50
) -> tuple[torch.Tensor, torch.Tensor]:
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


def extrapolated(widths: list[int], values: torch.Tensor, errors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Limit of infinite width of values (widths, layers) by a polynomial in 1/width through all of them."""
    powers = torch.tensor(
        [[float(widths[0] / n) ** k for k in range(len(widths))] for n in widths], dtype=torch.float64
    )
    weights = torch.linalg.inv(powers)[0]
    return (weights[:, None] * values).sum(0), (weights[:, None] ** 2 * errors**2).sum(0).sqrt()
