"""Datasets and split protocols that a paper brings in its own ``datasets.py``.

``DATASETS`` lists entries, ``PROTOCOLS`` subclasses of :class:`claimbench.data.splits.Split`; each may be left out. The
module is imported whenever a plan is made, so it imports heavy libraries inside its functions.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import importlib
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from claimbench.data.entries import Entry, File
from claimbench.data.registry import DATASETS, PROTOCOLS, SHARED, Catalogue
from claimbench.data.splits import Split
from claimbench.errors import UserError


def catalogues(folders: Mapping[str, Path], fingerprint: Callable[[str, str], str]) -> dict[str, Catalogue]:
    """What each paper may name.

    Args:
        folders: slug -> folder of the papers, importable as ``claimbench.papers.<folder's name>``.
        fingerprint: digest of the code that a definition (module, name) reaches. It stands for the version of a paper's
            loaders and protocols, which change while the paper is written: a version raised by hand would be forgotten.

    Raises:
        UserError: a ``datasets.py`` that cannot be imported or read, or two datasets with one name.
    """
    found: dict[str, Catalogue] = {}
    brought: dict[str, Path] = {}
    for slug, folder in folders.items():
        path = folder / "datasets.py"
        if not path.is_file():
            found[slug] = SHARED
            continue
        module = _imported(path)
        datasets = {entry.name: _own(entry, path, fingerprint) for entry in _listed(module, "DATASETS", path)}
        for name in datasets:
            other = brought.setdefault(name, path) if name not in DATASETS else "the shared datasets"
            if other != path:
                raise UserError(f"{path}: DATASETS has {name!r}, a name taken by {other}; allowed: a name of its own")
        protocols = {protocol.name: protocol for protocol in _protocols(module, path, fingerprint)}
        found[slug] = Catalogue({**DATASETS, **datasets}, {**PROTOCOLS, **protocols})
    return found


def _imported(path: Path) -> ModuleType:
    try:
        return importlib.import_module(f"claimbench.papers.{path.parent.name}.datasets")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"{path}: cannot be imported ({type(error).__name__}: {error}; {place.filename}, line {place.lineno})"
        ) from error


def _listed(module: ModuleType, key: str, path: Path) -> list[Any]:
    values = getattr(module, key, ())
    if not isinstance(values, tuple | list):
        raise UserError(f"{path}: {key} is {values!r}; allowed: a tuple")
    for value in values:
        if key == "DATASETS" and not isinstance(value, Entry):
            raise UserError(f"{path}: DATASETS has {value!r}; allowed: entries (claimbench.data.entries.Entry)")
    names = [value.name for value in values if hasattr(value, "name")]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path}: {key} has {twice[0]!r} twice; allowed: a name each")
    return list(values)


def _own(entry: Entry, path: Path, fingerprint: Callable[[str, str], str]) -> Entry:
    """The entry with its paper's folder, the code of its loader, and checksums of the files that lie there."""
    where = f"{path}: dataset {entry.name!r}"
    module, name = getattr(entry.loader, "__module__", ""), getattr(entry.loader, "__qualname__", "")
    if not str(module).startswith("claimbench.") or not name.isidentifier():
        raise UserError(f"{where} has the loader {entry.loader!r}; allowed: a function defined at the top of a module")
    files = {file.name: file for file in entry.files}
    for source in entry.sources:
        for target, inside in source.paths.items() if source.kind == "paper" else ():
            if target in files:
                files[target] = _measured(files[target], path.parent / source.where / str(inside), where)
    return dataclasses.replace(
        entry, home=path.parent, code=fingerprint(module, name), files=tuple(files[file.name] for file in entry.files)
    )


def _measured(file: File, path: Path, where: str) -> File:
    """A file of the paper's folder with its size and checksum, so that an edited file is other data."""
    packed = path.suffix == ".gz" and not file.name.endswith(".gz")
    try:
        with gzip.open(path) if packed else open(path, "rb") as opened:
            content = opened.read()
    except (OSError, EOFError) as error:
        raise UserError(f"{where}: {path} cannot be read ({error})") from error
    sha256 = hashlib.sha256(content).hexdigest()
    if file.sha256 and file.sha256 != sha256:
        raise UserError(f"{where}: {path} has sha256 {sha256}; its entry says {file.sha256}")
    return dataclasses.replace(file, size_bytes=len(content), sha256=sha256)


def _protocols(module: ModuleType, path: Path, fingerprint: Callable[[str, str], str]) -> list[type[Split]]:
    protocols = _listed(module, "PROTOCOLS", path)
    for protocol in protocols:
        if not (isinstance(protocol, type) and issubclass(protocol, Split) and hasattr(protocol, "name")):
            raise UserError(f"{path}: PROTOCOLS has {protocol!r}; allowed: subclasses of Split with a name")
        where = f"{path}: protocol {protocol.name!r}"
        if protocol.name in PROTOCOLS:
            raise UserError(f"{where} has the name of a shared protocol; allowed: a name of its own")
        if "__dataclass_params__" not in vars(protocol):
            raise UserError(f"{where} is no dataclass; allowed: @dataclass(frozen=True, kw_only=True)")
        for field in dataclasses.fields(protocol):
            if "ok" not in field.metadata:
                raise UserError(
                    f"{where}: {field.name} has no limits; allowed: one of count, fraction, word, parameter"
                )
        protocol.version = fingerprint(protocol.__module__, protocol.__name__)
    return protocols
