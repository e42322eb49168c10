"""``claimbench data list | fetch | verify``: what there is, where it comes from, whether it is intact."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from claimbench.data.entries import Entry, Source
from claimbench.data.registry import given_mirror
from claimbench.errors import DataUnavailable, UserError, nearest


def status(entry: Entry, root: Path, mirror: Path | None) -> dict[str, Any]:
    """One dataset as a plain row, without touching the network and without reading data.

    Returns:
        ``name``, ``title``, ``size_bytes`` (0 unknown), ``licence``, ``checksums`` {file: ``sha256:...`` or
        ``git-blob:...`` or ``unknown``}, ``source`` (where it came from, or would come from first), ``state``:
        ``prepared``, ``fetched``, ``offline`` (can be had without a network), ``generated``, ``download``.
    """
    from claimbench.data import fetch

    first = next((source for source in entry.sources if _reachable(source, mirror)), None)
    source = first.label if first else ("generated" if not entry.sources else entry.sources[-1].label)
    if (entry.prepared_folder(root) / "info.json").is_file():
        state = "prepared"
    elif entry.files and all((fetch.raw_folder(entry, root) / file.name).is_file() for file in entry.files):
        state = "fetched"
    elif not entry.sources:
        state = "generated"
    else:
        state = "offline" if first is not None and first.kind in ("paper", "bundled", "mirror") else "download"
    if state in ("prepared", "fetched") and entry.sources:
        source = fetch.provenance(entry, root).get("source") or source
    return {
        "name": entry.name,
        "title": entry.title,
        "size_bytes": entry.size_bytes,
        "licence": entry.licence,
        "checksums": {file.name: file.checksum for file in entry.files},
        "source": source,
        "state": state,
    }


def _reachable(source: Source, mirror: Path | None) -> bool:
    """Whether a source is worth trying, as far as can be told without a network."""
    if source.kind == "mirror":
        paths = [part for path in source.paths.values() for part in ([path] if isinstance(path, str) else path)]
        return mirror is not None and all((mirror / source.where / path).is_file() for path in paths)
    if source.kind == "bundled":
        return importlib.util.find_spec(source.where) is not None
    return source.kind in ("paper", "url") or importlib.util.find_spec("pip") is not None


def fetch_one(entry: Entry, root: Path, mirror: Path | None) -> dict[str, Any]:
    """Fetch and prepare a dataset, without splits.

    Returns:
        ``name``, ``state`` (``ready`` or ``missing``), ``detail`` (the source, or why each source failed).
    """
    from claimbench.data.preparation import prepare

    try:
        return {"name": entry.name, "state": "ready", "detail": prepare(entry, [], root, mirror).info["source"]}
    except DataUnavailable as error:
        return {"name": entry.name, "state": "missing", "detail": "; ".join(error.tried)}


def verify_one(entry: Entry, root: Path) -> dict[str, Any]:
    """Compare the raw files on disk with the registry.

    Returns:
        ``name``, ``state`` (``intact``, ``damaged``, ``absent`` or ``generated``), ``detail`` (what is wrong).
    """
    from claimbench.data import fetch

    name = entry.name
    if not entry.files:
        return {"name": name, "state": "generated", "detail": ""}
    raw = fetch.raw_folder(entry, root)
    absent = [file.name for file in entry.files if not (raw / file.name).is_file()]
    if absent:
        return {"name": name, "state": "absent", "detail": f"{raw} has no {', '.join(absent)}"}
    recorded = fetch.provenance(entry, root).get("sha256", {})
    wrong = [found for file in entry.files if (found := fetch.mismatch(raw / file.name, file, recorded))]
    return {"name": name, "state": "damaged" if wrong else "intact", "detail": "; ".join(wrong)}


def run(action: str, names: Iterable[str], datasets: Mapping[str, Entry], root: Path, mirror: Path | None) -> int:
    """The command; 1 when something is missing or damaged.

    Args:
        action: ``list``, ``fetch`` or ``verify``.
        names: datasets; none means all (``verify``: all that are there).
        datasets: those that there are, by name.
        root: the data folder.
        mirror: a folder that already holds datasets; None takes the one of CLAIMBENCH_MIRROR, if that is set.

    Raises:
        UserError: no such dataset or action.
    """
    mirror = given_mirror(mirror)
    chosen = list(names)
    for name in chosen:
        if name not in datasets:
            raise UserError(f"dataset {name!r} is not registered ({nearest(name, datasets)})")
    every = [datasets[name] for name in chosen or datasets]
    if action == "list":
        found = [status(entry, root, mirror) for entry in every]
        for row in found:
            row["size"] = f"{row['size_bytes'] / 1e6:.1f} MB" if row["size_bytes"] else "-"
        _print(found, ["name", "state", "size", "source", "title", "licence"])
        return 0
    if action == "fetch":
        found = [fetch_one(entry, root, mirror) for entry in every]
        _print(found, ["name", "state", "detail"])
        return int(any(row["state"] == "missing" for row in found))
    if action == "verify":
        found = [verify_one(entry, root) for entry in every]
        _print([row for row in found if chosen or row["state"] != "absent"], ["name", "state", "detail"])
        return int(any(row["state"] == "damaged" or (chosen and row["state"] == "absent") for row in found))
    raise UserError(f"claimbench data: {action!r} is no action; allowed: list, fetch, verify")


def _print(rows: list[dict[str, Any]], columns: list[str]) -> None:
    widths = [max([len(column), *(len(str(row[column])) for row in rows)]) for column in columns]
    for values in [columns, *([str(row[column]) for column in columns] for row in rows)]:
        line = "  ".join(value.ljust(width) for value, width in zip(values, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")
