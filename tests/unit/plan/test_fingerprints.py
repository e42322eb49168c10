"""The code fingerprint: what reruns and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.errors import UserError
from claimbench.files import canonical_json, digest
from claimbench.plan import fingerprints
from claimbench.plan.fingerprints import Code

MODULE = '''
"""Doc."""
from . import other
from .third import helper

SCALE = 2.0
UNUSED = 1


def entry(run, data):
    """Doc of entry."""
    from .late import lazily

    return SCALE * other.used(run) + helper(data) + lazily()


def unrelated():
    return UNUSED
'''


def make(folder: Path, **changes: tuple[str, str]) -> str:
    files = {
        "experiments": MODULE,
        "other": "LEVEL = 3\n\n\ndef used(x):\n    return inner(x)\n\n\ndef inner(x):\n    return x * LEVEL\n\n\ndef unused(x):\n    return x\n",
        "third": "class helper:\n    a = 1\n",
        "late": "def lazily():\n    return 1\n",
    }
    for name, (old, new) in changes.items():
        assert old in files[name]
        files[name] = files[name].replace(old, new)
    package = folder / "sample"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    return Code([folder]).fingerprint([("claimbench.papers.sample.experiments", "entry")])


@pytest.mark.parametrize(
    "change",
    [
        {"experiments": ('"""Doc of entry."""', '"""Another."""')},
        {"experiments": ("SCALE = 2.0", "SCALE = 2.0  # a comment")},
        {"experiments": ("    return UNUSED", "    return UNUSED + 1")},
        {"experiments": ("UNUSED = 1", "UNUSED = 5")},
        {"other": ("def unused(x):\n    return x", "def unused(x):\n    return -x")},
        {"experiments": ("SCALE = 2.0", "SCALE   =   2.0")},
    ],
)
def test_unrelated_edits_keep_the_fingerprint(tmp_path: Path, change: dict[str, tuple[str, str]]) -> None:
    assert make(tmp_path) == make(tmp_path, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"experiments": ("SCALE = 2.0", "SCALE = 2.5")},
        {"other": ("LEVEL = 3", "LEVEL = 4")},
        {"other": ("x * LEVEL", "x + LEVEL")},
        {"third": ("a = 1", "a = 2")},
        {"late": ("return 1", "return 2")},
    ],
)
def test_edits_that_matter_change_it(tmp_path: Path, change: dict[str, tuple[str, str]]) -> None:
    assert make(tmp_path) != make(tmp_path, **change)


def test_statements_without_a_name_count_for_the_modules_that_are_used(tmp_path: Path) -> None:
    assert make(tmp_path) != make(tmp_path, other=("LEVEL = 3", "LEVEL = 3\nprint(LEVEL)"))


SAMPLE = """
import torch
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from sklearn.base import BaseEstimator
from . import other

if TYPE_CHECKING:
    from claimbench.run import Run


@dataclass
class Options:
    count: int = 3
    kind: ClassVar[str] = "a"

    def total(self):
        return 2 * self.count

    def never(self):
        return 0


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        return x

    def never(self, x):
        return x

    @torch.compile
    def compiled(self, x):
        return x


class Estimator(BaseEstimator):
    def called_by_the_base(self):
        return 1


class Plain:
    size = 1


def helper(other):
    return [other.used(other) for other in other]


def entry(run, data):
    x = Options().total()
    return Network()(x), Estimator(), Plain(), helper(x)
