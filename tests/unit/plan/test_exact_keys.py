"""Keys of the package's own papers: what an edit somewhere in the package runs again."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from claimbench.plan import fingerprints
from claimbench.plan.plan import make_plan
from claimbench.spec.config import Config
from claimbench.spec.words import TIERS

PACKAGE = Path(fingerprints.__file__).parents[1]
#: an estimator of scikit-learn and a layer of torch: their base classes may call any method
OPEN = {"ClaimBenchTabPFNClassifier", "TanhLayer"}
Edit = Callable[[ast.Module], None]
Keys = dict[tuple[str, ...], tuple[str, str]]


def keys(package: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """Tier, paper, experiment, method, dataset and setting -> keys of the code of fit and score, for all papers."""
    monkeypatch.setattr(fingerprints, "PACKAGE_DIR", package)
    return {
        (tier, cell.paper, cell.experiment, cell.method, cell.dataset, cell.setting_string): (
            cell.fit_code,
            cell.score_code,
        )
        for tier in TIERS
        for cell in make_plan(Config(tier=tier)).cells
    }


@pytest.fixture(scope="module")
def before() -> Keys:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return keys(PACKAGE, monkeypatch)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, to be edited."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "claimbench", ignore=shutil.ignore_patterns("__pycache__")))


def rewrite(package: Path, edit: Edit) -> int:
    """Edit every module; the number of modules."""
    paths = [path for path in package.rglob("*.py") if "templates" not in path.parts]
    for path in paths:
        tree = ast.parse(path.read_text())
        edit(tree)
        path.write_text(ast.unparse(ast.fix_missing_locations(tree)))
    return len(paths)


def unused_code(tree: ast.Module) -> None:
    added = "def never_called(self, other):\n    return self.missing(other)\n"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name not in OPEN:
            node.body += ast.parse(added).body
    tree.body += ast.parse(f"{added}\nNEVER_USED = 1\n").body


def annotations(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = ast.parse("SomethingElse[int]", mode="eval").body
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            for argument in given:
                argument.annotation = ast.parse("'Other'", mode="eval").body
            for i, statement in enumerate(node.body):
                if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                    kind = ast.parse("Unknown", mode="eval").body
                    if isinstance(statement.targets[0], ast.Name | ast.Attribute):
                        node.body[i] = ast.AnnAssign(statement.targets[0], kind, statement.value, simple=1)
    checking = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from claimbench.run import Run\n")
    first = next((i + 1 for i, node in enumerate(tree.body) if "__future__" in ast.unparse(node)), len(tree.body))
    tree.body[first:first] = checking.body


def docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            if not isinstance(node, ast.Module):
                node.body.insert(0, ast.Expr(ast.Constant("Said in other words.")))


@pytest.mark.parametrize("edit", [unused_code, annotations, docstrings])
def test_what_has_no_effect_runs_nothing_again(
    package: Path, before: Keys, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rewrite(package, edit) > 100
    after = keys(package, monkeypatch)
    assert after.keys() == before.keys()
    assert len(after) > 1000
    assert {cell[1:4] for cell in before if before[cell] != after[cell]} == set()


@pytest.mark.parametrize(
    "old, new, experiments",
    [
        (
            "HALF_NORMAL_MEDIAN = ",
            "HALF_NORMAL_MEDIAN = 1.0 * ",
            {"fixed-gp", "hyper-gp", "table-prior", "bayesian-networks"},
        ),
        ("def quantile(self,", "def quantile(self, /,", {"hyper-gp"}),
    ],
)
def test_a_changed_formula_runs_again_what_reaches_it(
    package: Path, before: Keys, old: str, new: str, experiments: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = package / "nn" / "riemann.py"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    after = keys(package, monkeypatch)
    found = {cell[1:3] for cell in before if before[cell] != after[cell]}
    assert found == {("pfn", experiment) for experiment in experiments}
