#!/usr/bin/env bash
# stop.sh DIR: end what start.sh started there and take its links away; a left slurm.conf slows every snakemake start.
cd "$1" || exit 0
for file in slurmd.pid slurmctld.pid munge/munged.pid; do
    pid=$(cat "$file" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null
    for _ in $(seq 20); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
    kill -9 "$pid" 2>/dev/null
done
for name in slurm gres; do
    [ "$(readlink "/etc/slurm/$name.conf")" != "$PWD/$name.conf" ] || rm -f "/etc/slurm/$name.conf"
done
exit 0
