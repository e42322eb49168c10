"""The experiments of the TabPFN paper: what each cell fits and predicts (fit) and how that is measured (score).

A fit is given the features of the test rows, because TabPFN reads them beside the training rows in one pass; their
labels belong to ``score``, which compares. Artifacts hold ``p``, the class probabilities (test rows, classes).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.errors import Skipped, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from claimbench.data import Data
    from claimbench.papers.tabpfn.search import Found
    from claimbench.papers.tabpfn.tasks import Task
    from claimbench.run import Run

Artifact = dict[str, Any]


def _tabpfn(run: Run, members: int) -> Any:
    """With the network of a run that this one needs, else one that comes with the package."""
    from claimbench.papers.tabpfn import checkpoints
    from claimbench.papers.tabpfn.classifier import ClaimBenchTabPFNClassifier

    return ClaimBenchTabPFNClassifier(
        checkpoints.trained(run.inputs["network"]) if "network" in run.inputs else run.h.network,
        members=members,
        batch=run.h.batch,
        more_rows=run.h.more_rows,
        device=run.device,
        random_state=int(run.rng("ensemble").integers(2**31)),
    )


def _baseline(run: Run, name: str, parameters: dict[str, Any], categorical: tuple[int, ...]) -> Any:
    from claimbench.papers.tabpfn import baselines

    return baselines.get(name).build(parameters, int(run.rng("baseline").integers(2**31)), categorical)


def _either(run: Run, categorical: tuple[int, ...]) -> Any:
    """TabPFN, or the baseline of this run with its defaults."""
    return _tabpfn(run, run.h.members) if run.method == "tabpfn" else _baseline(run, run.method, {}, categorical)


def _predicted(estimator: Any, given: Task) -> NDArray[np.float64]:
    """Probabilities (test rows, classes) after a fit to the training rows."""
    from claimbench.papers.tabpfn import search

    return np.asarray(search.fitted(estimator, given.x, given.y).predict_proba(given.test_x))


def _task(run: Run, data: Data, network: bool) -> Task:
    """The table of a run; ``sabotage: shuffled-labels`` puts the labels that a network is shown out of order."""
    from claimbench.papers.tabpfn import tasks

    given = tasks.task(data)
    if network and run.h.sabotage == "shuffled-labels":
        return replace(given, y=run.rng("sabotage").permutation(given.y))
    return given


def _by_seed(
    runs: Sequence[Run], datas: Sequence[Data], fit: Callable[[list[Run], Data], list[Artifact]]
) -> list[Artifact]:
    """Artifacts of runs on one dataset, fitted together where they have the same split."""
    from claimbench.training import in_stacks

    return in_stacks(runs, lambda run: run.seed, lambda of: fit([runs[i] for i in of], datas[of[0]]))


def _metrics(p: Any, data: Data) -> dict[str, float]:
    from claimbench.papers.tabpfn import evaluation

    return evaluation.all_metrics(data.arrays["test_y"], np.asarray(p))


# ---- Table 1 ---------------------------------------------------------------------------------------------------------


def fit_many_benchmark__tabpfn(runs: Sequence[Run], datas: Sequence[Data]) -> list[Artifact]:
    """Ensembles of the sizes ``members``; smaller ones are the first members of the largest of their split."""
    return _by_seed(runs, datas, _ensembles)


def _ensembles(runs: list[Run], data: Data) -> list[Artifact]:
    from claimbench.papers.tabpfn import search

    run, given = runs[0], _task(runs[0], data, True)
    largest = _tabpfn(run, max(run.setting["members"] for run in runs))
    logits = search.fitted(largest, given.x, given.y).logits(given.test_x)
    return [{"p": largest.averaged(logits[: run.setting["members"]])} for run in runs]


def fit_benchmark(run: Run, data: Data) -> Artifact:
    """A baseline with its defaults, or for ``<name>-tuned`` with what a random search finds within
    ``search_configurations`` and the seconds of the setting ``budget_s`` (Section 5.1)."""
    given, name = _task(run, data, False), run.method.removesuffix("-tuned")
    if name == run.method:
        return {"p": _predicted(_baseline(run, name, {}, given.categorical), given)}
    found = _searched(run, name, given, run.setting.get("budget_s"))
    run.metric("train/configurations", found.tried)
    run.metric("val/auc", found.auc)
    return {
        "p": _predicted(_baseline(run, name, found.parameters, given.categorical), given),
        "parameters": found.parameters,
    }


def _searched(run: Run, name: str, given: Task, budget_s: float | None) -> Found:
    from claimbench.papers.tabpfn import baselines, search

    return search.search(
        baselines.get(name),
        given.x,
        given.y,
        given.categorical,
        run.rng("search"),
        run.h.search_configurations,
        budget_s,
    )


def score_benchmark(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """ROC AUC, accuracy and cross-entropies on the test rows (Section 5.2)."""
    return _metrics(artifact["p"], data)


# ---- members of the ensemble -----------------------------------------------------------------------------------------


def fit_ensembling(run: Run, data: Data) -> Artifact:
    """The benchmark's predictions with as many members."""
    return {"p": run.inputs["same"]["p"]}


