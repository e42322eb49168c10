"""Datasets and protocols that a paper brings in its own folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from claimbench import data
from claimbench.data import commands, guard, own, registry
from claimbench.errors import LeakageError, UserError
from claimbench.plan.fingerprints import Code

POINTS = "\n".join(f"{i},{i % 7},{i % 3}" for i in range(30)) + "\n"
DATASETS = '''
"""Points of a plane in three classes, and a split by their order."""
from dataclasses import dataclass

from claimbench.data.entries import Entry, File, Source, Table
from claimbench.data.splits import SampleSplit, count


def points(raw, file):
    """Two columns and a class."""
    import numpy as np

    table = np.loadtxt(raw / file, delimiter=",")
    return {"x": table[:, :2].astype("float32"), "y": table[:, 2].astype("int64")}


@dataclass(frozen=True, kw_only=True)
class InOrder(SampleSplit):
    """The last rows test."""

    name = "in-order"
    last: int = count(10)

    def choose(self, arrays, index):
        import numpy as np

        rows = np.arange(len(arrays["y"]))
        return {"train": rows[: -self.last], "val": rows[:0], "test": rows[-self.last :]}


DATASETS = (
    Table(
        name="points",
        title="Points",
        loader=points,
        options={"file": "points.csv"},
        licence="CC0",
        citation="",
        url="",
        expect={"n_samples": 30},
        files=(File("points.csv"),),
        sources=(Source("paper", "tables", {"points.csv": "points.csv"}),),
    ),
)
PROTOCOLS = (InOrder,)
'''
SPLIT = {"protocol": "in-order", "last": 8}


class Papers:
    """Papers of a folder, each with a ``datasets.py``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[str, Path] = {}

    def write(self, slug: str, code: str = DATASETS, points: str | None = POINTS) -> Path:
        folder = self.root / slug.replace("-", "_")
        folder.mkdir(exist_ok=True)
        self.folders[slug] = folder
        (folder / "__init__.py").write_text("")
        (folder / "datasets.py").write_text(code)
        if points is not None:
            (folder / "tables").mkdir(exist_ok=True)
            (folder / "tables" / "points.csv").write_text(points)
        return folder

    def read(self) -> dict[str, registry.Catalogue]:
        for name in [name for name in sys.modules if name.startswith("claimbench.papers.own_")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        code = Code([self.root])
        return own.catalogues(self.folders, lambda module, name: code.fingerprint([(module, name)]))


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Papers]:
    import claimbench.papers

    monkeypatch.setattr(claimbench.papers, "__path__", [*claimbench.papers.__path__, str(tmp_path)])
    monkeypatch.delenv("CLAIMBENCH_MIRROR", raising=False)
    monkeypatch.setattr(guard, "_files", set())
    yield Papers(tmp_path)
    for name in [name for name in sys.modules if name.startswith("claimbench.papers.own_")]:
        del sys.modules[name]


def test_a_paper_names_its_own_and_the_shared_datasets(papers: Papers, tmp_path: Path) -> None:
    papers.write("own-one")
    papers.folders["fastrp"] = tmp_path / "no_datasets"
    found = papers.read()
    assert found["fastrp"] is registry.SHARED, "a paper without datasets.py has the shared ones"
    assert "points" not in registry.DATASETS
    catalogue = found["own-one"]
    entry = catalogue.dataset("points")
    assert catalogue.dataset("digits") is registry.get("digits")
    split = catalogue.split(entry, SPLIT)
    root = tmp_path / "data"
    data.prepare(entry, [(split, 0)], root)
    fit, score = data.load_fit(entry, split, 0, root), data.load_score(entry, split, 0, root)
    assert fit.arrays["x"][:, 0].tolist() == list(range(22))
    assert score.arrays["test_x"][:, 0].tolist() == list(range(22, 30))
    assert fit.info["source"] == "paper tables"
    with pytest.raises(
        UserError, match=r"place names the dataset 'point', which is not registered \(did you mean 'points'"
    ):
        catalogue.dataset("point", "place")
    with pytest.raises(UserError, match="last is 0; allowed: a number of samples"):
        catalogue.split(entry, {**SPLIT, "last": 0})
    with pytest.raises(UserError, match="is 'in-order'"):
        registry.SHARED.split(registry.get("digits"), SPLIT)


