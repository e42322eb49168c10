"""Write docs/reference.md: every key of config.yaml, paper.yaml and claims.yaml, from the models that check them.

usage: python tools/reference.py [--check]      --check writes nothing and fails when the page is not what it would be
"""

from __future__ import annotations

import sys
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from claimbench.spec import claims, config, paper

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
HEAD = """# Keys of the files

Made from the models that check the files (`make format` writes this page anew). An unknown key and a wrong value are
refused when the workflow is planned.
"""
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("config.yaml", config.Config),
    ("config.yaml: tracking", config.Tracking),
    ("paper.yaml", paper.PaperSpec),
    ("paper.yaml: code", paper.Code),
    ("paper.yaml: experiments.NAME", paper.ExperimentSpec),
    ("paper.yaml: experiments.NAME.tiers.TIER", paper.TierBlock),
    ("paper.yaml: a block of tiers.TIER.grid", paper.Block),
    ("paper.yaml: an entry of a block's needs", paper.Need),
    ("paper.yaml: floor, ceiling", paper.Floor),
    ("paper.yaml: budget", paper.Budget),
    ("paper.yaml: resources", paper.Resources),
    ("paper.yaml: an entry of not_run", paper.NotRun),
    ("claims.yaml: every claim", claims.Stated),
    ("claims.yaml: every claim with a test", claims.Measured),
    ("claims.yaml: kind value", claims.Value),
    ("claims.yaml: kind better", claims.Better),
    ("claims.yaml: kind ratio", claims.Ratio),
    ("claims.yaml: kind trend", claims.Trend),
    ("claims.yaml: kind exact", claims.Exact),
    ("claims.yaml: kind none", claims.Untested),
    ("claims.yaml: select, a, b", claims.Selector),
)


def page() -> str:
    """The text of docs/reference.md."""
    return HEAD + "".join(section(title, model) for title, model in SECTIONS)


def section(title: str, model: type[BaseModel]) -> str:
    """A heading and a table: key, kind, default, meaning."""
    lines = [f"\n## {title}\n", "| key | value | default | |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if name not in model.__annotations__ or (field.description is None and name == "kind"):
            continue  # of a model that this one extends
        cells = (f"`{field.alias or name}`", kind(field.annotation), default(field), meaning(model, name, field))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def meaning(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    if not field.description:
        raise SystemExit(f"{model.__module__}.{model.__name__}.{name}: give it a description")
    return field.description


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default if field.default is not PydanticUndefined else field.default_factory()  # type: ignore[misc]
    return "" if value is None or isinstance(value, BaseModel) or value in ({}, [], "", ()) else f"`{plain(value)}`"


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def kind(annotation: Any) -> str:
    """What may be written, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(kind(one) for one in arguments if one is not type(None))
        return " or ".join(words)
    if origin is list:
        return f"list of {kind(arguments[0])}" if arguments else "list"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}.get(
        annotation, "any"
    )


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"{PAGE}: not what the models say; run `make format`", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
