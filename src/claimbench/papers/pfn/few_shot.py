"""Few-shot classification of characters: a network fitted to strokes, fine-tuned or not, beside 1-NN and regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from claimbench.nn import state
from claimbench.nn.prior_fitted import PriorFittedTransformer, schedule
from claimbench.papers.pfn import strokes
from claimbench.training import Loop

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run

#: of the pixels of strokes and of characters, about
INKED, SPREAD = 0.1, 0.2


class ClassEmbedding(nn.Module):
    """A vector for each class, in place of the linear map of a value: labels (..., 1) to (..., width)."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(classes, width)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Vectors (..., width) of labels (..., 1)."""
        return self.table(y[..., 0].long())


def build(run: Run) -> PriorFittedTransformer:
    """A transformer on pixels whose labels are classes (Section 7), freshly initialised."""
    h = run.h
    with run.torch_stream("init"):
        net = PriorFittedTransformer(h.side**2, h.classes, h.width, h.layers, h.heads, h.inner, h.dropout)
        net.encode_y = ClassEmbedding(h.classes, h.width)
    return net


def load(run: Run, artifact: dict[str, Any]) -> PriorFittedTransformer:
    """The network of an artifact, ready to answer."""
    return state.unpack(build(run), artifact, "net/").eval()


def shrunk(images: torch.Tensor, side: int) -> torch.Tensor:
    """Images (..., height, width) in [0, 1] averaged down to (..., side * side), about standardised."""
    small = F.adaptive_avg_pool2d(images.flatten(0, -3)[:, None], side)
    # Deviates: on plain pixels, a tenth of which are inked, small networks do not leave the loss of guessing.
    return (small.reshape(*images.shape[:-2], side * side) - INKED) / SPREAD


def characters(x: np.ndarray[Any, Any]) -> torch.Tensor:
    """Drawings (n, height, width), 0 without ink, as images (n, 28, 28) in [0, 1], the size of the prior's."""
    full = torch.from_numpy(x.astype(np.float32) / max(1, x.max()))
    return F.adaptive_avg_pool2d(full[:, None], strokes.SIDE)[:, 0]


def fit_strokes(run: Run) -> dict[str, Any]:
    """A network that is fitted to the prior of strokes."""
    h = run.h
    tasks = run.torch_generator("tasks", "cpu")

    def drawn() -> tuple[torch.Tensor, torch.Tensor]:
        x, y = strokes.draw(h.batch, h.classes, h.shots, h.queries, tasks)
        return shrunk(x, h.side), y

    return _train(run, "strokes", build(run), tasks, drawn, h.steps, h.learning_rate)


def fine_tune(run: Run, artifact: dict[str, Any], x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The network of an artifact, fitted further to tasks from background alphabets.

    Args:
        x: drawings (n, height, width).
        y: (n,) character numbers, alphabets in hundreds.
    """
    h = run.h
    tasks = run.torch_generator("alphabets", "cpu")
    images, numbers = characters(x), torch.from_numpy(y)

    def drawn() -> tuple[torch.Tensor, torch.Tensor]:
        found, labels = alphabet_tasks(images, numbers, h.fine_batch, h.classes, h.shots, h.queries, tasks)
        return shrunk(found, h.side), labels

    return _train(run, "alphabets", load(run, artifact).train(), tasks, drawn, h.fine_steps, h.fine_rate)


def _train(
    run: Run, name: str, net: nn.Module, tasks: torch.Generator, drawn: Any, steps: int, rate: float
) -> dict[str, Any]:
    net = net.to(run.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate, fused=True)
    n = run.h.classes * run.h.shots
    for step in Loop(run, name, steps, net=net, adam=optimizer, tasks=tasks):
        x, y = (part.to(run.device) for part in drawn())
        outputs = net(x, y[:, :n].float())
        loss = F.cross_entropy(outputs.flatten(0, 1), y[:, n:].flatten())
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, steps, rate)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % run.h.log_every == 0 or step + 1 == steps:
            run.curve(f"train/{name}", step + 1, run.finite(float(loss.detach())))
    run.count(n_params=sum(p.numel() for p in net.parameters()), steps=steps)
    return state.pack(net, "net/")


def alphabet_tasks(
    images: torch.Tensor,
    y: torch.Tensor,
    tasks: int,
    classes: int,
    shots: int,
    queries: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tasks of the first characters of an alphabet in any order, each drawing shifted on its own: images (tasks,
    points, 28, 28), classes (tasks, points).

    Args:
        images: (n, 28, 28).
        y: (n,) character numbers, alphabets in hundreds.
    """
    alphabets = torch.unique(y // 100)
    chosen = alphabets[torch.randint(len(alphabets), (tasks,), generator=generator)]
    x, labels = [], []
    for alphabet in chosen:
        own = torch.unique(y[y // 100 == alphabet])[:classes][torch.randperm(classes, generator=generator)]
        known = torch.arange(classes).repeat(shots)
        label = torch.cat([known, torch.randint(classes, (queries,), generator=generator)])
        rows = torch.zeros_like(label)
        for k, character in enumerate(own):
            place = torch.nonzero(label == k)[:, 0]
            drawings = torch.nonzero(y == character)[:, 0]
            rows[place] = drawings[torch.randperm(len(drawings), generator=generator)[: len(place)]]
        x.append(shifted(images[rows], generator))
        labels.append(label)
    return torch.stack(x), torch.stack(labels)


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images (n, side, side), each moved by a random whole number of pixels in both directions, as far as its ink (what
    is not 0) stays inside."""
    n, side = len(images), images.shape[1]
    for axis in (1, 2):
        inked = (images > 0).any(3 - axis).float()
        first, behind = inked.argmax(1), inked.flip(1).argmax(1)
        shift = (torch.rand(n, generator=generator) * (first + behind + 1)).long() - first
        source = (torch.arange(side) - shift[:, None]) % side  # what comes round is empty
        images = images.gather(axis, source.unsqueeze(3 - axis).expand_as(images))
    return images


def asked(run: Run, data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (tasks, points, side * side) of a split's tasks, and the classes (tasks, labelled) of the first points."""
    images = shrunk(characters(data.arrays["test_x"]), run.h.side)
    return images[torch.from_numpy(data.arrays["places"])], torch.from_numpy(data.arrays["shown"])


def by_network(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> np.ndarray[Any, Any]:
    """Classes (tasks, queries) of the unlabelled points of ``x`` (tasks, points, pixels), given ``y`` (tasks, n)."""
    with torch.no_grad():
        return net(x, y.float()).argmax(-1).numpy()


def by_nearest(x: torch.Tensor, y: torch.Tensor) -> np.ndarray[Any, Any]:
    """As :func:`by_network`, the class of the nearest labelled point."""
    n = y.shape[1]
    return y.gather(1, torch.cdist(x[:, n:], x[:, :n]).argmin(-1)).numpy()


def by_regression(x: torch.Tensor, y: torch.Tensor) -> np.ndarray[Any, Any]:
    """As :func:`by_network`, by a logistic regression for each task."""
    from sklearn.linear_model import LogisticRegression

    n = y.shape[1]
    return np.stack(
        [
            LogisticRegression(max_iter=500).fit(a[:n], b).predict(a[n:])
            for a, b in zip(x.numpy(), y.numpy(), strict=True)
        ]
    )
