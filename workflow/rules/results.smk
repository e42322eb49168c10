# records -> tables, verdicts, figures, report, tracking


rule collect:
    input:
        scores=W.scores,
        published=W.paper_files("published.csv"),
    output:
        f"{TIER}/papers/{{paper}}/runs.parquet",
        f"{TIER}/papers/{{paper}}/metrics.parquet",
        f"{TIER}/papers/{{paper}}/curves.parquet",
        f"{TIER}/papers/{{paper}}/published.parquet",
    params:
        code=W.code_key("claimbench.collect", "claimbench.schema"),
    log:
        f"{TIER}/logs/{{paper}}.collect.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} collect --paper {wildcards.paper} 2>&1 | tee {log}"


rule judge:
    input:
        f"{TIER}/papers/{{paper}}/runs.parquet",
        f"{TIER}/papers/{{paper}}/metrics.parquet",
        f"{TIER}/papers/{{paper}}/published.parquet",
        W.paper_files("claims.yaml", "paper.yaml"),
    output:
        f"{TIER}/papers/{{paper}}/verdicts.parquet",
        f"{TIER}/papers/{{paper}}/margins.parquet",
    params:
        code=W.code_key("claimbench.claims", "claimbench.stats", "claimbench.steps"),
    log:
        f"{TIER}/logs/{{paper}}.judge.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} judge --paper {wildcards.paper} 2>&1 | tee {log}"


rule tables:
    input:
        f"{TIER}/papers/{{paper}}/verdicts.parquet",
        W.paper_files("paper.yaml"),
    output:
        report(
            directory(f"{TIER}/papers/{{paper}}/tables"),
            caption="../report/tables.rst",
            category="{paper}",
            patterns=["{experiment}.html"],
            labels={"experiment": "{experiment}", "what": "table"},
        ),
    params:
        code=W.code_key("claimbench.tables"),
    log:
        f"{TIER}/logs/{{paper}}.tables.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} tables --paper {wildcards.paper} 2>&1 | tee {log}"


rule figures:
    input:
        f"{TIER}/papers/{{paper}}/verdicts.parquet",
    output:
        report(
            directory(f"{TIER}/papers/{{paper}}/figures"),
            caption="../report/figures.rst",
            category="{paper}",
            patterns=["{figure}.svg"],
            labels={"experiment": "{figure}", "what": "figure"},
        ),
    params:
        code=W.code_key("claimbench.figures", "claimbench.papers.{paper}.figures"),
    log:
        f"{TIER}/logs/{{paper}}.figures.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} figures --paper {wildcards.paper} 2>&1 | tee {log}"


rule summary:
    input:
        W.papers("runs.parquet"),
        W.papers("verdicts.parquet"),
    output:
        [f"{TIER}/{name}.parquet" for name in ("runs", "metrics", "curves", "published", "verdicts", "margins")],
    params:
        papers=list(W.plan.papers),
    log:
        f"{TIER}/logs/summary.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} summary 2>&1 | tee {log}"


rule report:
    input:
        f"{TIER}/verdicts.parquet",
        W.papers("tables"),
        W.papers("figures"),
    output:
        report(
            f"{TIER}/report/index.html",
            caption="../report/report.rst",
            category="Summary",
            labels={"experiment": "all", "what": "report"},
        ),
    params:
        code=W.code_key("claimbench.report", "claimbench.report.build"),
    log:
        f"{TIER}/logs/report.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} report 2>&1 | tee {log}"


rule track:
    input:
        f"{TIER}/verdicts.parquet",
        W.papers("tables"),
    output:
        touch(f"{TIER}/tracked"),
    params:
        uri=W.config.tracking.uri,
        enabled=W.config.tracking.enabled,
    log:
        f"{TIER}/logs/track.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} track 2>&1 | tee {log}"


# Fails when a run failed: the tables and the report are made, and the exit code of the whole says so.
rule check:
    input:
        f"{TIER}/report/index.html",
        f"{TIER}/tracked",
        f"{TIER}/verdicts.parquet",
    output:
        touch(f"{TIER}/complete"),
    log:
        f"{TIER}/logs/check.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} check 2>&1 | tee {log}"
