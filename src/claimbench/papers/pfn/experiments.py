"""The experiments of the PFN paper: what each cell trains (fit) and how it is evaluated (score)."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from claimbench.data import Data
    from claimbench.run import Run

Artifact = dict[str, Any]


def _head(run: Run) -> str:
    return "gaussian" if run.method == "gaussian" else "riemann"


# ---- a Gaussian process with fixed hyper-parameters ------------------------------------------------------------------


def fit_fixed_gp(run: Run, data: None) -> Artifact:
    """A network, with the method's head, that is fitted to the process with fixed hyper-parameters (Section 5.1)."""
    from claimbench.papers.pfn import training

    return dict(training.train(run, "fixed", _head(run)))


def score_fixed_gp(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Negative log density of one query in each of many fresh datasets, for several numbers of labelled points, and its
    distance from that of the exact process (paired; the sabotage measures it against a process of another length)."""
    from claimbench.papers.pfn import gaussian_process as gp
    from claimbench.papers.pfn import training

    net, borders = training.load(run, artifact, _head(run))
    length = 0.3 if run.h.sabotage == "other-length" else gp.LENGTH_SCALE
    x, y = gp.fixed(run.h.tested, run.h.points, run.h.d, run.torch_generator("test"))
    found: dict[str, float] = {}
    gaps, scores, z = [], [], []
    for n in run.h.sizes:
        part_x, part_y = x[:, : n + 1], y[:, : n + 1]
        own = -training.predictive(net, _head(run), borders, part_x.float(), part_y.float()).double()
        mean, variance = gp.exact(part_x, part_y[:, :n], lambda a, b: gp.rbf(a, b, length))
        difference = own + gp.normal_log_density(part_y[:, n], mean, variance)
        gap, error = float(difference.mean()), float(difference.std() / math.sqrt(len(difference)))
        gaps.append(gap)
        scores.append(float(own.mean()))
        z.append(gap / error)
        found |= {f"test/gap_{n}": gap, f"test/nll_{n}": scores[-1]}
    return found | {
        "test/gap": float(np.mean(gaps)),
        "test/largest_gap": max(gaps),
        "test/nll": float(np.mean(scores)),
        "test/least_z": min(z),
        "test/least_fall": float(-np.diff(scores).max()),
    }


# ---- a Gaussian process with hyper-priors ----------------------------------------------------------------------------


def _tests(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Datasets that all methods of a seed are judged on, not standardised; for NUTS the first ``first`` ones only."""
    from claimbench.papers.pfn import gaussian_process as gp

    x, y = gp.mixture(run.h.tested, run.h.points, run.torch_generator("test", "cpu"))
    return (x[: run.h.first], y[: run.h.first]) if run.method == "nuts" else (x, y)


def fit_hyper_gp__pfn(run: Run, data: None) -> Artifact:
    """A network that is fitted to processes whose hyper-parameters are drawn (Section 5.2)."""
    from claimbench.papers.pfn import training

    return dict(training.train(run, "mixture", "riemann"))


def fit_hyper_gp(run: Run, data: None) -> Artifact:
    """Nothing is trained: ``map``, ``nuts`` and ``quadrature`` infer hyper-parameters for each dataset anew.

    Returns:
        ``log_p/<n>``: log densities (datasets,) of the queries that have n labelled points.
    """
    x, y = _tests(run)
    if run.method == "quadrature":
        _example(run, None)
    return {f"log_p/{n}": _inferred(run, x[:, : n + 1], y[:, : n + 1]).numpy() for n in run.h.sizes}


def score_hyper_gp(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Negative log density of one query, in the units of the values: the mean over the small sizes, and that
    over all sizes on the first datasets, the only ones that NUTS has the time for."""
    answers = _of_network(run, artifact) if run.method == "pfn" else artifact
    found, first = {}, []
    for n in run.h.sizes:
        losses = -np.asarray(answers[f"log_p/{n}"])
        found[f"test/nll_{n}"] = float(losses.mean())
        first.append(float(losses[: run.h.first].mean()))
    small = [found[f"test/nll_{n}"] for n in run.h.sizes if n <= run.h.small]
    return found | {"test/nll_small": float(np.mean(small)), "test/nll_first": float(np.mean(first))}


def _of_network(run: Run, artifact: Artifact) -> Artifact:
    """What :func:`fit_hyper_gp` returns, of the network of an artifact."""
    from claimbench.papers.pfn import gaussian_process as gp
    from claimbench.papers.pfn import training

    net, borders = training.load(run, artifact, "riemann")
    _example(run, (net, borders))
    x, y = _tests(run)
    x, y = x.float(), (y / gp.MIXTURE_DEVIATION).float()
    found = {}
    for n in run.h.sizes:
        log_p = training.predictive(net, "riemann", borders, x[:, : n + 1], y[:, : n + 1]).double()
        found[f"log_p/{n}"] = (log_p - math.log(gp.MIXTURE_DEVIATION)).numpy()
    return found


def _example(run: Run, network: Any) -> None:
    """Curves of one dataset: labelled points, and over a grid the predictive mean with the central 95 % (network) or
    1.96 deviations (exact)."""
    import torch

    from claimbench.nn.riemann import Riemann
    from claimbench.papers.pfn import gaussian_process as gp

    x, y = gp.mixture(1, run.h.small, run.torch_generator("example", "cpu"))
    for place, value in zip(x[0, :, 0], y[0], strict=True):
        run.curve("example/points", float(place), float(value))
    grid = torch.linspace(0, 1, 61, dtype=torch.float64)[:, None]
    if network is None:
        mean, deviation = gp.moments(x[0], y[0], grid)
        lines = {"mean": mean, "low": mean - 1.96 * deviation, "high": mean + 1.96 * deviation}
    else:
        net, borders = network
        with torch.no_grad():
            outputs = net(torch.cat([x, grid[None]], 1).float(), (y / gp.MIXTURE_DEVIATION).float())[0]
        density = Riemann(borders)
        lines = {"mean": density.mean(outputs)}
        lines |= {name: density.quantile(outputs, level) for name, level in (("low", 0.025), ("high", 0.975))}
        lines = {name: gp.MIXTURE_DEVIATION * line for name, line in lines.items()}
    for name, line in lines.items():
        for place, value in zip(grid[:, 0], line, strict=True):
            run.curve(f"example/{name}", float(place), float(value))


def _inferred(run: Run, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Log densities (datasets,) of the last points by the run's method: ``x`` (datasets, n + 1, 1), ``y`` (datasets,
    n + 1)."""
    import torch

    from claimbench.papers.pfn import gaussian_process as gp
    from claimbench.papers.pfn import nuts

    if run.method == "nuts":
        return nuts.answer(run, x, y)
    known, target = y[:, :-1], y[:, -1]
    if run.method == "quadrature":
        return torch.stack([gp.by_quadrature(*dataset) for dataset in zip(x, known, target, strict=True)])
    length, scale = gp.maxima(x[:, :-1], known).exp()[..., None, None].unbind(1)
    return gp.normal_log_density(target, *gp.exact(x, known, lambda a, b: scale * gp.matern(a, b, length)))


def fit_inference_time(run: Run, data: None) -> Artifact:
    """Seconds a dataset: network on all datasets in one pass and one by one; MLE-II and NUTS one after the other."""
    import torch

    from claimbench.papers.pfn import gaussian_process as gp
    from claimbench.papers.pfn import nuts, training

    h = run.h
    x, y = _tests(run)
    n = h.labelled
    best = {"batch": math.inf, "single": math.inf}
    if run.method == "pfn":
        net = training.build(run, "riemann").eval()
        a, b = x[:, : n + 1].float(), y[:, :n].float()
        with torch.no_grad():
            net(a, b)
            for _ in range(max(3, h.repeats)):
                start = time.perf_counter()
                net(a, b)
                best["batch"] = min(best["batch"], (time.perf_counter() - start) / len(a))
                start = time.perf_counter()
                few = min(20, len(a))
                for i in range(few):
                    net(a[i : i + 1], b[i : i + 1])
                best["single"] = min(best["single"], (time.perf_counter() - start) / few)
    elif run.method == "nuts":
        few_x, few_y = x[: h.nuts_tested, : n + 1], y[: h.nuts_tested, : n + 1]
        start = time.perf_counter()
        nuts.answer(run, few_x, few_y)
        best["batch"] = best["single"] = (time.perf_counter() - start) / len(few_x)
    else:
        few_x, few_y = x[: h.map_tested], y[: h.map_tested]
        for _ in range(h.repeats):
            start = time.perf_counter()
            for points, values in zip(few_x, few_y, strict=True):
                gp.maximum(points[:n], values[:n])
            best["batch"] = best["single"] = min(best["batch"], (time.perf_counter() - start) / len(few_x))
    return dict(best)


def score_inference_time(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Seconds a dataset, all in one pass and one by one."""
    return {"test/seconds": artifact["batch"], "test/seconds_single": artifact["single"]}


# ---- small tables ----------------------------------------------------------------------------------------------------

_PRIORS = {"pfn-bnn": "networks", "pfn-gp": "processes"}


def fit_table_prior(run: Run, data: None) -> Artifact:
    """A network that is fitted to the prior of networks (``pfn-bnn``) or of Gaussian processes (``pfn-gp``)."""
    from claimbench.papers.pfn import training

    return dict(training.train(run, _PRIORS[run.method], "binary"))


def score_table_prior(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Loss and area under the curve on fresh datasets of its own prior, 30 rows labelled or as many as it was shown."""
    from claimbench.metrics import roc_auc
    from claimbench.papers.pfn import training

    net, _ = training.load(run, artifact, "binary")
    x, y = training.draw(_PRIORS[run.method], run.h.tested, run.h, run.torch_generator("test"))
    n = min(30, run.h.largest)
    p = training.probabilities(net, x, y[:, :n]).double()
    asked = y[:, n:].double()
    loss = -(asked * p.clamp_min(1e-12).log() + (1 - asked) * (1 - p).clamp_min(1e-12).log()).mean()
    kept = [(a, b) for a, b in zip(p.numpy(), asked.numpy(), strict=True) if 0 < b.mean() < 1]
    return {"test/nll": float(loss), "test/auc": float(np.mean([roc_auc(b, a) for a, b in kept]))}


def _in_context(run: Run, data: Data) -> Artifact:
    """One pass over all subsets of all tables. The sabotage labels the training rows out of order."""
    import torch

    from claimbench.papers.pfn import tables, tabular_priors, training

    h = run.h
    asked = tables.tasks(data, h.d, run.rng("columns"))
    net, _ = training.load(run, run.inputs["net"], "binary")
    start = time.perf_counter()
    x = np.zeros((len(asked), len(asked[0].y) + len(asked[0].query), h.d), np.float32)
    y = np.stack([task.y for task in asked]).astype(np.float32)
    for place, task in enumerate(asked):
        used = task.x.shape[1]
        scale = tabular_priors.rescaling(used, h.d) if run.method == "pfn-gp" else 1.0
        x[place, :, :used] = np.concatenate([task.x, task.query]) * scale
    if h.sabotage == "shuffled-labels":
        y = run.rng("sabotage").permuted(y, axis=1)
    p = training.probabilities(net, torch.from_numpy(x), torch.from_numpy(y)).numpy()
    seconds = time.perf_counter() - start
    return {"p": p.astype(np.float64), "table": data.arrays["table"], "seconds": seconds}


def fit_tables__pfn_bnn(run: Run, data: Data) -> Artifact:
    """The answers of the network that knows the prior of networks (Section 6)."""
    return _in_context(run, data)


def fit_tables__pfn_gp(run: Run, data: Data) -> Artifact:
    """The answers of the network that knows the prior of processes (Section 6)."""
    return _in_context(run, data)


def fit_tables(run: Run, data: Data) -> Artifact:
    """A classifier with its grid, cross-validated anew for each subset."""
    from claimbench.papers.pfn import baselines, tables

    h = run.h
    asked = tables.tasks(data, h.d, run.rng("columns"))
    grid = (baselines.FULL if h.grid == "full" else baselines.COARSE)[run.method]
    start = time.perf_counter()
    found = []
    for task in asked:
        run.alive()
        found.append(baselines.answer(run.method, grid, task.x, task.y, task.query, h.folds, run.seed))
    seconds = time.perf_counter() - start
    return {"p": np.stack(found), "table": data.arrays["table"], "seconds": seconds}


def fit_tables__bnn(run: Run, data: Data) -> Artifact:
    """A Bayesian neural network by SVI, its width and learning rate cross-validated."""
    import torch

    from claimbench.papers.pfn import bayesian_networks, tables

    h = run.h
    asked = tables.tasks(data, h.d, run.rng("columns"))
    start = time.perf_counter()
    found = []
    with run.torch_stream("svi"):
        for task in asked:
            run.alive()
            x, query = (torch.from_numpy(part).float() for part in (task.x, task.query))
            found.append(bayesian_networks.cross_validated(x, torch.from_numpy(task.y), query, h, run.seed))
    seconds = time.perf_counter() - start
    return {"p": np.stack(found), "table": data.arrays["table"], "seconds": seconds}


def score_tables(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Area under the curve by table (mean over its subsets), calibration over all answers."""
    from claimbench.papers.pfn import tables

    p, y = artifact["p"], data.arrays["test_y"]
    aucs = tables.by_table(artifact["table"], p, y)
    names = tables.names(data)
    for place, frequency in tables.reliability(p.ravel(), y.ravel(), 10):
        run.curve("reliability", place, frequency)
    found = {f"test/auc_{names[table]}": value for table, value in aucs.items()}
    return found | {
        "test/auc": float(np.mean(list(aucs.values()))),
        "test/ece": tables.calibration_error(p.ravel(), y.ravel(), run.h.bins),
    }


def fit_table_time__pfn_bnn(run: Run, data: Data) -> Artifact:
    """Seconds of the network's one pass over all subsets."""
    return {"seconds": _in_context(run, data)["seconds"]}


def fit_table_time(run: Run, data: Data) -> Artifact:
    """As ``tables``, with the machine to itself; a baseline's seconds include its cross-validation."""
    return {"seconds": fit_tables(run, data)["seconds"]}


def score_table_time(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Seconds for all subsets of all tables."""
    return {"test/seconds": float(artifact["seconds"])}


def fit_ranks(run: Run, data: Data) -> Artifact:
    """The answers of all methods to the same subsets, side by side."""
    found = {f"p/{method}": inputs["p"] for method, inputs in run.inputs.items()}
    return {**found, "table": data.arrays["table"]}


def score_ranks(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Mean rank of the area under the curve among all methods, over tables; 1 is the best."""
    from claimbench.papers.pfn import tables

    answers = {name.removeprefix("p/"): value for name, value in artifact.items() if name.startswith("p/")}
    aucs = {
        method: tables.by_table(artifact["table"], p, data.arrays["test_y"]) for method, p in sorted(answers.items())
    }
    return {"test/mean_rank": tables.mean_ranks(aucs)[run.method]}


# ---- Bayesian neural networks ----------------------------------------------------------------------------------------


def _bayesian(run: Run) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Datasets that all methods of a seed answer, as they are drawn, and the size of their revealed part."""
    from claimbench.papers.pfn import bayesian_networks

    h = run.h
    x, y = bayesian_networks.draw(
        h.tested, h.revealed + h.asked, h.d, h.hidden, h.activation, run.torch_generator("test", "cpu")
    )
    return x, y, h.revealed


def fit_bayesian_networks__pfn(run: Run, data: None) -> Artifact:
    """A network that is fitted to the prior of Bayesian networks (Section 5.3), its probabilities ``p`` (datasets, 1,
    queries) and the seconds of a dataset."""
    from claimbench.papers.pfn import training

    fitted = training.train(run, "bayesian", "binary")
    net, _ = training.load(run, fitted, "binary")
    x, y, n = _bayesian(run)
    # as in the released code, for the network alone: SVI and NUTS get the inputs that their model assumes
    x = (x - x[:, :n].mean(1, keepdim=True)) / x[:, :n].std(1, keepdim=True)
    training.probabilities(net, x[:1], y[:1, :n])
    start = time.perf_counter()
    p = training.probabilities(net, x, y[:, :n])
    return {"p": p[:, None].double(), "seconds": (time.perf_counter() - start) / len(x)}


def fit_bayesian_networks(run: Run, data: None) -> Artifact:
    """Bayes-by-Backprop (``svi``) or NUTS on one dataset after the other: probabilities of each weights' sample."""
    import torch

    from claimbench.papers.pfn import bayesian_networks as networks

    h = run.h
    x, y, n = _bayesian(run)
    program = networks.model(h.d, h.hidden, h.activation)
    start = time.perf_counter()
    found = []
    with run.torch_stream("inference"):
        for points, labels in zip(x, y, strict=True):
            run.alive()
            known, label = points[:n], labels[:n].long()
            if run.method == "svi":
                weights = networks.by_backprop(program, known, label, h.svi_steps, h.svi_samples, h.svi_rate)
            else:
                weights = networks.by_nuts(program, known, label, h.warm_up, h.samples, h.depth)
            found.append(networks.predict(weights, points[n:], h.activation))
    seconds = (time.perf_counter() - start) / len(x)
    return {"p": torch.stack(found).double(), "seconds": seconds}


def score_bayesian_networks(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Negative log likelihood of averaged probabilities, and of the share of sampled labels as the released code has it
    (there a logarithm is at least -100); seconds a dataset."""
    import torch
    from torch.nn import functional as F

    _, y, n = _bayesian(run)
    asked = y[:, n:].double()
    p = torch.from_numpy(np.array(artifact["p"]))
    drawn = p if run.method == "pfn" else torch.bernoulli(p, generator=run.torch_generator("labels"))
    return {
        "test/nll": float(F.binary_cross_entropy(p.mean(1), asked)),
        "test/nll_sampled": float(F.binary_cross_entropy(drawn.mean(1), asked)),
        "test/seconds": float(artifact["seconds"]),
    }


# ---- few-shot classification -----------------------------------------------------------------------------------------


def fit_stroke_prior(run: Run, data: None) -> Artifact:
    """A network that is fitted to the prior of strokes (Section 7)."""
    from claimbench.papers.pfn import few_shot

    return few_shot.fit_strokes(run)


def score_stroke_prior(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Accuracy on fresh tasks of the prior."""
    import torch

    from claimbench.papers.pfn import few_shot, strokes

    h = run.h
    x, y = strokes.draw(h.tested, h.classes, h.shots, h.queries, run.torch_generator("test"))
    n = h.classes * h.shots
    with torch.no_grad():
        answers = few_shot.load(run, artifact)(few_shot.shrunk(x, h.side), y[:, :n].float()).argmax(-1)
    return {"test/accuracy": float((answers == y[:, n:]).float().mean())}


def fit_few_shot__pfn(run: Run, data: Data) -> Artifact:
    """The network of strokes, fine-tuned on background alphabets where ``fine_steps`` is not 0: the ``classes`` (tasks,
    asked) that it answers with."""
    from claimbench.papers.pfn import few_shot

    net = run.inputs["net"]
    if run.h.fine_steps:
        net = few_shot.fine_tune(run, net, data.arrays["x"], data.arrays["y"])
    return {"classes": few_shot.by_network(few_shot.load(run, net), *few_shot.asked(run, data))}


def fit_few_shot__nearest(run: Run, data: Data) -> Artifact:
    """The class of the nearest shot."""
    from claimbench.papers.pfn import few_shot

    return {"classes": few_shot.by_nearest(*few_shot.asked(run, data))}


def fit_few_shot__logreg(run: Run, data: Data) -> Artifact:
    """A logistic regression on the shots of each task."""
    from claimbench.papers.pfn import few_shot

    return {"classes": few_shot.by_regression(*few_shot.asked(run, data))}


def score_few_shot(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """Accuracy on tasks from alphabets that were never trained on."""
    return {"test/accuracy": float((artifact["classes"] == data.arrays["test_y"]).mean())}
