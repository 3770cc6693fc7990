#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# job_end_test.sh MPIRUN FAILING_JOB: however ranks fail, the job ends, with the message said once,
# its status, and the rank where only one rank knows.
mpirun=$1 job=$2
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
failures=0

# expect RANKS HOW STATUS LINE: exactly one line of ours, and this one.
expect() {
  "$mpirun" "$1" "$job" "$2" >"$output" 2>&1
  status=$?
  said=$(grep '^lockstep' "$output")
  if [ "$status" != "$3" ] || [ "$said" != "$4" ]; then
    echo "FAILED: $2 on $1 ranks: status $status, expected $3; said '$said', expected '$4'"
    cat "$output"
    failures=$((failures + 1))
  fi
}

expect 3 none 0 ""
expect 1 config-on-all 2 "lockstep: model.layers is 0"
expect 3 config-on-all 2 "lockstep: model.layers is 0"
expect 3 config-together 2 "lockstep: model.layers is 0"
expect 1 system-on-all 1 "lockstep: disk is gone"
expect 3 system-on-all 1 "lockstep: rank 0: disk is gone"
expect 3 system-together 1 "lockstep: rank 2: disk is gone"
expect 3 system-together-late 1 "lockstep: rank 2: disk is gone"
expect 3 config-on-last 2 "lockstep: rank 2: model.layers is 0"
expect 3 system-on-last 1 "lockstep: rank 2: disk is gone"
[ "$failures" = 0 ]
