"""The experiments of the S-KAN paper: what each cell trains (fit) and how it is evaluated (score)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from claimbench.data import Data
    from claimbench.papers.s_kan.convolution import Classifier
    from claimbench.papers.s_kan.networks import KAN, MLP
    from claimbench.run import Run

Artifact = dict[str, Any]

FAMILIES = ("bspline", "fourier", "chebyshev", "rbf", "wavelet")
MLPS = ("mlp-relu", "mlp-tanh", "mlp-silu", "mlp-sin")

# ---- fitting functions -----------------------------------------------------------------------------------------------


def build(runs: list[Run]) -> KAN | MLP:
    """The networks of runs of one method and one dimension; MLPs have as many parameters as the pruned KAN."""
    import torch

    from claimbench.papers.s_kan import networks, tasks

    h, method = runs[0].h, runs[0].method
    d = tasks.TASKS[runs[0].setting["task"]][0]
    hidden = h.hidden_deep if d >= 4 else h.hidden
    generators = [run.torch_generator("init", device="cpu") for run in runs]
    if not method.startswith("mlp-"):
        return networks.KAN([d, hidden, 1], networks.pool(method), generators)
    target = networks.KAN([d, hidden, 1], ("rbf",), [torch.Generator()]).parameters_kept()
    return networks.MLP(networks.mlp_sizes(d, 1, target), method.removeprefix("mlp-"), generators)


def fit_many_functions(runs: list[Run], datas: list[None]) -> list[Artifact]:
    """Tasks of one dimension are fitted as one stack, all seeds with them; what is kept are outputs for test inputs.

    Test inputs are drawn here, their values only by score. The sabotage fits other values: out of order for ``s-kan``.
    """
    from claimbench.papers.s_kan import tasks
    from claimbench.training import in_stacks

    return in_stacks(
        runs,
        lambda run: tasks.TASKS[run.setting["task"]][0],
        lambda members: _fit_stack([runs[i] for i in members]),
    )


def _fit_stack(runs: list[Run]) -> list[Artifact]:
    """Runs of one method whose tasks have one dimension."""
    import torch

    from claimbench.papers.s_kan import networks, training

    net = build(runs)
    pairs = [_sample(run, "train") for run in runs]
    x, y = torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])
    if runs[0].h.sabotage == "shuffled-values" and runs[0].method == "s-kan":
        order = torch.from_numpy(runs[0].rng("sabotage").permutation(x.shape[1]))
        y = y[:, order]
    training.train(runs, net, x, y)
    test = torch.stack([_sample(run, "test")[0] for run in runs])
    with torch.no_grad():
        predicted = net(test.to(runs[0].device)).cpu()
    families = net.chosen() if isinstance(net, networks.KAN) else []
    return [
        {"predicted": predicted[place]} | {f"chosen_{i}": layer[place].cpu() for i, layer in enumerate(families)}
        for place in range(len(runs))
    ]


def _sample(run: Run, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and values of a run's task for ``train`` or ``test``."""
    from claimbench.papers.s_kan import tasks

    return tasks.sample(run.setting["task"], run.h.samples, run.torch_generator(part, device="cpu"))


def _log_rmse(run: Run, artifact: Artifact) -> float:
    y = _sample(run, "test")[1].numpy()
    return math.log10(float(np.sqrt(np.mean((artifact["predicted"] - y) ** 2))) + 1e-12)


