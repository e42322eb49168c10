"""The weights of a network as the arrays of an artifact, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def pack(net: nn.Module, prefix: str = "") -> dict[str, np.ndarray]:
    """Parameters and buffers of ``net`` as numpy arrays, each name behind ``prefix``."""
    return {f"{prefix}{name}": value.detach().cpu().numpy() for name, value in net.state_dict().items()}


def unpack(net: Network, arrays: Mapping[str, Any], prefix: str = "") -> Network:
    """``net`` with the weights that :func:`pack` took under ``prefix``; other entries of ``arrays`` are left out.

    Raises:
        KeyError: a weight of ``net`` is missing.
        RuntimeError: a shape differs.
    """
    # A copy: torch refuses to share memory with arrays that are read-only.
    net.load_state_dict({name: torch.from_numpy(np.array(arrays[f"{prefix}{name}"])) for name in net.state_dict()})
    return net
