"""One job in one process: resume, failures as rows, budgets, leakage."""

from __future__ import annotations

import copy
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from claimbench.data import registry
from claimbench.execute import local
from claimbench.execute.runner import Runner
from claimbench.records.collect import collect
from tests.conftest import EXPERIMENTS, PAPER, PaperFolder


def statuses(paper: PaperFolder, **changes: object) -> dict[str, tuple[str, str]]:
    rows = local.fit_and_score(paper.plan(**changes), "toy-paper", "location")
    return {f"{row['method']} {row['setting']['k']} {row['seed']}": (row["status"], row["reason"]) for row in rows}


def with_fit_mean(body: str) -> str:
    return EXPERIMENTS.replace(
        'def fit_location__mean(run, data):\n    x = parts.sample(run)\n    return {"x": x, "estimate": float(x.mean())}',
        "def fit_location__mean(run, data):\n" + "".join(f"    {line}\n" for line in body.splitlines()),
    )


def test_every_run_is_fitted_scored_and_collected(paper: PaperFolder) -> None:
    plan = paper.plan()
    local.fit_and_score(plan, "toy-paper", "location")
    local.fit_and_score(plan, "toy-paper", "student")
    tables = collect(plan, "toy-paper")
    assert [row["status"] for row in tables["runs"]] == ["done"] * 10
    assert len(tables["metrics"]) == 10
    assert {row["series"] for row in tables["curves"]} == {"estimate"}
    student = next(row for row in tables["runs"] if row["experiment"] == "student")
    assert student["wall_s"] > 0
    assert student["peak_rss_mb"] > 10


def test_a_second_execution_computes_nothing(paper: PaperFolder) -> None:
    local.fit_and_score(paper.plan(), "toy-paper", "location")
    before = {p: p.stat().st_mtime_ns for p in (paper.root / "results" / "store").rglob("fit.json")}
    local.fit_and_score(paper.plan(), "toy-paper", "location")
    assert before == {p: p.stat().st_mtime_ns for p in (paper.root / "results" / "store").rglob("fit.json")}


def test_more_seeds_run_only_the_new_ones(paper: PaperFolder) -> None:
    local.fit_and_score(paper.plan(), "toy-paper", "location")
    before = set((paper.root / "results" / "store").rglob("fit.json"))
    stamps = {p: p.stat().st_mtime_ns for p in before}
    local.fit_and_score(paper.plan(seeds=4), "toy-paper", "location")
    assert len(set((paper.root / "results" / "store").rglob("fit.json"))) == 2 * len(before)
    assert stamps == {p: p.stat().st_mtime_ns for p in before}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("raise ValueError('no such luck')", "failed", "ValueError: no such luck"),
        ("from claimbench.errors import Diverged\nraise Diverged('loss became nan')", "diverged", "loss became nan"),
        (
            "from claimbench.errors import DataUnavailable\nraise DataUnavailable('moon', ['rocket: no fuel'])",
            "skipped",
            "rocket: no fuel",
        ),
        ("return {'estimate': float('nan')}", "diverged", "estimate of the artifact is nan"),
        ("return 3", "failed", "must return a dict"),
        ("raise MemoryError", "oom", "MemoryError"),
        ("import torch\nreturn {'x': torch.zeros(2) @ torch.zeros(3)}", "failed", "size"),
    ],
)
def test_a_failure_is_a_row_and_the_others_go_on(paper: PaperFolder, body: str, status: str, words: str) -> None:
    paper.write(experiments=with_fit_mean(body))
    found = statuses(paper)
    assert found["mean 1 0"][0] == status
    assert words in found["mean 1 0"][1]
    assert found["median 1 0"] == ("done", "")


def test_failed_runs_are_tried_again(paper: PaperFolder) -> None:
    flag = paper.root / "flag"
    body = f"import pathlib\nif not pathlib.Path({str(flag)!r}).exists():\n    raise ValueError('not yet')\nreturn {{'estimate': 0.5}}"
    paper.write(experiments=with_fit_mean(body))
    assert statuses(paper)["mean 1 0"][0] == "failed"
    flag.touch()
    assert statuses(paper)["mean 1 0"][0] == "done"


def test_wall_budget(paper: PaperFolder) -> None:
    import copy

    from tests.conftest import PAPER

    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["budget"] = {"wall_s": 0.3}
    paper.write(changed, with_fit_mean("import time\nwhile True:\n    time.sleep(0.01)"))
    found = statuses(paper, seeds=1)
    assert found["mean 1 0"] == ("timeout", "more than 0.3 s of wall time")
    assert found["median 1 0"][0] == "done"


