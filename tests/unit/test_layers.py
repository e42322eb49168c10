"""Imports point downward, papers know nothing of each other, and the core starts without the heavy libraries."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "claimbench"
#: the rooms from the ground up; a module imports only from rooms below its own, and from its own without a circle
LAYERS = (
    {"", "errors", "seeding", "metrics"},
    {"files"},
    {"spec", "data", "run"},
    {"plan", "training"},
    {"records", "nn"},
    {"figures", "judge", "tracking"},
    {"papers"},
    {"execute", "present"},
    {"commands"},
    {"workflow", "__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
HEAVY = {
    "torch",
    "torch_geometric",
    "pandas",
    "matplotlib",
    "sklearn",
    "scipy",
    "statsmodels",
    "mlflow",
    "pyarrow",
    "numpy",
    "snakemake",
    "sqlalchemy",
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts)


def part_of(path: Path) -> str:
    """The top-level part of the package that a file belongs to: ``papers/x/y.py`` -> ``papers``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Dotted names imported at run time, each with whether at the top of the module; relative ones made absolute."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checking = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    package = ["claimbench", *path.relative_to(PACKAGE).parent.parts]
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if id(node) in checking:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
                if node.level
                else node.module
            )
            # `from claimbench import files` imports a module, `from claimbench.files import x` a name of one.
            names = (
                [f"{base}.{alias.name}" for alias in node.names]
                if base in ("claimbench", "claimbench.papers")
                else [str(base)]
            )
        found += [(name, node in tree.body) for name in names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path: Path) -> None:
    own = part_of(path)
    assert own in RANK, f"give {own} a place in LAYERS"
    for name, _ in imports(path):
        target = name.split(".")
        if target[0] == "claimbench":
            # `claimbench.papers` alone is the place where papers lie, not a paper.
            part = target[1] if len(target) > 1 and target[1] in RANK and target != ["claimbench", "papers"] else ""
            assert part == own or RANK[part] < RANK[own], (
                f"{own} (layer {RANK[own]}) imports {name} (layer {RANK[part]})"
            )


def module_of(path: Path) -> str:
    """The dotted name below the package: ``papers/x/__init__.py`` -> ``papers.x``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def graph() -> dict[str, set[str]]:
    """Module -> the modules that it imports at run time, wherever the import stands."""
    known = {module_of(path) for path in MODULES}
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        for name, _ in imports(path):
            target = name.removeprefix("claimbench.") if name.startswith("claimbench.") else ""
            while target and target not in known:  # a name of a module
                target = target.rpartition(".")[0]
            if target not in ("", "papers", module_of(path)):
                edges.setdefault(module_of(path), set()).add(target)
    return edges


def circle_in(edges: dict[str, set[str]]) -> list[str]:
    """A path that ends where it starts; empty when there is none."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        for target in sorted(edges.get(node, ())) if node not in done else ():
            if found := visit(target, [*trail, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(edges) if (found := visit(node, []))), [])


def test_no_module_imports_itself_through_others() -> None:
    assert circle_in(graph()) == []


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c", "d"}, "c": {"d"}}) == []
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_the_picture_of_the_rooms_is_true() -> None:
    """docs/design/0006-rooms.md draws what is imported; what everything uses, and what follows from others, left out."""
    rooms: dict[str, set[str]] = {}
    for module, targets in graph().items():
        own = module.split(".")[0]
        rooms.setdefault(own, set()).update({t.split(".")[0] for t in targets} - {own, *LAYERS[0], *LAYERS[1]})

    def reaches(start: str, goal: str) -> bool:
        return start == goal or any(reaches(target, goal) for target in rooms.get(start, ()))

    wanted = {
        (own, target)
        for own, targets in rooms.items()
        for target in targets
        if own != "__main__" and not any(reaches(other, target) for other in targets - {target})
    }
    page = (PACKAGE.parents[1] / "docs" / "design" / "0006-rooms.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^ +(\w+) --> (\w+)$", page, re.MULTILINE)) == wanted


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if part_of(p) not in ("papers", "data")],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_files_of_the_core_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 600


@pytest.mark.parametrize(
    "folder", sorted(p for p in (PACKAGE / "papers").iterdir() if (p / "paper.yaml").is_file()), ids=lambda p: p.name
)
def test_papers_import_no_other_paper(folder: Path) -> None:
    own = f"claimbench.papers.{folder.name}"
    for path in folder.rglob("*.py"):
        for name, _ in imports(path):
            if name.startswith("claimbench.papers"):
                assert name == own or name.startswith(f"{own}."), f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if part_of(path) not in ("papers", "nn", "metrics", "data", "judge")],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    heavy = [name for name, top in imports(path) if top and name.split(".")[0] in HEAVY]
    assert not heavy, "import them inside the functions that need them"


@pytest.mark.parametrize(
    "module", ["claimbench", "claimbench.commands.main", "claimbench.plan.plan", "claimbench.data.registry"]
)
def test_planning_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {sorted(HEAVY)} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


def test_figures_are_drawn_without_torch() -> None:
    """What a paper's tables and figures take would otherwise be mostly this import."""
    papers = [path.parent.name for path in PACKAGE.glob("papers/*/figures.py")]
    code = "; ".join(["import sys", *(f"import claimbench.papers.{name}.figures" for name in papers)])
    code += "; print(*(name for name in ('torch', 'sklearn', 'scipy.stats') if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


def test_a_wrong_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "papers" / "one"
    folder.mkdir(parents=True)
    (folder / "method.py").write_text(
        "from claimbench.execute.runner import Runner\nfrom ..two import method\nfrom . import other\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert [name for name, _ in imports(folder / "method.py")] == [
        "claimbench.execute.runner",
        "claimbench.papers.two",
        "claimbench.papers.one",
    ]
    with pytest.raises(AssertionError, match=r"imports claimbench\.execute\.runner"):
        test_imports_point_downward(folder / "method.py")
