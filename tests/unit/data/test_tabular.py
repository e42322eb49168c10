"""Tables with classes: what a loader reads, and whether the copies are the sets of TabPFN's own file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from claimbench import data
from claimbench.data import registry
from claimbench.data.preparation import load
from claimbench.data.sets.images import omniglot
from claimbench.data.sets.tables import keel, keel_collection
from claimbench.data.splits.samples import BinarySubset, BinarySubsets
from claimbench.errors import UserError

HALVES = {"protocol": "halves"}
TABPFN = [name for name in registry.DATASETS if name.startswith("cc18-")]


def whole(name: str, root: Path, mirror: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows sorted by value, so that two orders of one table are the same."""
    data.prepare(name, [(HALVES, 0)], root, mirror)
    arrays = data.load_score(name, HALVES, 0, root).arrays
    x = np.concatenate([arrays["x"], arrays["test_x"]])
    y = np.concatenate([arrays["y"], arrays["test_y"]])
    order = np.lexsort((y, *np.round(x.T, 4)))
    return x[order], y[order]


def test_keel_columns_are_numbers_or_categories(tmp_path: Path) -> None:
    (tmp_path / "toy.dat").write_text("1.5, b, 2, no \n0, a, 3,  yes\n-2, b, 10, no\n\n")
    found = keel(tmp_path, file="toy.dat")
    assert found["x"].tolist() == [[1.5, 1, 2], [0, 0, 3], [-2, 1, 10]]
    assert found["y"].tolist() == [0, 1, 0]
    assert found["categorical"].tolist() == [1]
    (tmp_path / "toy.dat").write_text("1, 2, a\n3, b\n")
    with pytest.raises(ValueError, match="zip"):
        keel(tmp_path, file="toy.dat")


def test_balance_scales_follow_the_law_of_the_lever() -> None:
    found = load(registry.get("balance-scale"), Path())
    assert np.bincount(found["y"]).tolist() == [288, 49, 288]
    assert np.unique(found["x"], axis=0).shape == (625, 4)
    heavy_left = (found["x"] == [5, 5, 1, 1]).all(1)
    assert found["y"][heavy_left].tolist() == [0]


@pytest.mark.parametrize("name, counts", [("wdbc", [212, 357]), ("wine", [59, 71, 48])])
def test_tables_inside_scikit_learn(name: str, counts: list[int], shared_root: Path) -> None:
    from sklearn import datasets

    data.prepare(name, [(HALVES, 0)], shared_root)
    arrays = data.load_score(name, HALVES, 0, shared_root).arrays
    theirs = {"wdbc": datasets.load_breast_cancer, "wine": datasets.load_wine}[name](return_X_y=True)
    assert np.bincount(np.concatenate([arrays["y"], arrays["test_y"]])).tolist() == counts
    assert {row.tobytes() for row in arrays["x"]} <= {row.tobytes() for row in theirs[0].astype(np.float32)}


@pytest.mark.parametrize("name", TABPFN)
def test_tables_of_tabpfn(name: str, mirror: Path, shared_root: Path) -> None:
    data.prepare(name, [(HALVES, 0)], shared_root, mirror)
    fit = data.load_fit(name, HALVES, 0, shared_root).arrays
    assert fit["x"].dtype == np.float32
    assert fit["y"].dtype == np.int64
    columns = fit.get("categorical", np.array([], int))
    codes = fit["x"][:, columns]
    assert np.array_equal(codes[~np.isnan(codes)], np.round(codes[~np.isnan(codes)])), "categories are codes"
    assert not {"test_x", "test_y"} & set(fit)


def test_eighteen_tables_are_numerical_and_complete(mirror: Path, shared_root: Path) -> None:
    plain = []
    for name in TABPFN:
        data.prepare(name, [(HALVES, 0)], shared_root, mirror)
        arrays = data.load_score(name, HALVES, 0, shared_root).arrays
        missing = np.isnan(arrays["x"]).any() or np.isnan(arrays["test_x"]).any()
        plain += [name] if "categorical" not in arrays and not missing else []
    assert len(plain) == 18
    assert not {"cc18-breast-w", "cc18-miceprotein", "cc18-credit-g"} & set(plain)


@pytest.mark.parametrize(
    "name, theirs, classes",
    [
        ("pima", "cc18-diabetes", [0, 1]),
        ("vehicle", "cc18-vehicle", [1, 2, 0, 3]),
        ("balance-scale", "cc18-balance-scale", [0, 1, 2]),
        ("wdbc", "cc18-wdbc", [1, 0]),
    ],
)
def test_other_copies_have_the_rows_of_tabpfn(
    name: str, theirs: str, classes: list[int], mirror: Path, shared_root: Path
) -> None:
    """``classes``: our number of each of their classes."""
    x, y = whole(name, shared_root, mirror)
    other, labels = whole(theirs, shared_root, mirror)
    np.testing.assert_allclose(x, other, rtol=0, atol=4e-7)  # 6 values of wdbc have one digit less there
    # Where rows are equal but for the class, the order of classes decides: compare them as a multiset.
    renamed = np.array(classes)[labels]
    assert sorted(zip(map(bytes, np.round(x, 3)), y, strict=True)) == sorted(
        zip(map(bytes, np.round(other, 3)), renamed, strict=True)
    )


