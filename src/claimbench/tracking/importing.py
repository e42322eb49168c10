"""Import finished runs into MLflow, paper by paper. Jobs that train never talk to MLflow; this catches up."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from claimbench import files
from claimbench.errors import UserError
from claimbench.plan.plan import Plan
from claimbench.records import untracked
from claimbench.records.columns import read_rows
from claimbench.spec.config import Config
from claimbench.spec.reading import without_passwords
from claimbench.spec.words import VERDICTS
from claimbench.tracking import local
from claimbench.tracking.entries import Entry, Known, Writer
from claimbench.tracking.faults import broken, passes
from claimbench.tracking.live import experiment_tags, metric_name, opened, run_name

#: what every MLflow of version 3 takes
_LONGEST = 5000
_LONGEST_KEY = 250
LOCK = ".tracking.lock"
#: run key of a paper's tables and verdicts, before the tier
_RESULTS = "results/"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
#: MLflow's own defaults try a dead server for minutes; what is set in the environment stays
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
#: a server that has not said a word by then keeps no core waiting
ANSWER_S = 10.0


def default_uri(config: Config) -> str:
    """The configured server, or a sqlite file in the results folder."""
    return config.tracking.uri or local.uri_of(Path(config.results_dir).resolve())


def track(plan: Plan) -> str:
    """Import every finished run of the plan's papers that the store lacks, replace those whose record changed, leave
    the rest.

    Returns:
        One sentence with the counts.

    Raises:
        UserError: the tracking store cannot be used; nothing is lost, the next call catches up.
    """
    os.environ.update(QUIET)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    uri = default_uri(plan.config)
    if not uri.startswith(("http", "sqlite", "postgresql", "mysql")):
        raise UserError(
            f"config.yaml: tracking.uri is {uri!r}; it must be an http address of a server or a database uri"
        )
    results = Path(plan.config.results_dir).resolve()
    own = plan.config.tracking.uri is None
    counts, notes = Counter[str](), []
    for paper in plan.papers:
        tables = _read(plan.tier_dir / "papers" / paper)
        # a server has several hands, a file has one
        with files.locked(results / (f".tracking.{paper}.lock" if uri.startswith("http") else LOCK)):
            try:
                try:
                    said = _import(plan, paper, tables, counts)
                except Exception as error:
                    if not (own and broken(error)):
                        raise
                    notes.append(local.set_aside(results / local.FILE, _short(error)))
                    said = _import(plan, paper, tables, counts)
                notes += [said] if said else []
            except Exception as error:
                raise UserError(f"tracking store {uri} {_fault(error)}") from error
    report = "MLflow: {new} runs imported, {replaced} replaced, {kept} there already; `claimbench ui` shows them"
    return "\n".join([*notes, report.format(**{word: counts[word] for word in ("new", "replaced", "kept")})])


def _fault(error: Exception) -> str:
    """What a fault of the store means for the user."""
    if passes(error):
        return f"cannot be used now ({_short(error)}); the runs are safe, the next run imports them"
    return f"cannot be used ({_short(error)}); the runs are safe, and are imported once this is mended"


def _short(error: Exception) -> str:
    return without_passwords(" ".join(str(error).split()) or type(error).__name__)[:300]


def _import(plan: Plan, paper: str, tables: dict[str, list[dict[str, Any]]], counts: Counter[str]) -> str:
    """One paper; what was to say about the store."""
    results = Path(plan.config.results_dir).resolve()
    folder = None if plan.config.tracking.uri else results / local.ARTIFACTS / paper
    writer, said = (_writer(plan.config.tracking.uri), "") if plan.config.tracking.uri else local.opened(results)
    experiment = writer.experiment(paper, experiment_tags(plan, paper), folder)
    have = writer.known(experiment)
    if folder is not None:
        have = {key: (run_id, "" if _lost(folder, key, run_id) else content) for key, (run_id, content) in have.items()}
    entries = list(_runs(tables, have))
    again = sum(entry.old is not None for entry in entries)
    results_entries = _results(plan, paper, tables["verdicts"], have)
    if entries or results_entries:
        writer.write(experiment, entries + results_entries)
    counts.update(new=len(entries) - again, replaced=again, kept=len(tables["runs"]) - len(entries))
    return said


def _lost(folder: Path, key: str, run_id: str) -> bool:
    """Whether the files of a run that has some are not where they should be: a database was copied without them."""
    return key.startswith(_RESULTS) and not (folder / run_id / "artifacts" / "verdicts.parquet").is_file()


def _writer(uri: str) -> Writer:
    from claimbench.tracking.client import ClientWriter
    from claimbench.tracking.rows import RowWriter

    if uri.startswith("http"):
        _must_answer(uri)
        return ClientWriter(uri)
    known = RowWriter.open(uri)
    if known is not None:
        return known
    client = ClientWriter(uri)  # makes the tables of an empty database
    return RowWriter.open(uri) or client


def _must_answer(uri: str) -> None:
    """Whatever a server says, a refusal too, it is alive."""
    try:
        opened(urllib.request.Request(f"{uri.rstrip('/')}/health"), ANSWER_S).close()
    except urllib.error.HTTPError:
        return
    except urllib.error.URLError as error:
        raise ConnectionError(error.reason) from error


def _read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: read_rows(folder / f"{name}.parquet", name) for name in ("runs", "metrics", "curves", "verdicts")}


def _runs(tables: dict[str, list[dict[str, Any]]], have: Known) -> Iterator[Entry]:
    """What is not there, or not as it is now."""
    values: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for row in tables["metrics"]:
        values[row["run_key"]].append((f"{row['split']}/{row['metric']}", 0.0, row["value"]))
    for row in tables["curves"]:
        values[row["run_key"]].append((row["series"], row["step"], row["value"]))
    verdicts: dict[str, list[str]] = defaultdict(list)
    for row in tables["verdicts"]:
        verdicts[row["experiment"]].append(f"{row['claim_id']}: {row['verdict']}")
    for row in tables["runs"]:
        said = verdicts[row["experiment"]]
        # a value that was not a number is null in the tables
        measured = sorted(value for value in values[row["run_key"]] if value[2] is not None)
        content = files.digest([row["run_key"], row["status"], row["reason"], row["started_utc"], measured, said])
        old, known = have.get(row["run_key"], (None, ""))
        if known != content:
            yield _run(row, measured, said, content, old)


def _run(
    row: dict[str, Any], values: list[tuple[str, float, float]], verdicts: list[str], content: str, old: str | None
) -> Entry:
    started = datetime.fromisoformat(row["started_utc"]).timestamp() if row["started_utc"] else time.time()
    tags = {
        "run_key": row["run_key"],
        "content": content,
        "paper": row["paper"],
        "experiment": row["experiment"],
        "tier": row["tier"],
        "status": row["status"],
        "reason": row["reason"],
        "verdicts": "; ".join(verdicts),
        "git_commit": row["git_commit"] or "",
        "code_fp": row["code_fp"],
        "data_fp": row["data_fp"],
        "device": row["device_name"] or "",
    }
    params = {
        "method": row["method"],
        "dataset": row["dataset"],
        "setting": row["setting"],
        "seed": row["seed"],
        **{metric_name(f"hyper.{key}"): value for key, value in json.loads(row["config_json"])["hyper"].items()},
    }
    metrics = [(metric_name(name), value, int(step)) for name, step, value in values]
    metrics += [(name, row[name], 0) for name in ("wall_s", "cpu_s", "peak_rss_mb") if row[name] is not None]
    dataset = (row["dataset"], row["data_fp"][:8], json.dumps({"registry": row["dataset"]}))
    tags, cut_tags = _cut({key: str(value) for key, value in tags.items()})
    params, cut_params = _cut({key: str(value) for key, value in params.items()})
    if cut_tags or cut_params:
        tags["cut"] = "; ".join(cut_tags + cut_params)[:_LONGEST]
    return Entry(
        name=run_name(row["experiment"], row["method"], row["dataset"], row["setting"], row["seed"]),
        status="FINISHED" if row["status"] == "done" else "FAILED",
        start_ms=int(started * 1000),
        end_ms=int(started * 1000) + int(1000 * (row["wall_s"] or 0)),
        tags=tags,
        params=params,
        metrics=metrics,
        dataset=None if row["dataset"] == "none" else dataset,
        old=old,
    )


def _cut(values: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """What MLflow can hold of names and values, and a sentence for each that is longer."""
    kept, said = {}, []
    for key, value in values.items():
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST:
            said.append(f"{key[:_LONGEST_KEY]}: {len(value)} characters, {min(len(value), _LONGEST)} are kept")
        kept[key[:_LONGEST_KEY]] = value[:_LONGEST]
    return kept, said


def _results(plan: Plan, paper: str, verdicts: list[dict[str, Any]], have: Known) -> list[Entry]:
    """One run a paper and tier for what stands above the single runs: verdict counts, and as artifacts the regenerated
    tables, the figures and the verdicts. Empty when it is there as it is now."""
    folder, tier = plan.tier_dir / "papers" / paper, plan.config.tier
    shown = {
        kind: sorted(path for path in (folder / kind).glob("*") if path.is_file()) for kind in ("tables", "figures")
    }
    shown[""] = [folder / "verdicts.parquet"]
    contents = [(path.name, files.digest(path.read_bytes().hex())) for paths in shown.values() for path in paths]
    content = files.digest([verdicts, contents])
    key = f"{_RESULTS}{tier}"
    old, known = have.get(key, (None, ""))
    if known == content:
        return []
    count = Counter(row["verdict"] for row in verdicts)
    now = int(time.time() * 1000)
    return [
        Entry(
            name=f"tables and verdicts, {tier}",
            status="FINISHED",
            start_ms=now,
            end_ms=now,
            tags={"run_key": key, "content": content, "paper": paper, "tier": tier},
            metrics=[(metric_name(f"verdicts/{word}"), count[word], 0) for word in VERDICTS],
            files=shown,
            old=old,
        )
    ]


def step(plan: Plan) -> str:
    """As :func:`track`, but whatever goes wrong stops nothing: it is noted, and told after the scoreboard."""
    failure = None
    try:
        said = track(plan) if plan.config.tracking.enabled else "tracking is not enabled"
    except UserError as error:
        said = failure = str(error)
    except Exception as error:
        said = failure = f"the import into MLflow failed ({type(error).__name__}: {_short(error)}); the runs are safe"
    for paper in plan.papers:
        untracked.note(plan, paper, failure)
    return said
