"""One suite for every paper found, and for the template from which new ones are made."""

from __future__ import annotations

import csv
import math
import os
import re
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from claimbench.commands.new_paper import new_paper
from claimbench.execute.local import fit_and_score
from claimbench.judge.power import powers
from claimbench.plan.cells import Cell
from claimbench.plan.entries import Codes
from claimbench.plan.fingerprints import Code
from claimbench.plan.plan import Plan, make_plan
from claimbench.spec.claims import load_claims
from claimbench.spec.config import Config
from claimbench.spec.folders import PAPERS_DIR, find_papers, load_paper
from claimbench.spec.published import read_published
from claimbench.spec.settings import level_text, parse_setting
from claimbench.spec.words import TIERS

TEMPLATE = "template-paper"
SLUGS = [*find_papers(Config()), TEMPLATE]
FILES = ("paper.yaml", "published.csv", "claims.yaml", "experiments.py", "figures.py", "README.md")


@dataclass(frozen=True)
class Paper:
    slug: str
    papers_dir: Path

    @property
    def folder(self) -> Path:
        return self.papers_dir / self.slug.replace("-", "_")

    @cached_property
    def spec(self) -> Any:
        return load_paper(self.folder)

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """The claims as written; ``test_claims_are_valid`` holds them against the schema."""
        return yaml.safe_load((self.folder / "claims.yaml").read_text(encoding="utf-8"))["claims"]

    @cached_property
    def published(self) -> list[dict[str, Any]]:
        return read_published(self.folder)

    def plan(self, tier: str, results: Path = Path("results"), data: Path = Path("data"), **more: Any) -> Plan:
        outside = None if self.papers_dir == PAPERS_DIR else str(self.papers_dir)
        folders = {"papers_dir": outside, "results_dir": str(results), "data_dir": str(data)}
        return make_plan(Config(tier=tier, papers=[self.slug], **folders, **more))

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells of all tiers."""
        return [cell for tier in TIERS for cell in self.plan(tier).cells]


@pytest.fixture(scope="session")
def find(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Paper]:
    @cache
    def paper(slug: str) -> Paper:
        if slug != TEMPLATE:
            return Paper(slug, PAPERS_DIR)
        folder = tmp_path_factory.mktemp("papers")
        new_paper(TEMPLATE, folder)
        return Paper(slug, folder)

    return paper


@pytest.fixture(params=SLUGS)
def paper(request: pytest.FixtureRequest, find: Callable[[str], Paper]) -> Paper:
    return find(request.param)


def test_has_its_files(paper: Paper) -> None:
    assert [name for name in FILES if not (paper.folder / name).is_file()] == []


def test_claims_are_valid(paper: Paper) -> None:
    claims = load_claims(paper.folder / "claims.yaml")
    ids = [claim.id for claim in claims]
    assert ids == [claim["id"] for claim in paper.claims]
    assert len(set(ids)) == len(ids)


def test_published_numbers_are_well_formed(paper: Paper) -> None:
    with open(paper.folder / "published.csv", newline="", encoding="utf-8") as file:
        raw = list(csv.DictReader(file))
    seen = set()
    known = {*paper.spec.experiments, *(part.experiment for part in paper.spec.not_run if part.experiment)}
    for line, (row, parsed) in enumerate(zip(raw, paper.published, strict=True), start=2):
        where = f"published.csv, line {line}"
        assert bool(row["spread"]) == bool(row["spread_kind"]), f"{where}: spread and spread_kind go together"
        assert row["experiment"] in known, f"{where}: neither an experiment of paper.yaml nor listed under not_run"
        assert row["metric"].count("/") == 1, f"{where}: write the metric as split/name"
        assert row["setting"] == parsed["setting"], f"{where}: write the axes of the setting in alphabetical order"
        assert row["source"], f"{where}: say which table, figure or section"
        key = tuple(row[name] for name in ("experiment", "method", "dataset", "setting", "metric", "source"))
        assert key not in seen, f"{where}: given twice"
        seen.add(key)


def test_code_reads_published_numbers_through_the_run(paper: Paper) -> None:
    for path in paper.folder.rglob("*.py"):
        assert "published.csv" not in path.read_text(encoding="utf-8"), f"{path.name}: use run.published in score"


def levels(wanted: Any) -> list[Any]:
    """The values that a selector's entry allows."""
    if isinstance(wanted, dict):
        wanted = wanted["first"]
    return wanted if isinstance(wanted, list) else [wanted]


