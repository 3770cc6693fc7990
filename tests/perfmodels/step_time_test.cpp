// SPDX-License-Identifier: Apache-2.0
// Replays of recordings that are short enough to be worked out by hand.
#include "perfmodels/step_time.hpp"

#include "perfmodels/validate/validate.hpp"
#include "runtime/trace/trace.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;

namespace {

constexpr StreamKind kCompute = StreamKind::compute, kCommunicate = StreamKind::communication;

Record record(StreamKind stream, int after = -1) {
  return {.operation = {.name = "some"}, .stream = stream, .after = after};
}

// Two kernels, a sum that waits for the first, a kernel that waits for the sum.
std::vector<Record> overlapped() {
  return {record(kCompute), record(kCommunicate, 0), record(kCompute), record(kCompute, 1)};
}

Machine machine() {
  Machine m{.name = "test", .calibrated = true, .devices_per_node = 2, .cores_per_node = 8};
  ComputeProfile p{.peak_flops = {1e11},
                   .memory_bandwidth = {1e10},
                   .launch = {1e-6},
                   .gemm_efficiency = {0.5, 0.4, 0.6},
                   .attention_efficiency = {0.5, 0.4, 0.6},
                   .streaming_efficiency = {0.8, 0.7, 0.9}};
  m.compute.push_back(p);
  return m;
}

JobConfig small_gpt() {
  JobConfig job;
  job.model.layers = 2;
  job.model.hidden = 32;
  job.model.heads = 2;
  job.model.sequence = 16;
  job.model.vocabulary = 64;
  job.batch.global = 4;
  job.parallel.bucket_mb = 0.02;
  return job;
}

double sum_of(const Breakdown& b) {
  return b.gemm + b.attention + b.streaming + b.optimizer + b.data + b.launch + b.exposed +
         b.waiting.value;
}

}  // namespace

// A gather, a sum, and a kernel that waits for both; in the other order the gather comes first.
TEST_CASE("where each lane is a queue a kernel waits for all lanes that it needs") {
  std::vector<Record> records = {record(kCompute), record(kCommunicate, 0), record(kCommunicate, 0),
                                 record(kCompute, 2), record(kCompute, 2)};
  records[1].lane = Lane::data;
  records[2].lane = Lane::tensor;
  records[4].after = -1;
  records[4].besides = {1};
  const std::vector<double> seconds = {1, 4, 1, 1, 1};
  const std::vector<Span> one = replay(records, seconds, {});
  CHECK(one[3].begin == 6);
  CHECK(one[4].end == 8);
  const std::vector<Span> lanes = replay(records, seconds, {}, {}, Queues::each_lane);
  CHECK(lanes[3].begin == 2);
  CHECK(lanes[4].begin == 5);
}

TEST_CASE("streams run side by side, and wait where the recording says") {
  const std::vector<Span> hidden = replay(overlapped(), {1, 2, 3, 1}, {});
  CHECK(hidden[1].begin == 1);
  CHECK(hidden[1].end == 3);
  CHECK(hidden[2].begin == 1);
  CHECK(hidden[3].begin == 4);
  CHECK(hidden[3].end == 5);

  const std::vector<Span> exposed = replay(overlapped(), {1, 6, 3, 1}, {});
  CHECK(exposed[3].begin == 7);
}

TEST_CASE("while both streams are at work each is slower, and no longer") {
  // The sum of 1 takes 3 beside the kernel, which has then done 3 / 1.5 = 2 of its 4.
  const std::vector<Span> spans = replay(overlapped(), {1, 1, 4, 1}, {1.5, 3});
  CHECK(spans[1].end == Approx(4));
  CHECK(spans[2].end == Approx(6));
  // The kernel of 2 takes 3; the sum of 3 has then done 1, and does the other 2 alone.
  const std::vector<Span> other = replay(overlapped(), {1, 3, 2, 1}, {1.5, 3});
  CHECK(other[2].end == Approx(4));
  CHECK(other[1].end == Approx(6));
}

TEST_CASE("where communication shares the cores, its work is taken from the kernels") {
  Machine m = machine();
  CHECK(slowdowns_of(m).compute == 1);
  m.cores_per_node = 2;
  CHECK(slowdowns_of(m).compute == 2);
  CHECK(slowdowns_of(m).communication == 2);
  m.overlap.compute_slowdown = {1};
  m.overlap.communication_slowdown = {5};
  CHECK(slowdowns_of(m).compute == Approx(1.25));
  m.device = "cuda";
  CHECK(slowdowns_of(m).compute == 1);
}

TEST_CASE("phases span the kernels that belong to them") {
  std::vector<Record> records = overlapped();
  records.push_back({.operation = {.name = "reduce", .kind = OperationKind::phase, .shape = {2}},
                     .stream = kCompute});
  const std::vector<Span> spans = replay(records, {1, 2, 3, 1, 0}, {});
  CHECK(spans[4].begin == 1);
  CHECK(spans[4].end == 5);
}