"""


def sample(folder: Path, old: str = "", new: str = "") -> str:
    assert old in SAMPLE
    package = folder / "sample"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("def used(x):\n    return x\n")
    (package / "experiments.py").write_text(SAMPLE.replace(old, new, 1) if old else SAMPLE)
    return Code([folder]).fingerprint([("claimbench.papers.sample.experiments", "entry")])


@pytest.mark.parametrize(
    "old, new",
    [
        ("    def never(self):\n        return 0", "    def never(self):\n        return 1"),
        ("    def never(self):\n        return 0", "    pass"),
        ("    def never(self, x):\n        return x", "    def never(self, x):\n        return 2 * x"),
        ("count: int = 3", "count: float = 3"),
        ('kind: ClassVar[str] = "a"', 'kind = "a"'),
        ("size = 1", "size: int = 1"),
        ("def entry(run, data):", "def entry(run: Run, data: other.Data) -> other.Result:"),
        ("    x = Options", "    x: Network\n    x = Options"),
        ("    x = Options", "    x: Plain = Options"),
        (
            "from claimbench.run import Run",
            "from claimbench.run import Run\n    from claimbench.metrics import accuracy",
        ),
        ("def total(self):", 'def total(self):\n        """Said."""'),
    ],
)
def test_what_has_no_effect_keeps_the_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    assert sample(tmp_path) == sample(tmp_path, old, new)


@pytest.mark.parametrize(
    "old, new",
    [
        ("return 2 * self.count", "return 3 * self.count"),
        ("count: int = 3", "count: int = 4"),
        ("count: int = 3", "other: int = 1\n    count: int = 3"),
        ("count: int = 3", "count = 3"),
        ("    def forward(self, x):\n        return x", "    def forward(self, x):\n        return -x"),
        ("    def compiled(self, x):\n        return x", "    def compiled(self, x):\n        return -x"),
        ("super().__init__()", "super().__init__(1)"),
        ("return 1", "return 2"),
        ("@dataclass", "@dataclass(frozen=True)"),
        ("return Network()", "x.never\n    return Network()"),
    ],
)
def test_what_has_an_effect_changes_the_fingerprint(tmp_path: Path, old: str, new: str) -> None:
    assert sample(tmp_path) != sample(tmp_path, old, new)


def test_a_method_counts_when_its_name_stands_anywhere_in_reach(tmp_path: Path) -> None:
    named = "    getattr(x, 'never')\n    x = Options"
    assert sample(tmp_path, "    x = Options", named) != sample(tmp_path)
    once = Code([tmp_path])
    entry = [("claimbench.papers.sample.experiments", "entry")]
    assert once.mentions(entry, "total")
    assert not once.mentions(entry, "never_said")
    sample(tmp_path, "    x = Options", named)
    assert Code([tmp_path]).mentions(entry, "never")


def test_a_local_name_is_not_the_module_of_that_name(tmp_path: Path) -> None:
    changed = tmp_path / "sample" / "other.py"
    before = sample(tmp_path)
    changed.write_text("def used(x):\n    return 2 * x\n")
    assert Code([tmp_path]).fingerprint([("claimbench.papers.sample.experiments", "entry")]) == before


def test_a_package_that_imports_its_own_module(tmp_path: Path) -> None:
    own = tmp_path / "sample" / "__init__.py"
    before = make(tmp_path)
    own.write_text("from claimbench.papers.sample import third\n\n\ndef entry():\n    return third.helper().a\n")

    def key() -> str:
        return Code([tmp_path]).fingerprint([("claimbench.papers.sample", "entry")])

    first = key()
    assert first != before
    (tmp_path / "sample" / "third.py").write_text("class helper:\n    a = 2\n")
    assert key() != first


def test_libraries_that_the_code_in_reach_uses(tmp_path: Path) -> None:
    sample(tmp_path)
    found = Code([tmp_path]).libraries([("claimbench.papers.sample.experiments", "entry")])
    assert found == ["dataclasses.dataclass", "sklearn.base.BaseEstimator", "torch"]


def test_hooks_are_all_that_the_library_has() -> None:
    import torch

    for base, kind in (("torch.nn.Module", torch.nn.Module), ("torch.autograd.Function", torch.autograd.Function)):
        public = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}
        assert public - fingerprints._HOOKS[base] == set()


def test_a_module_that_only_carries_results_counts_with_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "core"
    folder.mkdir()
    package = tmp_path / "papers" / "sample"
    package.mkdir(parents=True)
    (package / "experiments.py").write_text(
        "from claimbench.core.carrier import Thing\n\n\nclass Part:\n    def called(self):\n        return 1\n\n\n"
        "def entry(run, data):\n    return Thing(Part())\n"
    )
    monkeypatch.setattr(fingerprints, "PACKAGE_DIR", tmp_path)

    def fingerprint(carrier: str, part: str = "return 1") -> str:
        (folder / "carrier.py").write_text(carrier)
        path = package / "experiments.py"
        path.write_text(path.read_text().replace("return 1", part).replace("return 2", part))
        return Code().fingerprint([("claimbench.papers.sample.experiments", "entry")])

    thing = "SEMANTICS = 1\n\n\nclass Thing:\n    def __init__(self, part):\n        part.called()\n"
    before = fingerprint(thing)
    assert fingerprint(f"{thing}\n    def never(self):\n        return 3\n") == before
    assert fingerprint(thing.replace("= 1", "= 2")) != before
    assert fingerprint(thing, "return 2") != before, "it may call what it is given"


def test_a_file_that_is_not_python_is_one_sentence(tmp_path: Path) -> None:
    sample(tmp_path)
    (tmp_path / "sample" / "experiments.py").write_text("def entry(:\n")
    with pytest.raises(UserError, match=r"experiments\.py, line 1: not valid Python"):
        Code([tmp_path]).fingerprint([("claimbench.papers.sample.experiments", "entry")])


def test_canonical_json_is_sorted_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
