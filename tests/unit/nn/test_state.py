"""Weights of a network as arrays, and back."""

from __future__ import annotations

import pytest
import torch

from claimbench.nn.state import pack, unpack


def test_a_network_comes_back() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    arrays = pack(net, "net/")
    assert set(arrays) == {f"net/{name}" for name in net.state_dict()}
    fresh = unpack(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)), {**arrays, "other": 1}, "net/")
    x = torch.ones(2, 3)
    assert torch.equal(fresh.eval()(x), net.eval()(x))
    arrays["net/0.bias"][:] = 7.0
    assert not torch.equal(fresh[0].bias, torch.full((4,), 7.0))


def test_a_missing_weight_is_named() -> None:
    with pytest.raises(KeyError, match="net/weight"):
        unpack(torch.nn.Linear(2, 1), {}, "net/")
