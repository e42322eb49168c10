"""The experiments of the SNNK paper: what each cell trains (fit) and how it is evaluated (score)."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from claimbench.data import Data
    from claimbench.run import Run

Artifact = dict[str, Any]


# ---- estimates of layers ---------------------------------------------------------------------------------------------


def _points(run: Run) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs (n, d) and weights (out, d) of fixed lengths in random directions, biases (out,); the same for all cells
    of a seed."""
    import torch

    h, generator = run.h, run.torch_generator("points", device="cpu")
    x = torch.randn(h.inputs, h.d, generator=generator, dtype=torch.float64)
    w = torch.randn(h.weights, h.d, generator=generator, dtype=torch.float64)
    b = torch.rand(h.weights, generator=generator, dtype=torch.float64)
    return h.input_norm * x / x.norm(dim=1, keepdim=True), h.weight_norm * w / w.norm(dim=1, keepdim=True), b


def _estimate(run: Run, m: int, generator: torch.Generator, x: Any, w: Any, b: Any) -> torch.Tensor:
    """Phi(x) Psi(w, b)^T. The sabotage draws projections uniformly from [0, 1], as a released adapter does."""
    import torch

    from claimbench.papers.snnk import features

    kind, spread = run.setting.get("projection", "iid"), float(run.setting.get("spread", 0.0))
    drawn = features.draw(run.method, m, run.h.d, generator, kind, spread)
    if run.h.sabotage == "uniform-projections":
        drawn.projections = torch.rand(drawn.projections.shape, generator=generator, dtype=torch.float64)
    return drawn.phi(x) @ drawn.psi(w, b).T


def fit_estimation(run: Run, data: None) -> Artifact:
    """The estimates of one draw of features."""
    x, w, b = _points(run)
    return {"estimate": _estimate(run, int(run.setting["m"]), run.torch_generator("features", device="cpu"), x, w, b)}


