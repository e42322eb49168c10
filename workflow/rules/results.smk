# runs -> verdicts, tables, figures; report, tracking


# Writes the page, too, with the papers that are through so far.
rule conclude:
    input:
        W.scores,
        W.paper_files("paper.yaml", "claims.yaml", "published.csv"),
    output:
        [f"{TIER}/papers/{{paper}}/{name}.parquet" for name in W.tables],
        tables=report(
            directory(f"{TIER}/papers/{{paper}}/tables"),
            caption="../report/tables.rst",
            category="{paper}",
            patterns=["{experiment}.html"],
            labels={"experiment": "{experiment}", "what": "table"},
        ),
        figures=report(
            directory(f"{TIER}/papers/{{paper}}/figures"),
            caption="../report/figures.rst",
            category="{paper}",
            patterns=["{figure}.svg"],
            labels={"experiment": "{figure}", "what": "figure"},
        ),
        conclusion=f"{TIER}/papers/{{paper}}/conclusion.json",
    log:
        f"{TIER}/logs/{{paper}}.conclude.log",
    priority: lambda wildcards: W.order.soon(wildcards.paper)
    conda:
        "../../envs/cpu.yaml"
    resources:
        plan=W.plan_name,
    params:
        digest=W.paper_digest,
    shell:
        "claimbench conclude --plan {resources.plan:q} --paper {wildcards.paper:q} > {log:q} 2>&1"


# The tables and the page once more, when all papers are through. They stay in place meanwhile: update.
rule report:
    input:
        [W.papers(f"{name}.parquet") for name in W.tables],
        W.papers("conclusion.json"),
    output:
        update([f"{TIER}/{name}.parquet" for name in W.tables]),
        f"{TIER}/costs.parquet",
        page=report(
            update(f"{TIER}/report/index.html"),
            caption="../report/report.rst",
            category="Summary",
            labels={"experiment": "all", "what": "report"},
        ),
    log:
        f"{TIER}/logs/report.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        plan=W.plan_name,
    params:
        papers=list(W.plan.papers),
    shell:
        "claimbench report --plan {resources.plan:q} > {log:q} 2>&1"


# A store that cannot be used is told by the check at the end.
rule track:
    input:
        f"{TIER}/papers/{{paper}}/runs.parquet",
        f"{TIER}/papers/{{paper}}/verdicts.parquet",
        f"{TIER}/papers/{{paper}}/tables",
        f"{TIER}/papers/{{paper}}/figures",
    output:
        done=f"{TIER}/papers/{{paper}}/tracked.json",
    log:
        f"{TIER}/logs/{{paper}}.track.log",
    priority: lambda wildcards: W.order.papers[wildcards.paper]
    conda:
        "../../envs/cpu.yaml"
    resources:
        plan=W.plan_name,
    params:
        uri=W.config.tracking.uri,
        enabled=W.config.tracking.enabled,
    shell:
        "claimbench track --plan {resources.plan:q} --paper {wildcards.paper:q} > {log:q} 2>&1 || "
        'echo \'{{"failure": "an import into MLflow was cut off; the next run does it again"}}\' > {output.done:q}'


# Fails when a run failed: the tables and the report are made, and the exit code of the whole says so.
rule check:
    input:
        f"{TIER}/report/index.html",
        W.papers("tracked.json"),
        f"{TIER}/verdicts.parquet",
    output:
        done=f"{TIER}/complete",
    log:
        f"{TIER}/logs/check.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        plan=W.plan_name,
    shell:
        "claimbench check --plan {resources.plan:q} > {log:q} 2>&1"
