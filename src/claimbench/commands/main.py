"""The command line: `claimbench COMMAND`. Each command imports only what it needs."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claimbench import __version__
from claimbench.errors import ClaimBenchError, UserError

if TYPE_CHECKING:
    from claimbench.execute.runner import Runner
    from claimbench.plan.jobs import Job
    from claimbench.plan.plan import Plan
    from claimbench.records.plans import Frozen
    from claimbench.spec.config import Config


#: commands that the workflow's rules call
_STEPS = (
    "prepare",
    "fit",
    "score",
    "run",
    "collect",
    "judge",
    "tables",
    "figures",
    "conclude",
    "summary",
    "report",
    "track",
    "check",
)
#: commands that answer for the run which made a tier's results, unless they are told another configuration
_ABOUT_RESULTS = (*_STEPS[4:], "explain", "retry", "ui", "doctor")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it went well, 1 when the user must do something, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that the terminal's encoding lacks stops nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return int(options.run(options) or 0)
    except ClaimBenchError as error:
        print(f"claimbench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except ValueError as error:
        if type(error).__module__ != "pyarrow.lib":
            raise
        print(f"claimbench: {str(error).splitlines()[0]} Remove this file and run again.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        if getattr(options, "plan", None) is not None:
            _note(options)


def _note(options: argparse.Namespace) -> None:
    """What this step of the workflow cost, into the tier's folder."""
    from claimbench.records.processes import note

    job = getattr(options, "job", "").split(".", 1)[0]
    note(options.plan.parents[1], options.step, getattr(options, "paper", None) or job)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="claimbench", description="Rerun papers' experiments and judge their claims.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config", type=Path, help="configuration file (default: config.yaml, if there is one)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set a key of the configuration"
    )
    parser.add_argument("--tier", choices=("smoke", "laptop", "paper"), help="short for --set tier=...")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, help_text: str, *flags: tuple[str, dict[str, Any]]) -> None:
        sub = commands.add_parser(name, help=help_text, description=help_text)
        for flag, settings in flags:
            sub.add_argument(flag, **settings)
        if name in _STEPS:
            sub.add_argument("--plan", type=Path, help="the plan of a workflow that runs, and its configuration")
        sub.set_defaults(run=run, step=name)

    job = ("--job", {"required": True, "help": "job id, as `claimbench plan` prints it"})
    paper = ("--paper", {"required": True, "help": "slug of the paper"})
    command(
        "plan",
        _plan,
        "check the papers' files; print the jobs of the tier and what they will cost",
        ("papers", {"nargs": "*", "metavar": "PAPER", "help": "only these (default: those of the configuration)"}),
        ("--json", {"action": "store_true"}),
        ("--power", {"action": "store_true", "help": "what each claim can find with its seeds, in place of the jobs"}),
    )
    command("prepare", _prepare, "fetch and prepare a dataset", ("--dataset", {"required": True}))
    command("fit", _fit, "train the runs of a job", job)
    command("score", _score, "score the runs of a job", job)
    command("run", _run, "train and score the runs of a job", job)
    command("collect", _collect, "records of a paper -> Parquet", paper)
    command("judge", _judge, "verdicts of a paper's claims", paper)
    command("tables", _tables, "regenerate a paper's tables", paper)
    command("figures", _figures, "redraw a paper's figures", paper)
    command("conclude", _conclude, "collect, judge, tables and figures of a paper, and the report", paper)
    command("summary", _summary, "the tables of all papers in one file each")
    command("report", _report, "write the HTML report")
    command("track", _track, "import a paper's finished runs into MLflow", paper)
    command("ui", _ui, "open the MLflow UI", ("--port", {"type": int, "default": 5000}))
    command("check", _check, "print the scoreboard; exit code 1 when a run failed")
    command("retry", _retry, "forget failed and skipped runs, so that the next run tries them again")
    command(
        "explain",
        _explain,
        "where a number or a verdict comes from",
        ("what", {"help": "PAPER/CLAIM, or PAPER/EXPERIMENT[/METHOD[/DATASET[/SETTING]]], or a run key"}),
    )
    command(
        "new-paper",
        _new_paper,
        "write a runnable folder for a new paper",
        ("slug", {}),
        ("--into", {"type": Path, "help": "folder of papers (default: the package's)"}),
    )
    command(
        "doctor",
        _doctor,
        "check this machine",
        ("--overhead", {"action": "store_true", "help": "pipeline against pure compute"}),
        ("--budget", {"action": "store_true", "help": "CPU-seconds of the last run by paper and experiment"}),
    )
    command(
        "data",
        _data,
        "datasets: list, fetch or verify",
        ("action", {"choices": ("list", "fetch", "verify")}),
        ("names", {"nargs": "*"}),
    )
    return parser


