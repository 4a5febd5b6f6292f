#!/usr/bin/env bash
# setup.sh [FOLDER CONSTRAINTS EXTRAS]: makes FOLDER, by default .venv, with the pinned packages and toccata itself,
# editable. Called by make; PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=${1:-.venv} constraints=${2:-constraints.txt} extras=${3:-dev,bench,report,lyrics,listen,hub,browser,docs}

fail() {
    echo "setup: $1" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "no '$python' here. Install Python 3.10 or newer, or name one: make PYTHON=python3.12 ..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Python 3.10 or newer is needed, '$python' is $("$python" -V 2>&1). Name another: make PYTHON=python3.12 ..."

# One whose interpreter has gone, or whose pip never came (Debian without python3-venv), is made again.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear "$venv" ||
        fail "'$python -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv"
fi
echo "setup: installing into $venv with $("$venv/bin/python" -V) (minutes the first time)"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check -c "$constraints" -e ".[$extras]"
