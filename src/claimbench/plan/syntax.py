"""A module's source as definitions: the text of each without what has no effect, and the names that it uses.

Comments, docstrings, layout, annotations and what stands under ``if TYPE_CHECKING`` have no effect. Where an annotation
makes a field (a class with a decorator or a base that reads them), the field's name, order and default count.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from claimbench.errors import UserError

#: the constant by which a module that only carries results stands for all of its code
SEMANTICS = "SEMANTICS"
#: decorators that call no method of what they decorate
_DECORATORS = {
    "abstractmethod",
    "cached_property",
    "classmethod",
    "contextmanager",
    "dataclass",
    "final",
    "no_grad",
    "overload",
    "property",
    "setter",
    "staticmethod",
    "wraps",
}
#: bases that give an annotated class attribute no meaning
_BASES_WITHOUT_FIELDS = {"ABC", "Function", "Generic", "Module", "Protocol", "object"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*_FUNCTIONS, *_COMPREHENSIONS)
#: fields of syntax trees without effect
_SILENT = {"ctx", "kind", "type_comment", "returns", "type_params"}


class _Reader:
    """Text of syntax trees, without positions and empty fields (these differ by Python version)."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.bare: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.words: set[str] = set()
        self._fields = False
        #: names that the functions and comprehensions around bind, innermost last
        self._local: list[set[str]] = []

    def read(self, node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            if self._free(node):
                self.names.add(node.id)
                self.bare.add(node.id)
            return f"Name({node.id})"
        if isinstance(node, ast.Attribute):
            self.words.add(node.attr)
            if isinstance(node.value, ast.Name):
                if self._free(node.value):
                    self.names.add(node.value.id)
                    self.attributes.add((node.value.id, node.attr))
                return f"Attribute({node.value.id}.{node.attr})"
            return f"Attribute({self.read(node.value)}.{node.attr})"
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                self.words.add(node.value)
            return repr(node.value)
        if isinstance(node, ast.arg):
            return node.arg
        if isinstance(node, ast.AnnAssign):
            return self._annotated(node)
        if isinstance(node, _SCOPES):
            return self._scope(node)
        if isinstance(node, ast.ClassDef):
            outer, self._fields = self._fields, _makes_fields(node)
            text = self._parts(node)
            self._fields = outer
            return text
        return self._parts(node)

    def _scope(self, node: ast.AST) -> str:
        for part in _outside(node):
            self.read(part)
        outer, self._fields = self._fields, False
        self._local.append(_bound_inside(node))
        text = self._parts(node)
        self._local.pop()
        self._fields = outer
        return text

    def _parts(self, node: ast.AST) -> str:
        parts = []
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in _SILENT:
                continue
            if isinstance(value, ast.AST):
                parts.append(f"{name}={self.read(value)}")
            elif isinstance(value, list):
                items = effective(value) if name in ("body", "orelse", "finalbody") else value
                texts = (self.read(item) if isinstance(item, ast.AST) else repr(item) for item in items)
                parts.append(f"{name}=[{','.join(filter(None, texts))}]")
            else:
                parts.append(f"{name}={value!r}")
        return f"{type(node).__name__}({','.join(parts)})"

    def _free(self, node: ast.Name) -> bool:
        return not any(node.id in names for names in self._local)

    def _annotated(self, node: ast.AnnAssign) -> str:
        words = {last_name(part) for part in ast.walk(node.annotation)}
        if not self._fields or "ClassVar" in words:
            return self.read(ast.Assign([node.target], node.value)) if node.value is not None else ""
        kind = next((word for word in ("InitVar", "KW_ONLY") if word in words), "Field")
        value = self.read(node.value) if node.value is not None else ""
        return f"{kind}({self.read(node.target)},{value})"


def _makes_fields(node: ast.ClassDef) -> bool:
    return bool(node.decorator_list) or any(last_name(base) not in _BASES_WITHOUT_FIELDS for base in node.bases)


def _outside(node: ast.AST) -> list[ast.expr]:
    """What a scope evaluates before it begins: defaults and decorators, the first iterable of a comprehension."""
    if isinstance(node, _COMPREHENSIONS):
        return [node.generators[0].iter]
    if isinstance(node, _FUNCTIONS):
        return [*node.args.defaults, *filter(None, node.args.kw_defaults), *getattr(node, "decorator_list", [])]
    return []


def _bound_inside(scope: ast.AST) -> set[str]:
    """Names that a function or comprehension binds, but for those that it imports or takes from outside."""
    bound: set[str] = set()
    foreign: set[str] = set()
    if isinstance(scope, _COMPREHENSIONS):
        todo = [generator.target for generator in scope.generators]
    else:
        todo = _children(scope)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            foreign.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            foreign.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif not isinstance(node, (ast.ClassDef, ast.Constant, *_SCOPES)):
            todo += _children(node)
    return bound - foreign


def _children(node: ast.AST) -> list[Any]:
    """The nodes below a node, without those that say only whether a name is read or written."""
    found = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and name != "ctx":
            found.append(value)
    return found


def effective(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The statements of ``body`` that do something at run time."""
    for statement in body:
        if isinstance(statement, ast.Pass):
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        if isinstance(statement, ast.If) and last_name(statement.test) == "TYPE_CHECKING":
            yield from effective(statement.orelse)
        else:
            yield statement


def last_name(node: ast.AST) -> str:
    """``torch.nn.Module`` -> ``Module``, also of a call or a subscript of it; "" for anything else."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@dataclass
class Definition:
    """The statements that bind one name: a function, a constant, a class without its methods, or one method."""

    statements: list[ast.AST] = field(default_factory=list)

    @cached_property
    def _read(self) -> tuple[list[str], _Reader]:
        reader = _Reader()
        return [reader.read(statement) for statement in self.statements], reader

    @property
    def text(self) -> list[str]:
        return self._read[0]

    @property
    def uses(self) -> _Reader:
        """``names`` used, those that stand ``bare``, ``attributes`` (name, attribute) and all ``words``."""
        return self._read[1]


@dataclass
class Class:
    """A top-level class.

    Its methods are definitions of their own (``Class.method``), but those that Python or a decorator calls by itself.
    """

    bases: list[ast.expr]
    methods: list[str] = field(default_factory=list)
    #: nothing but the decorators known here can call a method
    plain: bool = True


@dataclass
class Module:
    """What a source file defines."""

    definitions: dict[str, Definition]
    classes: dict[str, Class]
    #: name -> module and the name in it (None: the module itself)
    imports: dict[str, tuple[str, str | None]]
    #: statements at top level that bind no name (a registration call, say): they run whenever the module is imported
    effects: Definition


@lru_cache(maxsize=4096)
def parse(path: Path, name: str, mtime_ns: int, size: int) -> Module:
    """The module ``name`` in the file ``path``; time and size tell when it is to be read again.

    Raises:
        UserError: the file is not Python.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: not valid Python ({error.msg})") from None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    module = Module({}, {}, dict(_imports(tree, package)), Definition())
    for statement in effective(tree.body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        if isinstance(statement, ast.ClassDef):
            _add_class(module, statement)
            continue
        bound = _bound_names(statement)
        for definition in [module.definitions.setdefault(n, Definition()) for n in bound] or [module.effects]:
            definition.statements.append(statement)
    return module


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                yield alias.asname or first, (alias.name if alias.asname else first, None)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                base = package.split(".")
                base = base[: len(base) - node.level + 1]
                source = ".".join([*base, source] if source else base)
            for alias in node.names:
                yield alias.asname or alias.name, (source, alias.name)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements, breadth first as :func:`ast.walk` gives them: a later import of a name counts."""
    todo = deque([tree])
    while todo:
        node = todo.popleft()
        yield node
        for name in ("body", "handlers", "cases", "orelse", "finalbody"):
            inner = getattr(node, name, ())
            todo += inner if isinstance(inner, list) else ()


def _add_class(module: Module, node: ast.ClassDef) -> None:
    own = Class(node.bases, plain=not node.keywords and _known(node.decorator_list))
    rest: list[ast.stmt] = []
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and not (
            (statement.name.startswith("__") and statement.name.endswith("__")) or not _known(statement.decorator_list)
        ):
            method = f"{node.name}.{statement.name}"
            module.definitions.setdefault(method, Definition()).statements.append(statement)
            own.methods.append(method)
        else:
            rest.append(statement)
    head = ast.ClassDef(node.name, node.bases, node.keywords, rest, node.decorator_list)
    module.definitions.setdefault(node.name, Definition()).statements.append(head)
    module.classes[node.name] = own


def _known(decorators: list[ast.expr]) -> bool:
    return all(last_name(decorator) in _DECORATORS for decorator in decorators)


def _bound_names(statement: ast.AST) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
