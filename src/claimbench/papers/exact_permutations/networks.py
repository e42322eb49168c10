"""Finite-width two-layer ReLU networks, many at once on one device.

Three trainings of the same task (the k basis vectors to their images):

- ``readout``: only the second layer moves, solved exactly (the minimum-norm change of V that fits the training set);
- ``ntk``: both layers, NTK parametrisation, full-batch gradient descent with step 1 / lambda_max of the limiting
kernel;
- ``official``: the released code's recipe: standard parametrisation, biases, one learning rate, 10,000 steps of
full-batch SGD.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from claimbench.papers.exact_permutations import kernels

Hidden = Float[Tensor, "models width k"]
Readout = Float[Tensor, "models k width"]
Targets = Float[Tensor, "k k"]
Inputs = Float[Tensor, "inputs k"]
Outputs = Float[Tensor, "models k inputs"]
#: w (models, width, k), b (models, width, 1), v (models, k, width), a (models, k, 1)
Official = tuple[Tensor, ...]

#: numbers of a layer's weights that a CPU trains at once
CACHED = 100_000


def initial(models: int, width: int, k: int, generator: torch.Generator, device: str = "cpu") -> tuple[Hidden, Readout]:
    """Standard normal W and V, drawn on the CPU whatever the device."""
    w = torch.randn(models, width, k, generator=generator)
    v = torch.randn(models, k, width, generator=generator)
    return w.to(device), v.to(device)


def train_readout(w: Hidden, v: Readout, targets: Targets) -> Readout:
    """Gradient flow of the second layer to its end: ``V + (Y - F) (R^T R)^{-1} R^T`` in the scaling of the network.

    Args:
        w: first layers.
        v: second layers.
        targets: column i is the image of basis vector i.

    Returns:
        The trained second layers.
    """
    width, k = w.shape[1:]
    if w.device.type == "cpu" and len(w) > (few := max(1, CACHED // (width * k))):
        return torch.cat([train_readout(*part, targets) for part in zip(w.split(few), v.split(few), strict=True)])
    features = torch.relu(w) / math.sqrt(width * k)
    gram = features.mT @ features
    residual = targets - v @ features
    return v + torch.linalg.solve(gram, residual, left=False) @ features.mT


def train_ntk(
    w: Hidden, v: Readout, targets: Targets, tolerance: float = 2e-5, most_steps: int = 1000
) -> tuple[Hidden, Readout, int, float]:
    """Gradient descent on half the squared loss, both layers, step 1 / lambda_max of the limiting Gram matrix.

    Args:
        w: first layers, standard normal (NTK parametrisation).
        v: second layers.
        targets: column i is the image of basis vector i.
        tolerance: largest residual that may be left.
        most_steps: the end where it is never reached.

    Returns:
        Both layers, the number of steps, and the largest residual left in any model.
    """
    width, k = w.shape[1:]
    few = max(1, CACHED // (width * k))
    if w.device.type == "cpu" and len(w) > few:  # a batch leaves the cache
        parts = [
            train_ntk(*part, targets, tolerance, most_steps) for part in zip(w.split(few), v.split(few), strict=True)
        ]
        ws, vs, steps, residuals = zip(*parts, strict=True)
        return torch.cat(ws), torch.cat(vs), max(steps), max(residuals)
    step = k / (1.0 - kernels.C + k * kernels.C)
    w, v = w.clone(), v.clone()
    scale = 1.0 / math.sqrt(width * k)
    residual_max = math.inf
    features, back = torch.empty_like(w), torch.empty_like(w)  # bound by memory: every step in place
    for done in range(most_steps):
        torch.clamp_min(w, 0, out=features)  # training inputs are basis vectors: column i of W
        residual = torch.baddbmm(-targets.expand(len(w), k, k), v, features, alpha=scale)
        if done % 10 == 0:
            residual_max = float(residual.abs().max())
            if residual_max < tolerance or not math.isfinite(residual_max):
                break
        torch.bmm(v.mT, residual, out=back)
        torch.ops.aten.threshold_backward.grad_input(back, features, 0, grad_input=back)
        v.baddbmm_(residual, features.mT, alpha=-step * scale)
        w.sub_(back, alpha=step * scale)
    return w, v, done, residual_max


def outputs(w: Hidden, v: Readout, inputs: Inputs) -> Outputs:
    """Network outputs, NTK parametrisation."""
    width, k = w.shape[1:]
    if w.device.type == "cpu" and len(w) > (few := max(1, CACHED // (width * len(inputs)))):
        return torch.cat([outputs(*part, inputs) for part in zip(w.split(few), v.split(few), strict=True)])
    return v @ torch.relu_(w @ inputs.T) / math.sqrt(width * k)


def official_initial(models: int, width: int, k: int, generator: torch.Generator, device: str = "cpu") -> Official:
    """The released initialisation: weights N(0, 1 / fan_in), biases zero; drawn on the CPU whatever the device."""
    w = torch.randn(models, width, k, generator=generator) / math.sqrt(k)
    v = torch.randn(models, k, width, generator=generator) / math.sqrt(width)
    return tuple(part.to(device) for part in (w, torch.zeros(models, width, 1), v, torch.zeros(models, k, 1)))


def train_official(parameters: Official, targets: Targets, steps: int, learning_rate: float) -> Official:
    """The released recipe (model.py, experiment.py): ``Linear -> ReLU -> Linear`` with biases, full-batch SGD.

    The loss is the squared error averaged over batch and outputs; the batch of 256 exceeds k, so it is full.

    Args:
        parameters: as :func:`official_initial` gives them.
        targets: column i is the image of basis vector i.
        steps: of gradient descent.
        learning_rate: of both layers.

    Returns:
        The trained parameters.
    """
    if parameters[0].device.type == "cpu" and len(parameters[0]) > 1:  # a batch leaves the cache
        trained = [
            train_official(network, targets, steps, learning_rate)
            for network in zip(*(part.split(1) for part in parameters), strict=True)
        ]
        return tuple(torch.cat(part) for part in zip(*trained, strict=True))
    k = targets.shape[0]
    w, b, v, a = (part.clone() for part in parameters)
    rate = learning_rate * 2.0 / k**2  # derivative of the mean over k x k entries
    hidden, back = torch.empty_like(w), torch.empty_like(w)  # the loop is bound by memory: every step in place
    for _ in range(steps):
        torch.add(w, b, out=hidden).relu_()
        residual = torch.baddbmm(a - targets, v, hidden)
        torch.bmm(v.mT, residual, out=back)
        torch.ops.aten.threshold_backward.grad_input(back, hidden, 0, grad_input=back)
        v.baddbmm_(residual, hidden.mT, alpha=-rate)
        a.sub_(residual.sum(dim=2, keepdim=True), alpha=rate)
        w.sub_(back, alpha=rate)
        b.sub_(back.sum(dim=2, keepdim=True), alpha=rate)
    return w, b, v, a


def official_outputs(parameters: Official, inputs: Inputs) -> Outputs:
    """Outputs of the released networks."""
    w, b, v, a = parameters
    return v @ torch.relu(w @ inputs.T + b) + a
