"""Configuration and papers -> cells, runs and jobs."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claimbench.errors import UserError
from claimbench.spec.settings import level_text, parse_setting, setting_string
from tests.conftest import EXPERIMENTS, PAPER, PARTS, PaperFolder

HEAD = "experiment,method,dataset,setting,metric,value,spread,spread_kind,n,source,checked\n"


def test_setting_string_is_sorted() -> None:
    assert setting_string({"mode": "ntk", "k": 5, "lr": 0.1, "on": True}) == "k=5,lr=0.1,mode=ntk,on=true"
    assert setting_string({}) == ""


def with_levels(*levels: Any) -> dict[str, Any]:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["tiers"]["laptop"]["grid"][0]["setting"] = {"k": list(levels)}
    return changed


def test_levels_are_written_in_full_precision(paper: PaperFolder) -> None:
    paper.write(with_levels(0.10000001, 0.10000002, 1e-12, 2.0, 3))
    cells = paper.plan(tier="laptop").cells
    assert {cell.setting_string for cell in cells} == {"k=0.10000001", "k=0.10000002", "k=1e-12", "k=2", "k=3"}
    assert len({cell.id for cell in cells}) == len(cells) == 10


@pytest.mark.parametrize("levels", [(1, 1.0), (1, "1"), (True, "true"), (0.5, "0.5")])
def test_levels_that_are_written_alike_are_refused(paper: PaperFolder, levels: tuple[Any, ...]) -> None:
    paper.write(with_levels(*levels))
    with pytest.raises(UserError, match=r"paper\.yaml: location\.tiers\.laptop\.grid\.0 repeats the cell .* k="):
        paper.plan(tier="laptop")


def test_a_split_follows_the_setting(paper: PaperFolder) -> None:
    changed = with_levels(0.1, 0.3)
    changed["experiments"]["location"]["split"] = {"protocol": "random", "train": 0.5, "test": "$k"}
    tier = changed["experiments"]["location"]["tiers"]["laptop"]
    tier["grid"][0]["dataset"] = ["digits"]
    paper.write(changed)
    plan = paper.plan(tier="laptop")
    assert {cell.setting["k"]: cell.split["test"] for cell in plan.cells} == {0.1: 0.1, 0.3: 0.3}
    assert len({cell.data for cell in plan.cells}) == 2
    assert len(plan.datasets["digits"][1]) == 2 * len(plan.cells[0].seeds), "a split of its own for each level"
    changed["experiments"]["location"]["split"]["test"] = "$kk"
    paper.write(changed)
    with pytest.raises(
        UserError, match=r"paper\.yaml: experiments\.location\.split\.test is '\$kk', which is no axis.*\$k"
    ):
        paper.plan(tier="laptop")


@pytest.mark.parametrize("level", ["a,b", "a=b", "a\nb"])
def test_a_level_that_cannot_be_read_back_is_refused(paper: PaperFolder, level: str) -> None:
    paper.write(with_levels("fine", level))
    with pytest.raises(UserError) as error:
        paper.plan()
    for word in ("paper.yaml", "grid.0.setting", "'k'", repr(level), "without comma, equals sign and line break"):
        assert word in str(error.value)


def test_an_axis_that_cannot_be_read_back_is_refused(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["tiers"]["smoke"]["grid"][0]["setting"] = {"k=l": [1]}
    paper.write(changed)
    with pytest.raises(UserError, match=r"'k=l'.* without comma, equals sign"):
        paper.plan()


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,5}", fullmatch=True),
        st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
    )
)
def test_a_setting_is_read_as_it_was_written(setting: dict[str, Any]) -> None:
    assert parse_setting(setting_string(setting)) == {axis: level_text(level) for axis, level in setting.items()}


def test_an_undeclared_sabotage_is_refused(paper: PaperFolder) -> None:
    changed = {**copy.deepcopy(PAPER), "sabotages": {"off-critical": "ten per cent more"}}
    paper.write(changed)
    assert paper.plan(overrides={"toy-paper": {"hyper": {"sabotage": "off-critical"}}}).runs
    with pytest.raises(UserError) as error:
        paper.plan(overrides={"toy-paper": {"hyper": {"sabotage": "off-critcal"}}})
    for word in ("config.yaml: overrides", "hyper.sabotage", "'off-critcal'", "none, off-critical", "paper.yaml"):
        assert word in str(error.value)
    paper.write({**changed, "hyper": {**PAPER["hyper"], "sabotage": "else"}})
    with pytest.raises(UserError, match=r"toy-paper/paper\.yaml: hyper\.sabotage is 'else'"):
        paper.plan()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("published.csv", "experiment,method\n", ["published.csv", "'dataset' is missing"]),
        ("published.csv", HEAD + "location,mean,none,k=1,test/error,many,,,5,T,read\n", ["line 2", "'many'", "number"]),
        ("published.csv", HEAD + "location,mean,none,k,test/error,1,,,5,T,read\n", ["line 2", "'k'", "axis=level"]),
        ("published.csv", HEAD + "location,mean,none,k=1,test/error,1,,,5,T,seen\n", ["line 2", "'seen'", "memory"]),
        ("published.csv", HEAD + "location,mean,none,k=1,l=2,test/error,1,,,5,T,read\n", ["line 2", "quote"]),
        ("claims.yaml", "claims: [{id: C1, kind: bettr}]", ["claim C1", "'bettr'", "'better'"]),
        ("claims.yaml", "claims: {}", ["claims.yaml", "'claims'", "a list"]),
        (
            "claims.yaml",
            "claims: [{id: C1, kind: exact, text: t, experiment: locaton, metric: test/x, target: 1}]",
            ["claim C1", "'locaton'", "'location'"],
        ),
        (
            "claims.yaml",
            "claims: [{id: C1, kind: trend, text: t, experiment: location, metric: test/x, x: L, expect: increasing}]",
            ["claim C1", "'L'", "allowed: k"],
        ),
    ],
)
def test_what_is_judged_later_is_read_when_planned(
    paper: PaperFolder, file: str, content: str, words: list[str]
) -> None:
    (paper.folder / file).write_text(content)
    with pytest.raises(UserError) as error:
        paper.plan()
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value
    from claimbench.plan.plan import make_plan
    from claimbench.spec.config import load_config

    job = make_plan(load_config(None, paper.values()), "toy-paper.location")
    assert job.runs, "a job that runs is not stopped by what is judged later"


@pytest.mark.parametrize(("bundle", "jobs"), [("run", 10), ("cell", 5), ("experiment", 2), ("paper", 1)])
def test_bundles(paper: PaperFolder, bundle: str, jobs: int) -> None:
    plan = paper.plan(bundle=bundle)
    assert len(plan.jobs) == jobs
    assert len(plan.runs) == 10
    assert {run.run_key for run in plan.runs} == {run.run_key for run in paper.plan().runs}


def test_long_experiments_are_cut_between_methods(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["tiers"]["smoke"]["run_s"] = 10
    paper.write(changed)
    whole = paper.plan(bundle_s=1000)
    cut = paper.plan(bundle_s=45)
    assert [job for job in cut.jobs if ".location" in job] == ["toy-paper.location.1", "toy-paper.location.2"]
    for job in cut.jobs.values():
        assert len({run.cell.method for run in job.runs}) == 1 or ".location" not in job.id
    assert {run.run_key for run in cut.runs} == {run.run_key for run in whole.runs}
    assert len(paper.plan(bundle_s=1e-3).jobs) == len(cut.jobs), "a method's runs on a dataset stay together"
    assert ".student" in " ".join(cut.jobs)


def test_what_measures_times_runs_alone_but_for_smoke(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["exclusive"] = True
    paper.write(changed)
    smoke, laptop = (paper.plan(bundle="paper", tier=tier).jobs for tier in ("smoke", "laptop"))
    assert {name: job.exclusive for name, job in smoke.items()} == {"toy-paper": False}
    assert {name: job.exclusive for name, job in laptop.items()} == {"toy-paper.location": True}


def test_experiments_that_need_another_are_cut_too(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["student"]["tiers"]["smoke"]["grid"] = [
        {
            "method": method,
            "setting": {"k": [1]},
            "run_s": 50,
            "needs": [{"as": "teacher", "experiment": "location", "method": "mean"}],
        }
        for method in ("shrunk", "kept")
    ]
    paper.write(changed)
    jobs = paper.plan(bundle_s=60).jobs
    assert [job.needs for name, job in jobs.items() if "student" in name] == [("toy-paper.location",)] * 2


def test_an_experiment_may_join_the_jobs_of_another(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["student"]["tiers"]["smoke"]["joins"] = "location"
    paper.write(changed)
    plan = paper.plan()
    (job,) = plan.jobs.values()
    assert (job.id, job.needs) == ("toy-paper.location", ())
    assert {run.cell.experiment for run in job.runs} == {"location", "student"}
    assert {run.run_key for run in plan.runs} == {run.run_key for run in paper.plan(bundle="run").runs}
    for where, host in (("student", "student"), ("student", "lokation"), ("location", "student")):
        wrong = copy.deepcopy(changed)
        wrong["experiments"][where]["tiers"]["smoke"]["joins"] = host
        paper.write(wrong)
        with pytest.raises(UserError, match=rf"experiments\.{where}\.tiers\.smoke\.joins is '{host}'; allowed: "):
            paper.plan()
    changed["experiments"]["location"]["exclusive"] = True
    paper.write(changed)
    with pytest.raises(UserError, match=r"joins is 'location'; allowed: nothing"):
        paper.plan()


def test_a_tier_may_split_its_data_otherwise(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    location = changed["experiments"]["location"]
    location["split"] = {"protocol": "random", "train": 0.5, "val": 0.2, "test": 0.3}
    location["tiers"]["smoke"]["split"] = {"protocol": "kfold", "folds": 3}
    paper.write(changed)
    assert {cell.split["protocol"] for cell in paper.plan().cells if cell.experiment == "location"} == {"kfold"}
    assert {cell.split["protocol"] for cell in paper.plan(tier="laptop").cells} == {"random"}


@pytest.mark.parametrize(
    "split, words",
    [
        ({}, ["experiments.location.split names no protocol", "allowed: ", "kfold"]),
        ({"protocol": "kfolds"}, ["experiments.location.split.protocol is 'kfolds'", "did you mean 'kfold'"]),
        ({"protocol": "kfold", "folds": 1}, ["experiments.location.split (kfold): folds is 1", "at least 2"]),
        ({"protocol": "links"}, ["experiments.location.split: links needs a graph", "digits is of the kind images"]),
    ],
)
def test_a_wrong_split_names_file_experiment_and_key(
    paper: PaperFolder, split: dict[str, Any], words: list[str]
) -> None:
    changed = copy.deepcopy(PAPER)
    location = changed["experiments"]["location"]
    location["split"] = split
    location["tiers"]["smoke"]["grid"][0]["dataset"] = "digits"
    paper.write(paper=changed)
    with pytest.raises(UserError) as caught:
        paper.plan()
    assert str(caught.value).startswith(str(paper.folder / "paper.yaml"))
    assert all(word in str(caught.value) for word in words), caught.value
    location["tiers"]["smoke"]["split"] = split
    location["split"] = {"protocol": "random"}
    paper.write(paper=changed)
    with pytest.raises(UserError, match=r"experiments\.location\.tiers\.smoke\.split"):
        paper.plan()


def test_a_merged_key_gives_way_and_a_repeated_one_is_refused(tmp_path: Path) -> None:
    from claimbench.spec.reading import read_yaml

    path = tmp_path / "x.yaml"
    path.write_text("a: &a {k: 1, l: 2}\nb: &b {<<: *a, k: 3}\nc: {<<: *b, m: 4}\n")
    assert read_yaml(path) == {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}, "c": {"k": 3, "l": 2, "m": 4}}
    path.write_text("a: &a {k: 1}\nb: {<<: *a, l: 3, l: 4}\n")
    with pytest.raises(UserError, match="key 'l' stands twice"):
        read_yaml(path)


def test_needs_become_edges_and_order_runs(paper: PaperFolder) -> None:
    assert paper.plan().jobs["toy-paper.student"].needs == ("toy-paper.location",)
    runs = paper.plan(bundle="paper").jobs["toy-paper"].runs
    position = {(run.cell.experiment, run.cell.method): i for i, run in enumerate(runs)}
    assert position["location", "mean"] < position["student", "shrunk"]


def test_one_seed_may_meet_a_need_of_all(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    need = changed["experiments"]["student"]["tiers"]["smoke"]["grid"][0]["needs"][0]
    own = {run.run_key for run in paper.plan().runs if run.cell.experiment == "student"}
    need["seed"] = 1
    paper.write(changed)
    runs = [run for run in paper.plan().runs if run.cell.experiment == "student"]
    assert len({run.seed for run in runs}) > 1
    assert {need.seed for run in runs for need in run.cell.needed(run.seed).values()} == {1}
    assert own.isdisjoint(run.run_key for run in runs), "another artifact is another run"
    need["seed"] = 77
    paper.write(changed)
    with pytest.raises(UserError, match="needs seed 77"):
        paper.plan()


def test_a_need_that_does_not_exist(paper: PaperFolder) -> None:
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["student"]["tiers"]["smoke"]["grid"][0]["needs"][0]["method"] = "nobody"
    paper.write(changed)
    with pytest.raises(UserError, match="student needs location nobody"):
        paper.plan()


def test_layers_and_overrides(paper: PaperFolder) -> None:
    plan = paper.plan(overrides={"toy-paper": {"hyper": {"n": 7}, "student": {"hyper": {"weight": 0.1}}}})
    student = next(cell for cell in plan.cells if cell.experiment == "student")
    assert student.hyper == {
        "sabotage": "none",
        "precision": "float32",
        "n": 7,
        "shift": 0.5,
        "tail": 3.0,
        "weight": 0.1,
    }
    assert student.layers["n"] == "config.yaml: overrides"
    assert student.layers["weight"] == "config.yaml: overrides.toy-paper.student"
    assert student.layers["shift"] == "toy-paper/paper.yaml"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"papers": ["toy-papr"]}, ["papers", "'toy-papr'", "'toy-paper'"]),
        ({"overrides": {"toy-paper": {"hyper": {"shfit": 1}}}}, ["shfit", "'shift'"]),
        ({"overrides": {"toy-paper": {"hyper": {"n": "many"}}}}, ["hyper.n", "'many'", "a number"]),
        ({"experiments": {"toy-paper": ["locations"]}}, ["locations", "'location'"]),
        ({"bundle": "jobs"}, ["bundle", "'jobs'", "'cell'"]),
        ({"teir": "smoke"}, ["teir", "'tier'"]),
        ({"seeds": -1}, ["seeds", "-1"]),
        ({"device": "gpu"}, ["device", "'gpu'", "cuda"]),
    ],
)
def test_bad_configuration_is_one_sentence(paper: PaperFolder, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        paper.plan(**changes)
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_more_seeds_keep_the_old_keys(paper: PaperFolder) -> None:
    before = {run.run_key for run in paper.plan().runs}
    after = {run.run_key for run in paper.plan(seeds=4).runs}
    assert before < after
    assert len(after) == 2 * len(before)


def test_a_changed_constant_changes_only_the_cells_that_see_it(paper: PaperFolder) -> None:
    def keys() -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = {}
        for run in paper.plan().runs:
            found.setdefault((run.cell.experiment, run.cell.method), set()).add(run.run_key)
        return found

    before = keys()
    time.sleep(0.01)
    paper.write(parts=PARTS.replace("QUANTILE = 0.5", "QUANTILE = 0.5  # a comment"))
    assert keys() == before
    paper.write(parts=PARTS.replace("QUANTILE = 0.5", "QUANTILE = 0.45"))
    after = keys()
    assert after["location", "median"] != before["location", "median"]
    assert after["location", "mean"] == before["location", "mean"]
    assert after["student", "shrunk"] == before["student", "shrunk"]
    paper.write(parts=PARTS.replace("standard_t(", "standard_t(1 * "))
    assert keys()["student", "shrunk"] != before["student", "shrunk"], "the student depends on its teacher"


def test_score_code_changes_the_score_and_not_the_fit(paper: PaperFolder) -> None:
    before = paper.plan().jobs["toy-paper.location"]
    paper.write(experiments=EXPERIMENTS.replace("abs(artifact", "2 * abs(artifact"))
    after = paper.plan().jobs["toy-paper.location"]
    assert before.fit_digest == after.fit_digest
    assert before.score_digest != after.score_digest


READS = EXPERIMENTS.replace(
    'return {"test/error": abs(artifact["estimate"] - run.h.shift)}\n\n\ndef fit_student',
    'return {"test/error": run.published("test/error")[0]["value"]}\n\n\ndef score_student(run, artifact, data):\n'
    '    return {"test/error": 1.0}\n\n\ndef fit_student',
).replace("score_student = score_location\n", "")


def test_a_corrected_number_changes_the_scores_that_read_it(paper: PaperFolder) -> None:
    path = paper.folder / "published.csv"
    printed = path.read_text()

    def keys() -> dict[tuple[str, str], tuple[str, str]]:
        return {(c.experiment, c.method): (c.fit_code, c.score_code) for c in paper.plan().cells}

    plain = keys()
    path.write_text(printed.replace(",0.1,", ",0.2,"))
    assert keys() == plain, "no score reads it"
    paper.write(experiments=READS)
    before = keys()
    path.write_text(printed + "student,shrunk,none,k=1,test/error,0.3,,,5,Table 2,read\n")
    assert keys() == before, "a row of another experiment"
    path.write_text(printed.replace(",0.1,", ",0.2,"))
    after = keys()
    assert {name for name in before if before[name] != after[name]} == {("location", "mean"), ("location", "median")}
    assert {name: key[0] for name, key in before.items()} == {name: key[0] for name, key in after.items()}
    changed = copy.deepcopy(PAPER)
    changed["experiments"]["location"]["published"] = ["nowhere"]
    (paper.folder / "paper.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(UserError, match=r"location\.published names 'nowhere'"):
        paper.plan()


def test_planning_imports_nothing_heavy() -> None:
    code = (
        "import sys; from claimbench.spec.config import load_config; from claimbench.plan.plan import make_plan;"
        "make_plan(load_config(None, {'tier': 'smoke'}));"
        "print([m for m in ('torch', 'pandas', 'numpy', 'mlflow', 'sklearn', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**6),
    st.floats(),
    st.text(max_size=6),
    st.just([]),
    st.just({}),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _paths(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            found += _paths(inner, (*path, i))
    return found


def _mutate(value: Any, path: tuple[Any, ...], how: str, junk: Any) -> Any:
    value = copy.deepcopy(value)
    at = value
    for part in path[:-1]:
        at = at[part]
    last = path[-1]
    if how == "replace" or (how == "rename" and not isinstance(at, dict)):
        at[last] = junk
    elif how == "rename":
        at[f"{last}x"] = at.pop(last)
    else:
        del at[last]
    return value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_paper_plans_or_says_one_sentence(paper: PaperFolder, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(_paths(PAPER)))
    changed = _mutate(PAPER, path, data.draw(st.sampled_from(["replace", "rename", "delete"])), data.draw(_JUNK))
    (paper.folder / "paper.yaml").write_text(yaml.safe_dump(changed))
    try:
        paper.plan()
    except UserError as error:
        assert "\n" not in str(error)
        assert "paper.yaml" in str(error) or "toy-paper" in str(error)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_configuration_plans_or_says_one_sentence(paper: PaperFolder, data: st.DataObject) -> None:
    base = paper.values(
        seeds=2,
        bundle="cell",
        device="cpu",
        experiments={"toy-paper": ["location"]},
        overrides={"toy-paper": {"hyper": {"n": 3}, "location": {"hyper": {"shift": 1.0}}}},
        tracking={"enabled": True, "uri": None},
        mirror=None,
    )
    free = [path for path in _paths(base) if path[0] not in ("papers_dir", "results_dir", "data_dir", "papers")]
    changed = _mutate(
        base,
        data.draw(st.sampled_from(free)),
        data.draw(st.sampled_from(["replace", "rename", "delete"])),
        data.draw(_JUNK),
    )
    try:
        json.dumps(changed)
        paper.plan(**changed)
    except UserError as error:
        assert "\n" not in str(error)


def test_what_a_job_asks_for_is_laid_over_by_tier_and_experiment(paper: PaperFolder) -> None:
    spec = copy.deepcopy(PAPER)
    spec["resources"] = {"mem_mb": 3000, "threads": 2}
    spec["tier_resources"] = {"smoke": {"mem_mb": 1000}, "paper": {"mem_mb": 9000}}
    spec["experiments"]["student"]["tiers"]["smoke"]["resources"] = {"mem_mb": 500}
    paper.write(spec)
    asked = {name: (job.resources.mem_mb, job.resources.threads) for name, job in paper.plan().jobs.items()}
    assert asked == {"toy-paper.location": (1000, 2), "toy-paper.student": (500, 2)}
    assert {job.resources.mem_mb for job in paper.plan(tier="laptop").jobs.values()} == {3000}
    paper.write({**spec, "tier_resources": {"smoke": {"memory": 1}}})
    with pytest.raises(UserError, match=r"tier_resources\.smoke has the unknown key 'memory'"):
        paper.plan()
