"""The experiments E1 to E6: closed forms against trained networks, and published numbers against both."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.papers.exact_permutations import ensemble, kernels

if TYPE_CHECKING:
    from claimbench.run import Run

Array = np.ndarray[Any, Any]
PUBLISHED = Path(__file__).with_name("published.csv")


def predicted_kernel(run: Run) -> str:
    """The kernel whose closed form is compared; the sabotage takes the other one."""
    if run.h.sabotage == "wrong-kernel":
        return next(name for name in kernels.KERNELS if name != run.method)
    return "readout" if run.method == "official" else run.method


# ---- E1: finite width against the closed form ------------------------------------------------------------------------


def fit_finite_width(run: Run, data: None) -> dict[str, Any]:
    """Train many independent networks of each width; keep what each puts out on all inputs with two ones.

    ``on`` and ``off`` (widths, models): outputs averaged over inputs and over active or inactive bits. ``one`` (widths,
    models): one output bit at one input. ``square`` (widths, models): squared deviation from the closed-form mean,
    averaged over inputs and bits.
    """
    import torch

    from claimbench.papers.exact_permutations import networks

    k = run.setting["k"]
    inputs = torch.tensor(kernels.pair_inputs(k), dtype=torch.float32)
    active = (inputs > 0).T
    moment = kernels.moments(run.method, k, 2)
    expected = torch.where(active, float(moment.on), float(moment.off))
    generator = run.torch_generator("init", device="cpu")
    found: dict[str, list[Array]] = {"on": [], "off": [], "one": [], "square": []}
    for width in run.h.widths:
        rows: dict[str, list[Any]] = {name: [] for name in found}
        left = run.h.models
        while left:
            run.alive()
            batch = min(left, max(1, run.h.batch_floats // (width * k)))
            w, v = networks.initial(batch, width, k, generator)
            if run.method == "ntk":
                w, v, steps, residual = networks.train_ntk(w, v, torch.eye(k), run.h.tolerance)
                run.metric(f"train/residual_width_{width}", run.finite(residual, "training residual"))
                run.count(steps=steps)
            else:
                v = networks.train_readout(w, v, torch.eye(k))
            out = networks.outputs(w, v, inputs)
            rows["on"].append((out * active).sum((1, 2)) / active.sum())
            rows["off"].append((out * ~active).sum((1, 2)) / (~active).sum())
            rows["one"].append(out[:, -1, 0])
            rows["square"].append((out - expected).square().mean((1, 2)))
            left -= batch
        for name, parts in rows.items():
            found[name].append(torch.cat(parts).double().numpy())
    return {name: np.stack(values) for name, values in found.items()}


def score_finite_width(run: Run, artifact: dict[str, Any], data: None) -> dict[str, float]:
    """z scores of the means extrapolated to infinite width, of the variance and of Gaussianity at the largest width."""
    from scipy import stats

    k = run.setting["k"]
    moment = kernels.moments(predicted_kernel(run), k, 2)
    widths = np.asarray(run.h.widths, float)
    metrics: dict[str, float] = {}
    for name, theory in (("on", float(moment.on)), ("off", float(moment.off))):
        values = artifact[name]
        means, errors = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(values.shape[1])
        estimate, error = extrapolate(widths, means, errors, 0.5 if run.method == "ntk" else 1.0)
        metrics |= {
            f"test/mu_{name}": estimate,
            f"test/mu_{name}_theory": theory,
            f"test/mu_{name}_z": abs(estimate - theory) / error,
        }
        metrics |= {f"test/mu_{name}_width_{int(width)}": mean for width, mean in zip(widths, means, strict=True)}
    square = artifact["square"][-1]
    metrics["test/variance_ratio"] = float(square.mean() / moment.variance)
    metrics["test/variance_z"] = abs(float(square.mean() - moment.variance)) / float(
        square.std(ddof=1) / math.sqrt(square.size)
    )
    one = artifact["one"][-1]
    metrics["test/skew_z"] = abs(float(stats.skewtest(one).statistic))
    metrics["test/kurtosis_z"] = abs(float(stats.kurtosistest(one).statistic))
    return metrics


def extrapolate(widths: Array, means: Array, errors: Array, order: float) -> tuple[float, float]:
    """Weighted least squares of ``mean = limit + a / width^order + b / width^(2 order)``: limit and standard error.

    ``order`` is 1 for readout training. It is 1/2 when the first layer learns too: the share of neurons whose sign at
    an input changes during training is of order ``width^{-1/2}``, and the measured means approach the limit at that
    rate. With fewer than three widths the highest powers are left out.
    """
    powers = order * np.arange(min(3, len(widths)))
    design = (widths[:, None] / widths.min()) ** -powers / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    return float((covariance @ design.T @ (means / errors))[0]), float(math.sqrt(covariance[0, 0]))


# ---- E2: signs for every input ---------------------------------------------------------------------------------------


def fit_sign_exhaustive(run: Run, data: None) -> dict[str, Any]:
    """The lengths that are checked: all up to ``k_dense``, then the ones listed."""
    return {"lengths": np.array([*range(2, run.h.k_dense + 1), *run.h.k_more])}


def score_sign_exhaustive(run: Run, artifact: dict[str, Any], data: None) -> dict[str, float]:
    """Count the (k, m) with a wrong sign of the mean: on must be positive, off negative (zero at m = 1)."""
    wrong = checked = 0
    margin = math.inf
    for k in artifact["lengths"]:
        m = np.arange(1, k + 1)
        moment = kernels.moments(run.method, k, m)
        wrong += int(np.sum(moment.on <= 0)) + int(np.sum(moment.off[1:-1] >= 0)) + int(abs(moment.off[0]) > 1e-9)
        margin = min(margin, float(np.min(-moment.off[1:-1], initial=math.inf)) * float(k))
        checked += k
    return {
        "test/sign_violations": float(wrong),
        "test/inputs_checked": float(checked),
        "test/smallest_k_mu_off": margin,
    }


# ---- E3: ensembles of trained networks (Figure 1) --------------------------------------------------------------------


def fit_ensemble(run: Run, data: None) -> dict[str, Any]:
    """Train ``models`` networks on a random permutation and keep the sign of the running mean after each.

    ``signs``: packed bits of (models, inputs, k), inputs being all pairs of ones. ``permutation``: (k,) image of every
    position.
    """
    import torch

    from claimbench.papers.exact_permutations import networks

    k, width = run.setting["k"], run.h.width
    permutation = run.rng("permutation").permutation(k)
    targets = torch.zeros(k, k)
    targets[torch.as_tensor(permutation), torch.arange(k)] = 1.0
    targets = targets.to(run.device)
    inputs = torch.tensor(kernels.pair_inputs(k), dtype=torch.float32, device=run.device)
    total = torch.zeros(k, len(inputs), dtype=torch.float64, device=run.device)
    generator = run.torch_generator("init", device="cpu")
    models = min(
        run.h.most_models,
        math.ceil(run.h.models_factor * ensemble.size_for("ntk" if run.method == "ntk" else "readout", k)),
    )
    batch = max(1, run.h.batch_floats // (width * max(k, len(inputs))))
    signs = []
    for first in range(0, models, batch):
        run.alive()
        n = min(batch, models - first)
        if run.method == "official":
            parameters = networks.official_initial(n, width, k, generator, run.device)
            parameters = networks.train_official(parameters, targets, run.h.steps, run.h.learning_rate)
            out = networks.official_outputs(parameters, inputs)
        else:
            w, v = networks.initial(n, width, k, generator, run.device)
            if run.method == "ntk":
                w, v, _, residual = networks.train_ntk(w, v, targets, run.h.tolerance)
                run.metric("train/residual", run.finite(residual, "training residual"))
            else:
                v = networks.train_readout(w, v, targets)
            out = networks.outputs(w, v, inputs)
        running = total + out.double().cumsum(dim=0)
        total = running[-1]
        signs.append((running > 0).permute(0, 2, 1).cpu().numpy())
    run.count(n_params=2 * k * width, steps=models)
    every = np.concatenate(signs)
    return {"signs": np.packbits(every), "shape": list(every.shape), "permutation": permutation}


def score_ensemble(run: Run, artifact: dict[str, Any], data: None) -> dict[str, float]:
    """Accuracy on 1000 random inputs with two ones against ensemble size, beside the closed form."""
    k = run.setting["k"]
    shape = artifact["shape"]
    signs = np.unpackbits(artifact["signs"], count=int(np.prod(shape))).reshape(shape).astype(bool)
    inputs = kernels.pair_inputs(k)
    targets = np.zeros_like(inputs, dtype=bool)
    targets[:, artifact["permutation"]] = inputs > 0
    right = np.all(signs == targets, axis=2)
    drawn = run.rng("test").integers(0, len(inputs), run.h.test_inputs)
    weights = np.bincount(drawn, minlength=len(inputs)) / run.h.test_inputs
    accuracy = right @ weights
    sizes = np.arange(1, len(accuracy) + 1)
    for size in sizes[:: max(1, len(sizes) // 120)]:
        run.curve("accuracy", float(size), float(accuracy[size - 1]))
    metrics = {"test/final_accuracy": float(accuracy[-1]), "test/models": float(len(accuracy))}
    first = float(ensemble.first_size(sizes, accuracy[None], 0.9)[0])
    kernel = predicted_kernel(run)
    predicted = ensemble.size_for(kernel, k)
    metrics["test/N90_predicted"] = predicted
    if math.isfinite(first):
        metrics |= {"test/N90": first, "test/N90_over_predicted": first / predicted}
        if k in published_n90():
            metrics["test/N90_over_published"] = first / published_n90()[k]
        bound = published_bound().get(k)
        if bound is not None:
            metrics["test/bound_over_N90"] = bound / first
    metrics |= {
        f"test/accuracy_{size}": float(accuracy[size - 1])
        for size in (50, 100, 150, 200, 250, 300)
        if size <= len(accuracy)
    }
    metrics |= _against_band(run, kernel, weights, accuracy)
    return metrics


def _against_band(run: Run, kernel: str, weights: Array, accuracy: Array) -> dict[str, float]:
    """How the measured curve lies in the joint simulation of the closed form.

    ``curve_z``: the mean deviation over the curve in standard deviations of the same mean among simulated curves.
    ``outside_band``: share of sizes at which the measured accuracy is outside the pointwise 95 % band.
    """
    sizes = np.unique(np.linspace(1, len(accuracy), run.h.band_sizes).astype(int))
    process = ensemble.pair_process(kernel, run.setting["k"])
    draws = run.torch_generator("band", device="cpu")
    curves = ensemble.simulate_accuracy(process, sizes, run.h.band_repeats, draws, weights)
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    for size, *values in zip(sizes, low, curves.mean(axis=0), high, strict=True):
        for name, value in zip(("band_low", "band_mean", "band_high"), values, strict=True):
            run.curve(name, float(size), float(value))
    measured = accuracy[sizes - 1]
    average = curves.mean(axis=1)
    z = (measured.mean() - average.mean()) / max(float(average.std(ddof=1)), 1e-12)
    return {
        "test/curve_z": abs(float(z)),
        "test/outside_band": float(np.mean((measured < low - 1e-12) | (measured > high + 1e-12))),
    }


# ---- E4: one input, k log k ------------------------------------------------------------------------------------------


def fit_k_log_k(run: Run, data: None) -> dict[str, Any]:
    """N90 of one input with two ones, by root finding."""
    return {"k": np.array(run.h.lengths), "n90": np.array([ensemble.size_for(run.method, k) for k in run.h.lengths])}


def score_k_log_k(run: Run, artifact: dict[str, Any], data: None) -> dict[str, float]:
    """Fit ``N = a k ln k + b k``; its R^2 and the log-log slope at the top end."""
    k, n90 = artifact["k"].astype(float), artifact["n90"]
    design = np.stack([k * np.log(k), k], axis=1)
    coefficients, *_ = np.linalg.lstsq(design, n90, rcond=None)
    residual = n90 - design @ coefficients
    for length, value in zip(k, n90, strict=True):
        run.curve("N90", float(length), float(value))
    return {
        "test/r_squared": 1.0 - float(residual @ residual / np.sum((n90 - n90.mean()) ** 2)),
        "test/top_slope": float(np.log(n90[-1] / n90[-2]) / np.log(k[-1] / k[-2])),
        "test/a": float(coefficients[0]),
        "test/N90_over_k_log_k": float(n90[-1] / (k[-1] * np.log(k[-1]))),
    }


# ---- E5: all inputs at once ------------------------------------------------------------------------------------------


def fit_all_inputs(run: Run, data: None) -> dict[str, Any]:
    """N for all inputs by the union estimate, and by joint simulation over all 2^k - 1 inputs where k is small."""
    union = [ensemble.size_for_all(run.method, k) for k in run.h.lengths]
    ratio = {}
    for k in run.h.simulated_lengths:
        predicted = ensemble.size_for_all(run.method, k)
        sizes = np.unique(np.linspace(0.1, 1.6, run.h.grid_sizes) * predicted)
        inputs = kernels.nonzero_inputs(k)
        inputs = inputs[
            (inputs > 0).sum(axis=1) > 1
        ]  # a training input has mean exactly zero at its off bits: no sign to test
        process = ensemble.process(run.method, inputs)
        draws = run.torch_generator(f"all-{k}", device="cpu")
        curves = ensemble.simulate_accuracy(process, sizes, run.h.repeats, draws)
        # perfect at this size, share of the repetitions: the size where it passes 0.9
        share = (curves >= 1.0).mean(axis=0)
        ratio[str(k)] = float(ensemble.first_size(sizes, share[None], 0.9)[0] / predicted)
    return {"k": np.array(run.h.lengths), "n_all": np.array(union), "simulated_over_union": ratio}


def score_all_inputs(run: Run, artifact: dict[str, Any], data: None) -> dict[str, float]:
    """The bound C k^2: its constant from k = 10 on, where the ratio fails to fall, and the exponent over the range."""
    k, n_all = artifact["k"].astype(float), artifact["n_all"]
    ratio = n_all / k**2
    for length, value in zip(k, n_all, strict=True):
        run.curve("N_all", float(length), float(value))
    metrics = {
        "test/largest_N_over_k2": float(ratio[k >= 10].max()),
        "test/rises_of_N_over_k2": float(np.sum(np.diff(ratio) >= 0)),
        "test/exponent": float(np.polyfit(np.log(k), np.log(n_all), 1)[0]),
        "test/top_exponent": float(np.log(n_all[-1] / n_all[-2]) / np.log(k[-1] / k[-2])),
    }
    simulated = [value for value in artifact["simulated_over_union"].values() if value is not None]
    if simulated:
        metrics["test/simulated_over_union"] = float(np.mean(simulated))
    return metrics


# ---- E6: which kernel the published curve follows --------------------------------------------------------------------


def fit_which_kernel(run: Run, data: None) -> dict[str, Any]:
    """Sampling distribution of log(N90 / prediction) in one run of the published protocol, by joint simulation at every
    k."""
    lengths = list(range(run.h.first_k, run.h.last_k + 1, run.h.k_step))
    kernel = predicted_kernel(run)
    found = {"mean": [], "sd": [], "predicted": []}  # type: dict[str, list[float]]
    for k in lengths:
        run.alive()
        predicted = ensemble.size_for(kernel, k)
        step = max(1, round(predicted / run.h.grid_sizes))
        sizes = np.arange(max(1, round(0.4 * predicted)), round(1.9 * predicted) + 1, step)
        inputs = math.comb(k, 2)
        tests = run.rng(f"test-{k}").integers(0, inputs, (run.h.repeats, run.h.test_inputs))
        weights = np.stack([np.bincount(row, minlength=inputs) for row in tests]) / run.h.test_inputs
        draws = run.torch_generator(f"first-passage-{k}", device="cpu")
        curves = ensemble.simulate_accuracy(ensemble.pair_process(kernel, k), sizes, run.h.repeats, draws, weights)
        logs = np.log(ensemble.first_size(sizes, curves, 0.9) / predicted)
        logs = logs[np.isfinite(logs)]
        found["mean"].append(float(logs.mean()))
        found["sd"].append(float(logs.std(ddof=1)))
        found["predicted"].append(predicted)
    return {"k": np.array(lengths), **{name: np.array(values) for name, values in found.items()}}


def score_which_kernel(run: Run, artifact: dict[str, Any], data: None) -> dict[str, float]:
    """The published N90 of k = 10..30 against the prediction.

    Mean and sd of the ratio over k, the farther end of the mean's 90 % interval from 1 (within the margin exactly when
    two one-sided tests say so), the largest single deviation, and z of the mean log ratio less its sampling bias.
    """
    from scipy import stats

    published = published_n90()
    values = np.array([published[int(k)] for k in artifact["k"]])
    log_ratio = np.log(values / artifact["predicted"])
    standard = (log_ratio - artifact["mean"]) / artifact["sd"]
    ratio = values / artifact["predicted"]
    low, high = stats.t.interval(0.90, ratio.size - 1, ratio.mean(), ratio.std(ddof=1) / math.sqrt(ratio.size))
    return {
        "test/ratio": float(ratio.mean()),
        "test/ratio_sd": float(ratio.std(ddof=1)),
        "test/ratio_interval_from_1": float(max(abs(low - 1.0), abs(high - 1.0))),
        "test/largest_deviation": float(np.max(np.abs(ratio - 1.0))),
        "test/z": abs(float(standard.sum() / math.sqrt(standard.size))),
    }


def published_n90() -> dict[int, float]:
    """k -> published N90 (last line of the released result files)."""
    return _published("test/N90", "official")


def published_bound() -> dict[int, float]:
    """k -> the paper's theoretical bound, read off Figure 1."""
    return _published("test/bound", "theorem")


def _published(metric: str, method: str) -> dict[int, float]:
    with open(PUBLISHED, newline="", encoding="utf-8") as file:
        return {
            int(row["setting"].removeprefix("k=")): float(row["value"])
            for row in csv.DictReader(file)
            if row["metric"] == metric and row["method"] == method
        }