def alternatives(claim: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("select", "a", "b"):
        if claim.get(name) is not None:
            yield claim[name]


def selects(selector: dict[str, Any], method: str, dataset: str, setting: str) -> bool:
    """Whether a selector covers a cell or a published row, by its setting as it is written."""
    for name, value in (("method", method), ("dataset", dataset)):
        if selector.get(name) is not None and value not in levels(selector[name]):
            return False
    axes = parse_setting(setting)
    wanted = (selector.get("setting") or {}).items()
    return all(axes.get(axis) in [level_text(level) for level in levels(given)] for axis, given in wanted)


def test_claims_select_cells_of_a_tier(paper: Paper) -> None:
    for claim in paper.claims:
        if claim["kind"] == "none":
            assert claim.get("reason"), f"{claim['id']}: say why it cannot be tested"
            continue
        cells = [cell for cell in paper.cells if cell.experiment == claim["experiment"]]
        if not cells:
            assert claim.get("reason"), f"{claim['id']}: no tier runs {claim['experiment']}; give the reason"
            continue
        for selector in alternatives(claim):
            assert any(selects(selector, c.method, c.dataset, c.setting_string) for c in cells), (
                f"{claim['id']}: {selector} selects no cell"
            )
            for key in ("method", "dataset"):
                if isinstance(selector.get(key), list):
                    for one in selector[key]:
                        assert any(
                            selects({**selector, key: one}, c.method, c.dataset, c.setting_string) for c in cells
                        ), f"{claim['id']}: {key} {one!r} selects no cell"


def test_claims_find_their_published_numbers(paper: Paper) -> None:
    for claim in paper.claims:
        if claim.get("target") == "published":
            rows = [
                row
                for row in paper.published
                if row["experiment"] == claim["experiment"]
                and row["metric"] == claim["metric"]
                and selects(claim.get("select") or {}, row["method"], row["dataset"], row["setting"])
            ]
            assert rows, f"{claim['id']}: published.csv has no number for it"


def test_claims_state_their_margins_and_sources(paper: Paper) -> None:
    for claim in paper.claims:
        assert claim.get("text"), claim["id"]
        assert claim.get("source"), f"{claim['id']}: where does the paper say it?"
        if claim.get("margin") is not None or claim.get("relative_margin") is not None:
            assert claim.get("margin_reason"), f"{claim['id']}: a margin needs its reason"
        if claim["kind"] == "value":
            assert claim.get("margin") or claim.get("relative_margin"), (
                f"{claim['id']}: equality needs a margin above 0"
            )


def test_a_headline_claim_can_be_tested(paper: Paper) -> None:
    assert [c["id"] for c in paper.claims if c.get("headline") and c["kind"] != "none"], (
        "mark a testable claim as headline"
    )


def test_methods_have_a_sabotage(paper: Paper) -> None:
    assert paper.spec.sabotages, "declare under sabotages the control that must turn the headline claim"


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_plans(paper: Paper, tier: str) -> None:
    plan = paper.plan(tier)
    assert plan.runs, f"no run in tier {tier}"
    assert len({run.run_key for run in plan.runs}) == len(plan.runs)
    for job in plan.jobs.values():
        assert job.runs


@pytest.mark.parametrize("tier", ["laptop", "paper"])
def test_every_claim_can_be_decided_where_it_is_judged(paper: Paper, tier: str) -> None:
    plan = paper.plan(tier)
    assert [(row.claim, row.never) for row in powers(plan, next(iter(plan.papers))) if row.never] == []


def test_headline_experiments_have_published_numbers(paper: Paper) -> None:
    have = {row["experiment"] for row in paper.published}
    for claim in paper.claims:
        if claim.get("headline") and claim["kind"] == "value" and claim.get("target") == "published":
            assert claim["experiment"] in have, claim["id"]


def test_readme_explains_every_claim(paper: Paper) -> None:
    """A table says of each claim what is judged; the rest says what differs from the paper and at which tier."""
    readme = (paper.folder / "README.md").read_text(encoding="utf-8")
    rows = [[part.strip() for part in line.strip("| ").split("|")] for line in readme.splitlines() if line[:1] == "|"]
    explained = {word for row in rows if len(row) > 1 and row[1] for word in re.findall(r"\w+", row[0])}
    assert [claim["id"] for claim in paper.claims if claim["id"] not in explained] == []
    assert [word for word in ("eviation", "laptop") if word not in readme] == []


def test_figures_are_drawn(paper: Paper) -> None:
    figures = runpy.run_path(str(paper.folder / "figures.py"))["FIGURES"]
    assert figures, "draw at least one figure of the paper"
    assert [name for name in figures if not re.fullmatch(r"[A-Za-z0-9_-]+", name)] == []


def test_deviations_in_the_code_are_declared(paper: Paper) -> None:
    marked = [p.name for p in paper.folder.rglob("*.py") if "# Deviates:" in p.read_text(encoding="utf-8")]
    if marked:
        assert paper.spec.deviations, f"{', '.join(marked)} deviate, paper.yaml lists no deviation"
        assert "eviation" in (paper.folder / "README.md").read_text(encoding="utf-8")


def smoke_experiments() -> list[tuple[str, str]]:
    found = [
        (slug, name)
        for slug, folder in find_papers(Config()).items()
        for name, experiment in load_paper(folder).experiments.items()
        if "smoke" in experiment.tiers
    ]
    return [*found, (TEMPLATE, "estimation")]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets that are prepared once for all tests here."""
    return tmp_path_factory.mktemp("data")


def skip_without_data(rows: list[dict[str, Any]]) -> None:
    missing = {row["reason"] for row in rows if row["status"] == "skipped"}
    if missing and "CLAIMBENCH_MIRROR" not in os.environ:
        assert all("is not available; tried: " in reason for reason in missing), missing
        pytest.skip(missing.pop())


@pytest.mark.parametrize("slug, experiment", smoke_experiments())
def test_smoke_tier_gives_finite_metrics(
    slug: str, experiment: str, find: Callable[[str], Paper], tmp_path: Path, data_dir: Path
) -> None:
    paper = find(slug)
    plan = paper.plan("smoke", tmp_path / "results", data_dir)
    rows = fit_and_score(plan, slug, experiment)
    assert rows
    metric = paper.spec.experiments[experiment].metric
    skip_without_data(rows)
    for row in rows:
        assert row["status"] == "done", row
        assert metric in row["metrics"], f"score of {experiment} does not return its headline metric {metric}"
        assert all(math.isfinite(value) for value in row["metrics"].values()), row


def knowing(paper: Paper, value: str) -> list[str]:
    """The experiments of the smoke tier whose code knows a sabotage, the cheapest first."""
    code = Code([paper.papers_dir])
    codes = Codes(paper.spec, paper.folder, code)
    cost: dict[str, float] = {}
    for cell in paper.plan("smoke").cells:
        entries = [*codes.entries(cell.experiment, cell.method, "fit", "fit_many")]
        entries += codes.entries(cell.experiment, cell.method, "score")
        if code.mentions(entries, value):
            cost[cell.experiment] = cost.get(cell.experiment, 0.0) + (cell.run_s or 0.1)
    return sorted(cost, key=cost.__getitem__)


def changed(paper: Paper, experiment: str, value: str, folder: Path, data: Path) -> list[str]:
    """The numbers of an experiment's smoke tier, one seed, that a sabotage changes; what a second honest run changes,
    too (seconds, say), is not among them."""

    def numbers(name: str, sabotage: str) -> dict[str, float]:
        overrides = {paper.slug: {experiment: {"hyper": {"sabotage": sabotage}}}}
        plan = paper.plan("smoke", folder / experiment / name, data, seeds=1, overrides=overrides)
        rows = fit_and_score(plan, paper.slug, experiment)
        skip_without_data(rows)
        return {
            f"{row['method']} {row['dataset']} {row['setting']} {name}": number
            for row in rows
            for name, number in row["metrics"].items()
        }

    honest, sabotaged = numbers("honest", "none"), numbers("sabotaged", value)
    assert honest.keys() == sabotaged.keys()
    found = [name for name in honest if honest[name] != sabotaged[name]]
    again = numbers("again", "none") if found else {}
    return [name for name in found if honest[name] == again[name]]


def effect(paper: Paper, value: str, folder: Path, data: Path) -> list[str]:
    """What a sabotage changes in the first experiment in which it changes something."""
    return next((found for name in knowing(paper, value) if (found := changed(paper, name, value, folder, data))), [])


def sabotages() -> list[tuple[str, str]]:
    found = [(slug, value) for slug, folder in find_papers(Config()).items() for value in load_paper(folder).sabotages]
    return [*found, (TEMPLATE, "shuffled-responses")]


@pytest.mark.parametrize("slug, value", sabotages())
def test_a_sabotage_changes_numbers(
    slug: str, value: str, find: Callable[[str], Paper], tmp_path: Path, data_dir: Path
) -> None:
    """That it turns a headline claim is a test of its paper; here it does something at all."""
    assert effect(find(slug), value, tmp_path, data_dir), f"the sabotage {value} changes no number of the smoke tier"


@pytest.mark.parametrize("code", ["y = y.copy()", 'run.metric("train/seconds", __import__("time").perf_counter())'])
def test_an_empty_sabotage_is_found(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value is declared and stands in the code, and no result is another."""
    slug = f"empty-{'copy' if 'copy' in code else 'seconds'}"
    path = new_paper(slug, tmp_path / "papers") / "experiments.py"
    text = path.read_text(encoding="utf-8")
    sabotage = 'y = run.rng("sabotage").permuted(y, axis=0)'
    assert sabotage in text
    path.write_text(text.replace(sabotage, code), encoding="utf-8")
    paper = Paper(slug, tmp_path / "papers")
    assert knowing(paper, "shuffled-responses") == ["estimation"]
    assert effect(paper, "shuffled-responses", tmp_path, tmp_path / "data") == []
