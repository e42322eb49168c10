"""Figures are ours whatever the user's matplotlib is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DRAW = """
import sys
from pathlib import Path
from claimbench.present import drawing
from claimbench.spec.config import load_config
from claimbench.spec.folders import make_importable

class Nothing:
    read = staticmethod(lambda folder: None)

drawing.Tables = Nothing
root = Path(sys.argv[1])
make_importable(load_config(None, {"papers_dir": str(root / "papers")}))

class Paper:
    slug = "p"

faults = drawing.draw(Paper, root / "papers" / "p", root / sys.argv[2])
assert not faults, faults
"""
FIGURES = """
def one(tables):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.plot([1, 2, 3], label="a")
    axes.legend()
    return figure

FIGURES = {"one": one}
"""
MATPLOTLIBRC = """
backend: TkAgg
font.size: 23
lines.linewidth: 9
axes.facecolor: red
svg.fonttype: path
figure.autolayout: True
text.usetex: True
savefig.bbox: tight
"""


def draw(root: Path, name: str, **variables: str) -> dict[str, bytes]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MPL")}
    subprocess.run([sys.executable, "-c", DRAW, root, name], env={**environment, **variables}, check=True, cwd=root)
    found = {path.name: path.read_bytes() for path in (root / name).rglob("one.*")}
    assert found.keys() == {"one.svg"}
    return found


def test_a_backend_of_a_notebook_and_a_matplotlibrc_change_no_byte(tmp_path: Path) -> None:
    folder = tmp_path / "papers" / "p"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "figures.py").write_text(FIGURES)
    calm = draw(tmp_path, "calm")
    (tmp_path / "matplotlibrc").write_text(MATPLOTLIBRC)
    backend = "module://matplotlib_inline.backend_that_is_not_there"
    assert draw(tmp_path, "disturbed", MPLBACKEND=backend, MATPLOTLIBRC=str(tmp_path)) == calm
    assert draw(tmp_path, "wrong", MPLBACKEND="no-such-backend") == calm
