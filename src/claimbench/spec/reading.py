"""YAML files -> pydantic models, every fault as one sentence that names file, key, value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from claimbench.errors import UserError, nearest

Model = TypeVar("Model", bound=BaseModel)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_Loader):  # type: ignore[misc, valid-type]
    """The C loader, refusing a mapping that has one key twice (YAML would silently keep the last)."""


def _construct_mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    """Keys that are merged (``<<``) give way to those that are written."""
    written = {id(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"}
    loader.flatten_mapping(node)
    content: dict[Any, Any] = {}
    seen = set()
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if id(key_node) in written:
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        content[key] = loader.construct_object(value_node, deep=True)
    return content


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: the file is missing, unreadable or not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: this file does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{path}{where}: not valid YAML ({what})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML ({error})") from None


def scalar(text: str) -> Any:
    """A word as YAML reads it: a number, a truth value, null, else the word itself."""
    try:
        value = yaml.load(text, Loader=_UniqueKeyLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    return value if value is None or isinstance(value, bool | int | float) else text


def scalars(value: Any) -> Any:
    """``value`` with every word in it read by :func:`scalar`; Snakemake leaves what it finds in a nested value of
    ``--config`` as words."""
    if isinstance(value, Mapping):
        return {key: scalars(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [scalars(inner) for inner in value]
    return scalar(value) if isinstance(value, str) else value


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` with ``above`` on top, key by key within mappings; lists are replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse(model: type[Model], content: Any, file: Path | str) -> Model:
    """``content`` as ``model``.

    Raises:
        UserError: one sentence for the first fault found.
    """
    if not isinstance(content, dict):
        raise UserError(f"{file}: expected keys and values at the top level, found {_short(content)}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(_sentence(error, model, file)) from None


def without_passwords(text: str) -> str:
    """``text`` with the passwords of the addresses in it made unreadable: ``scheme://user:password@host``, and
    ``password=`` or the like in a query."""
    text = re.sub(r"(://[^\s'\":@/]*):[^\s'\"]*@", r"\1:***@", text)
    text = re.sub(r"(https?://)[^\s'\"@/]*@", r"\1***@", text)
    return re.sub(r"([?&][^=&\s]*(?:pass|pwd|token|secret)[^=&\s]*=)[^&\s'\"]+", r"\1***", text, flags=re.IGNORECASE)


def _short(value: Any) -> str:
    text = without_passwords(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."


def _sentence(error: ValidationError, model: type[BaseModel], file: Path | str) -> str:
    faults = error.errors(include_url=False)
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        return f"{file}: unknown key {key!r} ({nearest(location[-1], _fields_at(model, first['loc']))})"
    if first["type"] == "missing":
        return f"{file}: key {key!r} is missing"
    message = str(first["msg"]).removeprefix("Value error, ")
    if not location:  # a check of the whole file, whose message names the key
        return f"{file}: {message}"
    message = "it must be a mapping" if first["type"] == "model_type" else message[:1].lower() + message[1:]
    return f"{file}: {key} is {_short(first['input'])}; {message}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys allowed where the fault lies, by walking the model's annotations along ``location``."""
    import typing

    current: Any = model
    for part in location[:-1]:
        options = [current]
        found = None
        while options:
            option = options.pop()
            arguments = typing.get_args(option)
            if isinstance(option, type) and issubclass(option, BaseModel):
                field = option.model_fields.get(str(part)) or next(
                    (f for f in option.model_fields.values() if f.alias == part), None
                )
                if field is not None:
                    found = field.annotation
            elif typing.get_origin(option) is dict:
                found = arguments[1]
            elif typing.get_origin(option) is list:
                found = arguments[0]
            else:
                options.extend(arguments)
            if found is not None:
                break
        current = found
        if current is None:
            return []
    names: list[str] = []
    options = [current]
    while options:
        option = options.pop()
        if isinstance(option, type) and issubclass(option, BaseModel):
            names += [field.alias or name for name, field in option.model_fields.items()]
        else:
            options.extend(typing.get_args(option))
    return names
