"""Digests: of JSON values, and of the code that a cell's result depends on.

The code fingerprint of an entry function covers every top-level definition it can reach by name, across the package's
modules: functions, classes, constants. Comments, docstrings, formatting and unrelated definitions do not count. So an
edited comment reruns nothing and a changed constant reruns exactly the cells whose code can see it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from claimbench.files import digest

PACKAGE_DIR = Path(__file__).parents[1]


@dataclass
class _Definition:
    """The statements that bind one top-level name."""

    shape: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    attributes: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class _Module:
    definitions: dict[str, _Definition]
    imports: dict[str, tuple[str, str | None]]
    #: statements at top level that bind no name (a registration call, say): they run whenever the module is imported
    effects: _Definition


class Code:
    """The source of the package and of the papers beside it, as a graph of definitions.

    Args:
        papers: folders that hold paper packages, searched for ``claimbench.papers.<name>``.
    """

    def __init__(self, papers: Iterable[Path] = ()) -> None:
        self.papers = [*papers, PACKAGE_DIR / "papers"]
        self._closures: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}
        self._fingerprints: dict[tuple[tuple[str, str], ...], str] = {}
        self._modules: dict[str, _Module | None] = {}

    def file(self, module: str) -> Path | None:
        """The file of ``module`` (dotted name), None for modules outside the package."""
        parts = module.split(".")
        if parts[0] != "claimbench":
            return None
        roots = [PACKAGE_DIR.joinpath(*parts[1:])]
        if parts[1:2] == ["papers"] and len(parts) > 2:
            roots = [folder.joinpath(*parts[2:]) for folder in self.papers]
        for root in roots:
            for path in (root.with_suffix(".py"), root / "__init__.py"):
                if path.is_file():
                    return path
        return None

    def has(self, module: str, name: str) -> bool:
        """Whether ``module`` defines or imports ``name`` at its top level."""
        parsed = self._module(module)
        return parsed is not None and (name in parsed.definitions or name in parsed.imports)

    def definitions(self, module: str) -> list[str]:
        """The names that ``module`` defines; none for a module that does not exist."""
        parsed = self._module(module)
        return list(parsed.definitions) if parsed is not None else []

    def fingerprint(self, entries: Iterable[tuple[str, str]]) -> str:
        """sha256 over all definitions reachable from ``entries`` (pairs of module and name)."""
        start = tuple(entries)
        if start not in self._fingerprints:
            reached: set[tuple[str, str]] = set()
            for entry in start:
                reached |= self._reachable(*entry)
            self._fingerprints[start] = digest(
                [[module, name, self._shape(module, name)] for module, name in sorted(reached)]
            )
        return self._fingerprints[start]

    def _shape(self, module: str, name: str) -> list[str]:
        parsed = self._module(module)
        assert parsed is not None
        return parsed.effects.shape if name == "" else parsed.definitions[name].shape

    def _module(self, module: str) -> _Module | None:
        if module not in self._modules:
            path = self.file(module)
            stat = path.stat() if path is not None else None
            self._modules[module] = _parse(path, module, stat.st_mtime_ns, stat.st_size) if path and stat else None
        return self._modules[module]

    def _reachable(self, module: str, name: str) -> frozenset[tuple[str, str]]:
        start = (module, name)
        if start not in self._closures:
            seen: set[tuple[str, str]] = set()
            todo = [start]
            while todo:
                at = todo.pop()
                if at not in seen and self._module(at[0]) is not None:
                    targets = list(self._follow(*at))
                    if at[1] == "" or at[1] in self._module(at[0]).definitions:  # type: ignore[union-attr]
                        seen.add(at)
                    todo += [target for target in targets if target not in seen]
            self._closures[start] = frozenset(seen)
        return self._closures[start]

    def _follow(self, module: str, name: str) -> Iterator[tuple[str, str]]:
        parsed = self._module(module)
        assert parsed is not None
        if name and name not in parsed.definitions:
            if name in parsed.imports:
                yield from self._imported(*parsed.imports[name])
            return
        definition = parsed.effects if name == "" else parsed.definitions[name]
        yield (module, "")
        for used in definition.names:
            if used in parsed.definitions:
                yield (module, used)
            elif used in parsed.imports:
                source, attribute = parsed.imports[used]
                target = source if attribute is None else f"{source}.{attribute}"
                if self.file(target) is not None and (attribute is None or not self.has(source, attribute)):
                    attributes = {a for base, a in definition.attributes if base == used}
                    for attribute_name in attributes:
                        yield (target, attribute_name)
                    if not attributes:
                        yield from self._whole(target)
                else:
                    yield from self._imported(source, attribute)

    def _imported(self, source: str, attribute: str | None) -> Iterator[tuple[str, str]]:
        if attribute is None or attribute == "*":
            yield from self._whole(source)
        elif self.has(source, attribute):
            yield (source, attribute)
        else:
            yield from self._whole(f"{source}.{attribute}")

    def _whole(self, module: str) -> Iterator[tuple[str, str]]:
        parsed = self._module(module)
        if parsed is not None:
            yield from ((module, name) for name in parsed.definitions)


@lru_cache(maxsize=4096)
def _parse(path: Path, module: str, mtime_ns: int, size: int) -> _Module:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    definitions: dict[str, _Definition] = {}
    imports: dict[str, tuple[str, str | None]] = {}
    effects = _Definition()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0],
                    None,
                )
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                base = package.split(".")
                base = base[: len(base) - node.level + 1]
                source = ".".join([*base, source] if source else base)
            for alias in node.names:
                imports[alias.asname or alias.name] = (source, alias.name)
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        bound = _bound_names(statement)
        for definition in [definitions.setdefault(name, _Definition()) for name in bound] or [effects]:
            definition.shape.append(_shape(statement))
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    definition.names.add(node.id)
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    definition.attributes.add((node.value.id, node.attr))
    return _Module(definitions, imports, effects)


def _bound_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _shape(node: ast.AST) -> str:
    """A syntax tree as text, without positions, docstrings and empty fields (these differ by Python version)."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]
    parts = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if value is None or value == [] or name in ("ctx", "kind", "type_comment"):
            continue
        if isinstance(value, ast.AST):
            parts.append(f"{name}={_shape(value)}")
        elif isinstance(value, list):
            parts.append(f"{name}=[{','.join(_shape(v) if isinstance(v, ast.AST) else repr(v) for v in value)}]")
        else:
            parts.append(f"{name}={value!r}")
    return f"{parts[0]}({','.join(parts[1:])})"
