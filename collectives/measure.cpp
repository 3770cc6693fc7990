// SPDX-License-Identifier: Apache-2.0
#include "collectives/measure.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "collectives/algorithms/table.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kPatienceSeconds = 60;  // beyond the budget: a rank may come late to the start
constexpr std::size_t kMessageBytes[] = {8, 4 << 10, 64 << 10, 1 << 20};
constexpr std::size_t kBytesOfGpus[] = {8, 16 << 10, 256 << 10, 4 << 20};  // faster links
constexpr std::size_t kLargestMessage = 1 << 20;
constexpr std::size_t kCombinedBytes = 256 << 10;
constexpr std::size_t kArrayBytes = 4 << 20;  // beyond a core's own caches
constexpr int kLeastRepetitions = 3, kMostRepetitions = 60;
constexpr int kLaunched = 8;  // steps of a GPU that the host waits for together, as in an algorithm

// What one rank found; zero where it measured nothing.
enum Constant {
  inside_alpha,
  inside_beta,
  across_alpha,
  across_beta,
  gamma_of_all,
  sync,
  copy,
  reduce,
  stage,
  reach,
  fetch,
  kNumConstants
};
using Found = std::array<double, kNumConstants>;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Waits for the steps that were only launched.
void wait_for_steps(Transport& net) {
  net.end(barrier_call());
  wait_for(net.take_under_way());
}

// Of one step.
template <class F>
double median_seconds(Transport& net, int repetitions, F&& step) {
  const int steps = net.launches() ? kLaunched : 1;
  const auto seconds_of_each = [&] {
    const double begin = now();
    for (int i = 0; i < steps; ++i)
      step();
    wait_for_steps(net);
    return (now() - begin) / steps;
  };
  seconds_of_each();  // memory is touched, connections are made
  std::vector<double> seconds;
  for (int i = 0; i < repetitions; ++i)
    seconds.push_back(seconds_of_each());
  return median(std::move(seconds));
}

template <class T>
Elements elements_of(std::span<T> values) {
  return {reinterpret_cast<std::byte*>(values.data()), values.size(), dtype_of<T>()};
}

// Memory where the transport works, with values of the host.
template <class T>
class Array {
 public:
  Array(Transport& net, std::span<T> values)
      : net_(net), count_(values.size()), memory_(net.working_memory(values.size_bytes())) {
    net.copy(all(), elements_of(values));
    wait_for_steps(net);
  }
  Elements all() const { return {memory_.get(), count_, dtype_of<T>()}; }
  Elements part(std::size_t begin, std::size_t bytes) const {
    return {memory_.get() + begin, bytes / sizeof(T), dtype_of<T>()};
  }
  void copy_to(std::span<T> values) const {
    net_.copy(elements_of(values), all());
    wait_for_steps(net_);
  }

 private:
  Transport& net_;
  std::size_t count_;
  std::shared_ptr<std::byte> memory_;
};

Array<float> ones(Transport& net, std::size_t bytes) {
  std::vector<float> values(bytes / sizeof(float), 1.0f);
  return {net, std::span(values)};
}

// Ranks of equal place on their nodes, or of one node, in pairs: the other one's rank, -1 for none.
enum class Level { inside, across };

int neighbour(const Transport& net, Level level) {
  const int my_node = net.node_of(net.rank());
  const auto on_node = [&](int node) {
    std::vector<int> ranks;
    for (int r = 0; r < net.size(); ++r) {
      if (net.node_of(r) == node) ranks.push_back(r);
    }
    return ranks;
  };
  const std::vector<int> mine = on_node(my_node);
  const auto place =
      static_cast<std::size_t>(std::find(mine.begin(), mine.end(), net.rank()) - mine.begin());
  const std::vector<int> theirs = level == Level::inside ? mine : on_node(my_node ^ 1);
  const std::size_t partner = level == Level::inside ? place ^ 1 : place;
  return partner < theirs.size() ? theirs[partner] : -1;
}

// Both of a pair exchange what they found and take the larger, so that they agree.
double agreed(Transport& net, int peer, double value) {
  double other = 0;
  const Array<double> mine(net, {&value, 1}), theirs(net, {&other, 1});
  net.exchange(mine.all(), peer, theirs.all(), peer);
  theirs.copy_to({&other, 1});
  return std::max(value, other);
}

