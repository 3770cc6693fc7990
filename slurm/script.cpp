// SPDX-License-Identifier: Apache-2.0
#include "slurm/script.hpp"

#include "slurm/request.hpp"
#include "slurm/shell.hpp"

namespace lockstep::slurm {

namespace {

std::string header(const ScriptInputs& in) {
  // Modules are defined for login shells.
  const std::string shell = in.job.slurm.modules.empty() ? "#!/bin/bash\n" : "#!/bin/bash -l\n";
  return shell + "# Written by lockstep submit: change the job file and submit again.\n" +
         directives(in);
}

std::string names(const ScriptInputs& in) {
  const SlurmSection& s = in.job.slurm;
  std::string text = "\nprogram=" + shell_word(in.program) + "\nrun=" + shell_word(in.run_dir) +
                     "\njob=$run/" + kJobName + "\n";
  if (s.requeue == "auto" || s.requeue == "dependent") {
    text += "script=$run/" + std::string(kScriptName) + "\n";
  }
  text += "restarts=" + std::to_string(s.restarts) + "  # at most\noverrides=()\n";
  if (s.array.empty()) return text;
  text +=
      "run=$run/task-$SLURM_ARRAY_TASK_ID\nmkdir -p \"$run\"\n"
      "overrides+=(--set \"job.run_dir=$run\")\n";
  if (!s.array_key.empty()) {
    text += "overrides+=(--set \"" + s.array_key + "=$SLURM_ARRAY_TASK_ID\")\n";
  }
  return text;
}

std::string environment(const SlurmSection& s) {
  std::string text;
  if (!s.modules.empty()) {
    text += "module load";
    for (const std::string& name : s.modules)
      text += " " + shell_word(name);
    text += " || exit 1\n";
  }
  for (const std::string& entry : s.environment) {
    const std::size_t equals = entry.find('=');
    text += "export " + entry.substr(0, equals + 1) + shell_word(entry.substr(equals + 1)) + "\n";
  }
  if (!s.mpi_interface.empty()) {
    const std::string name = shell_word(s.mpi_interface);
    text += "export OMPI_MCA_btl_tcp_if_include=" + name + " OMPI_MCA_oob_tcp_if_include=" + name +
            "\n";
  }
  if (!s.nccl_interface.empty()) {
    text += "export NCCL_SOCKET_IFNAME=" + shell_word(s.nccl_interface) + "\n";
  }
  for (const std::string& line : s.lines)
    text += line + "\n";
  return text.empty() ? "" : "\n# ---- Environment\n" + text;
}

// srun forgets the cores of a task that sbatch was asked for (Slurm 22.05), hence again.
std::string srun_command(const SlurmSection& s, const std::string& type) {
  std::string text = "srun --mpi=" + shell_word(type) + " --kill-on-bad-exit=1";
  if (s.cpus_per_rank > 0) {
    text += " --cpus-per-task=" + std::to_string(s.cpus_per_rank) + " --cpu-bind=cores";
  }
  return text;
}

// Open MPI would bind ranks to cores that other jobs may hold; Lockstep's ranks divide what their
// node was given themselves.
std::string mpirun_lines(const SlurmSection& s, const std::string& indent) {
  const std::string per_node = std::to_string(s.ranks_per_node);
  return indent + "if mpirun --version 2>/dev/null | grep -q 'Open MPI'; then\n" +  //
         indent + "  launch=(mpirun --map-by ppr:" + per_node + ":node --bind-to none)\n" + indent +
         "else\n" +  //
         indent + "  launch=(mpirun -n " + std::to_string(ranks_of(s)) + " -ppn " + per_node +
         ")\n" + indent + "fi\n";
}

std::string launcher(const ScriptInputs& in) {
  const SlurmSection& s = in.job.slurm;
  const std::string type = s.mpi == "auto" ? in.mpi_type : s.mpi;
  std::string text = "\n# ---- How the ranks start\n";
  if (s.launcher == "srun") {
    text += "launch=(" + srun_command(s, type) + ")\n";
  } else if (s.launcher == "mpirun") {
    text += mpirun_lines(s, "");
  } else {
    text += "if srun --mpi=list 2>&1 | grep -qw " + shell_word(type) + "; then\n" +  //
            "  launch=(" + srun_command(s, type) + ")\n" +                           //
            "else\n" + mpirun_lines(s, "  ") + "fi\n";
  }
  if (s.container.empty()) return text;
  return text + "launch+=(apptainer exec" + (s.gpus_per_rank > 0 ? " --nv " : " ") +
         shell_word(s.container) + ")\n";
}

}  // namespace

std::string batch_script(const ScriptInputs& in) {
  return header(in) + names(in) + environment(in.job.slurm) + launcher(in) +
         supervision(in.job.slurm);
}

}  // namespace lockstep::slurm
