"""Networks of one shape that are trained side by side, as one (:func:`torch.vmap`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Shaped
from torch import Tensor, nn


class Stack(nn.Module):
    """Networks of one shape with their weights stacked: one product for all in place of one for each.

    Args:
        nets: the networks; their weights are copied. What needs no gradient in one must need none in any.
    """

    def __init__(self, nets: Sequence[nn.Module]) -> None:
        super().__init__()
        parameters, buffers = torch.func.stack_module_state(list(nets))
        self.names, self.fixed = list(parameters), list(buffers)
        self.weights = nn.ParameterList(
            nn.Parameter(value.detach(), requires_grad=value.requires_grad) for value in parameters.values()
        )
        for index, value in enumerate(buffers.values()):
            self.register_buffer(f"buffer_{index}", value)
        self._shape = [nets[0]]  # in a list, so that it is no part of this module

    def forward(self, x: Shaped[Tensor, "networks ..."]) -> Shaped[Tensor, "networks ..."]:
        """What every network makes of its own inputs."""
        if len(x) == 1:  # attention has no rule for a stack
            only = {name: value[0] for name, value in self._state().items()}
            return cast(Tensor, torch.func.functional_call(self._shape[0], only, (x[0],)))[None]
        every = torch.vmap(lambda state, own: torch.func.functional_call(self._shape[0], state, (own,)))
        return cast(Tensor, every(self._state(), x))

    def one(self, index: int) -> dict[str, Any]:
        """Weights of one network as the arrays of an artifact; :func:`claimbench.nn.state.unpack` reads them."""
        return {name: value[index].detach().cpu().numpy() for name, value in self._state().items()}

    def _state(self) -> dict[str, Tensor]:
        buffers = {name: cast(Tensor, getattr(self, f"buffer_{index}")) for index, name in enumerate(self.fixed)}
        return dict(zip(self.names, self.weights, strict=True)) | buffers
