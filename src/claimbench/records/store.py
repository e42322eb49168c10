"""The content-addressed store of results.

A run lives in ``store/<paper>/<k2>/<fit key>/``: ``artifact.safetensors`` and ``artifact.json`` (what training left),
``fit.json`` (written last: it exists only when the fit is complete) and ``score-<score code>.json``. Nothing here is a
declared output of the workflow, so nothing here is deleted before a rerun.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from claimbench.errors import Diverged, UserError
from claimbench.files import plain, read_json, write_bytes, write_json

#: raised when what this module gives changes; it stands for the module in the keys of runs
SEMANTICS = 1


class Store:
    """Records and artifacts under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, paper: str, fit_key: str) -> Path:
        return self.root / paper / fit_key[:2] / fit_key

    def fit_record(self, paper: str, fit_key: str) -> dict[str, Any] | None:
        """The record of a fit, None when it has not ended or its artifact is gone."""
        folder = self.folder(paper, fit_key)
        record = read_json(folder / "fit.json")
        if record is None or record.get("fit_key") != fit_key:
            return None
        for name, size in record.get("files", {}).items():
            try:
                if (folder / name).stat().st_size != size:
                    return None
            except OSError:
                return None
        return record

    def has(self, paper: str, fit_key: str, score_code: str | None = None) -> bool:
        """Whether there are files of a fit, and of its score where one is named; what is in them is not looked at."""
        folder = self.folder(paper, fit_key)
        return (folder / "fit.json").is_file() and (
            score_code is None or (folder / f"score-{score_code[:12]}.json").is_file()
        )

    def intact(self, paper: str, fit_key: str) -> bool:
        """Whether a fit has ended and its artifact is what was written; the record of a damaged one is removed."""
        try:
            return self.fit_record(paper, fit_key) is not None and self._contents(paper, fit_key) is not None
        except UserError:
            return False

    def score_record(self, paper: str, fit_key: str, score_code: str) -> dict[str, Any] | None:
        return read_json(self.folder(paper, fit_key) / f"score-{score_code[:12]}.json")

    def write_fit(self, paper: str, fit_key: str, record: dict[str, Any], artifact: dict[str, bytes]) -> None:
        """Artifact (as :func:`encode` gives it) first, record last: a record that exists is complete."""
        folder = self.folder(paper, fit_key)
        files: dict[str, int] = {}
        hashes: dict[str, str] = {}
        for name, content in artifact.items():
            write_bytes(folder / name, content)
            files[name], hashes[name] = len(content), hashlib.sha256(content).hexdigest()
        write_json(folder / "fit.json", {**record, "fit_key": fit_key, "files": files, "sha256": hashes})
        if record["status"] == "done":
            (folder / "checkpoint.safetensors").unlink(missing_ok=True)

    def write_score(self, paper: str, fit_key: str, score_code: str, record: dict[str, Any]) -> None:
        write_json(self.folder(paper, fit_key) / f"score-{score_code[:12]}.json", record)

    def artifact(self, paper: str, fit_key: str) -> dict[str, Any]:
        """What ``fit`` returned; arrays come back as numpy arrays.

        Raises:
            UserError: the files do not match the checksums of the record.
        """
        content: dict[str, Any] = {}
        for name, raw in self._contents(paper, fit_key).items():
            if name.endswith(".json"):
                content |= json.loads(raw)
            else:
                from safetensors.numpy import load

                content |= load(raw)
        return content

    def _contents(self, paper: str, fit_key: str) -> dict[str, bytes]:
        folder = self.folder(paper, fit_key)
        record = self.fit_record(paper, fit_key)
        if record is None:
            raise UserError(f"{folder}: there is no complete artifact here; run the fit again")
        contents: dict[str, bytes] = {}
        for name, expected in record["sha256"].items():
            contents[name] = (folder / name).read_bytes()
            if hashlib.sha256(contents[name]).hexdigest() != expected:
                (folder / "fit.json").unlink(missing_ok=True)
                raise UserError(
                    f"{folder / name}: damaged (checksum differs); its record was removed, run the fit again"
                )
        return contents


def encode(artifact: dict[str, Any]) -> dict[str, bytes]:
    """The files of an artifact: arrays as safetensors, the rest as JSON.

    Raises:
        Diverged: a plain number is not finite.
        TypeError: a value is neither an array nor JSON.
    """
    arrays: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, value in artifact.items():
        if hasattr(value, "detach"):
            value = value.detach().cpu().contiguous()
            if str(value.dtype) == "torch.bfloat16":
                value = value.float()
            value = value.numpy()
        if hasattr(value, "dtype") and hasattr(value, "shape") and value.shape != ():
            import numpy as np

            arrays[name] = np.ascontiguousarray(value)
        else:
            values[name] = plain(value)
            if values[name] is None and value is not None:
                raise Diverged(f"{name} of the artifact is {value}")
    encoded = {"artifact.json": (json.dumps(values, sort_keys=True, allow_nan=False) + "\n").encode()}
    if arrays:
        from safetensors.numpy import save

        encoded["artifact.safetensors"] = save(arrays)
    return encoded
