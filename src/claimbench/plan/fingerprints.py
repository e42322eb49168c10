"""Digests of the code that a cell's result depends on.

The fingerprint of an entry function covers every definition that it can reach by name, across the package's modules:
functions, classes, constants. A method counts when its class is reached and its name stands anywhere in the code that
is reached, or when a base class outside the package may call it. What :mod:`claimbench.plan.syntax` leaves out does not
count, nor do unrelated definitions. So an edited comment reruns nothing and a changed constant reruns exactly the cells
whose code can see it. A module of the core that declares ``SEMANTICS`` counts with that number alone.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from pathlib import Path

from claimbench.files import digest
from claimbench.plan.syntax import SEMANTICS, Definition, Module, parse

PACKAGE_DIR = Path(__file__).parents[1]
#: what every run passes through, whatever its code names
EVERY_RUN = tuple(
    (module, SEMANTICS) for module in ("claimbench.run", "claimbench.seeding", "claimbench.records.store")
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: bases that call no method of a subclass by a name of their own
_QUIET_BASES = {"object", "abc.ABC", "typing.Generic", "typing.NamedTuple", "typing.Protocol"}
#: base outside the package -> the public methods that it, or what is handed an instance, calls by name; any other base
#: may call all. A test holds the list against the installed library.
_HOOKS: dict[str, frozenset[str]] = {
    "torch.autograd.Function": _names(
        """apply backward forward jvp mark_dirty mark_non_differentiable mark_shared_storage maybe_clear_saved_tensors
        name register_hook register_prehook save_for_backward save_for_forward set_materialize_grads setup_context vjp
        vmap"""
    ),
    "torch.nn.Module": _names(
        """add_module apply bfloat16 buffers children compile cpu cuda double eval extra_repr float forward get_buffer
        get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia named_buffers named_children
        named_modules named_parameters parameters register_backward_hook register_buffer register_forward_hook
        register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
        register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
        register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ reset_parameters set_extra_state
        set_submodule share_memory state_dict to to_empty train type xpu zero_grad"""
    ),
}
#: methods that libraries call on whatever object has them (mappings, files, estimators)
_PROTOCOLS = _names("close fit items keys predict predict_proba read readline seek tell transform values write")
_Name = tuple[str, str]


class Code:
    """The source of the package and of the papers beside it, as a graph of definitions.

    Args:
        papers: folders that hold paper packages, searched for ``claimbench.papers.<name>``.
    """

    def __init__(self, papers: Iterable[Path] = ()) -> None:
        self.papers = [*papers, PACKAGE_DIR / "papers"]
        self._reached: dict[tuple[_Name, ...], frozenset[_Name]] = {}
        self._fingerprints: dict[tuple[_Name, ...], str] = {}
        self._modules: dict[str, Module | None] = {}
        self._follows: dict[_Name, list[_Name]] = {}

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

    def fingerprint(self, entries: Iterable[_Name]) -> str:
        """sha256 over all definitions reachable from ``entries`` (pairs of module and name)."""
        start = tuple(entries)
        if start not in self._fingerprints:
            self._fingerprints[start] = digest(
                [[*name, self._definition(name).text] for name in sorted(self._reachable(start))]
            )
        return self._fingerprints[start]

    def of_modules(self, *modules: str) -> str:
        """Fingerprint of all that whole modules define; one that does not exist defines nothing."""
        return self.fingerprint((module, name) for module in modules for name in self.definitions(module))

    def mentions(self, entries: Iterable[_Name], word: str) -> bool:
        """Whether the code that ``entries`` reach has ``word`` as an attribute or a string."""
        return any(word in self._definition(name).uses.words for name in self._reachable(tuple(entries)))

    def imports(self, entries: Iterable[_Name]) -> list[str]:
        """The modules that the code which ``entries`` reach lies in or uses, as dotted names; of what lies outside the
        package the last part may be a name in its module."""
        found = {module for module, _ in self._reachable(tuple(entries))}
        for module, name in self._reachable(tuple(entries)):
            imports = self._known(module).imports
            for used in self._definition((module, name)).uses.names & imports.keys():
                source, attribute = imports[used]
                if source.split(".")[0] not in ("claimbench", "__future__", ""):
                    found.add(source if attribute is None else f"{source}.{attribute}")
        return sorted(found)

    def _definition(self, name: _Name) -> Definition:
        module = self._known(name[0])
        return module.effects if name[1] == "" else module.definitions[name[1]]

    def _known(self, module: str) -> Module:
        parsed = self._module(module)
        assert parsed is not None
        return parsed

    def _module(self, module: str) -> Module | None:
        if module not in self._modules:
            path = self.file(module)
            stat = path.stat() if path is not None else None
            self._modules[module] = parse(path, module, stat.st_mtime_ns, stat.st_size) if path and stat else None
        return self._modules[module]

    def _reachable(self, start: tuple[_Name, ...]) -> frozenset[_Name]:
        if start not in self._reached:
            seen: set[_Name] = set()
            words = set(_PROTOCOLS)
            todo = [self._stands_for(name) for name in start]
            while todo:
                while todo:
                    at = todo.pop()
                    if at in seen or not self._exists(at):
                        continue
                    seen.add(at)
                    words |= self._words(at)
                    todo += self._follow(at)
                methods = (method for at in seen if self._is_class(at) for method in self._methods(at, words))
                todo = [method for method in methods if method not in seen]
            self._reached[start] = frozenset(seen)
        return self._reached[start]

    def _exists(self, name: _Name) -> bool:
        module = self._module(name[0])
        return module is not None and (name[1] == "" or name[1] in module.definitions)

    def _is_class(self, name: _Name) -> bool:
        return name[1] in self._known(name[0]).classes

    def _stands_for(self, name: _Name) -> _Name:
        """The name itself, or the ``SEMANTICS`` of a module of the core that declares it."""
        return (name[0], SEMANTICS) if self._carries(name[0]) else name

    def _carries(self, module: str) -> bool:
        parsed = self._module(module)
        return parsed is not None and SEMANTICS in parsed.definitions and not module.startswith("claimbench.papers.")

    def _words(self, at: _Name) -> set[str]:
        """The words of a definition; of a module that only carries results all of them, for it may call methods of what
        it is given."""
        if not self._carries(at[0]):
            return self._definition(at).uses.words
        definitions = self._known(at[0]).definitions.values()
        return set().union(*(definition.uses.words for definition in definitions))

    def _methods(self, at: _Name, words: set[str]) -> Iterator[_Name]:
        """The methods of a class that may be called, given the words of the code that is reached."""
        hooks = self._hooks(*at)
        for method in self._known(at[0]).classes[at[1]].methods:
            name = method.rpartition(".")[2]
            if hooks is None or name in words or name in hooks or (hooks and name.startswith("_")):
                yield (at[0], method)

    def _hooks(self, module: str, name: str) -> frozenset[str] | None:
        """The methods of a class that its bases outside the package may call by name; None when they may call any."""
        found: frozenset[str] = frozenset()
        own = self._known(module).classes[name]
        for base in own.bases if own.plain else [None]:
            inner = None if base is None else self._hooks_of_base(module, base)
            if inner is None:
                return None
            found |= inner
        return found

    def _hooks_of_base(self, module: str, base: ast.expr) -> frozenset[str] | None:
        parts = ast.unparse(base.value if isinstance(base, ast.Subscript) else base).split(".")
        parsed = self._known(module)
        if parts[0] in parsed.definitions:
            return self._hooks(module, parts[0]) if parts[0] in parsed.classes and len(parts) == 1 else None
        if parts[0] in parsed.imports:
            source, attribute = parsed.imports[parts[0]]
            parts = [*source.split("."), *([attribute] if attribute else []), *parts[1:]]
            home, last = ".".join(parts[:-1]), parts[-1]
            inside = self._module(home)
            if inside is not None:
                return self._hooks(home, last) if last in inside.classes else None
        dotted = ".".join(parts)
        kind = getattr(builtins, dotted, None)
        if dotted in _QUIET_BASES or (isinstance(kind, type) and issubclass(kind, BaseException)):
            return frozenset()
        return _HOOKS.get(dotted)

    def _follow(self, at: _Name) -> list[_Name]:
        """What a definition names."""
        if at not in self._follows:
            self._follows[at] = [self._stands_for(name) for name in self._named(*at)]
        return self._follows[at]

    def _named(self, module: str, name: str) -> Iterator[_Name]:
        if self._carries(module):
            return
        parsed, uses = self._known(module), self._definition((module, name)).uses
        yield (module, "")
        for used in uses.names:
            if used in parsed.definitions:
                yield (module, used)
            elif used in parsed.imports:
                source, attribute = parsed.imports[used]
                target = source if attribute is None else f"{source}.{attribute}"
                if self.file(target) is None or (attribute is not None and self.has(source, attribute)):
                    yield from self._imported(source, attribute)
                elif used in uses.bare:
                    yield from self._whole(target)
                else:
                    for base, part in uses.attributes:
                        if base == used:
                            yield from self._imported(target, part)

    def _imported(self, source: str, attribute: str | None, trail: tuple[_Name, ...] = ()) -> Iterator[_Name]:
        parsed = self._module(source)
        if attribute is None or attribute == "*":
            yield from self._whole(source)
        elif parsed is not None and attribute in parsed.definitions:
            yield (source, attribute)
        elif parsed is not None and attribute in parsed.imports and (source, attribute) not in trail:
            yield from self._imported(*parsed.imports[attribute], (*trail, (source, attribute)))
        else:
            yield from self._whole(f"{source}.{attribute}")

    def _whole(self, module: str) -> Iterator[_Name]:
        parsed = self._module(module)
        if parsed is not None:
            yield from ((module, name) for name in parsed.definitions)
