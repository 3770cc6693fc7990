// SPDX-License-Identifier: Apache-2.0
// The second half of a batch script: it starts the ranks, hands them Slurm's warning, and puts a
// stopped job back into the queue. It is the same for all jobs but for the way back.
#include "slurm/script.hpp"

namespace lockstep::slurm {

namespace {

constexpr const char* kRecord = R"bash(
# ---- The record: one line of restarts.jsonl for each thing that happens
restart=$((${LOCKSTEP_RESTART_BASE:-0} + ${SLURM_RESTART_COUNT:-0}))
export LOCKSTEP_RESTART=$restart
note() {
  printf '{"time":"%s","job_id":"%s","restart":%d,"event":"%s","detail":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$SLURM_JOB_ID" "$restart" "$1" "$2" | tee -a "$run/restarts.jsonl"
}
)bash";

// The shell gets USR1 early before the time limit and, where the cluster sends it, before a
// preemption; TERM when Slurm ends the job. Both launchers hand USR1 on to all ranks, which finish
// their step, save and end.
constexpr const char* kSignals = R"bash(
# ---- Signals: USR1 before the time limit or a preemption, TERM at the end of it
signals=0 signal='' child=''
# shellcheck disable=SC2317
on_signal() {
  signals=$((signals + 1)) signal=$1
  [ -z "$child" ] || kill -s USR1 "$child" 2>/dev/null
}
trap 'on_signal USR1' USR1
trap 'on_signal TERM' TERM

# Runs lockstep on all ranks; its status. A signal ends bash's wait early: then it waits again.
ranks() {
  local before=-1 code
  if [ "$signals" -gt 0 ]; then status=1; return 1; fi
  "${launch[@]}" "$program" "$@" &
  child=$!
  [ "$signals" = 0 ] || kill -s USR1 "$child"
  while [ "$before" != "$signals" ]; do
    before=$signals
    wait "$child"
    code=$?
    [ "$code" = 127 ] || status=$code
  done
  child=''
  return "$status"
}
)bash";

constexpr const char* kAgain = R"bash(
# Back to the queue, unless it was there often enough, or Slurm is ending the job by itself: scancel,
# or a preemption without a warning, after which Slurm requeues it.
again() {
  trap '' TERM  # Slurm ends this script while it still asks to be requeued
  if [ "$(squeue -h -j "$SLURM_JOB_ID" -o %T)" != RUNNING ]; then
    note left "Slurm is ending this job"
  elif [ "$restart" -ge "$restarts" ]; then
    note 'given up' "slurm.restarts = $restarts"
  elif queue_again; then
    exit 0
  else
    note 'not requeued' "Slurm refused; lockstep submit --resume goes on"
  fi
}
)bash";

constexpr const char* kScontrol = R"bash(requeue() {
  scontrol requeue "$SLURM_JOB_ID" && note requeued "by scontrol"
}
)bash";

constexpr const char* kFollow = R"bash(follow() {
  local next
  next=$(LOCKSTEP_RESTART_BASE=$((restart + 1)) sbatch --parsable "${task[@]}" \
    --dependency="afterany:$SLURM_JOB_ID" "$script") || return
  printf '{"job_id":"%s","after":"%s"}\n' "${next%%;*}" "$SLURM_JOB_ID" >>"${script%/*}/submissions.jsonl"
  note requeued "as job ${next%%;*}"
}
)bash";

std::string way_back(const SlurmSection& slurm) {
  if (slurm.requeue == "off") return "";
  std::string text = "\n# ---- The way back\n", calls;
  if (slurm.requeue != "dependent") {
    text += kScontrol;
    calls = "requeue";
  }
  if (slurm.requeue != "scontrol") {
    text += slurm.array.empty() ? "task=()\n" : "task=(--array=\"$SLURM_ARRAY_TASK_ID\")\n";
    text += kFollow;
    calls += calls.empty() ? "follow" : " || follow";
  }
  return text + "queue_again() { " + calls + "; }\n" + kAgain;
}

std::string start(const SlurmSection& slurm) {
  std::string text = R"bash(
# ---- Start
status=1
if [ "$restart" -gt "$restarts" ]; then
  note 'given up' "slurm.restarts = $restarts"
  exit 1
fi
note started "on $SLURM_JOB_NODELIST"
# The ranks leave these files behind: srun may call a step that never began a success, and none
# begins where a node still clears the last one away. Then it is tried again.
export LOCKSTEP_STARTED=$run/.started LOCKSTEP_FINISHED=$run/.finished
rm -f "$LOCKSTEP_STARTED" "$LOCKSTEP_FINISHED"
for attempt in 1 2 3; do
)bash";
  if (slurm.preflight) text += "  ranks check \"$job\" \"${overrides[@]}\" &&\n  ";
  return text + R"bash(  ranks train "$job" --resume "${overrides[@]}"
  [ "$status" != 0 ] || [ -e "$LOCKSTEP_FINISHED" ] || status=1
  if [ -e "$LOCKSTEP_STARTED" ] || [ "$signals" -gt 0 ] || [ "$attempt" = 3 ]; then break; fi
  note 'not begun' "status $status; tried again"
  sleep 5
done
)bash";
}

std::string end(const SlurmSection& slurm) {
  const bool returns = slurm.requeue != "off";
  std::string text = R"bash(if [ "$status" = 0 ]; then
  note finished ''
elif [ "$signals" -gt 0 ]; then
  note stopped "by $signal, status $status"
)bash";
  if (returns) text += "  again\n";
  text += R"bash(else
  note failed "status $status; what the ranks said stands above"
)bash";
  // 2: what the user said is wrong, and would be wrong again.
  if (returns && slurm.requeue_failures) text += "  [ \"$status\" = 2 ] || again\n";
  return text + "fi\nexit \"$status\"\n";
}

}  // namespace

std::string supervision(const SlurmSection& slurm) {
  return kRecord + std::string(kSignals) + way_back(slurm) + start(slurm) + end(slurm);
}

}  // namespace lockstep::slurm
