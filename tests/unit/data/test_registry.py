"""The registry: complete, cheap to import, and a fingerprint that moves with what matters."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from claimbench.data import entries, registry
from claimbench.data.splits import PROTOCOLS
from claimbench.errors import UserError


def fingerprint(name: str, split: dict[str, object]) -> str:
    entry = registry.get(name)
    return registry.fingerprint(entry, registry.split_of(entry, split))


@pytest.mark.parametrize("entry", registry.DATASETS.values(), ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry: entries.Entry) -> None:
    assert entry.title
    assert entry.licence
    assert entry.citation
    assert entry.expect
    assert callable(entry.loader)
    assert entry.samples or entry.whole
    assert bool(entry.files) == bool(entry.sources)
    assert bool(entry.url) == (bool(entry.files) or entry.in_place)
    order = ["bundled", "mirror", "pypi", "url"]
    kinds = [order.index(source.kind) for source in entry.sources]
    assert kinds == sorted(kinds)
    for source in entry.sources:
        assert set(source.paths) == {file.name for file in entry.files}
        assert (source.wheel is not None) == (source.kind == "pypi")
        if source.kind == "url":
            assert source.where.startswith(("https://", "http://"))
            assert source.where.endswith("/")
    for file in entry.files:
        assert len(file.sha256) in (0, 64)
        assert len(file.git_blob) in (0, 40)


def test_only_these_datasets_have_no_published_checksum() -> None:
    unknown = {e.name for e in registry.DATASETS.values() if any(f.checksum == "unknown" for f in e.files)}
    assert unknown == {"github-social-128", "omniglot", "wikitext-103"}


def test_importing_the_registry_loads_no_library() -> None:
    code = (
        "import sys; from claimbench.data import registry as r; e = r.get('cora-ml');"
        "r.fingerprint(e, r.split_of(e, {'protocol': 'kfold'}));"
        "print(sorted({'numpy','torch','scipy','sklearn','safetensors','pydantic','yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_fingerprint_follows_checksum_loader_and_split(monkeypatch: pytest.MonkeyPatch) -> None:
    split = {"protocol": "kfold", "folds": 5}
    before = fingerprint("cora-ml", split)
    assert before == fingerprint("cora-ml", {"protocol": "kfold"}), "a default that is written out is the same"
    assert before != fingerprint("cora-ml", {"protocol": "kfold", "folds": 4})
    assert before != fingerprint("cora-linqs", split)
    entry = registry.DATASETS["cora-ml"]
    for changed in (
        dataclasses.replace(entry, version=entry.version + 1),
        dataclasses.replace(entry, files=(dataclasses.replace(entry.files[0], sha256="0" * 64),)),
    ):
        monkeypatch.setitem(registry.DATASETS, "cora-ml", changed)
        assert fingerprint("cora-ml", split) != before
    monkeypatch.setitem(registry.DATASETS, "cora-ml", dataclasses.replace(entry, title="x", sources=entry.sources[:1]))
    assert fingerprint("cora-ml", split) == before, "where it comes from does not matter"


def test_public_splits_are_one_for_all_seeds() -> None:
    for protocol, one in (
        ("public", True),
        ("unsupervised", True),
        ("as-given", True),
        ("kfold", False),
        ("labelled-nodes", False),
    ):
        split = PROTOCOLS[protocol]()
        assert (split.key(3) == split.key(0)) is one


def test_hidden_queries_are_the_default_and_no_part_of_a_key() -> None:
    hidden = {"protocol": "kfold", "queries": "hidden"}
    assert fingerprint("digits", hidden) == fingerprint("digits", {"protocol": "kfold"})
    assert fingerprint("digits", {**hidden, "queries": "visible"}) != fingerprint("digits", hidden)


@pytest.mark.parametrize(
    "split, words",
    [
        ({"protocol": None}, ["protocol is None", "kfold"]),
        ({"protocol": ["kfold"]}, ["protocol is", "['kfold']"]),
        ({"protocol": "halves", "queries": "shown"}, ["queries is 'shown'", "hidden or visible"]),
        ({"protocol": "kfold", "queries": "visible"}, ["queries visible", "independent samples", "cora-ml"]),
        ({"protocol": "labelled-nodes", "percent": 100}, ["percent is 100", "a percentage between 0 and 100"]),
        ({"protocol": "labelled-nodes", "percent": [10, 50]}, ["percent is [10, 50]"]),
        ({"protocol": "labelled-nodes", "percent": "$percent"}, ["percent is '$percent'"]),
        ({"protocol": "as-given", "hidden": "y"}, ["hidden is 'y'", "a list of names"]),
        ({"protocol": "as-given", "shown": ["y"]}, ["shown and hidden both name y"]),
        ({"protocol": "as-given", "queries": "visible"}, ["queries visible", "cora-ml"]),
        ({"protocol": "binary-subsets"}, ["needs independent samples", "cora-ml is of the kind graph"]),
        ({}, ["no protocol", "kfold"]),
        ({"protocol": "kfolds"}, ["'kfolds'", "did you mean 'kfold'"]),
        ({"protocol": "kfold", "fold": 5}, ["'fold'", "did you mean 'folds'"]),
        ({"protocol": "kfold", "folds": 1}, ["folds is 1", "at least 2"]),
        ({"protocol": "kfold", "folds": True}, ["folds is True"]),
        ({"protocol": "kfold", "val": 2}, ["val is 2", "between 0 and 1"]),
        ({"protocol": "public", "val": 0.1}, ["val is 0.1", "number of samples"]),
        ({"protocol": "random", "train": 0.9}, ["add up to 1.3", "at most 1"]),
        ({"protocol": "halves", "most": 0}, ["most is 0", "number of samples"]),
        ({"protocol": "halves", "most": None}, ["most is None", "number of samples"]),
        ({"protocol": "binary-subset", "train": 15}, ["train is 15", "even number"]),
        ({"protocol": "binary-subset", "test": 400}, ["add up to 430", "400"]),
        ({"protocol": "links", "test": "a fifth"}, ["test is 'a fifth'"]),
    ],
)
def test_a_wrong_split_is_one_clear_sentence(split: dict[str, object], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        fingerprint("cora-ml", split)
    assert all(word in str(caught.value) for word in words), caught.value


def test_an_unknown_dataset_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'cora-ml'"):
        registry.get("cora_ml")
