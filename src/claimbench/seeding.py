"""Independent random streams from one seed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

#: raised when what this module gives changes; it stands for the module in the keys of runs
SEMANTICS = 1


def stream_seed(seed: int, name: str) -> int:
    """A 63-bit seed for the stream ``name`` of a run: the first 8 bytes of sha256("seed/name"), top bit cleared.

    Streams of different names or seeds are independent for every practical purpose, and adding a stream changes no
    other.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big") >> 1


def rng(seed: int, name: str) -> np.random.Generator:
    """A numpy generator for the stream ``name``."""
    import numpy as np

    return np.random.default_rng(stream_seed(seed, name))


def torch_generator(seed: int, name: str, device: str = "cpu") -> torch.Generator:
    """A torch generator for the stream ``name``; on the CPU by default, so that numbers do not depend on the device."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, name))