def score_ensembling(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """The metrics of Table 1."""
    return _metrics(artifact["p"], data)


# ---- time ------------------------------------------------------------------------------------------------------------


def fit_time__interleaved(run: Run, data: Data) -> Artifact:
    """TabPFN with each of ``timed_members`` and a search of gradient boosting, timed in turns on the same table; a time
    is that of fit and prediction, the least of ``repeats``.

    Returns:
        ``seconds``, and the predictions ``p/<members>`` and ``p/search``; ``tried``, configurations of the search.
    """
    given, shown = (_task(run, data, network) for network in (False, True))
    asked = {str(members): functools.partial(_tabpfn, run, members) for members in run.h.timed_members}
    for build in asked.values():
        _predicted(build(), shown)  # loads weights and warms up
    seconds: dict[str, list[float]] = {name: [] for name in (*asked, "search")}
    artifact: Artifact = {}
    for _ in range(run.h.repeats):
        for name, build in asked.items():
            started = time.perf_counter()
            artifact[f"p/{name}"] = _predicted(build(), shown)
            seconds[name].append(time.perf_counter() - started)
        started = time.perf_counter()
        found = _searched(run, run.h.searched, given, run.h.search_budget_s)
        best = _baseline(run, run.h.searched, found.parameters, given.categorical)
        artifact |= {"p/search": _predicted(best, given), "tried": found.tried}
        seconds["search"].append(time.perf_counter() - started)
    return artifact | {"seconds": {name: min(values) for name, values in seconds.items()}}


def fit_time(run: Run, data: Data) -> Artifact:
    """What the interleaved run measured and predicted, of the search or of TabPFN with ``members``."""
    timed = run.inputs["timed"]
    name = "search" if run.method == "search" else str(run.setting["members"])
    return {"seconds": timed["seconds"], "tried": timed["tried"], f"p/{name}": timed[f"p/{name}"]}


def score_time(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC on the test rows beside the seconds; ``interleaved`` itself is scored as its first number of members."""
    seconds = artifact["seconds"]
    name = "search" if run.method == "search" else str(run.setting.get("members", run.h.timed_members[0]))
    return {
        "test/auc": _metrics(artifact[f"p/{name}"], data)["test/auc"],
        "test/seconds": seconds[name],
        "test/ratio": seconds["search"] / seconds[name],
        "test/configurations": artifact["tried"],
    }


# ---- structure -------------------------------------------------------------------------------------------------------


def fit_structure(run: Run, data: None) -> Artifact:
    """Largest changes of probabilities that should not change, on a random table."""
    from claimbench.papers.tabpfn import structure

    return dict(structure.changes(run))


def score_structure(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """The changes as they are."""
    return {f"test/{name}": value for name, value in artifact.items()}


# ---- weaknesses ------------------------------------------------------------------------------------------------------


def fit_many_robustness(runs: Sequence[Run], datas: Sequence[Data]) -> list[Artifact]:
    """Predictions with shuffled copies of all columns added, ``p``, and without them, ``plain``, which all numbers of
    copies share."""
    return _by_seed(runs, datas, _with_copies)


def _with_copies(runs: list[Run], data: Data) -> list[Artifact]:
    from claimbench.papers.tabpfn import tasks

    given = _numeric(runs[0], data)
    given = replace(given, test_x=given.test_x[tasks.chosen(len(given.test_x), runs[0])])
    plain = _predicted(_either(runs[0], ()), given)
    found = []
    for run in runs:
        changed = tasks.with_copies(given, run.setting["copies"], run.rng("copies"))
        found.append({"plain": plain, "p": plain if changed is given else _predicted(_either(run, ()), changed)})
    return found


def _numeric(run: Run, data: Data) -> Task:
    given = _task(run, data, run.method == "tabpfn")
    if given.categorical or np.isnan(given.x).any():
        raise UserError(f"{run.experiment} needs a table of numbers without gaps, and {run.dataset} is none")
    return given


def score_robustness(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC on the test rows that were asked for, and what the change loses."""
    from claimbench.papers.tabpfn import evaluation, tasks

    y = data.arrays["test_y"]
    y = y[tasks.chosen(len(y), run)]
    plain, auc = (evaluation.auc_ovo(y, np.asarray(artifact[name])) for name in ("plain", "p"))
    return {"test/auc": auc, "test/loss": plain - auc}


def fit_rotation(run: Run, data: Data) -> Artifact:
    """Predictions with the columns rotated, ``p``, beside those of the benchmark, ``plain``."""
    from claimbench.papers.tabpfn import tasks

    changed = tasks.turned(_numeric(run, data), run.rng("rotation"))
    return {"plain": run.inputs["plain"]["p"], "p": _predicted(_either(run, ()), changed)}


def score_rotation(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC with the columns rotated, and what that loses."""
    plain, auc = (_metrics(artifact[name], data)["test/auc"] for name in ("plain", "p"))
    return {"test/auc": auc, "test/loss": plain - auc}


# ---- more rows than in training --------------------------------------------------------------------------------------


def fit_context(run: Run, data: Data) -> Artifact:
    """Predictions for at most ``tested`` test rows after ``rows`` training rows."""
    from claimbench.papers.tabpfn import tasks

    given = _task(run, data, run.method == "tabpfn")
    if len(given.x) < run.setting["rows"]:
        raise Skipped(f"{run.dataset} has {len(given.x)} training rows, fewer than {run.setting['rows']}")
    given = replace(given, test_x=given.test_x[tasks.chosen(len(given.test_x), run)])
    given = tasks.first_rows(given, run.setting["rows"], run.rng("rows"))
    return {"p": _predicted(_either(run, given.categorical), given)}


def score_context(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC on the test rows that were asked for."""
    from claimbench.papers.tabpfn import evaluation, tasks

    y = data.arrays["test_y"]
    return {"test/auc": evaluation.auc_ovo(y[tasks.chosen(len(y), run)], np.asarray(artifact["p"]))}


# ---- prior-fitting ---------------------------------------------------------------------------------------------------


def fit_prior_fitting(run: Run, data: None) -> Artifact:
    """A network trained on tables of the prior, and its configuration."""
    from claimbench.papers.tabpfn import training

    return training.train(run) | {"configuration": dict(run.hyper)}


def score_prior_fitting(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    """Cross-entropy on fresh tables of the prior by the number of labelled rows."""
    from claimbench.papers.tabpfn import checkpoints, training

    net, _ = checkpoints.trained(artifact)
    return {f"test/{name}": value for name, value in training.held_out(run, net).items()}


def fit_prior_ablation(run: Run, data: Data) -> Artifact:
    """As Table 1, with a network that knows one part of the prior (Table 4)."""
    return {"p": _predicted(_tabpfn(run, run.h.members), _task(run, data, True))}


def score_prior_ablation(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """The metrics of Table 1."""
    return _metrics(artifact["p"], data)
