"""A prior of characters for few-shot learning: a class is one to three straight strokes (Section 7).

All images of a batch are drawn at once, as distances of pixels from segments.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

SIDE = 28
START, LENGTH = (2.0, 25.0), (5.0, 20.0)
OFFSET, JITTER, PEN, GREY = 4.0, 2.0, (1, 4), (200, 254)
BLUR = 0.2


def _uniform(low: float, high: float, size: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(size, generator=generator)


def segments(
    classes: int, generator: torch.Generator
) -> tuple[Float[Tensor, "classes 3 2 2"], Bool[Tensor, "classes 3"]]:
    """Strokes of classes: ends (classes, 3, 2 ends, 2) in pixels, and which of the three exist (classes, 3).

    A direction is redrawn until the end lies in the image; after every third failure so are start and length.
    """
    present = torch.arange(3) < torch.randint(1, 4, (classes, 1), generator=generator)
    start, end = torch.zeros(classes, 3, 2), torch.full((classes, 3, 2), -1.0)
    length = torch.zeros(classes, 3)
    missing = torch.ones(classes, 3, dtype=torch.bool)
    failures = 0
    while bool(missing.any()):
        if failures % 3 == 0:
            start = torch.where(missing[..., None], _uniform(*START, (classes, 3, 2), generator), start)
            length = torch.where(missing, _uniform(*LENGTH, (classes, 3), generator), length)
        angle = _uniform(0, 2 * math.pi, (classes, 3), generator)
        tried = start + length[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
        end = torch.where(missing[..., None], tried, end)
        missing = missing & ~((end >= 0) & (end <= SIDE - 1)).all(-1)
        failures += 1
    return torch.stack([start, end], 2), present


def render(
    ends: Float[Tensor, "n 3 2 2"], present: Bool[Tensor, "n 3"], generator: torch.Generator
) -> Float[Tensor, "n 28 28"]:
    """Images (n, 28, 28) in [0, 1] of strokes (n, 3, 2, 2): each with its own pen, place, jitter and greys."""
    n = len(ends)
    offset = _uniform(-OFFSET, OFFSET, (n, 1, 1, 2), generator)
    ends = ends + offset + _uniform(-JITTER, JITTER, tuple(ends.shape), generator)
    pen = torch.randint(PEN[0], PEN[1] + 1, (n, 1, 1, 1), generator=generator)
    axis = torch.arange(SIDE, dtype=torch.float32)
    reach = (pen[:, 0] / 2) ** 2
    inked = torch.zeros(n, SIDE, SIDE, dtype=torch.bool)
    for stroke in range(ends.shape[1]):  # one at a time stays in the cache
        members = present[:, stroke].nonzero()[:, 0]
        start, along = ends[members, stroke, 0], (ends[members, stroke, 1] - ends[members, stroke, 0])[..., None, None]
        # offsets of a pixel from the stroke's start are a row's and a column's: (m, 28, 1) and (m, 1, 28)
        down, right = axis[:, None] - start[:, 0, None, None], axis - start[:, 1, None, None]
        place = down * along[:, 0] + right * along[:, 1]
        place = place.div_(along.square().sum(1).clamp_min(1e-6)).clamp_(0, 1)
        distance = (down - place * along[:, 0]).square_().add_((right - place * along[:, 1]).square_())
        inked[members] |= distance <= reach[members]
    grey = torch.randint(GREY[0], GREY[1] + 1, (n, SIDE, SIDE), generator=generator) / 255
    return blurred(inked * grey)


def blurred(images: Float[Tensor, "n height width"]) -> Float[Tensor, "n height width"]:
    """Images (n, h, w) under a Gaussian of 0.2 pixels, integrated over each pixel."""
    inside = math.erf(0.5 / (BLUR * math.sqrt(2)))
    kernel = torch.tensor([(1 - inside) / 2, inside, (1 - inside) / 2])
    square = (kernel[:, None] * kernel)[None, None]
    return F.conv2d(images[:, None], square.to(images), padding=1)[:, 0]


def draw(
    tasks: int, classes: int, shots: int, queries: int, generator: torch.Generator
) -> tuple[Float[Tensor, "tasks points 28 28"], Int[Tensor, "tasks points"]]:
    """Few-shot tasks: images (tasks, points, 28, 28) and classes (tasks, points).

    The first ``classes * shots`` points are labelled, their classes take turns; the queries are of random classes.
    """
    ends, present = segments(tasks * classes, generator)
    known = torch.arange(classes).repeat(shots).expand(tasks, -1)
    asked = torch.randint(classes, (tasks, queries), generator=generator)
    y = torch.cat([known, asked], 1)
    which = (torch.arange(tasks)[:, None] * classes + y).flatten()
    images = render(ends[which], present[which], generator)
    return images.view(tasks, -1, SIDE, SIDE), y
