// SPDX-License-Identifier: Apache-2.0
// A job that fails in the way its argument names; job_end_test.sh looks at how it ends.
#include <chrono>
#include <string>
#include <thread>

#include "launch/job.hpp"

using namespace lockstep;

namespace {

// Its rank comes to the end of the job after the others would have given it up.
struct Late {
  bool here;
  ~Late() {
    if (here) std::this_thread::sleep_for(std::chrono::seconds(2));
  }
};

int fail(const std::string& how, const Context& context) {
  const bool last = context.rank() == context.size() - 1;
  if (how == "config-on-all") throw ConfigError("model.layers is 0");
  if (how == "system-on-all") throw SystemError("disk is gone");
  if (how == "config-together") {
    context.together([&] {
      if (last) throw ConfigError("model.layers is 0");
    });
  }
  if (how == "system-together" || how == "system-together-late") {
    const Late late{last && how == "system-together-late"};
    context.together([&] {
      if (last) throw SystemError("disk is gone");
    });
  }
  if (how == "config-on-last" && last) throw ConfigError("model.layers is 0");
  if (how == "system-on-last" && last) throw SystemError("disk is gone");
  if (how == "none") return 0;
  for (;;)
    context.barrier();  // the others are at work and will not come back
}

}  // namespace

int main(int, char** argv) {
  return run_job([how = std::string(argv[1])](const Context& c) { return fail(how, c); });
}