def _to_the_project() -> None:
    """From a folder inside a project to the project, whose configuration's paths are relative to it."""
    for folder in [Path.cwd(), *Path.cwd().parents]:
        if (folder / "config.yaml").is_file() and (folder / "Snakefile").is_file():
            os.chdir(folder)
            return


def _must_be_there(*paths: Path) -> None:
    """What only the workflow makes."""
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path} is not there yet; run snakemake first")


def _config(options: argparse.Namespace) -> Config:
    """The configuration of a command: that of the plan which it was given; of a command that asks about results, that
    of the run which made them; else config.yaml."""
    from claimbench.spec.config import load_config
    from claimbench.spec.reading import merge

    frozen = _frozen(options)
    if frozen:
        return frozen.config
    path = options.config
    if path is None:
        _to_the_project()
        path = Path("config.yaml") if Path("config.yaml").is_file() else None
    values: dict[str, Any] = {}
    for item in options.set:
        key, sign, text = item.partition("=")
        if not sign:
            raise UserError(f"--set {item}: write it as KEY=VALUE")
        value = _value(item, text)
        for part in reversed(key.split(".")):
            value = {part: value}
        values = merge(values, value)
    if options.tier:
        values["tier"] = options.tier
    config = load_config(path, values)
    if options.step in _ABOUT_RESULTS and options.config is None and values.keys() <= {"tier", "results_dir"}:
        return _that_ran(config)
    return config


def _value(item: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"--set {item}: the value is not valid YAML") from None


def _that_ran(config: Config) -> Config:
    """The configuration of the tier's last run; ``config`` itself before there was one."""
    from claimbench.plan.plan import tier_dir
    from claimbench.records import conclusions, plans
    from claimbench.spec.config import Config
    from claimbench.spec.reading import parse

    folder = tier_dir(config)
    content = plans.last(folder)
    if not content:
        return config
    # the folder may have been moved since
    return parse(Config, {**content["config"], "results_dir": config.results_dir}, folder / conclusions.LAST)


def _frozen(options: argparse.Namespace) -> Frozen | None:
    from claimbench.records import plans

    path = getattr(options, "plan", None)
    return plans.read(path) if path is not None else None


def _make_plan(options: argparse.Namespace, only: str | None = None) -> Plan:
    from claimbench.plan.plan import make_plan

    return make_plan(_config(options), only)


def _of_paper(options: argparse.Namespace) -> Plan:
    from claimbench.plan.plan import make_plan

    return make_plan(_only(_config(options), [options.paper], "--paper"))


def _ran(options: argparse.Namespace) -> Plan:
    """The papers of a tier that has results.

    Raises:
        UserError: it has none.
    """
    from claimbench.plan.plan import outline

    plan = outline(_config(options))
    if not (plan.tier_dir / "papers").is_dir():
        others = sorted(path.parent.name for path in plan.tier_dir.parent.glob("*/plan.json"))
        there = f"; there are results of the tier {' and '.join(others)} (--tier)" if others else ""
        raise UserError(f"{plan.tier_dir / 'papers'} is not there yet; run snakemake first{there}")
    return plan


