"""The plan that a run of the workflow goes by: a file named by its digest, written once, never changed.

The Snakemake that holds the tier's lock writes it before the first job, and every job is told its name. A job that
finds itself to be another than the plan says (the code was edited meanwhile) refuses, and so does one whose plan is no
longer the tier's (its Snakemake was killed and another one began).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.errors import UserError
from claimbench.plan.plan import Plan
from claimbench.records.conclusions import LAST, paper_digest
from claimbench.spec.config import Config
from claimbench.spec.reading import parse

_FOLDER = "plans"


def content_of(plan: Plan) -> dict[str, Any]:
    """What the file of a plan holds: the configuration, and the digest of every dataset, job and paper."""
    return {
        **plan.to_json(),
        "config": plan.config.model_dump(mode="json"),
        "datasets": {name: plan.data_key(name) for name in plan.datasets},
        "papers": {
            slug: {"digest": paper_digest(plan, slug), "runs": sum(len(job.runs) for job in plan.jobs_of(slug))}
            for slug in plan.papers
        },
    }


def path_of(tier_dir: Path, content: dict[str, Any]) -> Path:
    """Where the plan with this content lies, or would."""
    return tier_dir / _FOLDER / f"{files.digest(content)}.json"


def write(tier_dir: Path, content: dict[str, Any]) -> None:
    """Make a plan the tier's. Only for the process that holds the tier's lock.

    Raises:
        UserError: the folder cannot be written.
    """
    path = path_of(tier_dir, content)
    if files.read_json(path) != content:
        files.write_json(path, content)
    files.write_json(tier_dir / LAST, content)


def last(tier_dir: Path) -> dict[str, Any]:
    """The content of the tier's last plan; empty before there was one."""
    found = files.read_json(tier_dir / LAST)
    return found if isinstance(found, dict) and "config" in found else {}


@dataclass(frozen=True)
class Frozen:
    """A plan file that a step of the workflow was given."""

    path: Path
    content: dict[str, Any]

    @property
    def tier_dir(self) -> Path:
        return self.path.parents[1]

    @property
    def digest(self) -> str:
        return self.path.stem

    @property
    def config(self) -> Config:
        return parse(Config, self.content["config"], self.path)

    def expect(self, kind: str, name: str, digest: str) -> None:
        """Refuse what is not as planned.

        Args:
            kind: ``datasets``, ``jobs`` or ``papers``.

        Raises:
            UserError: the plan names another digest, or no such thing.
        """
        planned = self.content[kind].get(name)
        planned = planned.get("score_digest", planned.get("digest")) if isinstance(planned, dict) else planned
        if planned != digest:
            raise UserError(
                f"{self.path}: {kind[:-1]} {name} is no longer what was planned: its code, its paper's files or the "
                "version of ClaimBench changed after the workflow was started; start it again"
            )

    def refuse_replaced(self) -> None:
        """Raise a UserError when another run of the workflow has made another plan the tier's."""
        if files.digest(last(self.tier_dir)) != self.digest:
            raise UserError(
                f"{self.tier_dir}: another run of the workflow works here by another plan than {self.path.name}; "
                "what this one computed is in the store"
            )


@functools.cache
def read(path: Path) -> Frozen:
    """The plan in a file, which never changes.

    Raises:
        UserError: the file is missing or damaged.
    """
    content = files.read_json(path)
    if not isinstance(content, dict) or files.digest(content) != path.stem:
        raise UserError(f"{path}: this plan is missing or damaged; start the workflow again")
    return Frozen(path, content)
