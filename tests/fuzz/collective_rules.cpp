// SPDX-License-Identifier: Apache-2.0
// collectives.rules, one a line. The names of algorithms come from a table of two: the parser sees
// only that there is one.
#include <sstream>

#include "collectives/rules.hpp"
#include "tests/fuzz/outcome.hpp"

namespace lockstep {

namespace {

constexpr Algorithm kRing{Collective::all_reduce, "native/ring", nullptr, nullptr, nullptr};
constexpr Algorithm kChain{Collective::broadcast, "native/chain", nullptr, nullptr, nullptr};
constexpr const Algorithm* kAll[] = {&kRing, &kChain};

}  // namespace

std::span<const Algorithm* const> algorithms() {
  return kAll;
}

const Algorithm* find_algorithm(Collective what, std::string_view name) {
  for (const Algorithm* known : kAll)
    if (known->what == what && known->name() == name) return known;
  return nullptr;
}

}  // namespace lockstep

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::istringstream lines(fuzz::text_of(data, size));
  std::vector<std::string> texts;
  for (std::string line; std::getline(lines, line);)
    texts.push_back(line);
  fuzz::accepted([&] {
    for (const Rule& rule : parse_rules(texts, LibraryRules::allowed)) {
      fuzz::expect(rule.low < rule.high);
      fuzz::expect(!rule.algorithm || rule.algorithm->what == rule.what);
    }
  });
  return 0;
}
