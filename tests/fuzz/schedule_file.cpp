// SPDX-License-Identifier: Apache-2.0
// An order of pipeline passes. The first byte says for which shape.
#include "parallelism/pipeline/schedule_file.hpp"

#include "tests/fuzz/outcome.hpp"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const PipelineShape shape{
      .stages = 1 + data[0] % 4, .micro_batches = 1 + data[0] / 4 % 8, .chunks = 1 + data[0] / 128};
  const std::string text = fuzz::text_of(data + 1, size - 1);
  PipelineSchedule schedule;
  if (!fuzz::accepted([&] { schedule = parse_schedule(text, "order", shape); })) return 0;
  const PipelineSchedule again = parse_schedule(schedule_text(schedule), "written", shape);
  fuzz::expect(again.stages == schedule.stages);
  return 0;
}