def test_a_fit_cannot_open_the_file_in_the_papers_folder(papers: Papers, tmp_path: Path) -> None:
    folder = papers.write("own-one")
    entry = papers.read()["own-one"].dataset("points")
    data.prepare(entry, [({"protocol": "random"}, 0)], tmp_path / "data")
    data.load_fit(entry, {"protocol": "random"}, 0, tmp_path / "data")
    with pytest.raises(LeakageError, match=r"points\.csv"), guard.sealed():
        (folder / "tables" / "points.csv").read_text()
    with guard.sealed():
        (folder / "datasets.py").read_text()


def test_data_list_fetch_and_verify_know_it(papers: Papers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    papers.write("own-one")
    datasets = papers.read()["own-one"].datasets
    root = tmp_path / "data"
    assert commands.status(datasets["points"], root, None)["state"] == "offline"
    assert commands.run("fetch", ["points"], datasets, root, None) == 0
    assert commands.run("verify", ["points"], datasets, root, None) == 0
    assert commands.run("list", ["points"], datasets, root, None) == 0
    assert "points  prepared" in capsys.readouterr().out


def digests(papers: Papers) -> tuple[str, str]:
    """Of the dataset, and of the dataset with its split."""
    catalogue = papers.read()["own-one"]
    entry = catalogue.dataset("points")
    return entry.digest, registry.fingerprint(entry, catalogue.split(entry, SPLIT))


def test_changed_code_and_files_are_other_data(papers: Papers) -> None:
    papers.write("own-one")
    before = digests(papers)
    papers.write(
        "own-one", code=DATASETS.replace('"""Two columns and a class."""', '"""A table."""').replace("CC0", "MIT")
    )
    assert digests(papers) == before, "a docstring and a licence change nothing"
    papers.write("own-one", code=DATASETS.replace("table[:, :2]", "table[:, 1::-1]"))
    changed = digests(papers)
    assert changed[0] != before[0], "a loader"
    papers.write("own-one", code=DATASETS.replace("rows[: -self.last]", "rows[2 : -self.last]"))
    changed = digests(papers)
    assert changed[0] == before[0]
    assert changed[1] != before[1], "a protocol"
    papers.write("own-one", points=POINTS.replace("3,3,0", "3,4,0"))
    assert digests(papers)[0] != before[0], "a file"


def test_every_method_of_a_protocol_counts(papers: Papers) -> None:
    """Nothing in the paper calls them: the core does."""
    whole = DATASETS.replace("SampleSplit, count", "Split, count").replace("(SampleSplit)", "(Split)")
    methods = """
    one_for_all_seeds = False

    @property
    def withholds(self):
        return ()

    def refuses(self, entry):
        return ""

    def cut(self, arrays, index):
        return {"rows": self.first()}, {"rows": [1]}

    def first(self):
        return [0]

"""
    start, end = whole.index("    def choose"), whole.index("DATASETS = (")
    code = whole[:start] + methods + whole[end:]
    papers.write("own-one", code=code)
    before = digests(papers)
    for old, new in (
        ("return ()", 'return ("x",)'),
        ('"rows": [1]', '"rows": [2]'),
        ("return [0]", "return [3]"),
        ("one_for_all_seeds = False", "one_for_all_seeds = True"),
    ):
        papers.write("own-one", code=code.replace(old, new))
        changed = digests(papers)
        assert changed[0] == before[0]
        assert changed[1] != before[1], new


def test_an_edited_file_is_prepared_again(papers: Papers, tmp_path: Path) -> None:
    papers.write("own-one")
    root, split = tmp_path / "data", {"protocol": "random"}
    for factor in (1, 2):
        papers.write("own-one", points="\n".join(f"{factor * i},0,{i % 3}" for i in range(30)))
        entry = papers.read()["own-one"].dataset("points")
        data.prepare(entry, [(split, 0)], root)
        arrays = data.load_score(entry, split, 0, root).arrays
        assert sorted([*arrays["x"][:, 0], *arrays["test_x"][:, 0]]) == [factor * i for i in range(30)]


def test_two_datasets_with_one_name(papers: Papers) -> None:
    papers.write("own-one")
    papers.write("own-two")
    with pytest.raises(UserError) as caught:
        papers.read()
    for folder in papers.folders.values():
        assert str(folder / "datasets.py") in str(caught.value)
    assert "'points'" in str(caught.value)


@pytest.mark.parametrize(
    "change, words",
    [
        (
            lambda code: code.replace('name="points"', 'name="wine"'),
            ["DATASETS has 'wine'", "taken by the shared datasets"],
        ),
        (
            lambda code: code.replace("    ),\n)\nPROTOCOLS", "    ),\n) * 2\nPROTOCOLS"),
            ["DATASETS has 'points' twice"],
        ),
        (lambda code: code.replace("DATASETS = (", "DATASETS = dict(a=1) or ("), ["DATASETS is {'a': 1}", "a tuple"]),
        (lambda code: code + "DATASETS = (1,)\n", ["DATASETS has 1", "entries"]),
        (lambda code: code + "PROTOCOLS = (points,)\n", ["PROTOCOLS has <function points", "subclasses of Split"]),
        (lambda code: code.replace('"in-order"', '"kfold"'), ["'kfold' has the name of a shared protocol"]),
        (lambda code: code.replace("@dataclass(frozen=True, kw_only=True)\n", ""), ["'in-order' is no dataclass"]),
        (lambda code: code.replace("count(10)", "10"), ["last has no limits", "count"]),
        (
            lambda code: code.replace("loader=points", "loader=lambda raw, file: {}"),
            ["dataset 'points' has the loader"],
        ),
        (lambda code: code.replace("loader=points", "loader=dict"), ["has the loader <class 'dict'>"]),
        (
            lambda code: code.replace('File("points.csv")', 'File("points.csv", sha256="0" * 64)'),
            ["its entry says 000"],
        ),
        (lambda code: code.replace('"tables"', '"nowhere"'), ["nowhere/points.csv cannot be read"]),
        (lambda code: "import nothing_of_this_name\n" + code, ["cannot be imported", "nothing_of_this_name", "line 1"]),
        (lambda code: code.replace("DATASETS = (", "DATASETS = ("[:-1]), ["cannot be imported (SyntaxError"]),
    ],
)
def test_a_wrong_datasets_file_is_one_clear_sentence(
    papers: Papers, change: Callable[[str], str], words: list[str]
) -> None:
    code = change(DATASETS)
    assert code != DATASETS
    folder = papers.write("own-one", code=code)
    with pytest.raises(UserError) as caught:
        papers.read()
    assert str(caught.value).startswith(str(folder / "datasets.py"))
    assert all(word in str(caught.value) for word in words), caught.value


def test_files_from_two_sources(papers: Papers, tmp_path: Path) -> None:
    """A dataset may join a file of the paper with one of a mirror, such as labels with a pretrained encoder."""
    mirror = tmp_path / "mirror" / "scales"
    mirror.mkdir(parents=True)
    (mirror / "scale.txt").write_text("3\n")
    code = (
        DATASETS.replace("def points(raw, file):", "def points(raw, file, scale):")
        .replace("table[:, :2]", "float((raw / scale).read_text()) * table[:, :2]")
        .replace('{"file": "points.csv"}', '{"file": "points.csv", "scale": "scale.txt"}')
        .replace('files=(File("points.csv"),)', 'files=(File("points.csv"), File("scale.txt"))')
        .replace(
            '{"points.csv": "points.csv"}),',
            '{"points.csv": "points.csv"}), Source("mirror", "scales", {"scale.txt": "scale.txt"}),',
        )
    )
    papers.write("own-one", code=code)
    entry = papers.read()["own-one"].dataset("points")
    split = {"protocol": "random"}
    prepared = data.prepare(entry, [(split, 0)], tmp_path / "data", tmp_path / "mirror")
    assert prepared.info["source"] == "paper tables, mirror scales"
    arrays = data.load_score(entry, split, 0, tmp_path / "data").arrays
    assert np.sort(np.concatenate([arrays["x"], arrays["test_x"]])[:, 0]).tolist() == [3 * i for i in range(30)]