// alpha and beta >= 0 that minimize the sum of ((alpha + beta n) / t - 1)^2.
struct Line {
  double alpha, beta;
};
Line fit(std::span<const double> bytes, std::span<const double> seconds) {
  double w = 0, wn = 0, wnn = 0, wt = 0, wnt = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const double t = std::max(seconds[i], 1e-9), n = bytes[i], weight = 1 / (t * t);
    w += weight;
    wn += weight * n;
    wnn += weight * n * n;
    wt += weight * t;
    wnt += weight * n * t;
  }
  const double alpha = (wnn * wt - wn * wnt) / (w * wnn - wn * wn);
  const double beta = (w * wnt - wn * wt) / (w * wnn - wn * wn);
  constexpr double kLeastAlpha = 1e-9, kLeastBeta = 1e-13;  // noise may ask for less than nothing
  return {std::max(alpha, kLeastAlpha), std::max(beta, kLeastBeta)};
}

// Messages begin at ever new places of an array that no core's own cache holds.
Line measure_messages(Transport& net, int peer, double budget) {
  const Array<float> out = ones(net, kArrayBytes), in = ones(net, kArrayBytes);
  const double steps = net.launches() ? kLaunched : 1;
  std::vector<double> bytes, seconds;
  std::size_t begin = 0;
  for (const std::size_t size : net.launches() ? kBytesOfGpus : kMessageBytes) {
    const auto exchange = [&] {
      net.exchange(out.part(begin, size), peer, in.part(begin, size), peer);
      begin = (begin + size) % kArrayBytes;
    };
    begin = 0;
    const double first = agreed(net, peer, median_seconds(net, kLeastRepetitions, exchange));
    const double fitting = budget / static_cast<double>(std::size(kMessageBytes)) / steps / first;
    const int repetitions =
        static_cast<int>(std::clamp<double>(fitting, kLeastRepetitions, kMostRepetitions));
    bytes.push_back(static_cast<double>(size));
    seconds.push_back(agreed(net, peer, median_seconds(net, repetitions, exchange)));
  }
  return fit(bytes, seconds);
}

void measure_level(Transport& net, Level level, double budget, Found& found) {
  const int peer = neighbour(net, level);
  if (peer < 0) return;
  const Line line = measure_messages(net, peer, budget);
  found[level == Level::inside ? inside_alpha : across_alpha] = line.alpha;
  found[level == Level::inside ? inside_beta : across_beta] = line.beta;
}

void measure_arithmetic(Transport& net, Found& found) {
  const Array<float> a = ones(net, kArrayBytes), b = ones(net, kArrayBytes);
  const std::size_t combined = net.launches() ? kArrayBytes : kCombinedBytes;
  std::size_t begin = 0;
  const auto combine = [&] {  // as in a ring: the one has just come, the other was left long ago
    const Elements target = a.part(begin, combined);
    net.combine(target, target, b.part(0, combined), ReduceOp::sum);
    begin = (begin + combined) % kArrayBytes;
  };
  found[gamma_of_all] = median_seconds(net, 31, combine) / static_cast<double>(combined);
  if (!net.shared()) return;
  const Array<float> c = ones(net, kArrayBytes);
  const auto bytes = static_cast<double>(kArrayBytes);
  found[copy] = median_seconds(net, 5, [&] { net.copy(a.all(), b.all()); }) / bytes;
  const Elements outs[] = {a.all()}, ins[] = {b.all(), c.all()};
  const auto reduce_both = [&] { net.combine_all(outs, ins, ReduceOp::sum); };
  found[reduce] = median_seconds(net, 5, reduce_both) / (2 * bytes);
}

