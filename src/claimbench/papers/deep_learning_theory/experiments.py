"""The experiments: what each cell samples or solves (fit) and how far it is from the theory (score)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from claimbench.papers.deep_learning_theory.activations import Activation
    from claimbench.run import Run

Artifact = dict[str, Any]
Array = np.ndarray


def printed(run: Run, method: str, metric: str) -> float | None:
    """The number that the book prints for a method in this experiment, None where there is none."""
    return next((row["value"] for row in run.published(metric, method)), None)


def holm_p(z: Array) -> float:
    """Smallest p-value of two-sided z tests after Holm's correction."""
    p = [math.erfc(abs(each) / math.sqrt(2)) for each in np.ravel(z).tolist()]
    return min(1.0, min(p) * len(p))


def _activation(run: Run) -> Activation:
    from claimbench.papers.deep_learning_theory.activations import ACTIVATIONS

    return ACTIVATIONS[run.method]


def weight_variance(run: Run, C_W: float) -> float:
    """What networks are drawn with; the sabotage is ten per cent off."""
    return 1.1 * C_W if run.h.sabotage == "off-critical" else C_W


# ---- criticality (chapter 5), deterministic --------------------------------------------------------------------------


def fit_criticality(run: Run, data: None) -> Artifact:
    """The critical initialisation of an activation and another fixed point beside it."""
    from claimbench.papers.deep_learning_theory import recursions

    activation = _activation(run)
    found = recursions.critical(activation)
    artifact: Artifact = {name: getattr(found, name) for name in ("C_b", "C_W", "K_star", "a1", "b1")}
    if run.h.sabotage == "off-critical":
        artifact["C_W"] *= 1.1
    between = {"gelu": (2.0, 3.45), "swish": (14.4, 15.5)}.get(run.method)
    if between:
        artifact["second"] = recursions.fixed_points(activation, found.C_W, found.C_b, *between)[0]
    return artifact


