#!/usr/bin/env bash
# Run the test suite as other processors would compute it: other vector instructions of PyTorch and of its matrix
# products, other kernels of OpenBLAS (NumPy), and two threads. Arguments go to pytest. Use on x86-64.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
check() {  # check VARIABLE=VALUE...: one run of the suite under these settings
    echo "== $*"
    env "$@" .venv/bin/pytest -q -n 2 "${arguments[@]}" || { failed=1; echo "== FAILED: $*"; }
}

arguments=("$@")
one="OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"
two="OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MKL_NUM_THREADS=2"
# shellcheck disable=SC2086  # several settings in one word
{
    check ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Haswell $one
    check ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Zen $two
    check ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell $one
    grep -q avx512f /proc/cpuinfo && check ATEN_CPU_CAPABILITY=avx512 OPENBLAS_CORETYPE=SkylakeX $two
    check ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Zen $two
}
exit "$failed"
