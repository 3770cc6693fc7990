// SPDX-License-Identifier: Apache-2.0
// A job file; what stands behind zero bytes are overrides.
#include "runtime/config/job_config.hpp"
#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string all = fuzz::text_of(data, size), text = all.substr(0, all.find('\0'));
  std::vector<std::string> overrides;
  for (std::size_t at = text.size(); at < all.size();) {
    const std::size_t next = all.find('\0', at + 1);
    overrides.push_back(all.substr(at + 1, next - at - 1));
    at = next;
  }
  JobConfig job;
  if (!fuzz::accepted([&] { job = parse_job(text, "job.toml", overrides); })) return 0;
  const std::string resolved = to_toml(job);
  fuzz::expect(to_toml(parse_job(resolved, "resolved")) == resolved);
  return 0;
}