void measure_shared(Transport& net, SharedMemory& memory, Found& found) {
  constexpr int kBarriers = 32;  // one is too short for the clock
  const auto barriers = [&] {
    for (int i = 0; i < kBarriers; ++i)
      memory.barrier();
  };
  found[sync] = median_seconds(net, 9, barriers) / (kBarriers * net.size());

  const Array<float> out = ones(net, kLargestMessage), in = ones(net, kLargestMessage);
  const Elements few = out.part(0, kStageBytes / 2), sum = in.part(0, kStageBytes / 2);
  const auto stage_and_reduce = [&] {
    memory.stage(few);
    net.combine_all({&sum, 1}, memory.staged_by_all(net.size()), ReduceOp::sum);
  };
  const double staged = median_seconds(net, 9, stage_and_reduce) - found[sync] * net.size();
  found[stage] = std::max(staged, 0.0) / (static_cast<double>(few.bytes()) * net.size());

  memory.show(out.all());
  if (!memory.addressable() && memory.reads_private()) {
    const int peer = (net.rank() + 1) % net.size();
    const auto fetched = [&](std::size_t bytes) {
      return median_seconds(net, 9, [&] { memory.fetch(in.part(0, bytes), peer, 0); });
    };
    constexpr std::size_t kLittle = 64;
    const double little = fetched(kLittle), all = fetched(kLargestMessage);
    found[reach] = little;
    found[fetch] = std::max(all - little, 0.0) / static_cast<double>(kLargestMessage - kLittle);
  }
  memory.barrier();
}

void measure_local(Transport& net, Found& found) {
  measure_arithmetic(net, found);
  if (SharedMemory* memory = net.shared()) measure_shared(net, *memory, found);
}

// Means over the ranks that measured.
Found averaged(Transport& net, const Found& found, const Deadline& deadline) {
  std::vector<double> sums(2 * found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    sums[i] = found[i];
    sums[found.size() + i] = found[i] > 0 ? 1 : 0;
  }
  const Array<double> all(net, sums);
  const Call call = all_reduce_call(all.all(), all.all(), ReduceOp::sum, net.size());
  const auto serves = [shape = net.shape()](const Algorithm* algorithm) {
    return algorithm->what == Collective::all_reduce && !algorithm->refusal(shape);
  };
  const auto any = std::find_if(algorithms().begin(), algorithms().end(), serves);
  expect(any != algorithms().end(), "no all-reduce serves every group");
  net.begin(call, deadline);
  (*any)->run(net, call);
  all.copy_to(sums);
  Found mean{};
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (sums[found.size() + i] > 0) mean[i] = sums[i] / sums[found.size() + i];
  }
  return mean;
}

void take(double& constant, const char*& source, double measured) {
  if (measured <= 0) return;
  constant = measured;
  source = "measured";
}

Links links_of(const Found& found) {
  Links links;
  take(links.inside.alpha, links.inside.source, found[inside_alpha]);
  take(links.inside.beta, links.inside.source, found[inside_beta]);
  take(links.across.alpha, links.across.source, found[across_alpha]);
  take(links.across.beta, links.across.source, found[across_beta]);
  for (Link* link : {&links.inside, &links.across}) {
    take(link->gamma, link->gamma_source, found[gamma_of_all]);
  }
  SharedCosts& shared = links.shared;
  take(shared.sync, shared.source, found[sync]);
  take(shared.crowded_sync, shared.source, found[sync]);  // as crowded as this group is
  take(shared.copy, shared.source, found[copy]);
  take(shared.reduce, shared.source, found[reduce]);
  take(shared.stage, shared.source, found[stage]);
  take(shared.reach, shared.source, found[reach]);
  take(shared.fetch, shared.source, found[fetch]);
  return links;
}

}  // namespace

Links measure_links(Transport& net, double budget_seconds) {
  if (net.size() == 1) return {};
  const Deadline deadline{now() + budget_seconds + kPatienceSeconds};
  net.begin(barrier_call(), deadline);
  Found found{};
  const double for_messages = 0.7 * budget_seconds / (net.shape().nodes > 1 ? 2 : 1);
  measure_level(net, Level::inside, for_messages, found);
  measure_level(net, Level::across, for_messages, found);
  measure_local(net, found);
  return links_of(averaged(net, found, deadline));
}

Links measure_local_steps(Transport& net) {
  if (net.size() == 1) return {};
  const Deadline deadline{now() + kPatienceSeconds};
  net.begin(barrier_call(), deadline);
  Found found{};
  measure_local(net, found);
  return links_of(averaged(net, found, deadline));
}

}  // namespace lockstep