def test_the_tables_of_tabpfn_share_one_file(mirror: Path, tmp_path: Path) -> None:
    for name in ("cc18-car", "cc18-kc2"):
        data.prepare(name, [(HALVES, 0)], tmp_path, mirror)
        assert (registry.get(name).prepared_folder(tmp_path) / "info.json").is_file()
    assert [path.parent.parent.name for path in tmp_path.rglob("*.pickle")] == ["tabpfn-cc18"]


def test_categories_are_told_to_fit(mirror: Path, shared_root: Path) -> None:
    data.prepare("credit-g", [(HALVES, 0)], shared_root, mirror)
    fit = data.load_fit("credit-g", HALVES, 0, shared_root).arrays
    assert fit["categorical"].size == 13
    assert fit["x"].shape == (500, 20)


def test_a_subset_of_two_classes(mirror: Path, shared_root: Path) -> None:
    split = {"protocol": "binary-subset"}
    data.prepare("vehicle", [(split, index) for index in range(3)], shared_root, mirror)
    found = [data.load_score("vehicle", split, index, shared_root).arrays for index in range(3)]
    for arrays in found:
        assert np.bincount(arrays["y"]).tolist() == [15, 15]
        assert np.bincount(arrays["test_y"]).tolist() == [35, 35]
    assert not np.array_equal(found[0]["x"], found[1]["x"])


def test_many_subsets_of_a_collection(tmp_path: Path) -> None:
    for name, rows in (("a.dat", 60), ("b.dat", 50)):
        columns = 3 if name == "a.dat" else 2
        lines = [", ".join([*(str(i * (c + 1)) for c in range(columns)), "pq"[i % 2]]) for i in range(rows)]
        (tmp_path / name).write_text("\n".join(lines))
    arrays = keel_collection(tmp_path, files=["a.dat", "b.dat"])
    assert arrays["x"].shape == (110, 3)
    assert np.isnan(arrays["x"][60:, 2]).all()
    assert not np.isnan(arrays["x"][:60]).any()
    assert np.bincount(arrays["table"]).tolist() == [60, 50]
    fit, score = BinarySubsets(train=10, test=20, most=40, subsets=3).cut(arrays, 2)
    assert set(fit) == {"rows", "y", "table"}, "no label of a test row"
    assert fit["rows"].shape == (6, 30)
    for rows, table, test, labels in zip(fit["rows"], fit["table"], score["rows"], score["test_y"], strict=True):
        assert len(set(rows)) == 30
        assert set(arrays["table"][rows]) == {table}
        assert rows[10:].tolist() == test.tolist()
        assert arrays["y"][test].tolist() == labels.tolist()
    alone = BinarySubset(train=10, test=20, most=40).choose({"y": arrays["y"][:60]}, 7)  # run 2, subset 1
    assert fit["rows"][1].tolist() == [*alone["train"], *alone["test"]]


def test_the_collection_of_binary_tables(tmp_path: Path) -> None:
    split = {"protocol": "binary-subsets", "subsets": 2}
    data.prepare("wdbc", [(split, 0)], tmp_path)
    fit = data.load_fit("wdbc", split, 0, tmp_path).arrays
    assert fit["x"].shape == (2, 100, 30)
    assert "test_y" not in fit
    score = data.load_score("wdbc", split, 0, tmp_path).arrays
    np.testing.assert_array_equal(score["test_x"], fit["x"][:, 30:])
    assert score["test_y"].shape == (2, 70)
    with pytest.raises(UserError, match="subsets is 0"):
        data.prepare("wdbc", [({"protocol": "binary-subsets", "subsets": 0}, 0)], tmp_path)


def test_characters_of_omniglot(tmp_path: Path) -> None:
    import zipfile

    from PIL import Image

    for file, alphabets in (("one.zip", ("Greek", "Korean")), ("two.zip", ("Greek", "Tagalog"))):
        with zipfile.ZipFile(tmp_path / file, "w") as archived:
            for place, alphabet in enumerate(alphabets):
                image = Image.new("1", (105, 105), 1)
                image.putpixel((7, place), 0)
                with archived.open(f"{file[:-4]}/{alphabet}/character03/0001_01.png", "w") as opened:
                    image.save(opened, format="png")
    found = omniglot(tmp_path, background="one.zip", evaluation="two.zip")
    assert found["y"].tolist() == [3, 103, 203]
    assert found["public_train"].tolist() == [0, 1]
    assert found["public_test"].tolist() == [2], "an alphabet of the background does not test"
    assert np.argwhere(found["x"][1]).tolist() == [[1, 7]]


def test_small_omniglot(mirror: Path, shared_root: Path) -> None:
    split = {"protocol": "public"}
    data.prepare("omniglot-small", [(split, 0)], shared_root, mirror)
    arrays = data.load_score("omniglot-small", split, 0, shared_root).arrays
    assert arrays["x"].shape == (2720, 105, 105)
    assert not set(arrays["y"] // 100) & set(arrays["test_y"] // 100)
    assert set(np.unique(arrays["test_y"], return_counts=True)[1]) == {20}
