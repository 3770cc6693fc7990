# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by launch/quickstart, tests/run and .ci/run: steps with a header, quiet commands that leave
# a log, the build of a preset, and an orderly end on Ctrl-C. Nothing ever reads standard input.

set -euo pipefail
# Every command gets a process group of its own, so that a signal reaches it once: from on_signal.
set -m
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
child=""
exec 3>&2  # standard error, also for a signal that arrives while `run` hides bash's notes on jobs

step() { printf '\n== %s\n' "$*"; }

die() { printf '%s\n' "$@" >&2; exit 1; }

# Waits for the command in a way that lets signals through at once.
run() {
  local status=0
  "$@" </dev/null &
  child=$!
  { wait "$child" || status=$?; } 2>/dev/null
  child=""
  return "$status"
}

on_signal() {
  trap '' INT TERM
  if [ -n "$child" ]; then
    kill "-$1" -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  printf '\nInterrupted. Nothing is left running; what is built stays and need not be built again.\n' >&3
  exit "$2"
}
trap 'on_signal INT 130' INT
trap 'on_signal TERM 143' TERM

# quietly NAME COMMAND...: the output goes to build/logs/NAME.log, on a terminal with one line that
# shows how far it is; the end of a failure is shown.
quietly() {
  local name=$1 log=$logs/$1.log begin=$SECONDS
  shift
  mkdir -p "$logs"
  if run logged "$log" "$@"; then
    printf '   done in %d s\n' $((SECONDS - begin))
    return
  fi
  { grep -m 1 -A 25 '^FAILED:' "$log" || tail -n 25 "$log"; } >&2
  die "" "$name failed (above: what it said first or last). All of its output: $log"
}

logged() {
  local log=$1
  shift
  "$@" 2>&1 | tee "$log" | progress
}

# On a terminal the current line, overwritten by the next; elsewhere every 20th step of the build.
progress() {
  local line columns
  columns=$(tput cols 2>/dev/null || echo 80)
  while IFS= read -r line; do
    if [ -t 1 ]; then
      printf '\r\033[K%s' "${line:0:columns-1}"
    elif [[ $line =~ ^\[[0-9]*[02468]0/ ]]; then
      printf '   %s\n' "$line"
    fi
  done
  if [ -t 1 ]; then printf '\r\033[K'; fi
}

# build_preset NAME [CMAKE-ARGUMENT...]. Installed packages only; a compiler cache is used where there is one.
build_preset() {
  if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
  step "Configure: finds compiler and libraries, writes build/$1"
  quietly "configure-$1" cmake -S "$root" --preset "$1"
  step "Build: compiles build/$1 on $(nproc) cores (some minutes the first time)"
  quietly "build-$1" env -C "$root" cmake --build --preset "$1" --parallel "$(nproc)" "${@:2}"
}