def test_memory_budget(paper: PaperFolder) -> None:
    import copy

    from tests.conftest import PAPER

    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["budget"] = {"mem_mb": 1500}
    body = (
        "import numpy as np, time\nkeep = []\nwhile True:\n    keep.append(np.ones(10_000_000))\n    time.sleep(0.01)"
    )
    paper.write(changed, with_fit_mean(body))
    found = statuses(paper, seeds=1)
    assert found["mean 1 0"][0] == "oom"
    assert "budget of 1500 MB" in found["mean 1 0"][1]


def test_several_runs_at_once_give_what_one_gives(paper: PaperFolder) -> None:
    alone = collect_metrics(paper)
    many = (
        EXPERIMENTS
        + "\n\ndef fit_many_location__mean(runs, datas):\n    assert len(runs) > 1\n    return [fit_location__mean(r, d) for r, d in zip(runs, datas)]\n"
    )
    paper.write(experiments=many)
    import sys

    for name in [name for name in sys.modules if name.startswith("claimbench.papers.toy_paper")]:
        del sys.modules[name]
    assert collect_metrics(paper) == alone


def test_runs_whose_needs_are_met_are_fitted_at_once(paper: PaperFolder) -> None:
    """One teacher fails: its student stands alone, the others are fitted together."""
    broken = EXPERIMENTS.replace(
        '    x = parts.sample(run)\n    return {"x": x, "estimate": float(x.mean())}',
        "    if run.seed == 1:\n        raise ValueError('no')\n    return {\"estimate\": 1.0}",
    )
    many = (
        "\n\ndef fit_many_student(runs, datas):\n    assert [run.seed for run in runs] == [0, 2]\n"
        "    return [{'estimate': 10.0 + run.inputs['teacher']['estimate']} for run in runs]\n"
    )
    paper.write(experiments=broken + many)
    rows = local.fit_and_score(paper.plan(seeds=3), "toy-paper", "student")
    assert [row["status"] for row in sorted(rows, key=lambda row: row["seed"])] == ["done", "failed", "done"]
    assert [row["metrics"]["test/error"] for row in rows if row["status"] == "done"] == [10.5, 10.5]


def collect_metrics(paper: PaperFolder) -> list[float]:
    rows = local.fit_and_score(paper.plan(), "toy-paper", "location")
    assert all(row["status"] == "done" for row in rows), rows
    return [row["metrics"]["test/error"] for row in rows]


LOOP = """
def fit_location__mean(run, data):
    import time
    import torch
    from claimbench.training import Loop

    run.checkpoint.every_s = 0.0
    order = run.torch_generator("order")
    net = torch.nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(torch.randn(1, 3, generator=run.torch_generator("init")))
        net.bias.zero_()
    adam = torch.optim.Adam(net.parameters())
    best = {"loss": None, "weight": net.weight.detach().clone()}
    for phase in ("first", "second"):
        for step in Loop(run, phase, 40, net=net, adam=adam, order=order, best=best):
            x = torch.randn(8, 3, generator=order)
            loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            run.curve(f"{phase}/loss", step, loss.item())
            if best["loss"] is None or loss.item() < best["loss"]:
                best.update(loss=loss.item(), weight=net.weight.detach().clone())
            PAUSE
    return {"weight": best["weight"], "last": net.weight, "estimate": best["loss"]}
"""


def loop_paper(paper: PaperFolder, pause: str) -> None:
    start = EXPERIMENTS.index("def fit_location__mean")
    end = EXPERIMENTS.index("def fit_location__median")
    paper.write(experiments=EXPERIMENTS[:start] + LOOP.replace("PAUSE", pause) + "\n\n" + EXPERIMENTS[end:])