def _only(config: Config, papers: list[str], what: str) -> Config:
    """``config`` for some of its papers; all of them when none is named."""
    from claimbench.errors import nearest
    from claimbench.spec.folders import find_papers

    if not papers:
        return config
    found = find_papers(config)
    for paper in papers:
        if config.papers != "all" and paper not in config.papers:
            raise UserError(f"{what} {paper}: not among the papers of the configuration ({', '.join(config.papers)})")
        if paper not in found:
            raise UserError(f"{what} {paper}: no such paper ({nearest(paper, found)})")
    keep = {name: getattr(config, name) for name in ("experiments", "overrides")}
    keep = {name: {key: value for key, value in given.items() if key in papers} for name, given in keep.items()}
    return config.model_copy(update={"papers": papers, **keep})


def _plan(options: argparse.Namespace) -> int:
    from claimbench.plan.plan import make_plan
    from claimbench.records.costs import forecast

    plan = make_plan(_only(_config(options), options.papers, "plan"))
    if options.power:
        return _power(plan)
    costs = forecast(plan)
    if options.json:
        from claimbench.files import canonical_json

        print(canonical_json({**plan.to_json(), "forecast": {name: seconds for name, (seconds, _) in costs.items()}}))
        return 0
    width = max([len(name) for name in plan.jobs] + [3])
    print(f"{'job':{width}}  {'runs':>6}  {'forecast':>10}")
    for name, job in plan.jobs.items():
        seconds, unknown = costs[name]
        text = f"{seconds:.0f} s" + ("+?" if unknown else "")
        print(f"{name:{width}}  {len(job.runs):6d}  {text:>10}")
    total = sum(seconds for seconds, _ in costs.values())
    unknown = sum(n for _, n in costs.values())
    print(
        f"tier {plan.config.tier}: {len(plan.papers)} papers, {len(plan.jobs)} jobs, {len(plan.runs)} runs, about "
        f"{total:.0f} s of computing still to do" + (f" and {unknown} runs of unknown cost" if unknown else "")
    )
    return 0


def _power(plan: Plan) -> int:
    from claimbench.judge.power import powers

    print(f"{'claim':32}  {'kind':6}  {'family':8}  {'n':>4}  {'level':>7}  effect found with a power of 80 %, in sd")
    for paper in plan.papers:
        for row in powers(plan, paper):
            level = f"{row.level:.4f}" if row.level is not None else ""
            effect = row.never or (f"{row.effect:.1f}" if row.effect is not None else "compared, not tested")
            name = f"{row.paper} {row.claim}"
            print(f"{name:32}  {row.kind:6}  {row.family:8}  {row.units:4d}  {level:>7}  {effect}")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    from claimbench.execute.preparation import prepare

    plan, frozen = _make_plan(options), _frozen(options)
    if frozen and options.dataset in plan.datasets:
        frozen.expect("datasets", options.dataset, plan.data_key(options.dataset))
    marker = prepare(plan, options.dataset)
    if marker["status"] != "ready":
        print(
            f"dataset {options.dataset} is not to be had here, its runs are skipped; "
            f"tried: {'; '.join(marker['tried'])}",
            file=sys.stderr,
        )
    return 0


def _fit(options: argparse.Namespace) -> int:
    runner, job = _job(options)
    runner.fit(job)
    return 0


def _score(options: argparse.Namespace) -> int:
    runner, job = _job(options)
    runner.score(job)
    return 0


def _run(options: argparse.Namespace) -> int:
    runner, job = _job(options)
    runner.fit(job)
    runner.score(job)
    return 0


def _job(options: argparse.Namespace) -> tuple[Runner, Job]:
    from claimbench.execute.runner import Runner, limit_threads

    frozen = _frozen(options)
    plan = _make_plan(options, options.job)
    job = plan.jobs[options.job]
    if frozen:
        frozen.expect("jobs", job.id, job.score_digest)
    limit_threads(job.resources.threads)
    return Runner(plan, frozen), job


def _collect(options: argparse.Namespace) -> int:
    from claimbench.records.collect import collect

    collect(_of_paper(options), options.paper)
    return 0


def _judge(options: argparse.Namespace) -> int:
    from claimbench.judge.paper import judge_paper

    plan = _of_paper(options)
    _must_be_there(plan.tier_dir / "papers" / options.paper / "metrics.parquet")
    judge_paper(plan, options.paper)
    return 0


