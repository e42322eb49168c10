#!/usr/bin/env bash
# start.sh DIR: munged, slurmctld and slurmd of a one-node cluster with four GPUs that are only files. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
mkdir -p munge controller node
chmod 755 . munge
for i in 0 1 2 3; do
    [ -e "gpu$i" ] || mknod "gpu$i" c 1 3 2>/dev/null || : > "gpu$i"   # device nodes where they may be made
done
host=$(hostname -s) memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
for name in slurm gres; do
    sed -e "s|@DIR@|$PWD|g" -e "s|@HOST@|$host|g" -e "s|@MEMORY@|$memory|g" "$here/$name.conf.in" > "$name.conf"
done
# A job's inner srun loses SLURM_CONF, so the files must be where Slurm looks by itself.
if [ -e /etc/slurm/slurm.conf ] && [ ! -L /etc/slurm/slurm.conf ]; then
    echo "/etc/slurm/slurm.conf belongs to a real cluster; it is left alone" >&2
    exit 1
fi
# Two test clusters share ports and paths: the second would take the first one's configuration away.
other=$(readlink /etc/slurm/slurm.conf || true) other=${other%/*}
if [ -n "$other" ] && kill -0 "$(cat "$other/slurmctld.pid" 2>/dev/null || echo none)" 2>/dev/null; then
    echo "a test cluster is running in $other; wait for it, or end it: $here/stop.sh $other" >&2
    exit 1
fi
mkdir -p /etc/slurm /run/munge
ln -sfn "$PWD/slurm.conf" /etc/slurm/slurm.conf
ln -sfn "$PWD/gres.conf" /etc/slurm/gres.conf
[ -s munge/key ] || { head -c 128 /dev/urandom > munge/key && chmod 600 munge/key; }
munged --force --key-file "$PWD/munge/key" --pid-file "$PWD/munge/munged.pid" --log-file "$PWD/munge/log" \
    --seed-file "$PWD/munge/seed"
slurmctld -c
slurmd
# A client call takes many seconds where names cannot be resolved, so the clock decides.
while [ $SECONDS -lt 40 ]; do
    [ "$(timeout 5 sinfo -h -o %T 2>/dev/null)" = idle ] && exit 0
    sleep 0.5
done
timeout 5 sinfo -N -o '%N %T %E' >&2
exit 1
