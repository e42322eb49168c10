"""The code fingerprint: what reruns and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.files import canonical_json, digest
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


def test_canonical_json_is_sorted_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
