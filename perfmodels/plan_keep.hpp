// SPDX-License-Identifier: Apache-2.0
// Keys that a user holds as the job has them (`plan --keep`): which layouts do so. Of one stage any
// schedule does.
#pragma once

#include <string>
#include <vector>

#include "perfmodels/layout.hpp"

namespace lockstep {

class KeptKeys {
 public:
  // ConfigError that lists the keys that layouts vary.
  explicit KeptKeys(const std::vector<std::string>& names);

  bool hold(const JobConfig& job, const Layout& layout) const;

 private:
  using Same = bool (*)(const JobConfig&, const Layout&);
  std::vector<Same> keys_;
};

}  // namespace lockstep
