// SPDX-License-Identifier: Apache-2.0
// site.toml: a job file that holds what is the same for all jobs of a cluster (partition, account,
// modules, interfaces, ...). A job's own keys and --set come on top.
#pragma once

#include <string>

namespace lockstep::slurm {

// `given` if it is not empty, else the first of these that exists, else "":
//   $LOCKSTEP_SITE, site.toml beside the job file, ~/.config/lockstep/site.toml,
//   /etc/lockstep/site.toml
std::string find_site(const std::string& given, const std::string& job_file);

}  // namespace lockstep::slurm
