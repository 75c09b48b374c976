#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything that needs a GPU, in less than ten minutes: facts of the device, build, ceilings, tests, probe, benches,
# memory errors, peers in Python; one table last. Every stage has a limit, and none begins after the hard stop.
#
#   tests/cuda/run_all.sh [FOLDER]    results.jsonl, a line for each row as it is measured, table.txt and logs.tgz go to
#                                     FOLDER, else to $OUT, else to build/gpu
#   --quick                           fewer shapes
#   DSV3_PREFIX=FOLDER                where the packages of `./dsv3 packages` have been unpacked, if they are not installed
#
# Exit status: 0 all right, 1 something failed, 2 wrong use, 77 no device: nothing was run.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

hard_stop=560 # seconds: a stage that would begin later is left out, and a running one is ended
build=build/release
quick=()
out=${OUT:-build/gpu}
for argument; do
  case $argument in
    --quick) quick=(--quick) ;;
    -*) echo "run_all.sh: there is no option $argument; there is --quick" >&2 && exit 2 ;;
    *) out=$argument ;;
  esac
done
results=$out/results.jsonl
logs=build/gpu/logs
failed=()

say() { printf '\n== %3d s  %s\n' "$SECONDS" "$*"; }

# stage NAME LIMIT COMMAND...: runs it for LIMIT seconds at most, its output in a log and its end here.
stage() {
  local name=$1 limit=$2 left=$((hard_stop - SECONDS)) status
  shift 2
  if ((left < 5)); then
    say "$name: left out, no time"
    failed+=("$name (no time)")
    return 1
  fi
  say "$name"
  timeout --kill-after=5 "$((limit < left ? limit : left))" "$@" >"$logs/$name.log" 2>&1
  status=$?
  tail -n "${shown:-12}" "$logs/$name.log"
  printf '{"stage":"%s","status":%d,"ended_at":%d}\n' "$name" "$status" "$SECONDS" >>"$results"
  tar -czf "$out/logs.tgz" -C build/gpu logs
  if ((status == 77)); then echo "$name: skipped"; fi
  if ((status == 124 || status == 137)); then echo "$name: ended after its limit"; fi
  ((status == 0 || status == 77)) || failed+=("$name ($status)")
  return "$status"
}

# In one line why nothing can run here; empty where it can.
why_not() {
  command -v nvidia-smi >/dev/null || { echo "no nvidia-smi: no driver"; return; }
  nvidia-smi -L 2>/dev/null | grep -q '^GPU' || { echo "nvidia-smi sees no device"; return; }
  command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]] || { echo "no nvcc: the CUDA 13 toolkit is needed"; return; }
}

facts() {
  # Queries only: nothing is set.
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu \
    --format=csv
  nvcc --version | tail -n 2
  git log -1 --format='commit %H of %cI' 2>/dev/null || echo "commit unknown"
  date -u '+date %FT%TZ'
}

configure() { cmake --preset release -DDSV3_CUDA=ON ${DSV3_PREFIX:+-DCMAKE_PREFIX_PATH="$DSV3_PREFIX"}; }

# All tests of kernels; names from the build files, so that none is forgotten.
gpu_tests() { ninja -C "$build" -t targets all | grep -oE '^gpu\.[a-z0-9_.]+_test' | sort -u; }

# Packages are asked for only where something is missing: the machine may have no way to them.
build_all() {
  configure || { timeout 60 ./dsv3 packages && configure; } || return 1
  local tests
  mapfile -t tests < <(gpu_tests)
  ninja -C "$build" -j "$(nproc)" dsv3_cuda dsv3_probe dsv3_cuda_bench "${tests[@]}"
}

# bench NAME LIMIT: the rows whose names begin with NAME, in a program of their own: what one breaks the next does not see.
bench() { stage "bench_$1" "$2" "$build/dsv3_cuda_bench" "$1" "${quick[@]}" --out "$results"; }

# sanitize TOOL: the tests without their large shapes; a program ends at its first error.
sanitize() {
  local test status=0 ended
  for test in $(gpu_tests); do
    DSV3_SMALL=1 timeout 40 compute-sanitizer --tool "$1" --error-exitcode 1 "$build/tests/cuda/$test"
    ended=$?
    if ((ended == 124)); then echo "$test: not finished"; elif ((ended != 0)); then status=1; fi
  done
  return "$status"
}

python_peers() {
  local python
  for python in build/peers/bin/python python3; do
    if "$python" -c 'import torch, triton' 2>/dev/null; then
      "$python" tests/cuda/peers.py "${quick[@]}" --out "$results"
      return
    fi
  done
  echo "skipped: no Python here has torch and triton"
  return 77
}

export PATH=$PATH:/usr/local/cuda/bin
export -f facts configure gpu_tests build_all sanitize python_peers
export build results
reason=$(why_not)
if [[ -n $reason ]]; then
  echo "run_all.sh: skipped, nothing was run: $reason"
  exit 77
fi
if ! mkdir -p "$out" "$logs" || ! : >"$results"; then
  echo "run_all.sh: $out cannot be written" >&2
  exit 1
fi

stage facts 20 bash -c facts
if stage build 200 bash -c build_all; then
  bench ceiling 30
  if (($? == 77)); then
    echo "run_all.sh: skipped, the kernels cannot run on this device"
    exit 77
  fi
  stage tests 150 ctest --test-dir "$build" -j 4 -L gpu --output-on-failure --no-tests=error
  shown=40 stage probe 60 "$build/tests/cuda/dsv3_probe" --json "$results"
  bench gemm 120
  for rows in quantise swiglu rms_norm grouped masked wgrad rung; do bench "$rows" 60; done
  stage python_peers 90 bash -c "quick=(${quick[*]}); python_peers"
  if command -v compute-sanitizer >/dev/null; then
    stage memcheck 60 bash -c "sanitize memcheck"
    stage racecheck 60 bash -c "sanitize racecheck"
  else
    echo "memcheck, racecheck: skipped, no compute-sanitizer"
  fi
fi

say "all rows"
if [[ -x $build/dsv3_cuda_bench ]]; then "$build/dsv3_cuda_bench" --table "$results" | tee "$out/table.txt"; fi
if ((${#failed[@]})); then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
echo "all stages are right; $results"
