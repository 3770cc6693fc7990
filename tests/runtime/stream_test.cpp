// SPDX-License-Identifier: Apache-2.0
// Order within a stream, order between streams, errors, recordings.
#include "runtime/device/stream.hpp"

#include <future>
#include <thread>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

const Operation kSome{.name = "some", .kind = OperationKind::streaming, .shape = {4}};

std::unique_ptr<Stream> worker() {
  return make_worker_stream(StreamKind::communication);
}

}  // namespace

TEST_CASE("a worker runs in program order, one body at a time, whoever carries it out", "[unit]") {
  auto stream = worker();
  std::vector<int> order;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 20; ++i) {
      stream->run(kSome, [&, n = 20 * round + i] { order.push_back(n); });
      if (i == round % 20) stream->wake();
    }
    stream->synchronize();
  }

  REQUIRE(order.size() == 1000);
  for (int i = 0; i < 1000; ++i)
    CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("without a waiter the worker carries it out: at once when woken, soon otherwise",
          "[unit]") {
  for (const bool woken : {true, false}) {
    auto stream = worker();
    std::promise<bool> beside;
    stream->run(kSome, [&] { beside.set_value(in_background()); });
    if (woken) stream->wake();
    CHECK(beside.get_future().get());
    CHECK_FALSE(in_background());
  }
}

TEST_CASE("an event is done when what was submitted before it is done, not later", "[unit]") {
  auto stream = worker();
  std::promise<void> go_first, go_second;
  stream->run(kSome, [f = go_first.get_future().share()] { f.wait(); });
  const Event first = stream->record();
  stream->run(kSome, [f = go_second.get_future().share()] { f.wait(); });
  const Event second = stream->record();

  CHECK_FALSE(first.done());
  go_first.set_value();
  first.wait();
  CHECK(first.done());
  CHECK_FALSE(second.done());
  go_second.set_value();
  second.wait();
  CHECK(second.done());
}

TEST_CASE("a default event is done", "[unit]") {
  const Event event;
  CHECK(event.done());
  event.wait();
}

TEST_CASE("a stream that waits for another's event runs after it; the caller goes on", "[unit]") {
  auto a = worker(), b = worker();
  std::promise<void> go;
  bool a_ran = false, b_saw_a = false;
  a->run(kSome, [&, f = go.get_future().share()] {
    f.wait();
    a_ran = true;
  });
  b->wait(a->record());
  b->run(kSome, [&] { b_saw_a = a_ran; });
  const Event b_done = b->record();

  CHECK_FALSE(b_done.done());
  go.set_value();
  b_done.wait();
  CHECK(b_saw_a);
}

TEST_CASE("after an exception nothing runs, and everybody who waits gets it", "[unit]") {
  auto stream = worker();
  bool later_ran = false;
  stream->run(kSome, [] {});
  const Event before = stream->record();
  stream->run(kSome, [] { throw SystemError("link down"); });
  const Event at = stream->record();
  stream->run(kSome, [&] { later_ran = true; });
  const Event after = stream->record();

  CHECK_NOTHROW(before.wait());
  CHECK_THROWS_AS(at.wait(), SystemError);
  CHECK_THROWS_AS(at.wait(), SystemError);
  CHECK_THROWS_AS(after.wait(), SystemError);
  CHECK_THROWS_AS(stream->synchronize(), SystemError);
  CHECK_FALSE(later_ran);
}

TEST_CASE("an exception reaches the streams that wait for its event", "[unit]") {
  auto a = worker(), b = worker();
  a->run(kSome, [] { throw SystemError("link down"); });
  b->wait(a->record());
  CHECK_THROWS_AS(b->synchronize(), SystemError);
  CHECK_THROWS_AS(make_inline_stream(StreamKind::compute)->wait(a->record()), SystemError);
}

TEST_CASE("a worker ends what was submitted before it goes", "[unit]") {
  int runs = 0;
  {
    auto stream = worker();
    for (int i = 0; i < 10; ++i)
      stream->run(kSome, [&] { ++runs; });
  }
  CHECK(runs == 10);
}

TEST_CASE("what a body holds is released before the stream is synchronized", "[unit]") {
  auto stream = worker();
  auto held = std::make_shared<int>(1);
  stream->run(kSome, [held] {});
  stream->synchronize();
  CHECK(held.use_count() == 1);
}

TEST_CASE("an inline stream runs at once and throws at once", "[unit]") {
  auto stream = make_inline_stream(StreamKind::compute);
  bool ran = false;
  stream->run(kSome, [&] { ran = true; });
  CHECK(ran);
  CHECK(stream->record().done());
  CHECK_THROWS_AS(stream->run(kSome, [] { throw SystemError("bad"); }), SystemError);
}

TEST_CASE("a dry stream records and runs nothing", "[unit]") {
  auto stream = make_dry_stream(StreamKind::compute);
  Recording recording;
  stream->record_into(&recording);
  bool ran = false;
  stream->run(kSome, [&] { ran = true; });

  CHECK_FALSE(ran);
  CHECK_FALSE(stream->executes());
  REQUIRE(recording.records().size() == 1);
  CHECK(recording.records()[0].operation.shape[0] == 4);
  CHECK(recording.records()[0].end == 0);
}

