"""What the modules that only carry results give.

Each declares ``SEMANTICS``, which stands for it in the keys of runs. The behaviour of a number is pinned here: whoever
changes it raises the number, so that what was computed before runs again, and adds the new behaviour beside it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from claimbench import errors, files, run, seeding, training
from claimbench.records import store


def carrier(**given: Any) -> run.Run:
    return run.Run("p", "e", "m", "none", {}, 3, "smoke", {"n": 2}, **given)


def streams() -> dict[str, Any]:
    return {
        "seed": seeding.stream_seed(3, "init"),
        "numpy": seeding.rng(3, "init").integers(0, 1000, 4).tolist(),
        "torch": torch.randint(0, 1000, (4,), generator=seeding.torch_generator(3, "init")).tolist(),
    }


def runs(folder: Path) -> dict[str, Any]:
    one = carrier(checkpoint=run.Checkpoint(folder, every_s=0))
    with one.torch_stream("init"):
        drawn = torch.randint(0, 1000, (4,)).tolist()
    one.curve("loss", 1, 0.5)
    one.curve("loss", 2, np.float32(0.25))
    one.metric("train/error", np.float64(0.125))
    one.count(steps=2)
    one.count(n_params=3)
    saved = {"w": torch.arange(3, dtype=torch.float64)}
    one.checkpoint.save(saved, {"next": 2, "name": "ä"})
    tensors, meta = one.checkpoint.load() or ({}, {})
    refused = {}
    for name, value in (("nan", math.nan), ("inf", math.inf)):
        with pytest.raises(errors.Diverged) as error:
            one.finite(value)
        refused[name] = str(error.value)
    return {
        "stream": drawn,
        "same streams": [
            one.rng("init").integers(0, 1000, 4).tolist() == streams()["numpy"],
            torch.randint(0, 1000, (4,), generator=one.torch_generator("init")).tolist() == streams()["torch"],
        ],
        "curves": {name: [list(point) for point in points] for name, points in one.curves.items()},
        "metrics": one.metrics,
        "counts": one.counts,
        "h": [one.h.n, one.hyper["n"]],
        "checkpoint": [tensors["w"].tolist(), str(tensors["w"].dtype), meta],
        "finite": [one.finite(1), refused],
        "alive": one.alive(),
    }


def loops(folder: Path) -> dict[str, Any]:
    one = carrier(checkpoint=run.Checkpoint(folder, every_s=0))
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(net.weight)
    order = torch.Generator().manual_seed(0)
    plain: dict[str, Any] = {"best": torch.tensor(1.0), "list": [1, (2, 3)], 4: None}
    steps, drawn = [], []
    for step in training.Loop(one, "a", 5, net=net, order=order, plain=plain):
        steps.append(step)
        drawn.append(int(torch.randint(0, 1000, (1,), generator=order)))
        net.weight.data += 1
        plain["best"] += 1
        one.curve("loss", step, float(step))
        one.metric("train/last", step)
        if step == 2:
            break  # killed: the last checkpoint is the one before this step
    two = carrier(checkpoint=run.Checkpoint(folder, every_s=0))
    net.weight.data.zero_()
    plain.clear()
    loop = training.Loop(two, "a", 5, net=net, order=order, plain=plain)
    restored = [loop.next, net.weight.item(), float(plain["best"]), plain["list"], plain[4], two.metrics]
    for step in loop:
        steps.append(step)
        drawn.append(int(torch.randint(0, 1000, (1,), generator=order)))
        if step == 3:
            loop.stop()
    again = list(training.Loop(two, "a", 5, net=net, order=order, plain=plain))
    members = [carrier(checkpoint=run.Checkpoint(folder / "stack", every_s=0)), carrier()]
    for step in training.StackLoop(members, "b", 2):
        members[1].curve("loss", step, 1.0)
    others = [carrier(checkpoint=run.Checkpoint(folder / "stack", every_s=0)), carrier()]
    training.StackLoop(others, "b", 2)
    stacks: list[list[int]] = []

    def fit(indices: list[int]) -> list[dict[str, Any]]:
        stacks.append(indices)
        return [{"i": index} for index in indices]

    keyed = [carrier() for _ in range(5)]
    for index, member in enumerate(keyed):
        member.setting = {"k": index % 2}
    artifacts = training.in_stacks(keyed, lambda r: r.setting["k"], fit, lambda r: 2)
    return {
        "steps": steps,
        "drawn": drawn,
        "restored": restored,
        "after its end": again,
        "curves": [list(point) for point in two.curves["loss"]],
        "stack": [list(point) for point in others[1].curves["loss"]],
        "stacks": stacks,
        "artifacts": [artifact["i"] for artifact in artifacts],
    }


def faults() -> dict[str, Any]:
    kinds = (errors.UserError, errors.LeakageError, errors.DataUnavailable, errors.Skipped, errors.Diverged)
    return {
        "all end in one sentence": all(issubclass(kind, errors.ClaimBenchError) for kind in kinds),
        "unavailable": str(errors.DataUnavailable("cora", ["a", "b"])),
        "budget": [errors.BudgetExceeded("oom", "too much").status, str(errors.BudgetExceeded("oom", "too much"))],
        "nearest": [
            errors.nearest("shfit", ["shift", "tail"]),
            errors.nearest("x", ["b", "a"]),
            errors.nearest("x", []),
        ],
    }


def written(folder: Path) -> dict[str, Any]:
    value = {"b": [1, 2.5, None, True], "a": "ä", "n": np.float32(0.5), "bad": math.nan}
    files.write_json(folder / "x.json", value)
    return {
        "canonical": files.canonical_json({"b": [1, 2.5, None, True], "a": "ä"}),
        "digest": files.digest({"a": 1})[:16],
        "plain": files.plain(value),
        "written": (folder / "x.json").read_text(),
        "read": [files.read_json(folder / "x.json"), files.read_json(folder / "none.json")],
    }


def stored(folder: Path) -> dict[str, Any]:
    given = {"a": np.arange(3, dtype=np.int32), "b": torch.ones(2, dtype=torch.bfloat16), "c": 1, "d": np.float64(0.5)}
    parts = store.encode({**given, "e": {"f": [True, None]}})
    records = store.Store(folder)
    records.write_fit("p", "0" * 64, {"status": "done"}, parts)
    back = records.artifact("p", "0" * 64)
    return {
        "json": parts["artifact.json"].decode(),
        "files": sorted(parts),
        "back": {
            name: [str(value.dtype), value.tolist()] if hasattr(value, "dtype") else value
            for name, value in sorted(back.items())
        },
    }


#: module -> number -> what it gives
GOLDEN: dict[str, dict[int, Any]] = {
    "seeding": {1: {"seed": 191419544252918800, "numpy": [609, 281, 420, 783], "torch": [726, 230, 886, 651]}},
    "run": {
        1: {
            "stream": [726, 230, 886, 651],
            "same streams": [True, True],
            "curves": {"loss": [[1.0, 0.5], [2.0, 0.25]]},
            "metrics": {"train/error": 0.125},
            "counts": {"steps": 2, "n_params": 3},
            "h": [2, 2],
            "checkpoint": [[0.0, 1.0, 2.0], "torch.float64", {"name": "ä", "next": 2}],
            "finite": [1.0, {"nan": "loss became nan", "inf": "loss became inf"}],
            "alive": None,
        }
    },
    "training": {
        1: {
            "steps": [0, 1, 2, 2, 3],
            "drawn": [44, 239, 933, 933, 760],
            "restored": [2, 3.0, 3.0, [1, [2, 3]], None, {"train/last": 1.0}],
            "after its end": [],
            "curves": [[0.0, 0.0], [1.0, 1.0]],
            "stack": [[0.0, 1.0], [1.0, 1.0]],
            "stacks": [[0, 2], [4], [1, 3]],
            "artifacts": [0, 1, 2, 3, 4],
        }
    },
    "errors": {
        1: {
            "all end in one sentence": True,
            "unavailable": "dataset cora is not available; tried: a; b",
            "budget": ["oom", "too much"],
            "nearest": ["did you mean 'shift'?", "allowed: a, b", "allowed: nothing"],
        }
    },
    "files": {
        1: {
            "canonical": '{"a":"ä","b":[1,2.5,null,true]}',
            "digest": "015abd7f5cc57a2d",
            "plain": {"b": [1, 2.5, None, True], "a": "ä", "n": 0.5, "bad": None},
            "written": "{\n"
            ' "a": "\\u00e4",\n'
            ' "b": [\n'
            "  1,\n"
            "  2.5,\n"
            "  null,\n"
            "  true\n"
            " ],\n"
            ' "bad": null,\n'
            ' "n": 0.5\n'
            "}\n",
            "read": [{"a": "ä", "b": [1, 2.5, None, True], "bad": None, "n": 0.5}, None],
        }
    },
    "records.store": {
        1: {
            "json": '{"c": 1, "d": 0.5, "e": {"f": [true, null]}}\n',
            "files": ["artifact.json", "artifact.safetensors"],
            "back": {
                "a": ["int32", [0, 1, 2]],
                "b": ["float32", [1.0, 1.0]],
                "c": 1,
                "d": 0.5,
                "e": {"f": [True, None]},
            },
        }
    },
}


@pytest.mark.parametrize(
    "module, behaviour",
    [(seeding, streams), (run, runs), (training, loops), (errors, faults), (files, written), (store, stored)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_behaviour_is_that_of_the_number(module: Any, behaviour: Any, tmp_path: Path) -> None:
    found = behaviour(tmp_path) if behaviour.__code__.co_argcount else behaviour()
    assert json.loads(json.dumps(found)) == GOLDEN[module.__name__.removeprefix("claimbench.")][module.SEMANTICS]
