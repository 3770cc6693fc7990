// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_keep.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

struct KeptKey {
  std::string_view key;
  bool (*same)(const JobConfig&, const Layout&);
};
constexpr KeptKey kKeptKeys[] = {
    {"parallel.data",
     [](const JobConfig& j, const Layout& l) {
       return j.parallel.data == 0 || j.parallel.data == l.degrees.data;
     }},
    {"parallel.tensor",
     [](const JobConfig& j, const Layout& l) { return j.parallel.tensor == l.degrees.tensor; }},
    {"parallel.pipeline",
     [](const JobConfig& j, const Layout& l) { return j.parallel.pipeline == l.degrees.pipeline; }},
    {"parallel.chunks",
     [](const JobConfig& j, const Layout& l) {
       return l.degrees.pipeline == 1 || j.parallel.chunks == l.chunks;
     }},
    {"parallel.schedule",
     [](const JobConfig& j, const Layout& l) {
       return l.degrees.pipeline == 1 || j.parallel.schedule == l.schedule;
     }},
    {"parallel.sequence_parallel",
     [](const JobConfig& j, const Layout& l) {
       return j.parallel.sequence_parallel == l.sequence_parallel;
     }},
    {"parallel.recompute",
     [](const JobConfig& j, const Layout& l) { return j.parallel.recompute == l.recompute; }},
    {"parallel.bucket_mb",
     [](const JobConfig& j, const Layout& l) { return j.parallel.bucket_mb == l.bucket_mb; }},
    {"parallel.zero",
     [](const JobConfig& j, const Layout& l) { return j.parallel.zero == l.zero; }},
    {"batch.micro",
     [](const JobConfig& j, const Layout& l) {
       return j.batch.micro == 0 ? l.num_micro == 1 : j.batch.micro == l.micro;
     }},
};

}  // namespace

KeptKeys::KeptKeys(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto* found = std::find_if(std::begin(kKeptKeys), std::end(kKeptKeys),
                                     [&](const KeptKey& k) { return k.key == name; });
    if (found == std::end(kKeptKeys)) {
      std::string all;
      for (const KeptKey& k : kKeptKeys)
        all += (all.empty() ? "" : ", ") + std::string(k.key);
      throw ConfigError("--keep: \"" + name + "\" is no key that layouts vary; these are: " + all);
    }
    keys_.push_back(found->same);
  }
}

bool KeptKeys::hold(const JobConfig& job, const Layout& layout) const {
  return std::all_of(keys_.begin(), keys_.end(), [&](Same same) { return same(job, layout); });
}

}  // namespace lockstep
