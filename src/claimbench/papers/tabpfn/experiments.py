"""The experiments of the TabPFN paper: what each cell prepares (fit) and how it is evaluated (score).

Test features belong to ``score``. A ``fit`` therefore decides all that training rows can decide, the labels TabPFN is
shown and the configuration of a baseline, and ``score`` fits that on the training rows and predicts.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.errors import Skipped, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from claimbench.data import Data
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
        random_state=int(run.rng("ensemble").integers(2**31)),
    )


def _baseline(run: Run, name: str, parameters: dict[str, Any], categorical: tuple[int, ...]) -> Any:
    from claimbench.papers.tabpfn import baselines

    return baselines.get(name).build(parameters, int(run.rng("baseline").integers(2**31)), categorical)


def _either(run: Run, members: int, categorical: tuple[int, ...]) -> Any:
    """TabPFN, or the baseline of this run with its defaults."""
    return _tabpfn(run, members) if run.method == "tabpfn" else _baseline(run, run.method, {}, categorical)


def _predicted(estimator: Any, given: Task, y: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
    """Probabilities of the test rows, and the seconds of fit and prediction."""
    from claimbench.papers.tabpfn import search

    started = time.perf_counter()
    p = search.fitted(estimator, given.x, y).predict_proba(given.test_x)
    return np.asarray(p), time.perf_counter() - started


def _labels(run: Run, data: Data) -> Artifact:
    from claimbench.papers.tabpfn import tasks

    return tasks.labels(tasks.task(data), run.h.sabotage, run.rng("sabotage"))


# ---- Table 1 ---------------------------------------------------------------------------------------------------------


def fit_benchmark__tabpfn(run: Run, data: Data) -> Artifact:
    """The labels to be shown; nothing is trained."""
    return _labels(run, data)


def score_benchmark__tabpfn(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    from claimbench.papers.tabpfn import evaluation, tasks

    p, _ = _predicted(_tabpfn(run, run.setting["members"]), tasks.task(data), np.asarray(artifact["y"]))
    return evaluation.all_metrics(data.arrays["test_y"], p)


def fit_benchmark(run: Run, data: Data) -> Artifact:
    """A baseline's configuration: its defaults, or for ``<name>-tuned`` what a random search finds within
    ``search_configurations`` and the seconds of the setting ``budget_s``."""
    from claimbench.papers.tabpfn import baselines, search, tasks

    name = run.method.removesuffix("-tuned")
    given = tasks.task(data)
    if name == run.method:
        baselines.get(name).build({}, 0, given.categorical)  # refuses a name that is none, and a missing library
        return {"parameters": {}}
    found = search.search(
        baselines.get(name),
        given.x,
        given.y,
        given.categorical,
        run.rng("search"),
        run.h.search_configurations,
        run.setting.get("budget_s"),
    )
    run.metric("train/configurations", found.tried)
    run.metric("val/auc", found.auc)
    return {"parameters": found.parameters}


def score_benchmark(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    from claimbench.papers.tabpfn import evaluation, tasks

    given = tasks.task(data)
    estimator = _baseline(run, run.method.removesuffix("-tuned"), artifact["parameters"], given.categorical)
    p, _ = _predicted(estimator, given, given.y)
    return evaluation.all_metrics(data.arrays["test_y"], p)


# ---- members of the ensemble -----------------------------------------------------------------------------------------


def fit_ensembling(run: Run, data: Data) -> Artifact:
    return _labels(run, data)


def score_ensembling(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    return score_benchmark__tabpfn(run, artifact, data)


# ---- time ------------------------------------------------------------------------------------------------------------


def fit_time__interleaved(run: Run, data: Data) -> Artifact:
    """TabPFN and a search of gradient boosting, timed in turns on the same training rows.

    A time is that of fit and prediction; the training rows are predicted again, which are as many as the test rows.
    """
    from claimbench.papers.tabpfn import baselines, search, tasks

    given = tasks.task(data)
    given = tasks.Task(given.x, given.y, given.x, given.categorical)
    for members in run.h.timed_members:
        _predicted(_tabpfn(run, members), given, given.y)  # loads weights and warms up
    seconds: dict[str, list[float]] = {str(members): [] for members in run.h.timed_members}
    seconds["search"] = []
    found = None
    for _ in range(run.h.repeats):
        for members in run.h.timed_members:
            seconds[str(members)].append(_predicted(_tabpfn(run, members), given, given.y)[1])
        found = search.search(
            baselines.get(run.h.searched),
            given.x,
            given.y,
            given.categorical,
            run.rng("search"),
            run.h.search_configurations,
            run.h.search_budget_s,
        )
        best = _baseline(run, run.h.searched, found.parameters, given.categorical)
        seconds["search"].append(found.seconds + _predicted(best, given, given.y)[1])
    assert found is not None
    least = {name: min(values) for name, values in seconds.items()}
    return {"seconds": least, "parameters": found.parameters, "tried": found.tried, **_labels(run, data)}


def fit_time(run: Run, data: Data) -> Artifact:
    """What the interleaved run measured."""
    timed = run.inputs["timed"]
    return {name: timed[name] for name in ("seconds", "parameters", "tried", "y")}


def score_time(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC on the test rows beside the seconds; ``interleaved`` itself is scored as its single member."""
    from claimbench.papers.tabpfn import evaluation, tasks

    given, seconds = tasks.task(data), artifact["seconds"]
    if run.method == "search":
        estimator = _baseline(run, run.h.searched, artifact["parameters"], given.categorical)
        p, _ = _predicted(estimator, given, given.y)
        own = seconds["search"]
    else:
        members = run.setting.get("members", run.h.timed_members[0])
        p, _ = _predicted(_tabpfn(run, members), given, np.asarray(artifact["y"]))
        own = seconds[str(members)]
    return {
        "test/auc": evaluation.auc_ovo(data.arrays["test_y"], p),
        "test/seconds": own,
        "test/ratio": seconds["search"] / own,
        "test/configurations": artifact["tried"],
    }


