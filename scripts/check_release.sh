#!/usr/bin/env bash
# check_release.sh [FOLDER]: builds sdist and wheel of what git tracks, looks at what is in them, and uses each in a
# fresh environment away from the checkout: the commands' help, a piece of a bar, a run of a bar, its evaluation.
# The files go into FOLDER, by default dist/. Called by make; PYTHON names the interpreter of the environments.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=${1:-dist}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
checkout=$PWD
workdir=$(mktemp -d)
trap 'rm -rf "$workdir"' EXIT
unset PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1

echo "release: building"
mkdir "$workdir/tree" "$workdir/dist"
git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$workdir/tree"  # no caches, no earlier build
"$python" -m venv "$workdir/build"
"$workdir/build/bin/python" -m pip install -qq -c constraints.txt build
(cd "$workdir/tree" && "$workdir/build/bin/python" -m build --outdir "$workdir/dist" . >"$workdir/build.log" 2>&1) || {
    tail -20 "$workdir/build.log" >&2
    exit 1
}
"$python" scripts/check_distributions.py "$workdir/dist" "$workdir/tree"

echo "release: installing into a fresh environment (minutes)"
"$python" -m venv "$workdir/venv"
bin=$workdir/venv/bin
export TOCCATA_CACHE=$workdir/cache TOCCATA_STATE=$workdir/state MPLBACKEND=Agg
mkdir "$workdir/elsewhere"
cd "$workdir/elsewhere"

use() {  # use NAME: what a user does first, with whatever distribution is installed
    "$bin/python" -c "
import pathlib, sys, toccata
assert pathlib.Path(toccata.__file__).is_relative_to(sys.prefix), toccata.__file__"
    "$bin/toccata" --version
    "$bin/toccata" --help >/dev/null
    "$bin/toccata" compose --bars 1 --pieces 1 --out "$1-composed"
    "$bin/toccata" train --run-dir "$1-run" --corpus corpus --bars 1 --num-envs 4 --n-steps 32 --batch-size 64 \
        --total-timesteps 128 --clone-epochs 0 --device cpu
    "$bin/toccata" evaluate "$1-run" --pieces 1 --samples 4
    ls "$1-composed/piece-000.wav" "$1-run/model.zip" "$1-run/evaluation/report.html" >/dev/null
}

"$bin/python" -m pip install -qq -c "$checkout/constraints.txt" "$workdir"/dist/*.whl
"$bin/python" - <<'PYTHON'
from pathlib import Path

from toccata.music import Score

Path("corpus/classical").mkdir(parents=True)
for number in range(10):
    notes = [(24 * beat, 24, 60 + (beat * (number + 2)) % 12, 80) for beat in range(16)]
    Score(notes, length_ticks=384).to_midi(f"corpus/classical/tune-{number}.mid")
PYTHON
use wheel
"$bin/python" -m pip install -qq -c "$checkout/constraints.txt" --no-deps --force-reinstall "$workdir"/dist/*.tar.gz
use sdist

cp "$workdir"/dist/* "$folder/"
echo "release: good; files in $folder"
