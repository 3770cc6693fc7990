// SPDX-License-Identifier: Apache-2.0
// A token shard, with a vocabulary that is given or found.
#include <algorithm>
#include <array>

#include "runtime/data/token_source.hpp"
#include "tests/fuzz/input_file.hpp"
#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

namespace {

void read_all(const std::string& path, std::int64_t vocabulary) {
  const auto source = open_tokens({path}, vocabulary, "data.path");
  std::array<std::int32_t, 256> window;
  for (std::int64_t at = 0; at < source->size(); at += window.size()) {
    const auto n = std::min<std::int64_t>(window.size(), source->size() - at);
    source->read(at, std::span(window).first(static_cast<std::size_t>(n)));
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t token = window[static_cast<std::size_t>(i)];
      fuzz::expect(token >= 0 && token < source->vocabulary());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const fuzz::InputFile file(data, size);
  for (const std::int64_t vocabulary : {0, 300})
    fuzz::accepted([&] { read_all(file.path(), vocabulary); });
  return 0;
}
