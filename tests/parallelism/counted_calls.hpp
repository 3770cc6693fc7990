// SPDX-License-Identifier: Apache-2.0
// Ranks that are threads, and what each of them sent, counted by its flight recorder.
#pragma once

#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/flight_recorder.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "tests/collectives/ranks.hpp"

namespace lockstep::test {

// Asked often enough: a seat remembers Seat::kCalls.
class CountedCalls {
 public:
  CountedCalls(Device& device, const FlightRecorder& recorder)
      : device_(device), recorder_(recorder) {}

  // What was called since the last time, in all groups.
  std::vector<CallRecord> take() {
    device_.communication().synchronize();
    std::vector<CallRecord> fresh;
    for (const CallRecord& call : recorder_.calls()) {
      if (call.entered > taken_) fresh.push_back(call);
    }
    expect(fresh.size() < Seat::kCalls, "more calls than a seat remembers");
    taken_ = now();
    return fresh;
  }

 private:
  Device& device_;
  const FlightRecorder& recorder_;
  double taken_ = 0;
};

using RankBody =
    std::function<void(const Communicator& world, Device& device, CountedCalls& calls)>;

inline void on_counted_ranks(int ranks, const RankBody& body) {
  const auto recorders = FlightRecorder::of_threads(ranks);
  on_ranks(ranks, [&](Transport& net) {
    const auto& recorder = recorders[static_cast<std::size_t>(net.rank())];
    const auto device = make_cpu_device();
    const auto world =
        Communicator::over(net.split(0, net.rank()), *device, {.timeout_seconds = 60}, recorder);
    CountedCalls calls(*device, *recorder);
    body(world, *device, calls);
  });
}

// Elements that the ranks of a group send in a call, all together: a ring's, which no algorithm
// undercuts.
inline std::int64_t sent(const CallRecord& call, std::int64_t ranks) {
  const auto count = static_cast<std::int64_t>(call.count);
  switch (call.what) {
    case Collective::all_reduce:
      return 2 * (ranks - 1) * count;
    case Collective::reduce_scatter:
    case Collective::all_gather:
      return (ranks - 1) * count;
    case Collective::send:
      return count;
    case Collective::receive:
      return 0;
    default:
      throw LogicError(std::string("nothing is stated of ") + name_of(call.what));
  }
}

inline std::int64_t sent(const std::vector<CallRecord>& calls, std::int64_t ranks) {
  std::int64_t elements = 0;
  for (const CallRecord& call : calls)
    elements += sent(call, ranks);
  return elements;
}

}  // namespace lockstep::test