TEST_CASE("streams record while they are told to, with times in order", "[unit]") {
  for (auto& stream : {std::shared_ptr(make_inline_stream(StreamKind::communication)),
                       std::shared_ptr(worker())}) {
    Recording recording;
    stream->run(kSome, [] {});
    stream->record_into(&recording);
    stream->run(kSome, [] {});
    stream->run(kSome, [] {});
    stream->record_into(nullptr);
    stream->run(kSome, [] {});
    stream->synchronize();

    const auto& records = recording.records();
    REQUIRE(records.size() == 2);
    CHECK(records[0].stream == StreamKind::communication);
    CHECK(0 < records[0].begin);
    CHECK(records[0].begin <= records[0].end);
    CHECK(records[0].end <= records[1].begin);
    CHECK(stream->busy_seconds() >= 0);
  }
}

TEST_CASE("dry streams record what orders them, within one recording", "[unit]") {
  auto compute = make_dry_stream(StreamKind::compute);
  auto communication = make_dry_stream(StreamKind::communication);
  Recording recording, other;
  compute->record_into(&other);
  compute->run(kSome, [] {});
  const Event of_other = compute->record();
  compute->record_into(&recording);
  communication->record_into(&recording);

  communication->wait(of_other);
  communication->run(kSome, [] {});  // 0
  compute->run(kSome, [] {});        // 1
  const Event first = compute->record();
  compute->run(kSome, [] {});  // 2
  const Event second = compute->record();
  communication->wait(second);
  communication->wait(first);
  communication->run(kSome, [] {});  // 3
  communication->run(kSome, [] {});  // 4
  compute->wait(compute->record());
  compute->run(kSome, [] {});  // 5
  compute->wait(communication->record());
  compute->run(kSome, [] {});  // 6

  std::vector<int> after;
  for (const Record& r : recording.records())
    after.push_back(r.after);
  CHECK(after == std::vector<int>{-1, -1, -1, 2, -1, -1, 4});
}

TEST_CASE("a kernel waits for several lanes, and a lane for what the compute stream waits for",
          "[unit]") {
  auto compute = make_dry_stream(StreamKind::compute);
  auto data = make_dry_stream(StreamKind::communication, {}, Lane::data);
  auto tensor = make_dry_stream(StreamKind::communication, {}, Lane::tensor);
  Recording recording;
  for (Stream* stream : {compute.get(), data.get(), tensor.get()})
    stream->record_into(&recording);
  data->run(kSome, [] {});    // 0
  tensor->run(kSome, [] {});  // 1
  data->run(kSome, [] {});    // 2
  compute->wait(tensor->record());
  compute->wait(data->record());
  compute->run(kSome, [] {});  // 3: after 2, besides 1
  tensor->run(kSome, [] {});   // 4
  compute->wait(tensor->record());
  data->wait(compute->record());
  data->run(kSome, [] {});  // 5: after 3, besides 4

  const std::vector<Record>& records = recording.records();
  CHECK(records[3].after == 2);
  CHECK(records[3].besides == std::vector{1});
  CHECK(records[5].after == 3);
  CHECK(records[5].besides == std::vector{4});
  CHECK(records[5].lane == Lane::data);
}

TEST_CASE("a recording keeps the groups of its collectives", "[unit]") {
  Recording recording;
  for (int i = 0; i < 2; ++i) {
    const OperationGroup group{.name = "data", .ranks = 4, .nodes = 2};
    recording.add({.kind = OperationKind::collective, .group = &group}, StreamKind::communication);
  }
  const OperationGroup* kept = recording.records()[0].operation.group;
  CHECK(kept == recording.records()[1].operation.group);
  CHECK(kept->name == "data");
  CHECK(kept->nodes == 2);
}

TEST_CASE("a phase spans what runs while it lives, on a dry stream too", "[unit]") {
  Recording recording, dry_recording;
  auto stream = make_inline_stream(StreamKind::compute);
  auto dry = make_dry_stream(StreamKind::compute);
  stream->record_into(&recording);
  dry->record_into(&dry_recording);
  {
    dry->run(kSome, [] {});
    PhaseSpan phase(*stream, "forward"), dry_phase(*dry, "forward");
    stream->run(kSome, [] {});
    dry->run(kSome, [] {});
    dry->run(kSome, [] {});
  }
  REQUIRE(recording.records().size() == 2);
  const Record &inner = recording.records()[0], &outer = recording.records()[1];
  CHECK(std::string(outer.operation.name) == "forward");
  CHECK(outer.operation.kind == OperationKind::phase);
  CHECK(outer.begin <= inner.begin);
  CHECK(inner.end <= outer.end);
  CHECK(outer.operation.shape[0] == 1);
  REQUIRE(dry_recording.records().size() == 4);
  CHECK(dry_recording.records()[3].operation.shape[0] == 2);
  CHECK(dry_recording.records()[3].end == 0);
}

TEST_CASE("model_flops counts products and attention, nothing else", "[unit]") {
  Recording recording;
  recording.add({.kind = OperationKind::gemm, .flops = 100}, StreamKind::compute);
  recording.add({.kind = OperationKind::attention, .flops = 20}, StreamKind::compute);
  recording.add({.kind = OperationKind::streaming, .flops = 3}, StreamKind::compute);
  recording.add({.kind = OperationKind::collective, .flops = 4}, StreamKind::communication);
  CHECK(model_flops(recording) == 120);
}
