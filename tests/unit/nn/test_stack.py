"""Stacked networks against the same ones by themselves."""

from __future__ import annotations

import torch
from torch import nn

from claimbench.nn.stack import Stack
from claimbench.nn.state import unpack
from claimbench.nn.transformer import PatchTransformer


def networks(kind: str) -> tuple[list[nn.Module], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    if kind == "transformer":
        return [PatchTransformer(1, 4, 2, 8, 2, 2, 3, 16, False)], torch.randn(1, 5, 1, 4, 4, generator=generator)
    nets: list[nn.Module] = [nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)) for _ in range(3)]
    for index, net in enumerate(nets):
        net[0].register_buffer("shift", torch.full((6,), float(index)))  # type: ignore[index, operator]
        net[0].requires_grad_(False)  # type: ignore[index]
    return nets, torch.randn(3, 5, 4, generator=generator)


def test_networks_of_a_stack_put_out_and_learn_what_they_do_alone() -> None:
    for kind in ("layers", "transformer"):
        torch.manual_seed(0)
        nets, x = networks(kind)
        stack = Stack(nets)
        found = stack(x)
        found.square().sum().backward()
        for index, net in enumerate(nets):
            expected = net(x[index])
            torch.testing.assert_close(found[index], expected)
            expected.square().sum().backward()
            for name, value in net.named_parameters():
                own = stack.weights[stack.names.index(name)]
                assert own.requires_grad == value.requires_grad
                if value.requires_grad:
                    assert own.grad is not None
                    torch.testing.assert_close(own.grad[index], value.grad, rtol=1e-4, atol=1e-5)


def test_one_network_of_a_stack_is_packed_like_any_other() -> None:
    nets, x = networks("layers")
    stack = Stack(nets)
    with torch.no_grad():
        for weight in stack.weights:
            weight += 1.0
    again = unpack(networks("layers")[0][0], stack.one(2))
    torch.testing.assert_close(again(x[2]), stack(x)[2])
    assert float(again[0].shift[0]) == 2.0  # type: ignore[index]
    assert len(list(stack.parameters())) == 4
    assert stack.state_dict().keys() == Stack(nets).state_dict().keys()
