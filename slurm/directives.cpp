// SPDX-License-Identifier: Apache-2.0
// The #SBATCH lines: what the job asks for. A key that is not given asks for nothing.
#include "slurm/request.hpp"
#include "slurm/script.hpp"
#include "slurm/shell.hpp"

namespace lockstep::slurm {

namespace {

class Lines {
 public:
  void add(const std::string& option) { text_ += "#SBATCH --" + option + "\n"; }
  void add(const std::string& option, const std::string& value) {
    if (!value.empty()) add(option + "=" + directive_value(value));
  }
  void add(const std::string& option, int value) {
    if (value > 0) add(option + "=" + std::to_string(value));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Slurm fills in what stands behind a percent sign.
std::string literally(const std::string& path) {
  std::string pattern;
  for (const char letter : path)
    pattern += letter == '%' ? std::string("%%") : std::string(1, letter);
  return pattern;
}

void add_hardware(Lines& lines, const SlurmSection& s) {
  lines.add("nodes", s.nodes);
  lines.add("ntasks-per-node", s.ranks_per_node);
  lines.add("cpus-per-task", s.cpus_per_rank);
  // Of the node, not of the task: every rank sees all GPUs of its node, as peer copies between them
  // need, and takes the one of its local rank.
  lines.add("gpus-per-node", gpus_per_node(s));
  lines.add("mem", s.memory);
  lines.add("constraint", s.constraint);
  if (s.exclusive) lines.add("exclusive");
}

void add_queue(Lines& lines, const SlurmSection& s) {
  lines.add("partition", s.partition);
  lines.add("account", s.account);
  lines.add("qos", s.qos);
  lines.add("time", s.time);
  lines.add("array", s.array);
  lines.add("dependency", s.dependency);
  lines.add(s.requeue == "auto" || s.requeue == "scontrol" ? "requeue" : "no-requeue");
  if (s.signal_seconds > 0) lines.add("signal=B:USR1@" + std::to_string(s.signal_seconds));
}

}  // namespace

std::string output_pattern(const ScriptInputs& in) {
  return literally(in.run_dir) +
         (in.job.slurm.array.empty() ? "/slurm-%j.out" : "/slurm-%A_%a.out");
}

std::string directives(const ScriptInputs& in) {
  const SlurmSection& s = in.job.slurm;
  Lines lines;
  lines.add("job-name", in.job.job.name);
  lines.add("chdir", in.work_dir);
  lines.add("output", output_pattern(in));
  lines.add("open-mode=append");  // a restarted job goes on in the same file
  add_hardware(lines, s);
  add_queue(lines, s);
  if (!s.mail.empty()) {
    lines.add("mail-user", s.mail);
    lines.add("mail-type", s.mail_on);
  }
  for (const std::string& option : s.options)
    lines.add(option.substr(2));
  return lines.text();
}

}  // namespace lockstep::slurm
