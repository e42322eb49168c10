"""The functions of a paper that a cell enters, and the fingerprints of what they reach."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from claimbench.errors import UserError
from claimbench.files import digest
from claimbench.plan.fingerprints import EVERY_RUN, Code
from claimbench.spec.folders import identifier
from claimbench.spec.paper import PaperSpec
from claimbench.spec.published import published_digest, read_published, visible


def entry_names(kind: str, experiment: str, method: str) -> tuple[str, str]:
    """The two names under which ``experiments.py`` may define an entry: for one method, or for the experiment."""
    return f"{kind}_{identifier(experiment)}__{identifier(method)}", f"{kind}_{identifier(experiment)}"


class Codes:
    """Fingerprints of a paper's entries; of a score that reads published numbers (``run.published``) with the rows that
    it may see."""

    def __init__(self, spec: PaperSpec, folder: Path, code: Code) -> None:
        self.spec, self.folder, self.code = spec, folder, code
        self.module = f"claimbench.papers.{folder.name}.experiments"
        if code.file(self.module) is None:
            raise UserError(f"{folder / 'experiments.py'}: this file does not exist")
        self._known: dict[tuple[str, ...], str] = {}

    def of(self, experiment: str, method: str, *kinds: str) -> str:
        """The fingerprint of the entries of these kinds."""
        key = (experiment, method, *kinds)
        if key not in self._known:
            entries = [*self.entries(*key), *EVERY_RUN]
            found = self.code.fingerprint(entries)
            if kinds == ("score",) and self.code.mentions(entries, "published"):
                names = self.spec.experiments[experiment].published or [experiment]
                found = digest([found, published_digest(visible(self._published, names))])
            self._known[key] = found
        return self._known[key]

    def imports(self, experiment: str, method: str, *kinds: str) -> list[str]:
        """What the entries of these kinds import in the end (see :meth:`Code.imports`)."""
        entries = self.entries(experiment, method, *kinds)
        found = self.code.imports(entries)
        # torch imports its compiler when the first optimiser is made.
        late = ["torch._dynamo"] if self.code.mentions(entries, "optim") else []
        return [*found, *late]

    @cached_property
    def _published(self) -> list[dict[str, Any]]:
        return read_published(self.folder)

    def find(self, kind: str, experiment: str, method: str) -> str | None:
        """The name of the entry of a kind, None where ``experiments.py`` has none."""
        names = entry_names(kind, experiment, method)
        return next((name for name in names if self.code.has(self.module, name)), None)

    def entries(self, experiment: str, method: str, *kinds: str) -> list[tuple[str, str]]:
        """The entries that ``experiments.py`` defines; at least one must be there."""
        entries = []
        for kind in kinds:
            name = self.find(kind, experiment, method)
            entries += [(self.module, name)] if name is not None else []
        if not entries:
            names = entry_names(kinds[0], experiment, method)
            raise UserError(
                f"{self.folder / 'experiments.py'}: neither {names[0]} nor {names[1]} is defined, "
                f"which {experiment} of paper.yaml (method {method}) needs"
            )
        return entries
