# dataset -> fit -> score

# The longest fits start first, so that no core waits long for the last one; what is quick does not wait for them.
SOON = 1_000_000


rule prepare:
    output:
        f"{TIER}/data/{{dataset}}.json",
    log:
        f"{TIER}/logs/data/{{dataset}}.log",
    priority: SOON
    conda:
        "../../envs/cpu.yaml"
    params:
        key=W.data_key,
    shell:
        "claimbench prepare --dataset {wildcards.dataset} --to {output} 2>&1 | tee {log}"


rule fit:
    input:
        W.fit_inputs,
    output:
        f"{TIER}/jobs/{{job}}.fit.json",
    log:
        f"{TIER}/logs/{{job}}.fit.log",
    priority: W.seconds
    conda:
        "../../envs/cpu.yaml"
    threads: lambda wildcards: W.threads(wildcards, workflow.is_main_process and workflow.resource_settings.cores)
    resources:
        mem_mb=lambda wildcards, attempt: W.job(wildcards).resources.mem_mb * attempt,
        runtime=lambda wildcards, attempt: W.job(wildcards).resources.runtime_min * attempt,
        gpu=lambda wildcards: W.job(wildcards).resources.gpu,
    params:
        key=lambda wildcards: W.job(wildcards).fit_digest,
    shell:
        "claimbench fit --job {wildcards.job} --to {output} 2>&1 | tee {log}"


rule score:
    input:
        f"{TIER}/jobs/{{job}}.fit.json",
    output:
        f"{TIER}/jobs/{{job}}.score.json",
    log:
        f"{TIER}/logs/{{job}}.score.log",
    priority: SOON
    conda:
        "../../envs/cpu.yaml"
    threads: lambda wildcards: W.job(wildcards).resources.threads
    resources:
        mem_mb=lambda wildcards, attempt: W.job(wildcards).resources.mem_mb * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        key=lambda wildcards: W.job(wildcards).score_digest,
    shell:
        "claimbench score --job {wildcards.job} --to {output} 2>&1 | tee {log}"