def score_criticality(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Largest relative distance from the printed constants, and what of them does not fit together."""
    from claimbench.papers.deep_learning_theory.activations import averages

    metrics, errors = {}, []
    for name in ("C_b", "C_W", "K_star", "a1", "b1"):
        metrics[f"test/{name}"] = value = float(artifact[name])
        reference = printed(run, run.method, f"test/{name}")
        if reference is not None:
            errors.append(abs(value - reference) / (abs(reference) or 1.0))
    metrics["test/relative_error"] = max(errors)
    if "second" in artifact:
        footnote = printed(run, run.method, "test/second_fixed_point")
        assert footnote is not None
        metrics["test/second_fixed_point"] = artifact["second"]
        metrics["test/second_error"] = abs(artifact["second"] / footnote - 1)
    if run.method == "swish":
        K, C_W = artifact["K_star"], artifact["C_W"]
        implemented = printed(run, "swish", "test/implemented_C_b")
        assert implemented is not None
        metrics["test/implemented_residual"] = abs(implemented + C_W * averages(_activation(run), K).s2 - K) / K
    return metrics


def fit_no_criticality(run: Run, data: None) -> Artifact:
    """How near the ratio of the susceptibilities comes to 1 for K from 0.01 to 100."""
    from claimbench.papers.deep_learning_theory import recursions

    activation = _activation(run)
    ratios = [recursions.ratio(activation, K) for K in np.geomspace(1e-2, 1e2, 60)]
    return {"ratios": np.array(ratios), "critical": int(recursions.find_critical(activation) is not None)}


def score_no_criticality(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Whether a critical initialisation was found, and how near the ratio came to 1."""
    return {
        "test/critical": float(artifact["critical"]),
        "test/nearest_ratio": float(np.abs(artifact["ratios"] - 1).min()),
    }


def fit_decay(run: Run, data: None) -> Artifact:
    """Kernels, vertices and correlations of two inputs over many layers at infinite width."""
    from claimbench.papers.deep_learning_theory import recursions

    activation = _activation(run)
    found = recursions.critical(activation)
    layers = run.h.layers
    C_W = weight_variance(run, found.C_W)
    K, V = recursions.vertices(activation, C_W, found.C_b, 1.0, layers)
    near = recursions.kernels(activation, C_W, found.C_b, 1.01, layers)
    _, c = recursions.correlations(activation, C_W, found.C_b, 1.0, 0.5, run.h.pair_layers)
    off = recursions.kernels(activation, 0.9 * found.C_W, found.C_b, 1.0, 200)
    # the NTK is linear in lambda_b and lambda_W: its mean at the last layer for each alone
    tangents = [
        recursions.tangents(activation, C_W, 1.0, first, layers, lambda_b, lambda_W)[-1].Theta
        for lambda_b, lambda_W, first in ((1.0, 0.0, 1.0), (0.0, 1.0, 1.0 / C_W))
    ]
    return {"K": K, "V": V, "near": near, "c": c, "off": off, "tangents": np.array(tangents)}


def score_decay(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Exponents and limits against the theory (eqs. 5.87 to 5.99, 5.120, 5.131, 5.162 to 5.168, 9.70 to 9.96)."""
    from claimbench.papers.deep_learning_theory import recursions

    activation = _activation(run)
    K, V, c, off = artifact["K"], artifact["V"], artifact["c"], artifact["off"]
    l = np.arange(1, len(K) + 1)
    slope = float(V[-1] / K[-1] ** 2 / (len(K) - 1))
    metrics = {
        "test/off_critical_ratio": float(off[-1] / off[-2]),
        "test/slope": slope,
        "test/slope_error": abs(slope / recursions.vertex_slope(activation) - 1),
    }
    if activation.taylor is not None:
        a1, p = activation.a1, recursions.critical(activation).b1 / activation.a1
        by_bias, by_weights = artifact["tangents"]
        metrics["test/tangent_error"] = max(
            abs(float(by_bias) / len(K) * (1 + p) - 1), abs(float(by_weights) * -a1 * p / activation.taylor[0] ** 2 - 1)
        )
        late = slice(len(K) // 10, None)
        design = np.stack([np.ones(len(l)), np.log(l) / l, 1 / l], 1)[late]
        limit = float(np.linalg.lstsq(design, (l * K)[late], rcond=None)[0][0])
        metrics["test/limit_error"] = abs(limit * -a1 - 1)
        gap = artifact["near"] - K
        metrics["test/parallel_exponent"] = _exponent(l, gap)
        metrics["test/correlation_drift"] = abs(float(c[-1] - c[len(c) // 2]))
    elif activation.slopes is not None:
        m = len(c)
        up, down = activation.slopes
        if up != down and up != -down:
            rho = (up - down) ** 2 / (math.pi * (up**2 + down**2))
            metrics["test/angle_error"] = abs(float(m**2 * (1 - c[-1])) / (4.5 / rho**2) - 1)
    return metrics


def _exponent(l: Array, gap: Array) -> float:
    """Local power of a gap, extrapolated to infinite depth in 1/l."""
    ends = [len(l) // 4, len(l) // 2, len(l) - 1]
    slopes = [float(np.log(gap[end] / gap[end - end // 10]) / np.log(l[end] / l[end - end // 10])) for end in ends]
    design = np.stack([np.ones(3), [1 / float(l[end]) for end in ends], [np.log(l[end]) / l[end] for end in ends]], 1)
    return float(np.linalg.solve(design, slopes)[0])


# ---- four-point vertices (chapters 3 to 5) ---------------------------------------------------------------------------


def fit_four_point(run: Run, data: None) -> Artifact:
    """Means of the conditional variances and their powers over many networks, by width and layer, with errors."""

    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation = _activation(run)
    C_W = weight_variance(run, recursions.critical(activation).C_W)
    generator = run.torch_generator("networks")
    artifact: Artifact = {}
    for width in run.h.widths:
        run.alive()
        (kernel,) = sampling.gram(activation, width, run.h.layers, run.h.nets, [C_W], 0.0, 1.0, generator)
        scale = kernel.mean(0)
        powers = {f"m{k}": (kernel / scale) ** k for k in (1, 2, 3)}
        for name, statistic in (
            ("four", lambda d: d["m2"] / d["m1"] ** 2 - 1),
            ("six", lambda d: d["m3"] / d["m1"] ** 3),
        ):
            value, error = sampling.batch_errors(powers, statistic, run.h.batches)
            artifact[f"{name}_{width}"] = np.stack([value.cpu().numpy(), error.cpu().numpy()])
        artifact[f"kernel_{width}"] = np.stack(
            [scale.cpu().numpy(), (kernel.std(0) / math.sqrt(run.h.nets)).cpu().numpy()]
        )
    return artifact


def score_four_point(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Against the exact product ``(1 + nu/n)^(l-1)`` for scale-invariant activations, else against the recursion after
    extrapolation in 1/n; the second layer is exact for all (eqs. 3.25, 4.43, 5.109, 5.120)."""
    import torch

    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation, layers = _activation(run), run.h.layers
    C_W = recursions.critical(activation).C_W
    K, V = recursions.vertices(activation, C_W, 0.0, 1.0, layers)
    nu = recursions.vertex_slope(activation)
    widths = list(run.h.widths)
    exact, second = [], []
    for n in widths:
        value, error = artifact[f"four_{n}"]
        second.append((value[1] - V[1] / K[1] ** 2 / n) / error[1])
        if activation.slopes is not None:
            l = np.arange(1, layers)
            exact += list((value[1:] - ((1 + nu / n) ** l - 1)) / error[1:])
    values = torch.tensor(np.stack([n * artifact[f"four_{n}"][0] for n in widths]))
    errors = torch.tensor(np.stack([n * artifact[f"four_{n}"][1] for n in widths]))
    limit, error_of_limit = (t.numpy()[1:] for t in sampling.extrapolated(widths, values, errors))
    theory = (V / K**2)[1:]
    z_limit = (limit - theory) / error_of_limit
    slope = limit[-1] / (layers - 1)
    metrics = {
        "test/second_layer_p": holm_p(np.array(second)),
        "test/recursion_p": holm_p(z_limit),
        "test/largest_z": float(np.abs(exact or z_limit).max()),
        "test/slope": float(slope),
        "test/slope_theory": float(theory[-1] / (layers - 1)),
        "test/slope_error": abs(float(slope / (theory[-1] / (layers - 1))) - 1),
    }
    if exact:
        metrics["test/exact_p"] = holm_p(np.array(exact))
    if run.method == "linear":
        l = np.arange(1, layers)
        six = [
            (artifact[f"six_{n}"][0][1:] - ((1 + 2 / n) * (1 + 4 / n)) ** l) / artifact[f"six_{n}"][1][1:]
            for n in widths
        ]
        metrics["test/six_point_p"] = holm_p(np.concatenate(six))
        n, r = 100_000, 0.5
        laws = [
            abs(float(np.prod([1 + 2 * i / n for i in range(m)])) ** (r * n) / math.exp(m * (m - 1) * r) - 1)
            for m in (2, 3, 4)
        ]
        metrics["test/exponential_law_error"] = max(laws)
    return metrics


def fit_dense_path(run: Run, data: None) -> Artifact:
    """The same statistic from networks with all their weights and from Gram sampling."""

    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation = _activation(run)
    C_W = recursions.critical(activation).C_W
    generator = run.torch_generator("networks")
    squares, pairs = sampling.dense(activation, run.h.width, run.h.layers, run.h.nets, C_W, 0.0, 1.0, generator)
    (kernel,) = sampling.gram(activation, run.h.width, run.h.layers, 10 * run.h.nets, [C_W], 0.0, 1.0, generator)
    found = sampling.batch_errors({"m1": squares, "m2": pairs}, lambda d: d["m2"] / d["m1"] ** 2 - 1)
    fast = sampling.batch_errors({"m1": kernel, "m2": kernel**2}, lambda d: d["m2"] / d["m1"] ** 2 - 1)
    return {
        "dense": np.stack([t.cpu().numpy() for t in found]),
        "gram": np.stack([t.cpu().numpy() for t in fast]),
    }


def score_dense_path(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Layer 1 has no connected four-point correlation (eq. 4.27); beyond it both paths agree."""
    (dense, dense_error), (gram, gram_error) = artifact["dense"], artifact["gram"]
    z = (dense[1:] - gram[1:]) / np.sqrt(dense_error[1:] ** 2 + gram_error[1:] ** 2)
    return {"test/agreement_p": holm_p(z), "test/first_layer_p": holm_p(dense[:1] / dense_error[:1])}


def fit_tuning(run: Run, data: None) -> Artifact:
    """Mean squares at C_W = 1 and at the finite-width choice 1 + 2/(3n), with the same random numbers (eq. 5.142)."""
    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation, width = _activation(run), run.h.width
    C_W = recursions.critical(activation).C_W
    K = recursions.kernels(activation, C_W, 0.0, 1.0, run.h.layers)
    variances = [C_W, C_W * (1 + 2 / (3 * width))]
    generator = run.torch_generator("networks")
    found = sampling.gram(activation, width, run.h.layers, run.h.nets, variances, 0.0, 1.0, generator)
    artifact: Artifact = {}
    for name, kernel in zip(("plain", "tuned"), found, strict=True):
        mean, error = kernel.mean(0).cpu().numpy(), (kernel.std(0) / math.sqrt(run.h.nets)).cpu().numpy()
        mean, error = mean[1:], error[1:]  # the first layer is not random
        artifact[name] = np.stack([width * (mean - K[1:]), width * error])
    return artifact


def score_tuning(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """The worst share of the correction that is left, and how far what is left is from its printed limit (eq. 5.143)
    and from the recursion behind it (eq. 5.110)."""
    from claimbench.papers.deep_learning_theory import recursions

    activation = _activation(run)
    a1, a2 = activation.a1, activation.a2
    l = np.arange(2, run.h.layers + 1)
    late = l >= min(16, run.h.layers)
    plain, (tuned, error) = artifact["plain"][0], artifact["tuned"]
    printed_limit = (2 / 3) * ((3 * a2 - a1**2) / (-a1) ** 3) / l
    C_W = recursions.critical(activation).C_W
    recursion = recursions.kernel_corrections(activation, C_W, 1.0, run.h.layers, 2 / 3)[1:]

    def excess(theory: Array) -> float:
        return float(((np.abs(tuned - theory) - 0.1 * np.abs(theory)) / error)[late].max())

    return {
        "test/left_over": float((np.abs(tuned) / np.abs(plain))[late].max()),
        "test/tuned_z": excess(printed_limit),
        "test/recursion_z": excess(recursion),
    }


# ---- the NTK (chapters 8 and 9) --------------------------------------------------------------------------------------


def fit_tangent(run: Run, data: None) -> Artifact:
    """Fluctuation tensors times the width, by width and layer, with errors."""

    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation = _activation(run)
    C_W = weight_variance(run, recursions.critical(activation).C_W)
    generator = run.torch_generator("networks")
    artifact: Artifact = {}
    statistics: dict[str, Callable[[int, dict[str, torch.Tensor]], torch.Tensor]] = {
        "Theta": lambda n, d: d["Theta"],
        "A": lambda n, d: n * (d["HH"] - d["Theta"] ** 2),
        "B": lambda n, d: n * d["H2"],
        "D": lambda n, d: n * (d["zH"] - d["z2"] * d["Theta"]),
        "F": lambda n, d: n * d["zzH"],
    }
    for width, nets in zip(run.h.widths, run.h.nets, strict=True):
        run.alive()
        found = sampling.tangent(activation, width, run.h.layers, nets, C_W, 1.0, 1.0 / C_W, generator)
        for name, statistic in statistics.items():
            value, error = sampling.batch_errors(found, partial(statistic, width))
            artifact[f"{name}_{width}"] = np.stack([value.cpu().numpy(), error.cpu().numpy()])
    return artifact


def score_tangent(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """z scores of mean and tensors against the recursions after extrapolation in 1/n (eqs. 9.5 to 9.17, 9.43 to
    9.52)."""
    import torch

    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation, widths = _activation(run), list(run.h.widths)
    C_W = recursions.critical(activation).C_W
    theory = recursions.tangents(activation, C_W, 1.0, 1.0 / C_W, run.h.layers)
    metrics: dict[str, float] = {}
    every = []
    for name in ("Theta", "A", "B", "D", "F"):
        values = torch.tensor(np.stack([artifact[f"{name}_{n}"][0] for n in widths]))
        errors = torch.tensor(np.stack([artifact[f"{name}_{n}"][1] for n in widths]))
        limit, error = (t.numpy()[1:] for t in sampling.extrapolated(widths, values, errors))
        expected = np.array([getattr(t, name) for t in theory])[1:]
        z = (limit - expected) / error
        metrics[f"test/{name}_p"] = holm_p(z)
        metrics[f"test/{name}_last"] = float(limit[-1])
        metrics[f"test/{name}_theory"] = float(expected[-1])
        if name != "Theta":
            every += list(z)
    return metrics | {"test/tensors_p": holm_p(np.array(every))}


def fit_tangent_mean(run: Run, data: None) -> Artifact:
    """NTK of one input at the output of deep networks, by forward and backward pass; |x|^2 / n_0 = 1/2."""
    import torch

    from claimbench.papers.deep_learning_theory import recursions
    from claimbench.papers.deep_learning_theory.gradient_descent import Networks

    activation = _activation(run)
    C_W = weight_variance(run, recursions.critical(activation).C_W)
    generator = run.torch_generator("networks")
    x = torch.full((1, 16), math.sqrt(0.5), device=run.device)
    values = []
    for depth in run.h.depths:
        run.alive()
        parts = [
            Networks(activation, run.h.batch, 16, run.h.width, depth, C_W, generator).ntk(x)[:, 0, 0]
            for _ in range(run.h.nets // run.h.batch)
        ]
        values.append(torch.cat(parts).double().cpu().numpy())
    return {"theta": np.stack(values)}


def score_tangent_mean(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """``Theta_L = L lambda_W |x|^2 / n_0`` for ReLU at criticality (eq. 9.44)."""
    theta = artifact["theta"]
    expected = 0.5 * np.array(run.h.depths)
    error = theta.std(1, ddof=1) / math.sqrt(theta.shape[1])
    metrics = {f"test/theta_{depth}": float(mean) for depth, mean in zip(run.h.depths, theta.mean(1), strict=True)}
    return metrics | {"test/mean_p": holm_p((theta.mean(1) - expected) / error)}


# ---- residual networks (appendix B) ----------------------------------------------------------------------------------


def fit_residual(run: Run, data: None) -> Artifact:
    """Connected four-point correlations of residual networks by width and layer, with errors."""

    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation, gamma = _activation(run), float(run.setting["gamma"])
    C_W = recursions.residual_weight(activation, gamma)
    generator = run.torch_generator("networks")
    artifact: Artifact = {}
    for width in run.h.widths:
        run.alive()
        squares, pairs = sampling.residual(activation, width, run.h.layers, run.h.nets, C_W, 1.0, gamma, generator)
        value, error = sampling.batch_errors(
            {"m1": squares, "m2": pairs}, lambda d: d["m2"] / d["m1"] ** 2 - 1, run.h.batches
        )
        artifact[f"four_{width}"] = np.stack([value.cpu().numpy(), error.cpu().numpy()])
    return artifact


def score_residual(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """V / K^2 after extrapolation in 1/n against the printed recursion and against the extended one."""
    import torch

    from claimbench.papers.deep_learning_theory import recursions, sampling

    activation, gamma, layers = _activation(run), float(run.setting["gamma"]), run.h.layers
    widths = list(run.h.widths)
    values = torch.tensor(np.stack([n * artifact[f"four_{n}"][0] for n in widths]))
    errors = torch.tensor(np.stack([n * artifact[f"four_{n}"][1] for n in widths]))
    limit, error = (t.numpy()[1:] for t in sampling.extrapolated(widths, values, errors))
    K, V = recursions.residual_vertices(activation, gamma, 1.0, layers)
    book = (V / K**2)[1:]
    metrics = {
        "test/printed_p": holm_p((limit - book) / error),
        "test/last": float(limit[-1]),
        "test/last_printed": float(book[-1]),
    }
    if activation.slopes is not None:
        extended = recursions.residual_extended(activation, gamma, layers)[1:]
        metrics |= {"test/extended_p": holm_p((limit - extended) / error), "test/last_extended": float(extended[-1])}
        deep = recursions.residual_extended(activation, 0.99, 400)
        metrics["test/slope_at_099"] = float((deep[-1] - deep[-101]) / 100)
    return metrics


# ---- information (appendix A), deterministic -------------------------------------------------------------------------


def fit_information(run: Run, data: None) -> Artifact:
    """Coefficients of the expansions of mutual information and entropy, by quadrature."""
    from claimbench.papers.deep_learning_theory import information

    return {
        "pairs": [[m1, m2, information.cubic_coefficient(m1, m2)] for m1, m2 in run.h.pairs],
        "entropies": [[m, *information.entropy_coefficients(m)] for m in run.h.sizes],
    }


def score_information(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Relative distance of the fitted expansion from the book's (eqs. A.66, A.67), and its best ratios (A.73)."""
    from claimbench.papers.deep_learning_theory import information
    from claimbench.papers.deep_learning_theory.activations import ACTIVATIONS
    from claimbench.papers.deep_learning_theory.recursions import vertex_slope

    cubic = [abs(c / ((20 + 3 * (m1 + m2)) / 6) - 1) for m1, m2, c in artifact["pairs"]]
    second = [abs(two / (-(m * m + 2 * m) / 16) - 1) for m, two, _ in artifact["entropies"]]
    third = [abs(three / ((m**3 + 10 * m * m + 16 * m) / 48) - 1) for m, _, three in artifact["entropies"]]
    ratios = [
        abs(information.best_ratio(outputs, vertex_slope(ACTIVATIONS[name])) / value - 1)
        for name, outputs in (("relu", 2), ("relu", 10), ("tanh", 2), ("tanh", 10))
        if (value := printed(run, name, f"test/best_ratio_{outputs}")) is not None
    ]
    return {
        "test/cubic_error": max(cubic),
        "test/entropy_error": max(second),
        "test/entropy_third_error": max(third),
        "test/best_ratio_error": max(ratios),
    }


# ---- training (chapters 9 to 11) -------------------------------------------------------------------------------------


def _task(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Random inputs (samples, inputs) with |x|^2 / n_0 = 1/2 and random targets (samples,)."""
    import torch

    generator = run.torch_generator("task", device="cpu")
    x = torch.randn(run.h.samples, run.h.inputs, generator=generator)
    x *= math.sqrt(0.5 * run.h.inputs) / x.norm(dim=1, keepdim=True)
    return x.to(run.device), torch.randn(run.h.samples, generator=generator).to(run.device)


def fit_learning_rate(run: Run, data: None) -> Artifact:
    """The largest stable rate, for several networks of one depth."""
    from claimbench.papers.deep_learning_theory import recursions
    from claimbench.papers.deep_learning_theory.gradient_descent import largest_rate

    activation = _activation(run)
    C_W = recursions.critical(activation).C_W
    x, y = _task(run)
    seed = run.torch_generator("networks").initial_seed()
    found = []
    for index in range(run.h.networks):
        run.alive()
        found.append(
            largest_rate(activation, x, run.h.target * y, run.h.width, int(run.setting["L"]), C_W, seed + index)
        )
    return {"rates": np.array(found)}


def score_learning_rate(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Geometric mean of the largest stable rates."""
    return {"test/rate": float(np.exp(np.log(artifact["rates"]).mean()))}


def fit_kernel_change(run: Run, data: None) -> Artifact:
    """Train a stack of networks to a small loss; NTK before and after."""
    import torch

    from claimbench.papers.deep_learning_theory import recursions
    from claimbench.papers.deep_learning_theory.gradient_descent import Networks

    activation, width = _activation(run), int(run.setting["n"])
    C_W = recursions.critical(activation).C_W
    x, y = _task(run)
    generator = run.torch_generator("networks")
    nets = Networks(activation, run.h.networks, run.h.inputs, width, run.h.depth, C_W, generator)
    # the output starts at zero, as the theory's expansion around it: targets are relative to it
    start, _, _ = nets.passes(x)
    before = nets.ntk(x)
    rate = 0.5 / torch.linalg.eigvalsh(before.double())[:, -1].float()[:, None, None]
    loss = torch.full((run.h.networks,), math.inf)
    for step in range(run.h.steps):
        loss = nets.step(x, start + y, rate)
        if step % 50 == 0:
            run.alive()
            if float(loss.max()) < run.h.loss:
                break
    run.count(steps=step + 1)
    after = nets.ntk(x)
    return {"before": before.cpu().numpy(), "after": after.cpu().numpy(), "loss": loss.cpu().numpy()}


def score_kernel_change(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Relative change of the trace, averaged over networks, and the mean relative Frobenius change."""
    before, after = artifact["before"], artifact["after"]
    trace = np.trace(after - before, axis1=1, axis2=2).mean() / np.trace(before, axis1=1, axis2=2).mean()
    frobenius = np.linalg.norm(after - before, axis=(1, 2)) / np.linalg.norm(before, axis=(1, 2))
    return {
        "test/change": abs(float(trace)),
        "test/frobenius": float(frobenius.mean()),
        "test/loss": float(artifact["loss"].max()),
    }
