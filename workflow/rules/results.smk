# records -> tables, verdicts, figures, report, tracking


rule collect:
    input:
        scores=W.scores,
        published=W.paper_files("published.csv"),
    output:
        f"{TIER}/papers/{{paper}}/metrics.parquet",
        f"{TIER}/papers/{{paper}}/curves.parquet",
        f"{TIER}/papers/{{paper}}/published.parquet",
        runs=f"{TIER}/papers/{{paper}}/runs.parquet",
    log:
        f"{TIER}/logs/{{paper}}.collect.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        code=W.code_key("claimbench.records.collect", "claimbench.records.columns", "claimbench.records.published"),
    shell:
        "claimbench collect --paper {wildcards.paper} --to {output.runs} 2>&1 | tee {log}"


rule judge:
    input:
        f"{TIER}/papers/{{paper}}/runs.parquet",
        f"{TIER}/papers/{{paper}}/metrics.parquet",
        f"{TIER}/papers/{{paper}}/published.parquet",
        W.paper_files("claims.yaml", "paper.yaml"),
    output:
        f"{TIER}/papers/{{paper}}/margins.parquet",
        verdicts=f"{TIER}/papers/{{paper}}/verdicts.parquet",
    log:
        f"{TIER}/logs/{{paper}}.judge.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        code=W.code_key("claimbench.judge.paper", "claimbench.judge.verdicts", "claimbench.judge.statistics"),
    shell:
        "claimbench judge --paper {wildcards.paper} --to {output.verdicts} 2>&1 | tee {log}"


rule tables:
    input:
        f"{TIER}/papers/{{paper}}/verdicts.parquet",
        W.paper_files("paper.yaml"),
    output:
        folder=report(
            directory(f"{TIER}/papers/{{paper}}/tables"),
            caption="../report/tables.rst",
            category="{paper}",
            patterns=["{experiment}.html"],
            labels={"experiment": "{experiment}", "what": "table"},
        ),
    log:
        f"{TIER}/logs/{{paper}}.tables.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        code=W.code_key("claimbench.present.tables"),
    shell:
        "claimbench tables --paper {wildcards.paper} --to {output.folder} 2>&1 | tee {log}"


rule figures:
    input:
        f"{TIER}/papers/{{paper}}/verdicts.parquet",
    output:
        folder=report(
            directory(f"{TIER}/papers/{{paper}}/figures"),
            caption="../report/figures.rst",
            category="{paper}",
            patterns=["{figure}.svg"],
            labels={"experiment": "{figure}", "what": "figure"},
        ),
    log:
        f"{TIER}/logs/{{paper}}.figures.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        code=W.code_key("claimbench.present.drawing", "claimbench.figures", "claimbench.papers.{paper}.figures"),
    shell:
        "claimbench figures --paper {wildcards.paper} --to {output.folder} 2>&1 | tee {log}"


rule summary:
    input:
        W.papers("runs.parquet"),
        W.papers("verdicts.parquet"),
    output:
        runs=f"{TIER}/runs.parquet",
        verdicts=f"{TIER}/verdicts.parquet",
        rest=[f"{TIER}/{name}.parquet" for name in ("metrics", "curves", "published", "margins")],
    log:
        f"{TIER}/logs/summary.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        papers=list(W.plan.papers),
    shell:
        "claimbench summary --to {output.runs} 2>&1 | tee {log}"


rule report:
    input:
        f"{TIER}/verdicts.parquet",
        W.papers("tables"),
        W.papers("figures"),
    output:
        page=report(
            f"{TIER}/report/index.html",
            caption="../report/report.rst",
            category="Summary",
            labels={"experiment": "all", "what": "report"},
        ),
    log:
        f"{TIER}/logs/report.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        code=W.code_key("claimbench.present.report"),
    shell:
        "claimbench report --to {output.page} 2>&1 | tee {log}"


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
    priority: SOON
    conda:
        "../../envs/cpu.yaml"
    params:
        uri=W.config.tracking.uri,
        enabled=W.config.tracking.enabled,
    shell:
        "claimbench track --paper {wildcards.paper} --to {output.done} > {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"


# Fails when a run failed: the tables and the report are made, and the exit code of the whole says so.
rule check:
    input:
        f"{TIER}/report/index.html",
        W.papers("tracked.json"),
        f"{TIER}/verdicts.parquet",
    output:
        done=touch(f"{TIER}/complete"),
    log:
        f"{TIER}/logs/check.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "claimbench check --to {output.done} 2>&1 | tee {log}"
