"""Image files that stay where they are: the list of files, the official parts, and what a fit may open."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from claimbench import data
from claimbench.data import guard, registry
from claimbench.errors import DataUnavailable, LeakageError, UserError

PUBLIC = {"protocol": "public", "val": 4}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of pictures, eight to train and three to test each, registered as ``pictures``."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 3)):
        for name in ("n01", "n02"):
            folder = tmp_path / "mirror" / "pictures" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (40 + i, 36, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.JPEG")
            (folder / "notes.txt").write_text("not a picture")
    entry = dataclasses.replace(
        registry.get("imagenet"),
        name="pictures",
        options={"folder": "pictures"},
        expect={"n_samples": 22, "n_classes": 2},
    )
    monkeypatch.setitem(registry.DATASETS, "pictures", entry)
    monkeypatch.setattr(guard, "_permitted", set())
    monkeypatch.delenv("CLAIMBENCH_MIRROR", raising=False)
    return tmp_path / "mirror"


def test_only_the_list_of_files_is_prepared(mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    prepared = data.prepare("pictures", [(PUBLIC, 0)], root, mirror)
    assert prepared.info["folder"] == str((mirror / "pictures").resolve())
    fit = data.load_fit("pictures", PUBLIC, 0, root)
    assert (len(fit.arrays["train_idx"]), len(fit.arrays["val_idx"])) == (12, 4)
    assert all(path.startswith(b"train/") for path in fit.arrays["x"])
    assert [path.split(b"/")[1] == b"n02" for path in fit.arrays["x"]] == list(fit.arrays["y"] == 1)
    assert set(fit.arrays["y"][fit.arrays["val_idx"]]) == {0, 1}, "the files are shuffled, so every class validates"
    score = data.load_score("pictures", PUBLIC, 0, root)
    assert sorted(score.arrays["test_x"])[0] == b"val/n01/0.JPEG"
    assert sorted(score.arrays["test_y"]) == [0, 0, 0, 1, 1, 1]


def test_a_fit_opens_training_files_alone(mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    data.prepare("pictures", [(PUBLIC, 0)], root, mirror)
    fit = data.load_fit("pictures", PUBLIC, 0, root)
    folder = Path(fit.info["folder"])
    with guard.sealed():
        (folder / fit.arrays["x"][0].decode()).read_bytes()
    with pytest.raises(LeakageError), guard.sealed():
        (folder / "val" / "n01" / "0.JPEG").read_bytes()


def test_without_the_folder_the_dataset_is_missing(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="no mirror is configured"):
        data.prepare("pictures", [(PUBLIC, 0)], tmp_path / "data")
    (mirror / "pictures" / "val").rename(mirror / "pictures" / "validation")
    with pytest.raises(DataUnavailable, match="val cannot be read"):
        data.prepare("pictures", [(PUBLIC, 0)], tmp_path / "data", mirror)


@pytest.mark.usefixtures("mirror")
def test_a_mirror_that_cannot_be_read_is_one_that_lacks_the_dataset(tmp_path: Path) -> None:
    """A name that the system refuses stands for rights that a test under root would not lack."""
    with pytest.raises(DataUnavailable, match=r"train cannot be read \(File name too long\)"):
        data.prepare("pictures", [(PUBLIC, 0)], tmp_path / "data", tmp_path / ("x" * 300))


def test_a_class_that_has_no_training_files(mirror: Path, tmp_path: Path) -> None:
    (mirror / "pictures" / "val" / "n02").rename(mirror / "pictures" / "val" / "n03")
    with pytest.raises(UserError, match="has the class n03"):
        data.prepare("pictures", [(PUBLIC, 0)], tmp_path / "data", mirror)


def test_its_split_is_fixed(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed: public"):
        data.prepare("pictures", [({"protocol": "random"}, 0)], tmp_path / "data", mirror)
