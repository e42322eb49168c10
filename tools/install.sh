#!/usr/bin/env bash
# Make a virtual environment and install the pinned set and this package (editable) into it, bytecode compiled.
# usage: tools/install.sh VENV EXTRAS, for example .venv dev,slurm        (PYTHON=python3.12 chooses the interpreter)
set -euo pipefail
venv=$1 extras=$2

# The first interpreter that runs, is new enough and can make environments.
usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
python=
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
    if usable "$name"; then python=$name && break; fi
done
if [ -z "$python" ]; then
    echo "make: no usable Python >= 3.11 among: ${PYTHON:-python3, python3.11 to python3.14}. Install one with its venv module" \
        "(Debian: apt install python3-venv), or name it: make PYTHON=/path/to/python3" >&2
    exit 1
fi

echo "installing into $venv with $("$python" --version 2>&1) (once; about a minute on a good line)"
[ -x "$venv/bin/python" ] && usable "$venv/bin/python" || "$python" -m venv --clear "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check)

say() { echo "$*; pip does it (slower)"; }
status=0
if "${pip[@]}" install -qq -c constraints.txt uv; then
    "$venv/bin/python" tools/uv_install.py --quiet --compile-bytecode -c constraints.txt -e ".[$extras]" || status=$?
    [ "$status" != 3 ] || say "uv cannot install as pip is set up"
else
    status=3
    say "uv is not to be had here"
fi
[ "$status" != 3 ] || "${pip[@]}" install --quiet -c constraints.txt -e ".[$extras]"
[ "$status" = 3 ] || [ "$status" = 0 ] || exit "$status"
touch "$venv/.ready-$extras"
