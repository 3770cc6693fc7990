// SPDX-License-Identifier: Apache-2.0
#include "collectives/library_prices.hpp"

#include <algorithm>
#include <cmath>

#include "collectives/sample_call.hpp"
#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {

constexpr double kPatienceSeconds = 60;
constexpr std::size_t kBytes[] = {8, 256, 4 << 10, 64 << 10, 1 << 20, 8 << 20};
constexpr double kGrowth = 8;  // of the time, from one size to the next, roughly
constexpr int kWarmUps = 2, kLeastRepetitions = 3, kMostRepetitions = 15;

// Runs calls of one library and knows how long they take on the slowest rank.
class Stopwatch {
 public:
  Stopwatch(Backend& library, double budget_seconds)
      : library_(library),
        deadline_{now() + budget_seconds + kPatienceSeconds},
        in_(kBytes[std::size(kBytes) - 1]),
        out_(in_.size()) {}

  double median_seconds(Collective what, std::size_t bytes, int repetitions) {
    const Sample sample{.what = what,
                        .count = bytes / sizeof(float),
                        .ranks = library_.size(),
                        .rank = library_.rank()};
    const Call call = sample.can_be_in_place() ? sample.in_place(in_.data())
                                               : sample.apart(out_.data(), in_.data());
    for (int i = 0; i < kWarmUps; ++i)
      run(call);
    std::vector<double> seconds;
    for (int i = 0; i < repetitions; ++i) {
      run(barrier_call());
      const double begin = now();
      run(call);
      seconds.push_back(now() - begin);
    }
    const Elements all{reinterpret_cast<std::byte*>(seconds.data()), seconds.size(),
                       DType::float64};
    run(all_reduce_call(all, all, ReduceOp::max, library_.size()));
    std::nth_element(seconds.begin(), seconds.begin() + repetitions / 2, seconds.end());
    return seconds[static_cast<std::size_t>(repetitions / 2)];
  }

 private:
  void run(const Call& call) { library_.run(call, library_.choose(call), deadline_); }

  Backend& library_;
  Deadline deadline_;
  std::vector<std::byte> in_, out_;
};

}  // namespace

// Larger sizes are left out once a collective has used up its share: all ranks know the same times,
// so they stop at the same size.
LibraryPrices::LibraryPrices(Backend& library, double budget_seconds) {
  if (library.size() == 1) return;
  Stopwatch stopwatch(library, budget_seconds);
  for (int i = 0; i < kNumCollectives; ++i) {
    const auto what = static_cast<Collective>(i);
    if (is_message(what)) continue;
    double left = budget_seconds / (kNumCollectives - 2);
    for (const std::size_t bytes : kBytes) {
      double seconds = stopwatch.median_seconds(what, bytes, kLeastRepetitions);
      left -= (kLeastRepetitions + kWarmUps) * seconds;
      const double more = left / 4 / seconds;
      if (more > kLeastRepetitions) {
        const int repetitions = static_cast<int>(std::min<double>(more, kMostRepetitions));
        seconds = stopwatch.median_seconds(what, bytes, repetitions);
        left -= (repetitions + kWarmUps) * seconds;
      }
      curves_[static_cast<std::size_t>(i)].push_back({static_cast<double>(bytes), seconds});
      const double next = kGrowth * (kLeastRepetitions + kWarmUps) * seconds;
      if (what == Collective::barrier || left < next) break;
    }
  }
}

double LibraryPrices::seconds(const Call& call) const {
  const std::vector<Point>& curve = curves_[static_cast<std::size_t>(call.what)];
  if (curve.empty()) return 0;
  const auto bytes = static_cast<double>(call.bytes());
  const auto above = std::find_if(curve.begin(), curve.end(),
                                  [&](const Point& point) { return point.bytes >= bytes; });
  if (above == curve.begin()) return curve.front().seconds;
  const Point& low = *(above - 1);
  if (above == curve.end()) {
    return call.what == Collective::barrier ? low.seconds : low.seconds * bytes / low.bytes;
  }
  const double share = std::log(bytes / low.bytes) / std::log(above->bytes / low.bytes);
  return low.seconds * std::pow(above->seconds / low.seconds, share);
}

}  // namespace lockstep
