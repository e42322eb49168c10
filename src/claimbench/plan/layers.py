"""Layers of hyper-parameters: package, paper, experiment, tier, grid, configuration; later wins."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from claimbench.errors import UserError, nearest
from claimbench.spec.config import Config
from claimbench.spec.paper import PaperSpec
from claimbench.spec.words import PRECISIONS

#: lowest layer of every run's hyper-parameters
PACKAGE_HYPER: dict[str, Any] = {"sabotage": "none", "precision": "float32"}


class Layer(NamedTuple):
    """Hyper-parameters that one place sets."""

    name: str
    values: dict[str, Any]
    #: leaves out what no layer below has set
    only_declared: bool = False


def merged(layers: list[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """The hyper-parameters of all layers, later ones on top, and the name of the layer that set each.

    Raises:
        UserError: a value of another kind than its declared one, or one that is not allowed.
    """
    hyper: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        values = {key: value for key, value in layer.values.items() if not layer.only_declared or key in hyper}
        hyper = _merge(hyper, values, layer.name, origin)
    return hyper, origin


def _merge(
    base: dict[str, Any], top: dict[str, Any], layer: str, layers: dict[str, str], prefix: str = ""
) -> dict[str, Any]:
    """Deep merge; lists are replaced. A value must be of the declared value's kind (any kind where that is null)."""
    merged = dict(base)
    for key, value in top.items():
        path = f"{prefix}{key}"
        if key in base and isinstance(base[key], dict) and isinstance(value, dict):
            merged[key] = _merge(base[key], value, layer, layers, f"{path}.")
            continue
        if key in base and not _same_kind(base[key], value):
            raise UserError(
                f"{layer}: hyper.{path} is {value!r}; "
                f"it must be {_kind(base[key])} like its declared value {base[key]!r}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{layer}: hyper.{path} is {value!r}; it must be a finite number")
        if path == "precision" and value not in PRECISIONS:
            raise UserError(f"{layer}: hyper.precision is {value!r}; allowed: {', '.join(PRECISIONS)}")
        merged[key] = value
        layers[path] = layer
    return merged


def _same_kind(declared: Any, value: Any) -> bool:
    return declared is None or value is None or _kind(declared) == _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    names: dict[type, str] = {str: "a word", list: "a list", dict: "a mapping"}
    return names.get(type(value), "null")


def overridden(config: Config, spec: PaperSpec) -> dict[str, dict[str, Any]]:
    """Experiment name ("" for the whole paper) -> overridden hyper-parameters."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in config.overrides.get(spec.slug, {}).items():
        where = f"config.yaml: overrides.{spec.slug}.{key}"
        if key != "hyper" and key not in spec.experiments:
            raise UserError(f"{where} is no experiment of this paper ({nearest(key, ['hyper', *spec.experiments])})")
        if not isinstance(value, dict):
            raise UserError(f"{where} is {value!r}; it must be a mapping")
        if key == "hyper":
            hyper, known = value, set(spec.hyper).union(PACKAGE_HYPER, *(e.hyper for e in spec.experiments.values()))
        else:
            for inner in value:
                if inner != "hyper":
                    raise UserError(f"{where} has the unknown key {inner!r} (allowed: hyper)")
            hyper, known = value.get("hyper") or {}, {*spec.hyper, *PACKAGE_HYPER, *spec.experiments[key].hyper}
            if not isinstance(hyper, dict):
                raise UserError(f"{where}.hyper is {hyper!r}; it must be a mapping")
        for name in hyper:
            if name not in known:
                raise UserError(f"{where} has the unknown hyper-parameter {name!r} ({nearest(name, known)})")
        found["" if key == "hyper" else key] = hyper
    return found
