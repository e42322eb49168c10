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

# uv is several times faster than pip but reads neither pip's settings nor PIP_* variables, so they are handed over.
setting() {
    "${pip[@]}" config list 2>/dev/null | sed -n "s/^\(:env:\|global\|install\|user\|site\)\.$1='\(.*\)'$/\2/p" | head -n 1
}
if "${pip[@]}" install -qq -c constraints.txt uv; then
    find_links=$(setting find-links) index=$(setting index-url) more=$(setting extra-index-url) cert=$(setting cert)
    [ -z "$find_links" ] || export UV_FIND_LINKS="${UV_FIND_LINKS:-${find_links// /,}}"
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$more" ] || export UV_INDEX="${UV_INDEX:-$more}" UV_INDEX_STRATEGY=unsafe-best-match
    [ -z "$cert" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$cert}"
    UV_LINK_MODE=${UV_LINK_MODE:-copy} "$venv/bin/python" -m uv pip install --quiet --compile-bytecode \
        --python "$venv/bin/python" -c constraints.txt -e ".[$extras]"
else
    echo "uv is not to be had here; pip does it (slower)"
    "${pip[@]}" install --quiet -c constraints.txt -e ".[$extras]"
fi
touch "$venv/.ready-$extras"
