// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_stored.hpp"

#include "parallelism/pipeline/check.hpp"
#include "parallelism/pipeline/table.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("what every schedule stores is counted as the checker finds it") {
  for (const ScheduleKind* kind : schedule_kinds()) {
    for (const PipelineShape shape : {PipelineShape{4, 8, 1}, PipelineShape{3, 9, 2}}) {
      if (!kind->refusal(shape).empty()) continue;
      INFO(kind->name << " on " << shape.stages << " stages");
      const PipelineSchedule schedule = make_schedule(*kind, shape);
      const StoredPasses passes = stored_passes(schedule);
      CHECK(passes.stored == check(schedule).peak_stored);
      if (shape.chunks == 1) CHECK(passes.of_last_part == passes.stored.back());
      for (std::size_t s = 1; s < passes.waiting.size(); ++s)
        CHECK((passes.waiting[s] > 0) == kind->defers);
    }
  }
}