def _tables(options: argparse.Namespace) -> int:
    from claimbench.present.tables import build

    plan = _of_paper(options)
    _must_be_there(plan.tier_dir / "papers" / options.paper / "verdicts.parquet")
    build(plan.papers[options.paper], plan.tier_dir)
    return 0


def _figures(options: argparse.Namespace) -> int:
    from claimbench.present.drawing import draw
    from claimbench.spec.folders import make_importable

    plan = _of_paper(options)
    _must_be_there(plan.tier_dir / "papers" / options.paper / "verdicts.parquet")
    make_importable(plan.config)
    for fault in draw(plan.papers[options.paper], plan.folders[options.paper], plan.tier_dir):
        print(fault, file=sys.stderr)
    return 0


def _summary(options: argparse.Namespace) -> int:
    from claimbench.judge.controls import write_faults
    from claimbench.records.collect import merge

    plan = _ran(options)
    _must_be_there(*(plan.tier_dir / "papers" / slug / "verdicts.parquet" for slug in plan.papers))
    merge(plan)
    write_faults(plan)
    return 0


def _conclude(options: argparse.Namespace) -> int:
    from claimbench.commands.conclude import conclude
    from claimbench.records.conclusions import paper_digest

    plan, frozen = _of_paper(options), _frozen(options)
    if frozen:
        frozen.expect("papers", options.paper, paper_digest(plan, options.paper))
    conclude(_config(options), plan, options.paper, frozen)
    return 0


def _report(options: argparse.Namespace) -> int:
    from claimbench.present.publish import publish

    print(f"report: {publish(_ran(options), last=True)}")
    return 0


def _track(options: argparse.Namespace) -> int:
    from claimbench.tracking import importing

    _ran(options)
    plan = _of_paper(options)
    _must_be_there(plan.tier_dir / "papers" / options.paper / "verdicts.parquet")
    print(importing.step(plan) if options.plan else importing.track(plan))
    return 0


def _ui(options: argparse.Namespace) -> int:
    from claimbench.tracking.ui import ui

    return ui(_config(options), options.port)


def _check(options: argparse.Namespace) -> int:
    from claimbench.commands.check import finish
    from claimbench.present.scoreboard import check

    plan = _ran(options)
    _must_be_there(plan.tier_dir / "runs.parquet", plan.tier_dir / "verdicts.parquet")
    failed = check(plan)
    frozen = _frozen(options)
    return failed or (finish(_make_plan(options), frozen) if frozen else 0)


def _retry(options: argparse.Namespace) -> int:
    from claimbench.commands.retry import retry

    print(f"{retry(_make_plan(options))} job manifests removed; run snakemake again")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from claimbench.commands.explain import explain

    print(explain(_make_plan(options), options.what))
    return 0


def _new_paper(options: argparse.Namespace) -> int:
    from claimbench.commands.new_paper import new_paper
    from claimbench.spec.folders import PAPERS_DIR

    folder = new_paper(options.slug, options.into or PAPERS_DIR)
    print(
        f"{folder}: a runnable paper with two cells; "
        f"try `snakemake --cores 2 --config tier=smoke 'papers=[{options.slug}]'`"
    )
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from claimbench.commands import doctor

    if options.budget:
        return doctor.budget(_make_plan(options))
    return doctor.overhead(_make_plan(options)) if options.overhead else doctor.machine(_config(options))


def _data(options: argparse.Namespace) -> int:
    from claimbench.data import commands
    from claimbench.plan.plan import data_of
    from claimbench.spec.folders import find_papers

    config = _config(options)
    catalogues = data_of(config, find_papers(config)).values()
    datasets = {name: entry for catalogue in catalogues for name, entry in catalogue.datasets.items()}
    mirror = Path(config.mirror) if config.mirror else None
    return commands.run(options.action, options.names, datasets, Path(config.data_dir), mirror)


if __name__ == "__main__":
    sys.exit(main())
