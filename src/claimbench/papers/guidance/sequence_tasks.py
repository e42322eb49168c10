"""The generated tasks: copy-paste and parity, and the closed form of a network that has not learned to copy."""

from __future__ import annotations

import torch

SYMBOLS = 10
COPY, END = SYMBOLS + 1, SYMBOLS + 2
COPY_TOKENS = 13
PARITY_TOKENS = 3


def copy_paste(
    n: int, shortest: int, longest: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """L symbols 0 to 9, the copy token, L zeros, the end token; the answer is L + 1 zeros, the symbols, the end token.

    Symbol 0 is also the padding, which is neither trained nor scored (as in the released code).

    Returns:
        Tokens and answers (n, 2 longest + 2), lengths L (n,), uniform from ``shortest`` to ``longest``.
    """
    lengths = torch.randint(shortest, longest + 1, (n,), generator=generator)
    symbols = torch.randint(SYMBOLS, (n, longest), generator=generator)
    place, size = torch.arange(2 * longest + 2)[None], lengths[:, None]
    copied = torch.nn.functional.pad(symbols, (0, longest + 2))
    x = torch.where(place < size, copied, 0)
    x = torch.where(place == size, COPY, x)
    x = torch.where(place == 2 * size + 1, END, x)
    later = copied.gather(1, (place - size - 1).clamp_min(0))
    answer = torch.where((place > size) & (place <= 2 * size), later, 0)
    return x, torch.where(place == 2 * size + 1, END, answer), lengths


def parity(
    n: int, shortest: int, longest: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Strings of bits, padded with 2, and whether the number of ones is odd.

    Returns:
        Tokens (n, longest), answers (n,), lengths (n,), uniform from ``shortest`` to ``longest``.
    """
    lengths = torch.randint(shortest, longest + 1, (n,), generator=generator)
    bits = torch.randint(2, (n, longest), generator=generator)
    inside = torch.arange(longest)[None] < lengths[:, None]
    return torch.where(inside, bits, 2), (bits * inside).sum(1) % 2, lengths
