// SPDX-License-Identifier: Apache-2.0
// Takes turns among many measurements, on all ranks at once, until the time is used up.
//
// Every item is visited in several rounds, in a new order each time, so that a machine whose speed
// drifts does so for all of them; one whose interval is narrow enough is left out. The ranks
// combine their samples after each visit, and so take every decision alike.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "perfmodels/calibrate/statistics.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

// What is repeated, with the memory that it needs for as long as it is visited.
class Trial {
 public:
  Trial() = default;
  virtual ~Trial() = default;
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // One repetition: the seconds of each series, as this rank saw them; negative where it took no
  // part. All ranks call it equally often.
  virtual void run(std::span<double> seconds) = 0;
};

// One repetition took as long as the ranks that took part did on average, or as the slowest.
enum class Over : std::uint8_t { mean, slowest };

struct Item {
  std::string name{};                                 // for messages
  std::function<std::unique_ptr<Trial>()> prepare{};  // collective
  std::size_t num_series = 1;
  Over over = Over::mean;
};

class Sampler {
 public:
  // `narrow`: the width of an interval, as a share of its median, at which an item has enough.
  Sampler(const Context& context, double narrow) : context_(context), narrow_(narrow) {}

  std::size_t add(Item item);
  std::size_t size() const { return items_.size(); }
  // Visits items `first`... `rounds` times; takes about `seconds`, more if that is too little for
  // three repetitions of each. Collective; the samples are the same on all ranks.
  void run(double seconds, int rounds, std::size_t first = 0);

  const Samples& samples(std::size_t item, std::size_t series = 0) const {
    return items_[item].samples[series];
  }
  // Over the ranks, on each of them. Collective.
  double greatest(double value) const;
  // Of all items.
  std::size_t num_samples() const;
  int num_outliers() const;

 private:
  struct State {
    Item item;
    std::vector<Samples> samples;
  };

  void visit(State& state, double seconds);
  bool enough(const State& state) const;
  // As one over the ranks; a row of `num_series` values for each repetition.
  void combine(std::vector<double>& values, Over over) const;

  const Context& context_;
  double narrow_;
  std::vector<State> items_;
};

}  // namespace lockstep