def test_a_killed_fit_resumes_bit_for_bit(paper: PaperFolder, tmp_path: Path) -> None:
    loop_paper(paper, "pass")
    rows = local.fit_and_score(paper.plan(seeds=1), "toy-paper", "location")
    want = next(row for row in rows if row["method"] == "mean")["metrics"]
    plan = paper.plan(seeds=1)
    run = next(r for r in plan.runs if r.cell.method == "mean" and r.cell.setting["k"] == 1)
    want_artifact = Runner(plan).store.artifact("toy-paper", run.fit_key)
    want_curves = Runner(plan).store.fit_record("toy-paper", run.fit_key)["curves"]

    loop_paper(paper, "time.sleep(0.02)")
    command = [
        sys.executable,
        "-m",
        "claimbench",
        "--config",
        str(paper.config_file(seeds=1)),
        "fit",
        "--job",
        "toy-paper.location",
    ]
    plan = paper.plan(seeds=1)
    run = next(r for r in plan.runs if r.cell.method == "mean" and r.cell.setting["k"] == 1)
    folder = Runner(plan).store.folder("toy-paper", run.fit_key)
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        seen = time.monotonic()
        while time.monotonic() < deadline and process.poll() is None:
            if (folder / "checkpoint.safetensors").exists() and time.monotonic() - seen > 0.3:
                break
            if not (folder / "checkpoint.safetensors").exists():
                seen = time.monotonic()
            time.sleep(0.01)
        if process.poll() is None and not (folder / "fit.json").exists():
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 2
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    store = Runner(plan).store
    got = store.artifact("toy-paper", run.fit_key)
    assert all((got[name] == want_artifact[name]).all() for name in ("weight", "last"))
    assert got["estimate"] == want_artifact["estimate"]
    assert store.fit_record("toy-paper", run.fit_key)["curves"] == want_curves
    assert abs(got["estimate"] - 0.5) == want["test/error"]
    assert not (folder / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    "attempt",
    [
        "data.arrays['test_y']",
        "from claimbench import data as d; from pathlib import Path; d.load_score(run.dataset, {'protocol': 'kfold', 'folds': 5}, run.seed, Path(ROOT))",
        "import glob, numpy as np; np.load(glob.glob(ROOT + '/sbm-120/prepared/*/splits/*.score.npz')[0])",
        "import os; [open(os.path.join(d, f), 'rb').read() for d, _, fs in os.walk(ROOT) for f in fs if 'labels' in f]",
    ],
)
def test_a_method_that_reaches_for_test_labels_is_refused(paper: PaperFolder, attempt: str) -> None:
    import copy

    from tests.conftest import PAPER

    changed = copy.deepcopy(PAPER)
    location = changed["experiments"]["location"]
    location["split"] = {"protocol": "kfold", "folds": 5}
    location["tiers"]["smoke"]["grid"] = [{"method": ["mean", "median"], "dataset": ["sbm-120"], "setting": {"k": [1]}}]
    del changed["experiments"]["student"]
    paper.write(changed, with_fit_mean(f"ROOT = {str(paper.root / 'data')!r}\n{attempt}\nreturn {{'estimate': 1.0}}"))
    plan = paper.plan(seeds=1)
    rows = {row["method"]: row for row in local.fit_and_score(plan, "toy-paper", "location")}
    assert rows["mean"]["status"] == "failed"
    assert (
        "LeakageError" in rows["mean"]["reason"]
        or "KeyError" in rows["mean"]["reason"]
        or "fit " in rows["mean"]["reason"]
    )
    assert rows["median"]["status"] == "done", "an honest method is not disturbed"


def test_score_is_given_the_test_labels(paper: PaperFolder) -> None:
    import copy

    from tests.conftest import PAPER

    changed = copy.deepcopy(PAPER)
    location = changed["experiments"]["location"]
    location["split"] = {"protocol": "kfold", "folds": 5}
    location["tiers"]["smoke"]["grid"] = [{"method": ["mean"], "dataset": ["sbm-120"]}]
    del changed["experiments"]["student"]
    code = with_fit_mean(
        "masked = int((data.arrays['y'][data.arrays['test_idx']] != -1).sum())\nreturn {'estimate': 1.0, 'seen': masked}"
    )
    code = code.replace(
        'return {"test/error": abs(artifact["estimate"] - run.h.shift)}',
        'return {"test/error": 0.0, "test/seen": artifact["seen"], "test/labels": float((data.arrays["test_y"] >= 0).sum())}',
    )
    paper.write(changed, code)
    rows = local.fit_and_score(paper.plan(seeds=1), "toy-paper", "location")
    assert rows[0]["metrics"] == {"test/error": 0.0, "test/seen": 0.0, "test/labels": 24.0}


def test_a_run_that_needs_a_skipped_one_is_skipped_for_the_same_reason(
    paper: PaperFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cora = registry.DATASETS["cora"]
    only_mirror = tuple(source for source in cora.sources if source.kind == "mirror")
    monkeypatch.setitem(registry.DATASETS, "cora", dataclasses.replace(cora, sources=only_mirror))
    content = copy.deepcopy(PAPER)
    content["experiments"]["location"]["tiers"]["smoke"]["grid"][0]["dataset"] = "cora"
    content["experiments"]["student"]["tiers"]["smoke"]["grid"][0]["dataset"] = "cora"
    content["experiments"]["location"]["split"] = content["experiments"]["student"]["split"] = {"protocol": "kfold"}
    paper.write(content)
    rows = local.fit_and_score(paper.plan(), "toy-paper", "student")
    assert {row["status"] for row in rows} == {"skipped"}
    assert all(row["reason"].startswith("dataset cora is not available; tried: ") for row in rows)
