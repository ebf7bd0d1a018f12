#!/usr/bin/env bash
# Make the virtual environment given as $1 hold exactly what requirements.lock says, and phonefarm itself (editable).
# Needs nothing but Python 3.11 to 3.13 with venv (Debian: python3-venv). Quick when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${1:-.venv}"
python="${PYTHON:-python3}"

if ! "$python" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "phonefarm needs Python 3.11, 3.12 or 3.13; $("$python" --version 2>&1) was found. Set PYTHON=..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "this Python has no venv; on Debian: apt-get install python3-venv" >&2
    exit 1
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
uv_pin=$(grep -m1 -oE '^uv==[0-9.]+' requirements.lock)
if ! "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit('uv==' + m.version('uv') != '$uv_pin')" 2>/dev/null; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$uv_pin"
fi
"$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes requirements.lock
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
# Compile now what a farm imports: its user may not write here, and each of its processes would do it again, a second or
# two of a core each. Left out is the bulk of what it never imports. Files that are no Python (templates) are no matter.
never='/(tests?|testing|rllib|tune|train|llm|matplotlib|mpl_toolkits|fontTools|mypy|mypyc|pip|setuptools'
never="$never|pkg_resources|f2py|hypothesis|schemathesis|playwright|graphql|werkzeug|virtualenv|_pytest)/"
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$venv/bin/python" -m compileall -qq -j 0 -x "$never" "$packages" || true
echo "environment ready in $venv"
