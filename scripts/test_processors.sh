#!/usr/bin/env bash
# Run the test suite as other processors would compute it: other vector instructions of PyTorch and oneDNN, other
# kernels of OpenBLAS (NumPy), one and two threads. Arguments go to pytest. For x86-64; `make test-processors`.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
check() {  # check WORKERS VARIABLE=VALUE...: one run of the suite under these settings
    workers=$1
    shift
    echo "== $*"
    env "$@" .venv/bin/pytest -q -n "$workers" --dist worksteal "${arguments[@]}" || { failed=1; echo "== FAILED: $*"; }
}

arguments=("$@")
one=(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1)
two=(OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MKL_NUM_THREADS=2)
check 2 ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Haswell "${one[@]}"
check 0 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Zen "${two[@]}"
check 2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell "${one[@]}"
grep -q avx512f /proc/cpuinfo && check 0 ATEN_CPU_CAPABILITY=avx512 OPENBLAS_CORETYPE=SkylakeX "${two[@]}"
check 0 ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Zen "${two[@]}"
exit "$failed"
