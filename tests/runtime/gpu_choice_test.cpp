// SPDX-License-Identifier: Apache-2.0
// Ranks and GPUs as launchers lay them out.
#include "runtime/device/gpu_choice.hpp"

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

struct Case {
  const char* what;
  std::vector<RankOnNode> ranks;
  std::vector<int> gpus;
  int most;
};

}  // namespace

TEST_CASE("a rank takes the GPU of its number on the node, of those that it may use", "[unit]") {
  const std::vector<std::string> node{"a", "b", "c", "d"};
  const std::vector<Case> cases = {
      {"no GPUs", {{0, {}}, {1, {}}}, {-1, -1}, 0},
      {"all see all", {{0, node}, {1, node}, {2, node}, {3, node}}, {0, 1, 2, 3}, 1},
      {"fewer ranks than GPUs", {{0, node}, {1, node}}, {0, 1}, 1},
      {"each its own", {{0, {"a"}}, {1, {"b"}}, {2, {"c"}}}, {0, 0, 0}, 1},
      {"halves of a node",
       {{0, {"a", "b"}}, {1, {"a", "b"}}, {2, {"c", "d"}}, {3, {"c", "d"}}},
       {0, 1, 0, 1},
       1},
      {"two nodes", {{0, {"a"}}, {0, {"e"}}}, {0, 0}, 1},
      {"more ranks than GPUs", {{0, {"a"}}, {1, {"a"}}, {2, {"a"}}}, {0, 0, 0}, 3},
      {"three ranks on two", {{0, {"a", "b"}}, {1, {"a", "b"}}, {2, {"a", "b"}}}, {0, 1, 0}, 2},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    std::vector<int> gpus;
    for (const RankOnNode& rank : c.ranks)
      gpus.push_back(gpu_of(rank));
    CHECK(gpus == c.gpus);
    CHECK(most_ranks_on_a_gpu(c.ranks) == c.most);
  }
}
