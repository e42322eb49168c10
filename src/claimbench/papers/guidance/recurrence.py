"""A recurrent tanh layer whose way back over the places is written out: on the CPU a step of autograd for every place
costs several times the arithmetic. The parameters and the function are those of :class:`torch.nn.RNN`."""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

Sequences = Float[Tensor, "n length _"]
State = Float[Tensor, "1 n width"]


class _Recurrence(torch.autograd.Function):
    """States (length, n, width) of h_t = tanh(u_t + h_(t-1) W^T) for inputs u (length, n, width)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, start: Tensor) -> Tensor:
        states, across = inputs.new_empty(inputs.shape), weight.T
        state = start
        for given, found in zip(inputs.unbind(), states.unbind(), strict=True):
            state = torch.addmm(given, state, across, out=found).tanh_()
        ctx.save_for_backward(states, weight, start)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, weight, start = ctx.saved_tensors
        found, slopes = torch.empty_like(states), 1 - states * states
        upper, slope, into = gradients[0].unbind(), slopes.unbind(), found.unbind()
        later = torch.mul(upper[-1], slope[-1], out=into[-1])
        for place in range(len(into) - 2, -1, -1):
            later = torch.addmm(upper[place], later, weight, out=into[place]).mul_(slope[place])
        before = torch.cat([start[None], states[:-1]])
        return found, found.flatten(0, 1).T @ before.flatten(0, 1), found[0] @ weight


class TanhLayer(nn.RNN):
    """One layer of :class:`torch.nn.RNN`, batch first, with its parameters and what it gives.

    Args:
        inputs: width of the inputs.
        width: of the states.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, batch_first=True)

    def forward(self, x: Sequences, start: State | None = None) -> tuple[Sequences, State]:
        """States at every place and the last one; they start from ``start``, or from zeros."""
        if x.is_cuda:
            return cast("tuple[Tensor, Tensor]", super().forward(x, start))
        given = nn.functional.linear(x.transpose(0, 1), self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)
        first = x.new_zeros(len(x), self.hidden_size) if start is None else start[0]
        states = cast(Tensor, _Recurrence.apply(given, self.weight_hh_l0, first))
        return states.transpose(0, 1), states[-1:]
