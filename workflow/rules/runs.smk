# dataset -> fit -> score


rule prepare:
    output:
        f"{TIER}/data/{{dataset}}.json",
    params:
        key=W.data_key,
    log:
        f"{TIER}/logs/data/{{dataset}}.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} prepare --dataset {wildcards.dataset} 2>&1 | tee {log}"


rule fit:
    input:
        W.fit_inputs,
    output:
        f"{TIER}/jobs/{{job}}.fit.json",
    params:
        key=lambda wildcards: W.job(wildcards).fit_digest,
    threads: lambda wildcards: W.threads(wildcards, workflow.cores)
    resources:
        mem_mb=lambda wildcards, attempt: W.job(wildcards).resources.mem_mb * attempt,
        runtime=lambda wildcards, attempt: W.job(wildcards).resources.runtime_min * attempt,
        gpu=lambda wildcards: W.job(wildcards).resources.gpu,
    log:
        f"{TIER}/logs/{{job}}.fit.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} fit --job {wildcards.job} 2>&1 | tee {log}"


rule score:
    input:
        f"{TIER}/jobs/{{job}}.fit.json",
    output:
        f"{TIER}/jobs/{{job}}.score.json",
    params:
        key=lambda wildcards: W.job(wildcards).score_digest,
    threads: lambda wildcards: W.job(wildcards).resources.threads
    resources:
        mem_mb=lambda wildcards, attempt: W.job(wildcards).resources.mem_mb * attempt,
    log:
        f"{TIER}/logs/{{job}}.score.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "{CLAIMBENCH} score --job {wildcards.job} 2>&1 | tee {log}"
