// SPDX-License-Identifier: Apache-2.0
// The diagrams of a schedule.
#include "parallelism/pipeline/gantt.hpp"
#include "parallelism/pipeline/messages.hpp"
#include "parallelism/pipeline/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

namespace {

std::vector<GanttSpan> spans_of(const char* name, const PipelineShape& shape) {
  const PipelineSchedule schedule = with_messages(make_schedule(name, shape));
  return gantt_spans(schedule, simulate_schedule(schedule, {.message = 0.25}));
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++n;
  return n;
}

}  // namespace

TEST_CASE("the text shows each pass where it runs", "[unit]") {
  const PipelineSchedule schedule = make_schedule("1f1b", {2, 2, 1});
  const auto spans = gantt_spans(schedule, simulate_schedule(schedule, {}));
  CHECK(gantt_text(spans, 24) ==
        "stage  0 |F0-F1-...B0-W0-...B1-W1-|\n"
        "stage  1 |...F0-B0-W0-F1-B1-W1-...|\n"
        "F forward, B backward of the input, W gradient of the weights, . idle; 8 s from edge to "
        "edge\n");
  CHECK(gantt_text(spans, 8).substr(0, 19) == "stage  0 |FF.BW.BW|");
  CHECK(gantt_text({}, 80).empty());
}

TEST_CASE("the drawing has a box for every pass and a bar for every end of a message", "[unit]") {
  const auto spans = spans_of("interleaved", {2, 4, 2});
  const std::string svg = gantt_svg(spans, "2 stages & <4> micro-batches");
  CHECK(svg.substr(0, 4) == "<svg");
  CHECK(count(svg, "stroke=\"white\"") == 2 * 4 * 2 * 3);
  CHECK(count(svg, "fill=\"#3b6ea5\"") == 2 * 3 * 4 + 1);  // three boundaries, and the legend
  CHECK(test::contains(svg, "2 stages &amp; &lt;4&gt; micro-batches"));
  CHECK(test::contains(svg, "time (s)"));
  CHECK(gantt_svg({}, "").empty());
}

TEST_CASE("a span without length is drawn", "[unit]") {
  const std::vector<GanttSpan> instant = {{.stage = 1, .begin = 3, .end = 3}};
  CHECK_FALSE(test::contains(gantt_svg(instant, "instant"), "nan"));
  CHECK(test::contains(gantt_text(instant, 10), "stage  1 |..........|"));
}