# ---- structure -------------------------------------------------------------------------------------------------------


def fit_structure(run: Run, data: None) -> Artifact:
    """Largest changes of probabilities that should not change, on a random table."""
    from claimbench.papers.tabpfn import structure

    return dict(structure.changes(run))


def score_structure(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    return {f"test/{name}": value for name, value in artifact.items()}


# ---- weaknesses ------------------------------------------------------------------------------------------------------


def fit_robustness(run: Run, data: Data) -> Artifact:
    return _labels(run, data)


def score_robustness(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC with shuffled copies of all columns added, and what that loses against the table as it is."""
    from claimbench.papers.tabpfn import tasks

    return _weakened(
        run, artifact, data, lambda given: tasks.with_copies(given, run.setting["copies"], run.rng("copies"))
    )


def fit_rotation(run: Run, data: Data) -> Artifact:
    return _labels(run, data)


def score_rotation(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC with the columns rotated, and what that loses."""
    from claimbench.papers.tabpfn import tasks

    return _weakened(run, artifact, data, lambda given: tasks.turned(given, run.rng("rotation")))


def _weakened(run: Run, artifact: Artifact, data: Data, change: Any) -> dict[str, float]:
    from claimbench.papers.tabpfn import evaluation, tasks

    given, y = tasks.task(data), np.asarray(artifact["y"])
    given, test_y = tasks.first_tests(given, data.arrays["test_y"], run.h.tested, run.rng("tested"))
    if given.categorical or np.isnan(given.x).any():
        raise UserError(f"{run.experiment} needs a table of numbers without gaps, and {run.dataset} is none")
    aucs = []
    for table in (given, change(given)):
        p, _ = _predicted(_either(run, run.h.members, ()), table, y)
        aucs.append(evaluation.auc_ovo(test_y, p))
    return {"test/auc": aucs[1], "test/loss": aucs[0] - aucs[1]}


# ---- more rows than in training --------------------------------------------------------------------------------------


def fit_context(run: Run, data: Data) -> Artifact:
    return _labels(run, data)


def score_context(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """AUC on the first ``tested`` test rows after ``rows`` training rows."""
    from claimbench.papers.tabpfn import evaluation, tasks

    whole, y = tasks.task(data), np.asarray(artifact["y"])
    if len(whole.x) < run.setting["rows"]:
        raise Skipped(f"{run.dataset} has {len(whole.x)} training rows, fewer than {run.setting['rows']}")
    whole, test_y = tasks.first_tests(whole, data.arrays["test_y"], run.h.tested, run.rng("tested"))
    given = tasks.first_rows(replace(whole, y=y), run.setting["rows"], run.rng("rows"))
    p, _ = _predicted(_either(run, run.h.members, given.categorical), given, given.y)
    return {"test/auc": evaluation.auc_ovo(test_y, p)}


# ---- prior-fitting ---------------------------------------------------------------------------------------------------


def fit_prior_fitting(run: Run, data: None) -> Artifact:
    """A network trained on tables of the prior, and its configuration."""
    from claimbench.papers.tabpfn import training

    return training.train(run) | {"configuration": dict(run.hyper)}


def score_prior_fitting(run: Run, artifact: Artifact, data: None) -> dict[str, float]:
    from claimbench.papers.tabpfn import checkpoints, training

    net, _ = checkpoints.trained(artifact)
    return {f"test/{name}": value for name, value in training.held_out(run, net).items()}


def fit_prior_ablation(run: Run, data: Data) -> Artifact:
    return _labels(run, data)


def score_prior_ablation(run: Run, artifact: Artifact, data: Data) -> dict[str, float]:
    """As Table 1, with a network that knows one part of the prior."""
    from claimbench.papers.tabpfn import evaluation, tasks

    p, _ = _predicted(_tabpfn(run, run.h.members), tasks.task(data), np.asarray(artifact["y"]))
    return evaluation.all_metrics(data.arrays["test_y"], p)