def score_estimation(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Relative error in the Frobenius norm."""
    from claimbench.papers.snnk import features

    exact = features.exact(run.method, *_points(run)).numpy()
    return {"test/error": float(np.linalg.norm(artifact["estimate"] - exact) / np.linalg.norm(exact))}


def fit_bias(run: Run, data: None) -> Artifact:
    """Mean and standard error of the estimates over many draws, and of their projection on the exact layer."""
    import torch

    from claimbench.papers.snnk import features

    x, w, b = _points(run)
    exact = features.exact(run.method, x, w, b)
    projected = []
    total = torch.zeros(len(x), len(w), dtype=torch.float64)
    squares = torch.zeros_like(total)
    generator = run.torch_generator("features", device="cpu")
    for _ in range(run.h.draws):
        estimate = _estimate(run, run.h.features, generator, x, w, b)
        total += estimate
        squares += estimate.square()
        projected.append(float((estimate * exact).sum() / exact.square().sum()))
    mean = total / run.h.draws
    variance = (squares / run.h.draws - mean.square()) * run.h.draws / (run.h.draws - 1)
    return {"mean": mean, "error": (variance / run.h.draws).sqrt(), "projected": torch.tensor(projected)}


def score_bias(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Distance of the mean projection from 1 in standard errors; pairs share their draws, so that one number tests all
    of them. Beside it the share of pairs whose own mean is within three standard errors."""
    from claimbench.papers.snnk import features

    exact = features.exact(run.method, *_points(run)).numpy()
    z = np.abs(artifact["mean"] - exact) / artifact["error"]
    projected = artifact["projected"]
    error = projected.std(ddof=1) / math.sqrt(len(projected))
    return {"test/z": float(abs(projected.mean() - 1) / error), "test/unbiased": float(np.mean(z < 3))}


def fit_variance(run: Run, data: None) -> Artifact:
    """Variance of single features for one pair, in batches."""
    import torch

    from claimbench.papers.snnk import features

    h = run.h
    x, w, b = _points(run)
    # around the exact mean, so that the batches' means are unbiased
    exact = features.exact(run.method, x[:1], w[:1], b[:1])[0, 0]
    generator = run.torch_generator("features", device="cpu")
    found = []
    for _ in range(h.batches):
        drawn = features.draw(run.method, h.features, h.d, generator)
        phi, psi = drawn.phi(x[:1]), drawn.psi(w[:1], b[:1])
        products = (phi * psi * h.features)[0]
        if run.method == "cos":  # a feature is a cosine and a sine
            products = products.view(2, -1).sum(0)
        found.append(float((products - exact).square().mean()))
    return {"variances": torch.tensor(found)}


def score_variance(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Distance from the closed form in standard errors of the batches."""
    from claimbench.papers.snnk import features

    x, w, b = _points(run)
    exact = float(features.variance(run.method, x[:1], w[:1], b[:1])[0, 0])
    variances = artifact["variances"]
    error = variances.std(ddof=1) / math.sqrt(len(variances))
    return {"test/z": float(abs(variances.mean() - exact) / error), "test/ratio": float(variances.mean() / exact)}


def fit_bundling(run: Run, data: None) -> Artifact:
    """Three layers unit by unit and bundled into one matrix, on the same inputs, in float64."""
    import torch

    from claimbench.papers.snnk import features, layers

    h, generator = run.h, run.torch_generator("layers", device="cpu")
    x = torch.randn(h.inputs, h.d, generator=generator, dtype=torch.float64)
    widths = [h.d, *[h.width] * h.depth]
    weights = [
        torch.randn(b, a, generator=generator, dtype=torch.float64) / math.sqrt(a)
        for a, b in itertools.pairwise(widths)
    ]
    # each map sees the features of the one before through the weights of its own layer
    maps = [features.Rectified.draw(h.m, h.d, generator)]
    maps += [features.Rectified.draw(h.m, h.m, generator) for _ in range(h.depth - 1)]
    parameters, tower = layers.bundle(weights, [torch.zeros(len(w)) for w in weights], maps), x
    for drawn in maps:
        tower = drawn.phi(tower)
    together = tower @ parameters.T
    # the same by explicit sums over the features of every map
    stepwise = _stepwise(x, weights, maps)
    count = {"dense": sum(w.numel() for w in weights), "bundled": parameters.numel()}
    return {"difference": float((together - stepwise).abs().max()), **count}


def _stepwise(x: torch.Tensor, weights: list[torch.Tensor], maps: list[Any]) -> torch.Tensor:
    """Every output as the sum of products of its own features, one output and one input at a time."""
    import torch

    rows = []
    for sample in x:
        outputs = []
        for unit in range(len(weights[-1])):
            outputs.append(_unit(sample, weights, maps, len(weights) - 1, unit))
        rows.append(torch.stack(outputs))
    return torch.stack(rows)


def _unit(sample: torch.Tensor, weights: list[torch.Tensor], maps: list[Any], layer: int, unit: int) -> torch.Tensor:
    """Value of one unit: its weights' features of this layer times the input's."""
    phi = sample[None]
    for drawn in maps[: layer + 1]:
        phi = drawn.phi(phi)
    return (_parameters(weights, maps, layer, unit) * phi[0]).sum()


def _parameters(weights: list[torch.Tensor], maps: list[Any], layer: int, unit: int) -> torch.Tensor:
    row = weights[layer][unit]
    if layer == 0:
        return maps[0].phi(row[None])[0]
    mixed = sum(row[j] * _parameters(weights, maps, layer - 1, j) for j in range(len(row)))
    return maps[layer].phi(mixed[None])[0]


def score_bundling(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Largest difference of an output, and how many times fewer parameters the bundle has."""
    return {
        "test/difference": artifact["difference"],
        "test/reduction": artifact["dense"] / artifact["bundled"],
    }


def _cosine_network(run: Run) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Inputs (n, d), and weights and biases of cos(W_2 cos(W_1 x + b_1) + b_2); inputs and rows of a fixed length."""
    import torch

    h, generator = run.h, run.torch_generator("points", device="cpu")
    x, first, second = (
        torch.randn(n, d, generator=generator, dtype=torch.float64)
        for n, d in ((h.inputs, h.d), (h.width, h.d), (h.width, h.width))
    )
    x, first, second = (h.norm * rows / rows.norm(dim=1, keepdim=True) for rows in (x, first, second))
    return x, [first, second], [torch.rand(h.width, generator=generator, dtype=torch.float64) for _ in range(2)]


def fit_bundled_network(run: Run, data: None) -> Artifact:
    """Outputs of a bundled cosine network: one matrix times the features of the features of the input."""
    from claimbench.papers.snnk import features, layers

    x, weights, biases = _cosine_network(run)
    m, generator = int(run.setting["m"]), run.torch_generator("features", device="cpu")
    maps = [features.Universal.draw("cos", m, d, generator) for d in (x.shape[1], 2 * m)]
    return {"outputs": maps[1].phi(maps[0].phi(x)) @ layers.bundle(weights, biases, maps).T}


def score_bundled_network(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Relative error, in the Frobenius norm, of the bundled network against the one it was made of."""
    x, weights, biases = _cosine_network(run)
    for weight, bias in zip(weights, biases, strict=True):
        x = (x @ weight.T + bias).cos()
    exact = x.numpy()
    return {"test/error": float(np.linalg.norm(artifact["outputs"] - exact) / np.linalg.norm(exact))}


# ---- regression ------------------------------------------------------------------------------------------------------


def _regression(run: Run, data: Data | None, test: bool = False) -> dict[str, torch.Tensor]:
    """Training, validation and (for score) test parts, standardised with the training part."""
    import torch

    from claimbench.papers.snnk.regression import friedman

    if data is None:
        names = {"train": 0.6, "val": 0.2} | ({"test": 0.2} if test else {})
        found = {
            name: friedman(round(share * run.h.samples), run.torch_generator(f"friedman {name}", device="cpu"))
            for name, share in names.items()
        }
    else:
        a = data.arrays
        every = torch.from_numpy(a["x"].astype(np.float64)), torch.from_numpy(a["y"].astype(np.float64))[:, None]
        found = {name: (every[0][a[f"{name}_idx"]], every[1][a[f"{name}_idx"]]) for name in ("train", "val")}
        if test:
            found["test"] = (torch.from_numpy(a["test_x"].astype(np.float64)), torch.from_numpy(a["test_y"])[:, None])
    x, y = found["train"]
    means, scales = (x.mean(0), y.mean(0)), (x.std(0).clamp_min(1e-12), y.std(0))
    out: dict[str, torch.Tensor] = {}
    for name, (inputs, targets) in found.items():
        out[f"{name}_x"], out[f"{name}_y"] = (inputs - means[0]) / scales[0], (targets - means[1]) / scales[1]
    return out


def _tower(run: Run, inputs: int) -> Any:
    from claimbench.papers.snnk.regression import Tower

    return Tower.draw(inputs, run.h.m, int(run.setting["depth"]), run.torch_generator("tower", device="cpu"))


def fit_regression__ridge(run: Run, data: Data | None) -> Artifact:
    """Linear regression, with the penalty that validates best."""
    from claimbench.papers.snnk.regression import ridge_path

    parts = _regression(run, data)
    return {"theta": _chosen(run, parts["train_x"], parts, ridge_path, lambda x: x).numpy()}


def fit_regression__closed(run: Run, data: Data | None) -> Artifact:
    """The formula, with the penalty that validates best."""
    from claimbench.papers.snnk.regression import ridge_path

    parts = _regression(run, data)
    tower = _tower(run, parts["train_x"].shape[1])
    return {"theta": _chosen(run, tower(parts["train_x"]), parts, ridge_path, tower).numpy()}


def _chosen(run: Run, z: torch.Tensor, parts: dict[str, torch.Tensor], path: Any, features: Any) -> torch.Tensor:
    thetas = path(z, parts["train_y"], run.h.penalties)
    val = features(parts["val_x"])
    losses = [float((val @ theta - parts["val_y"]).square().mean()) for theta in thetas]
    best = int(np.argmin(losses))
    run.metric("val/mse", losses[best])
    run.metric("val/penalty", run.h.penalties[best])
    return thetas[best]


def fit_regression__adam(run: Run, data: Data | None) -> Artifact:
    """The same parameters by Adam; its training loss against that of the formula without a penalty. The sabotage gives
    the formula targets out of order."""
    from claimbench.papers.snnk.regression import ridge_path, train

    parts = _regression(run, data)
    z = _tower(run, parts["train_x"].shape[1])(parts["train_x"])
    h = run.h
    theta = train(z, parts["train_y"], h.epochs, h.batch, h.learning_rate, run.torch_generator("order", device="cpu"))
    optimum = ridge_path(z, _shuffled(run, parts["train_y"]), [1e-12])[0]
    losses = [float((z @ found - parts["train_y"]).square().mean()) for found in (theta, optimum)]
    run.metric("train/excess", run.finite(losses[0]) - losses[1])
    return {"theta": theta.numpy()}


def _shuffled(run: Run, y: torch.Tensor) -> torch.Tensor:
    """Targets, out of order where that is the sabotage."""
    if run.h.sabotage != "shuffled-targets":
        return y
    return y[run.rng("sabotage").permutation(len(y))]


def fit_many_regression__mlp(runs: list[Run], datas: list[Data | None]) -> list[Artifact]:
    """A trained network with two hidden layers, the seeds of a data set as a stack."""
    from claimbench.training import in_stacks

    return in_stacks(
        runs, lambda run: sorted(run.hyper.items()), lambda part: _networks([(runs[i], datas[i]) for i in part])
    )


def _networks(pairs: list[tuple[Run, Data | None]]) -> list[Artifact]:
    import torch

    from claimbench.papers.snnk import trained

    parts = [_regression(run, data) for run, data in pairs]
    x, y = (torch.stack([part[name].float() for part in parts]) for name in ("train_x", "train_y"))
    return trained.train([run for run, _ in pairs], x, y)


def score_regression(run: Run, artifact: Artifact, data: Data | None) -> dict[str, float]:
    """Mean squared error on the test part, as a share of the training targets' variance."""
    import torch

    from claimbench.nn.state import unpack
    from claimbench.papers.snnk import trained

    parts = _regression(run, data, test=True)
    x = parts["test_x"]
    if run.method == "mlp":
        with torch.no_grad():
            predicted = unpack(trained.network(x.shape[1], run.h.hidden), artifact)(x.float()).double()
    else:
        features = x if run.method == "ridge" else _tower(run, x.shape[1])(x)
        predicted = features @ torch.from_numpy(np.array(artifact["theta"]))
    return {"test/mse": run.finite(float((predicted - parts["test_y"]).square().mean()))}


def fit_fit_time(run: Run, data: None) -> Artifact:
    """Seconds to the parameters of one bundled network, by the formula (with its whole path) and by Adam."""
    from claimbench.papers.snnk.regression import ridge_path, train

    h = run.h
    parts = _regression(run, None)
    z = _tower(run, parts["train_x"].shape[1])(parts["train_x"])
    best = math.inf
    for _ in range(h.repeats):
        start = time.perf_counter()
        if run.method == "closed":
            ridge_path(z, parts["train_y"], h.penalties)
        else:
            train(z, parts["train_y"], h.epochs, h.batch, h.learning_rate, run.torch_generator("order", device="cpu"))
        best = min(best, time.perf_counter() - start)
    return {"seconds": best}


def score_fit_time(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """The seconds that the fit took."""
    return {"test/seconds": artifact["seconds"]}


# ---- compression -----------------------------------------------------------------------------------------------------


def fit_many_compression(runs: list[Run], datas: list[Data]) -> list[Artifact]:
    """Classifiers of digits, those of one kind as a stack; ``train/reduction``: the plain network's parameters over
    this one's. The sabotage gives all but the plain network labels out of order."""
    from claimbench.training import in_stacks

    return in_stacks(
        runs, lambda run: sorted(run.hyper.items()), lambda part: _classifiers([(runs[i], datas[i]) for i in part])
    )


def _classifiers(pairs: list[tuple[Run, Data]]) -> list[Artifact]:
    import torch

    from claimbench.papers.snnk import digits

    xs, ys, nets = [], [], []
    for run, data in pairs:
        train = data.arrays["train_idx"]
        xs.append(torch.from_numpy(_flat(data.arrays["x"][train])))
        y = torch.from_numpy(data.arrays["y"][train])
        ys.append(y if run.method == "mlp" else _shuffled(run, y))
        with run.torch_stream("init"):
            nets.append(_classifier(run, run.method, xs[-1].shape[1]))
    runs = [run for run, _ in pairs]
    found = digits.train(runs, nets, torch.stack(xs), torch.stack(ys))
    plain = sum(p.numel() for p in _classifier(runs[0], "mlp", xs[0].shape[1]).parameters())
    for run in runs:
        run.metric("train/reduction", plain / run.counts["n_params"])
    return found


def _classifier(run: Run, method: str, inputs: int) -> torch.nn.Module:
    from claimbench.papers.snnk import digits

    return digits.classifier(method, inputs, 10, run.h, run.torch_generator("projections", device="cpu"))


def _flat(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Digits (n, 8, 8) as rows (n, 64) in [0, 1]."""
    return x.reshape(len(x), -1).astype(np.float32) / 16


def score_compression(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Test accuracy."""
    import torch

    from claimbench.nn.state import unpack

    x = torch.from_numpy(_flat(data.arrays["test_x"]))
    net = unpack(_classifier(run, run.method, x.shape[1]), artifact)
    with torch.no_grad():
        predicted = net(x).argmax(1).numpy()
    return {"test/accuracy": float((predicted == data.arrays["test_y"]).mean())}


# ---- adapters --------------------------------------------------------------------------------------------------------


def _images(x: np.ndarray[Any, Any], turned: bool) -> torch.Tensor:
    """Digits (n, 1, 8, 8) in [0, 1]; for the new task turned by a quarter, light and dark exchanged."""
    import torch

    pixels = x.astype(np.float32) / 16
    if turned:
        pixels = 1 - np.rot90(pixels, axes=(1, 2))
    return torch.from_numpy(np.ascontiguousarray(pixels[:, None]))


def fit_adapters(run: Run, data: Data) -> Artifact:
    """``pretrained``: a transformer on the digits as they are. All others: adapted from it to turned, inverted ones."""
    import torch

    from claimbench.nn.state import unpack
    from claimbench.papers.snnk import digits

    train = data.arrays["train_idx"]
    x = _images(data.arrays["x"][train], turned=run.method != "pretrained")
    y = torch.from_numpy(data.arrays["y"][train])
    with run.torch_stream("init"):
        net = digits.transformer(x.shape[-1], 10, run.h)
        if run.method != "pretrained":
            digits.adapt(
                unpack(net, run.inputs["pretrained"]),
                run.method,
                run.h,
                run.torch_generator("projections", device="cpu"),
            )
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    run.metric("train/adapter_parameters", trained - sum(p.numel() for p in net.classifier.parameters()))
    return digits.train([run], [net], x[None], y[None])[0]


def score_adapters(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Test accuracy."""
    import torch

    from claimbench.nn.state import unpack
    from claimbench.papers.snnk import digits

    x = _images(data.arrays["test_x"], turned=run.method != "pretrained")
    net = digits.transformer(x.shape[-1], 10, run.h)
    if run.method != "pretrained":
        digits.adapt(net, run.method, run.h, run.torch_generator("projections", device="cpu"))
    unpack(net, artifact).eval()
    with torch.no_grad():
        predicted = net(x).argmax(1).numpy()
    return {"test/accuracy": float((predicted == data.arrays["test_y"]).mean())}
