# datasets -> runs


rule prepare:
    input:
        W.no_inputs,
    output:
        f"{TIER}/data/{{dataset}}.json",
    log:
        f"{TIER}/logs/data/{{dataset}}.log",
    priority: lambda wildcards: W.order.datasets[wildcards.dataset]
    conda:
        "../../envs/cpu.yaml"
    resources:
        plan=W.plan_name,
    params:
        key=W.data_key,
    shell:
        "claimbench prepare --plan {resources.plan:q} --dataset {wildcards.dataset:q} > {log:q} 2>&1"


# Fits, then scores. What is in the store already costs nothing, so changed code of the score trains nothing again.
rule run:
    input:
        W.job_inputs,
    output:
        f"{TIER}/jobs/{{job}}.fit.json",
        score=f"{TIER}/jobs/{{job}}.score.json",
    log:
        f"{TIER}/logs/{{job}}.log",
    priority: lambda wildcards: W.order.jobs[wildcards.job]
    conda:
        "../../envs/cpu.yaml"
    threads: W.threads
    resources:
        plan=W.plan_name,
        mem_mb=lambda wildcards, attempt: W.job(wildcards).resources.mem_mb * attempt,
        runtime=lambda wildcards, attempt: W.job(wildcards).resources.runtime_min * attempt,
        gpu=lambda wildcards: W.job(wildcards).resources.gpu,
    params:
        key=lambda wildcards: W.job(wildcards).score_digest,
    shell:
        "claimbench run --plan {resources.plan:q} --job {wildcards.job:q} > {log:q} 2>&1"