def score_functions(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Root mean squared error on fresh inputs, and its logarithm."""
    value = _log_rmse(run, artifact)
    return {"test/rmse": 10**value, "test/log10_rmse": value}


def fit_ranking(run: Run, data: None) -> Artifact:
    """Nothing to train: the methods' outputs are those of other cells."""
    return {}


def score_ranking(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Errors of the methods of one task and seed beside each other, as decimal logarithms.

    Of a group of methods the best error, as an oracle would choose it; for a single method its error, its distance
    from the best fixed family (``regret``), from the best of all other methods (``lead``) and of the MLPs
    (``lead_mlp``; negative where it is better), and its rank among families.
    """
    values = {name: _log_rmse(run, given) for name, given in run.inputs.items()}
    families = [values[name] for name in FAMILIES]
    if run.method == "best-mlp":
        own = min(values[name] for name in MLPS)
    elif run.method == "best-baseline":
        own = min(value for name, value in values.items() if name != "s-kan")
    else:
        own = values[run.method]
    others = [values[name] for name in (*FAMILIES, "s-kan") if name != run.method]
    return {
        "test/log10_rmse": own,
        "test/regret": own - min(families),
        "test/lead": own - min(value for name, value in values.items() if name != run.method),
        "test/lead_mlp": own - min(values[name] for name in MLPS),
        "test/rank": 1.0 + sum(value < own for value in others),
    }


# ---- which family is chosen ------------------------------------------------------------------------------------------


def fit_selection(run: Run, data: None) -> Artifact:
    """One layer on sums of edges that all belong to the family named by the setting; the families that nodes choose."""
    import torch

    from claimbench.papers.s_kan import bases, networks, training

    h, generator = run.h, run.torch_generator("target", device="cpu")
    x = 2 * torch.rand(h.samples, h.nodes, generator=generator) - 1
    basis = bases.evaluate((run.setting["made_by"],), x.T)
    weights = torch.randn(h.nodes, 1, bases.SIZE, 1, generator=generator)
    y = torch.einsum("ipkn,ipko->no", basis, weights)
    y = (y - y.mean()) / y.std()
    net = networks.KAN([h.nodes, 1], networks.pool("s-kan"), [run.torch_generator("init", device="cpu")])
    training.train([run], net, x[None], y[None])
    return {"chosen": net.chosen()[0][0].cpu()}


def score_selection(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Share of nodes that chose the family which made the data."""
    return {"test/right": float(np.mean(artifact["chosen"] == FAMILIES.index(run.setting["made_by"])))}


# ---- the authors' layers ---------------------------------------------------------------------------------------------


def fit_parameters(run: Run, data: None) -> Artifact:
    """Parameters of the layer named by the method, counted, and whether it runs forward and backward."""
    import torch

    from claimbench.papers.s_kan.authors import LAYERS

    with run.torch_stream("init"):
        layer = LAYERS[run.method][0](run.h.inputs, run.h.outputs)
        output = layer(torch.rand(32, run.h.inputs) * 2 - 1)
    output.square().mean().backward()
    finite = all(p.grad is not None and bool(p.grad.isfinite().all()) for p in layer.parameters())
    return {"counted": sum(p.numel() for p in layer.parameters()), "trains": float(finite)}


def score_parameters(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Difference of the count from the formula."""
    from claimbench.papers.s_kan.authors import LAYERS

    expected = LAYERS[run.method][1](run.h.inputs, run.h.outputs)
    return {"test/difference": float(artifact["counted"] - expected), "test/trains": artifact["trains"]}


# ---- images ----------------------------------------------------------------------------------------------------------


def _classifier(run: Run, x: torch.Tensor) -> Classifier:
    """A network for images (n, colours, side, side); ordinary convolutions have the parameters of the pruned KAN."""
    from claimbench.papers.s_kan import convolution

    colours, side = x.shape[1], x.shape[-1]
    channels = [colours, *run.h.channels]
    with run.torch_stream("init"):
        if run.method == "cnn":
            target = convolution.Classifier("rbf", channels, side, 10).parameters_kept()
            channels = convolution.plain_channels(target, channels, side, 10)
        return convolution.Classifier(run.method, channels, side, 10)


def _images(run: Run, x: np.ndarray, data: Data) -> torch.Tensor:
    """(n, colours, side, side) in [-1, 1], by the brightest training pixel; ``shrink`` averages squares of pixels."""
    import torch

    brightest = float(data.arrays["x"][data.arrays["train_idx"]].max())
    images = torch.from_numpy(2 * x.astype(np.float32) / brightest - 1)
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return torch.nn.functional.avg_pool2d(images, run.h.shrink)


def fit_images(run: Run, data: Data) -> Artifact:
    """Adam on cross-entropy; selection in the same three phases as for functions."""
    import torch

    from claimbench.nn.state import pack
    from claimbench.papers.s_kan.training import phases

    h = run.h
    train = run.rng("images").permutation(data.arrays["train_idx"])[: h.images]
    x = _images(run, data.arrays["x"][train], data).to(run.device)
    y = torch.from_numpy(data.arrays["y"][train]).to(run.device)
    net = _classifier(run, x).to(run.device)
    per_epoch = len(x) // h.batch
    total = h.epochs * per_epoch
    keep = (lambda count: net.keep(x[: h.scored], count)) if run.method == "s-kan" else None
    order: tuple[int, torch.Tensor] = (-1, torch.empty(0))
    for step, optimizer in phases([run], net, total, keep):
        epoch, place = divmod(step, per_epoch)
        if order[0] != epoch:
            order = epoch, torch.from_numpy(run.rng(f"order {epoch}").permutation(len(x))).to(run.device)
        rows = order[1][place * h.batch : (place + 1) * h.batch]
        loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % h.log_every == 0:
            run.curve("train/loss", step + 1, run.finite(float(loss.detach())))
    run.metric("train/parameters", sum(p.numel() for p in net.parameters()))
    run.count(n_params=net.parameters_kept(), steps=total)
    return pack(net, "net/")


def score_images(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Accuracy on the first ``tested`` test images."""
    import torch

    from claimbench.nn.state import unpack

    x = _images(run, data.arrays["test_x"][: run.h.tested], data)
    net = unpack(_classifier(run, x), artifact, "net/")
    with torch.no_grad():
        predicted = torch.cat([net(part).argmax(1) for part in x.split(500)]).numpy()
    return {"test/accuracy": float((predicted == data.arrays["test_y"][: run.h.tested]).mean())}
