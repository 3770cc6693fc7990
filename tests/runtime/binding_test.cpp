// SPDX-License-Identifier: Apache-2.0
// Who gets which cores: arithmetic only, on nodes of every kind.
#include "runtime/context/binding.hpp"

#include <numeric>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

CoreSet cores(int begin, int end) {
  CoreSet set(end - begin);
  std::iota(set.begin(), set.end(), begin);
  return set;
}

std::vector<BindingPlan> plan_all(const std::vector<CoreSet>& allowed) {
  std::vector<BindingPlan> plans;
  for (int r = 0; r < static_cast<int>(allowed.size()); ++r) {
    plans.push_back(plan_binding(allowed, r));
  }
  return plans;
}

}  // namespace

TEST_CASE("ranks that were not bound divide the node: all cores, none twice", "[unit]") {
  for (int num_cores = 1; num_cores <= 9; ++num_cores) {
    for (int ranks = 2; ranks <= num_cores; ++ranks) {
      INFO(ranks << " ranks on " << num_cores << " cores");
      CoreSet together;
      for (const BindingPlan& plan : plan_all(std::vector(ranks, cores(0, num_cores)))) {
        CHECK(plan.action == BindingAction::bind);
        CHECK(plan.threads == static_cast<int>(plan.cores.size()));
        CHECK(plan.threads >= num_cores / ranks);
        CHECK(plan.threads <= num_cores / ranks + 1);
        together.insert(together.end(), plan.cores.begin(), plan.cores.end());
      }
      CHECK(together == cores(0, num_cores));
    }
  }
}

TEST_CASE("one rank keeps all that it may use", "[unit]") {
  const BindingPlan plan = plan_binding({cores(0, 8)}, 0);
  CHECK(plan.action == BindingAction::keep);
  CHECK(plan.threads == 8);
}

TEST_CASE("more ranks than cores: nobody is bound, one thread each", "[unit]") {
  for (const BindingPlan& plan : plan_all(std::vector(3, cores(0, 2)))) {
    CHECK(plan.action == BindingAction::keep);
    CHECK(plan.threads == 1);
  }
}

TEST_CASE("a launcher that gave every rank its own cores is obeyed", "[unit]") {
  const auto plans = plan_all({{0, 1}, {2, 3, 4}, {7}});
  for (const BindingPlan& plan : plans)
    CHECK(plan.action == BindingAction::keep);
  CHECK(plans[0].threads == 2);
  CHECK(plans[1].threads == 3);
  CHECK(plans[2].threads == 1);
}

TEST_CASE("ranks that were bound to one socket divide that socket", "[unit]") {
  // Round robin over two sockets of four cores, as `mpirun --map-by socket` does.
  const auto plans = plan_all({cores(0, 4), cores(4, 8), cores(0, 4), cores(4, 8)});
  for (const BindingPlan& plan : plans)
    CHECK(plan.action == BindingAction::bind);
  CHECK(plans[0].cores == CoreSet{0, 1});
  CHECK(plans[2].cores == CoreSet{2, 3});
  CHECK(plans[1].cores == CoreSet{4, 5});
  CHECK(plans[3].cores == CoreSet{6, 7});
}

TEST_CASE("cores that overlap in part are kept and not crowded", "[unit]") {
  const auto plans = plan_all({cores(0, 6), cores(4, 8)});
  CHECK(plans[0].action == BindingAction::keep);
  CHECK(plans[0].threads == 3);
  CHECK(plans[1].action == BindingAction::keep);
  CHECK(plans[1].threads == 2);
}

TEST_CASE("threads: the environment, then the job, then the cores", "[unit]") {
  CHECK(choose_threads(nullptr, 0, 6) == 6);
  CHECK(choose_threads(nullptr, 4, 6) == 4);
  CHECK(choose_threads("3", 4, 6) == 3);
  CHECK(choose_threads("2,4", 0, 6) == 2);
  CHECK(choose_threads("", 4, 6) == 4);
  CHECK(choose_threads("many", 0, 6) == 6);
}

TEST_CASE("sets of cores are written as ranges", "[unit]") {
  CHECK(text_of({}) == "");
  CHECK(text_of({5}) == "5");
  CHECK(text_of({0, 1, 2, 3}) == "0-3");
  CHECK(text_of({0, 2, 3, 8}) == "0,2-3,8");
}