TEST_CASE("a phase without kernels lasts from the kernel before it to the end of what it sends") {
  std::vector<Record> records = {record(kCompute), record(kCommunicate, 0)};
  records.push_back({.operation = {.name = "reduce", .kind = OperationKind::phase, .shape = {1}},
                     .stream = kCompute});
  const std::vector<Span> spans = replay(records, {1, 2, 0}, {});
  CHECK(spans[2].begin == 1);
  CHECK(spans[2].end == 3);
}

TEST_CASE("the parts of a predicted step add up to it, within its interval") {
  const auto record = record_step(small_gpt(), 2, 2);
  const StepPrediction p = predict_step(*record, machine());
  CHECK(p.seconds > 0);
  CHECK(sum_of(p.breakdown) == Approx(p.seconds));
  CHECK(p.low < p.seconds);
  CHECK(p.seconds < p.high);
  CHECK(p.low > 0.5 * p.seconds);
  CHECK_FALSE(p.in_range);  // no points, no curves
  CHECK_FALSE(p.guessed.empty());
  CHECK(p.tokens_per_second == Approx(4 * 16 / p.seconds));
  CHECK(p.mfu == Approx(model_flops(record->recording) / p.seconds / 1e11));
  CHECK(p.hfu > p.mfu);
  CHECK(p.memory.peak == record->memory.peak);
  const CommunicationSeconds& data = p.breakdown.axes.at("data");
  CHECK(data.exposed + p.breakdown.axes.at("world").exposed == Approx(p.breakdown.exposed));
  CHECK(data.hidden > 0);
  CHECK(p.breakdown.launch == Approx(1e-6 * 68).epsilon(0.5));
}

TEST_CASE("a slower machine takes longer, by what is slower") {
  const auto record = record_step(small_gpt(), 2, 2);
  Machine slow = machine();
  slow.compute[0].peak_flops = {0.5e11};
  const StepPrediction a = predict_step(*record, machine()), b = predict_step(*record, slow);
  CHECK(b.breakdown.gemm == Approx(2 * a.breakdown.gemm));
  CHECK(b.breakdown.optimizer == Approx(a.breakdown.optimizer));
}

TEST_CASE("the predicted timeline is a trace like a measured one, and explains itself fully") {
  const auto record = record_step(small_gpt(), 2, 2);
  const StepPrediction p = predict_step(*record, machine());
  const std::string text = chrome_trace({trace_events(*p.timeline, 0, 0)});
  const MeasuredTrace trace = parse_trace(text, "predicted");
  CHECK(trace.steps == 1);
  expect_same_job(trace, *record, "predicted");

  Machine exact = machine();
  exact.compute[0].launch = {};
  exact.overlap = {.compute_slowdown = {1}, .communication_slowdown = {1}};
  const StepPrediction q = predict_step(*record, exact);
  const Validation v =
      validate(parse_trace(chrome_trace({trace_events(*q.timeline, 0, 0)}), "predicted"), exact);
  CHECK(v.all.n > 10);
  CHECK(v.all.median < 0.01);  // of whole nanoseconds
  CHECK(v.measured_step == Approx(q.seconds).epsilon(0.01));
  CHECK(v.constant_mfu.n < v.all.n);
}

TEST_CASE("a trace of another job is refused") {
  JobConfig job = small_gpt();
  const auto record = record_step(job, 2, 2);
  const StepPrediction p = predict_step(*record, machine());
  const MeasuredTrace trace =
      parse_trace(chrome_trace({trace_events(*p.timeline, 0, 0)}), "trace.json");
  job.model.layers = 3;
  const auto other = record_step(job, 2, 2);
  const std::string error =
      test::config_error([&] { expect_same_job(trace, *other, "trace.json"); });
  CHECK(error.find("trace.json is of another job: it launches ") == 0);
  CHECK(test::config_error([] { parse_trace("{}", "x.json"); }).find("x.json is no trace") == 0);
}

TEST_CASE("of a collective its transfer is validated, and what ranks waited before stands apart") {
  const OperationGroup data{.name = "data", .ranks = 2};
  MeasuredTrace trace{.ranks = 2, .steps = 2};
  const auto add = [&](int rank, double seconds) {
    MeasuredOperation m{.rank = rank, .seconds = seconds};
    m.operation = {.name = "all_reduce", .kind = OperationKind::collective};
    m.operation.shape = {1000};
    m.operation.ranks = 2;
    m.operation.detail = "native/ring";
    m.operation.group = &data;
    trace.operations.push_back(m);
  };
  for (const double seconds : {3e-3, 1e-3})  // of rank 0: once it waits, once it is waited for
    add(0, seconds);
  for (const double seconds : {1e-3, 6e-3})
    add(1, seconds);
  const Validation v = validate(trace, machine());
  REQUIRE(v.rows.size() == 1);
  CHECK(v.rows[0].measured == Approx(1e-3));
  CHECK(v.rows[0].launches == 4);
  CHECK(v.waited == Approx(7e-3 / 4));
}

TEST_CASE("errors are summed up by their absolute values, with the sign of the median") {
  const ErrorSummary s = summary_of({-0.1, 0.3, -0.2});
  CHECK(s.n == 3);
  CHECK(s.mean == Approx(0.2));
  CHECK(s.median == Approx(0.2));
  CHECK(s.maximum == Approx(0.3));
  CHECK(s.signed_median == Approx(-0.1));
}
