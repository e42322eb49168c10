"""What no module of the package may do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from claimbench.errors import UserError
from claimbench.spec.reading import read_yaml

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "claimbench"
#: dotted name of a call -> the one file that may make it
FORBIDDEN = {
    "eval": None,
    "exec": None,
    "pickle.load": None,
    "pickle.loads": None,
    "torch.load": None,
    "joblib.load": None,
    "pandas.read_pickle": None,
    "pd.read_pickle": None,
    "os.system": None,
    "tarfile.open": "archive.py",
    "zipfile.ZipFile": "archive.py",
}


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_dangerous_call(path: Path) -> None:
    for name, node in calls(path):
        if name in FORBIDDEN:
            assert FORBIDDEN[name] == path.name, f"line {node.lineno}: {name}"
        for keyword in node.keywords:
            value = getattr(keyword.value, "value", None)
            assert not (keyword.arg == "shell" and value), f"line {node.lineno}: shell=True"
            assert not (keyword.arg == "allow_pickle" and value), f"line {node.lineno}: allow_pickle=True"


def test_the_scan_sees_a_dangerous_call(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import pickle\npickle.load(open('x', 'rb'))\n")
    with pytest.raises(AssertionError, match=r"pickle\.load"):
        test_no_dangerous_call(path)


def test_yaml_builds_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("tier: !!python/object/apply:os.getcwd []\n")
    assert "!!python" in path.read_text()
    with pytest.raises((UserError, yaml.YAMLError)):
        read_yaml(path)
