"""Training image classifiers, with and without a guide (Section 3; image experiments of Section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from claimbench.nn.state import unpack
from claimbench.papers.guidance import convolutional, fully_connected
from claimbench.papers.guidance.alignment import CachedGuide, LiveGuide, centred_norm, dissimilarity, layer_pairs
from claimbench.training import StackLoop

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run

Target = fully_connected.FullyConnected | convolutional.Stacked
Arrays = dict[str, np.ndarray[Any, Any]]


class Images(Protocol):
    """Training and validation images, as standardised rows (n, channels * height * width) float32.

    ``shape`` is channels, height, width; ``n`` the number of training images; what was subtracted and divided by,
    for each channel, is ``shift`` and ``scale``.
    """

    shape: tuple[int, int, int]
    n: int
    shift: np.ndarray[Any, Any]
    scale: np.ndarray[Any, Any]

    def batch(self, chosen: np.ndarray[Any, Any], step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Training images with these numbers, and their labels; the step picks the augmentation, if there is any."""
        ...

    def validation(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of validation images and labels."""
        ...


class ArrayImages:
    """:class:`Images` that fit into memory."""

    def __init__(self, data: Data) -> None:
        x, y = channels_first(data.arrays["x"]), torch.from_numpy(data.arrays["y"])
        train, val = data.arrays["train_idx"], data.arrays["val_idx"]
        self.shift, self.scale = x[train].mean((0, 2, 3)), x[train].std((0, 2, 3)) + 1e-8
        rows = standardised(x, self.shift, self.scale)
        self.x, self.y, self._val = rows[train], y[train], (rows[val], y[val])
        self.shape, self.n = (x.shape[1], x.shape[2], x.shape[3]), len(train)

    def batch(self, chosen: np.ndarray[Any, Any], step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(chosen)
        return self.x[rows], self.y[rows]

    def validation(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield self._val


def images_of(run: Run, data: Data) -> Images:
    """Images in memory, or the files of a folder."""
    if data.info["kind"] == "folder":
        from claimbench.papers.guidance.image_folder import FolderImages

        return FolderImages(run, data)
    return ArrayImages(data)


def channels_first(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(n, channels, height, width) float32 of images (n, height, width) or (n, height, width, channels)."""
    x = x.astype(np.float32)
    return x[:, None] if x.ndim == 3 else np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def standardised(x: np.ndarray[Any, Any], shift: np.ndarray[Any, Any], scale: np.ndarray[Any, Any]) -> torch.Tensor:
    """Rows (n, features) of images (n, channels, height, width)."""
    return torch.from_numpy(((x - shift[:, None, None]) / scale[:, None, None]).reshape(len(x), -1))


def build(runs: list[Run], kind: str, shape: tuple[int, int, int], stream: str = "init") -> Target:
    """The networks of ``runs``, freshly drawn: a stack for ``deep-fcn`` and ``wide-fcn``, else of one run."""
    h = runs[0].h
    if kind in ("deep-fcn", "wide-fcn"):
        sizes = [int(np.prod(shape)), h.first_width, *[h.width] * (h.hidden_layers - 1), h.classes]
        return fully_connected.FullyConnected(sizes, [run.torch_generator(stream, device="cpu") for run in runs])
    (run,) = runs
    with run.torch_stream(stream):
        return convolutional.Stacked(convolutional.network(kind, shape, h.classes, h.shapes[kind]), shape)


def load(run: Run, kind: str, shape: tuple[int, int, int], arrays: Arrays) -> Target:
    """The network of :func:`train`'s artifact."""
    if kind in ("deep-fcn", "wide-fcn"):
        return fully_connected.from_arrays(arrays)
    target = build([run], kind, shape)
    assert isinstance(target, convolutional.Stacked)
    unpack(target.net, arrays)
    return target


def layers(target: Target) -> int:
    """Layers whose features a guide can align."""
    if isinstance(target, fully_connected.FullyConnected):
        return len(target.sizes) - 2
    return convolutional.depth(target.net)


@dataclass
class Teaching:
    """What trains a target besides the labels.

    Args:
        guide: aligned with the target's layers; None for none.
        teacher: logits (n, classes) of a trained guide for a batch, of which it gets the rows and the numbers of the
            images; for distillation.
    """

    guide: CachedGuide | LiveGuide | None = None
    teacher: Callable[[torch.Tensor, np.ndarray[Any, Any]], torch.Tensor] | None = None


def train(runs: list[Run], images: list[Images], kind: str, teaching: list[Teaching]) -> list[Arrays]:
    """Train one network for each run, all at once; Adam, epochs of fresh permutations without a last, smaller batch.

    Returns:
        For each run the parameters and BatchNorm statistics. Curves: ``train/loss``, ``train/cka`` (mean over pairs),
        ``val/loss``, ``val/accuracy``; metrics: ``val/final_loss``, ``val/rise`` (last minus lowest validation loss),
        ``train/cka_gain`` (last minus first).
    """
    h, device = runs[0].h, runs[0].device
    target = build(runs, kind, images[0].shape).to(device)
    optimizer = torch.optim.Adam(target.parameters(), lr=h.learning_rate, fused=True)
    pairs: dict[int, int] = {}
    if teaching[0].guide is not None:
        pairs = layer_pairs(teaching[0].guide.layers, layers(target))
    per_epoch = images[0].n // h.batch
    state: dict[str, Any] = {"first_cka": [0.0] * len(runs), "last_cka": [0.0] * len(runs)}
    phase = f"{kind} " + " ".join(str(run.seed) for run in runs)
    orders: tuple[int, list[np.ndarray[Any, Any]]] = (-1, [])
    for step in StackLoop(runs, phase, h.steps, net=target, adam=optimizer, state=state):
        epoch, place = divmod(step, per_epoch)
        if orders[0] != epoch:
            orders = epoch, [run.rng(f"order {epoch}").permutation(images[0].n) for run in runs]
        if h.decay_every:
            for group in optimizer.param_groups:
                group["lr"] = h.learning_rate * 0.1 ** (step // h.decay_every)
        chosen = [order[place * h.batch : (place + 1) * h.batch] for order in orders[1]]
        batches = [part.batch(rows, step) for part, rows in zip(images, chosen, strict=True)]
        x = torch.stack([rows for rows, _ in batches]).to(device)
        y = torch.stack([labels for _, labels in batches]).to(device)
        aligned = bool(pairs) and (h.guided_steps == 0 or step < h.guided_steps)
        target.train()
        masks = None
        if h.dropout > 0 and isinstance(target, fully_connected.FullyConnected):
            streams = [run.rng(f"dropout {step}") for run in runs]
            masks = [m.to(device) for m in fully_connected.dropout_masks(h.dropout, target.sizes, h.batch, streams)]
        logits, features = target(x.transpose(1, 2), masks, frozenset(pairs) if aligned else frozenset())
        loss = F.cross_entropy(logits, y, reduction="none").mean(1)
        total = loss
        if aligned:
            found = _dissimilarities(features, pairs, teaching, chosen, x)
            total = total + h.alpha * found.sum(0)
            similarity = (1.0 - found.detach().mean(0)).tolist()
            state["last_cka"] = similarity
            if step == 0:
                state["first_cka"] = similarity
        teachers = [own.teacher for own in teaching if own.teacher is not None]
        if teachers:
            with torch.no_grad():
                soft = torch.stack([teacher(rows, i) for teacher, rows, i in zip(teachers, x, chosen, strict=True)])
            total = total + distillation(logits, soft.transpose(1, 2).to(device), h.temperature)
        optimizer.zero_grad()
        total.sum().backward()
        optimizer.step()
        if (step + 1) % h.log_every == 0 or step + 1 == h.steps:
            _log(runs, target, images, step + 1, loss.detach().tolist(), state["last_cka"] if aligned else None)
    for run, first, last in zip(runs, state["first_cka"], state["last_cka"], strict=True):
        losses = [value for _, value in run.curves["val/loss"]]
        run.metric("val/final_loss", losses[-1])
        run.metric("val/rise", losses[-1] - min(losses))
        if pairs:
            run.metric("train/cka_gain", last - first)
        run.count(n_params=sum(p.numel() for p in target.parameters()) // target.networks, steps=h.steps)
    return [target.one(i) for i in range(len(runs))]


def _dissimilarities(
    features: dict[int, torch.Tensor],
    pairs: dict[int, int],
    teaching: list[Teaching],
    chosen: list[np.ndarray[Any, Any]],
    x: torch.Tensor,
) -> torch.Tensor:
    """1 - CKA (pairs, networks)."""
    wanted = list(pairs.values())
    parts = []
    for own, numbers, rows in zip(teaching, chosen, x, strict=True):
        assert own.guide is not None
        parts.append(own.guide.kernels(numbers, rows, wanted))
    kernels = torch.stack(parts, 1).to(x.device)
    norms = centred_norm(kernels)
    return torch.stack([dissimilarity(features[layer], kernels[i], norms[i]) for i, layer in enumerate(pairs)])


def distillation(logits: torch.Tensor, soft: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence (networks,) of softened outputs, times the squared temperature (Hinton et al. 2015).

    Args:
        logits: (networks, classes, samples) of the target.
        soft: the same of the teacher.
        temperature: divides both.
    """
    log_p, log_q = F.log_softmax(soft / temperature, 1), F.log_softmax(logits / temperature, 1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean(1)


def _log(
    runs: list[Run], target: Target, images: list[Images], step: int, losses: list[float], cka: list[float] | None
) -> None:
    for index, run in enumerate(runs):
        run.curve("train/loss", step, run.finite(losses[index]))
        if cka is not None:
            run.curve("train/cka", step, cka[index])
    summed = torch.zeros(3, len(runs), dtype=torch.float64)
    target.eval()
    for batches in zip(*(part.validation() for part in images), strict=True):
        x = torch.stack([rows for rows, _ in batches]).to(runs[0].device)
        y = torch.stack([labels for _, labels in batches]).to(runs[0].device)
        with torch.no_grad():
            logits = target(x.transpose(1, 2))[0]
        found = F.cross_entropy(logits, y, reduction="none").sum(1), (logits.argmax(1) == y).sum(1)
        summed += torch.stack([*(part.double().cpu() for part in found), torch.full((len(runs),), y.shape[1])])
    for index, run in enumerate(runs):
        loss, right, n = summed[:, index].tolist()
        run.curve("val/loss", step, run.finite(loss / n, "validation loss"))
        run.curve("val/accuracy", step, right / n)


def guide_of(net: Target, images: Images, device: str, rows: torch.Tensor | None = None) -> CachedGuide | LiveGuide:
    """The network as guide: its kernels over all images where these are in memory, else run on every batch.

    Args:
        net: the frozen network.
        images: of the target.
        device: of a guide that is run on every batch.
        rows: images (n, features) in place of the training images, for controls.
    """
    if isinstance(net, convolutional.Stacked):
        features = net.features
    else:
        stack, every = net.eval(), frozenset(range(layers(net)))

        def features(x: torch.Tensor) -> list[torch.Tensor]:
            with torch.no_grad():
                found = stack(x.T[None], None, every)[1]
            return [found[layer][0].T for layer in sorted(found)]

    if isinstance(images, ArrayImages):
        return CachedGuide(features, images.x if rows is None else rows)
    net.to(device)
    return LiveGuide(features, layers(net))


def teacher_of(net: Target, images: Images, device: str) -> Callable[..., torch.Tensor]:
    """Logits of a trained network for a batch, from memory where all images are there."""
    if isinstance(images, ArrayImages):
        known = net.predict(images.x)[0]
        return lambda rows, numbers: known[torch.from_numpy(numbers)]
    net.to(device)
    return lambda rows, numbers: net.predict(rows)[0]
