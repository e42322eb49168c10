"""Blocks of words, and pictures with one image a row."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from claimbench import data
from claimbench.data.sets.images import cifar_strips
from claimbench.data.sets.texts import token_blocks


def test_blocks_predict_every_word_once(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("a b a c\n\nb a rare\n", encoding="utf-8")
    (tmp_path / "test").write_text("a new <unk> b\n", encoding="utf-8")
    found = token_blocks(tmp_path, train="train", test="test", block=2, least=2)
    # <unk>, <eos>, a, b; "c" and "rare" stand once
    words = ["<unk>", "<eos>", "a", "b"]
    train = found["x"][found["public_train"]]
    assert [[words[i] for i in row] for row in train] == [
        ["a", "b", "a"], ["a", "<unk>", "<eos>"], ["<eos>", "<eos>", "b"], ["b", "a", "<unk>"],
    ]  # fmt: skip
    test = found["x"][found["public_test"]]
    assert [[words[i] for i in row] for row in test] == [["a", "<unk>", "<unk>"], ["<unk>", "b", "<eos>"]]
    assert found["y"].max() + 1 == 4


def test_blocks_from_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as file:
        file.writestr("text/train", "a b a b\n")
        file.writestr("text/test", "b a b a\n")
    options = {"train": "text/train", "test": "text/test", "block": 2, "least": 1, "archived": "text.zip"}
    assert token_blocks(tmp_path, **options)["x"].shape == (4, 3)


def test_wikitext_has_its_published_number_of_words(mirror: Path, shared_root: Path) -> None:
    split = {"protocol": "public", "val": 400}
    data.prepare("wikitext-2-heldout", [(split, 0)], shared_root, mirror)
    found = data.load_score("wikitext-2-heldout", split, 0, shared_root)
    blocks = len(found.arrays["x"]), len(found.arrays["test_x"])
    assert [-(-(words - 50) // 50) for words in (217_646, 245_569)] == list(blocks)


def test_rows_of_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 3, 32, 32, 3), dtype=np.uint8)  # three pictures of three images
    for number, part in zip((0, 1, 2), pixels, strict=True):
        Image.fromarray(part.reshape(3, 1024, 3)).save(tmp_path / f"batch_{number}.png")
    numbers = [i % 10 for i in range(3000)]
    (tmp_path / "labels.js").write_text(f"var labels={numbers};")
    found = cifar_strips(tmp_path, train=["batch_0.png", "batch_1.png"], test=["batch_2.png"], labels="labels.js")
    np.testing.assert_array_equal(found["x"], pixels.reshape(9, 32, 32, 3))
    assert found["y"].tolist() == [0, 1, 2] * 3
    assert found["public_test"].tolist() == [6, 7, 8]
    (tmp_path / "labels.js").write_text("nothing")
    with pytest.raises(ValueError, match="has no list of numbers"):
        cifar_strips(tmp_path, train=["batch_0.png"], test=["batch_1.png"], labels="labels.js")


def test_cifar_is_read_in_colour(mirror: Path, shared_root: Path) -> None:
    split = {"protocol": "public", "val": 1000}
    data.prepare("cifar10-5k", [(split, 0)], shared_root, mirror)
    found = data.load_score("cifar10-5k", split, 0, shared_root)
    assert found.arrays["x"].shape == (4000, 32, 32, 3)
    for name, least, most in (("y", 366, 422), ("test_y", 86, 112)):
        counted = np.bincount(found.arrays[name])
        assert (counted.min(), counted.max()) == (least, most)
