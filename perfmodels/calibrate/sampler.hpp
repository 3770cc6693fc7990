// SPDX-License-Identifier: Apache-2.0
// Takes turns among many measurements, on all ranks at once, until the time is used up.
//
// Every item is visited in several rounds, in a new order each time, so that a machine whose speed
// drifts does so for all of them; several times in a round, if it needs little of its share, since
// a machine's speed changes more from visit to visit than within one; one whose interval is narrow
// enough has its turns left out. An item's first visit tells what each further one costs at least:
// who does not fit into what is left of a round waits for the next, and comes first in it
// (turns.hpp). Those that come with an expectation are left out altogether where it does not fit.
// The ranks agree on every time that decides something; they combine their samples after each
// round, since between nodes that takes longer than many a measurement.
//
// A sampler that is told to watch counts the visits that found the machine in its most common state
// (states.hpp), and items of which few did have their turns earlier.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perfmodels/calibrate/states.hpp"
#include "perfmodels/calibrate/statistics.hpp"
#include "perfmodels/calibrate/turns.hpp"
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
  std::string line{};  // items of one line are visited one after the other (turns.hpp)
  std::size_t num_series = 1;
  Over over = Over::mean;
  bool equal_work = false;  // the same on all ranks: who takes longer has a slower core
  // Seconds of the first visit, the same on all ranks; it is left out where they are not there.
  // Without, the first visit is made whatever it takes.
  std::optional<double> expected{};
};

// What a visit of equal work took on this rank: its samples together, and by the clock.
struct EqualWork {
  double samples = 0, seconds = 0;
};

class Sampler {
 public:
  // `narrow`: the width of an interval, as a share of its median, at which an item has enough.
  Sampler(const Context& context, double narrow) : context_(context), narrow_(narrow) {}

  // Called before and behind each visit, on all ranks; the greatest of their answers counts.
  void watch(std::function<double()> probe) { probe_ = std::move(probe); }
  bool watches() const { return static_cast<bool>(probe_); }
  std::size_t add(Item item);
  std::size_t size() const { return items_.size(); }
  // Visits items `first`... `rounds` times, which takes about `seconds`; more if that is too little
  // for first visits without an expectation. No visit takes longer than `longest`, or than it must.
  // Collective; the samples are the same on all ranks.
  void run(double seconds, int rounds, std::size_t first = 0,
           double longest = std::numeric_limits<double>::infinity());
  // The same with these items alone.
  void run(double seconds, int rounds, const std::vector<std::size_t>& items,
           double longest = std::numeric_limits<double>::infinity());
  // Visits those of which fewer than two visits count again and again, while there is time.
  void make_up(double seconds, double longest);

  const Samples& samples(std::size_t item, std::size_t series = 0) const {
    return items_[item].samples[series];
  }
  // In which round each visit was, of all rounds that there were.
  const std::vector<std::size_t>& rounds(std::size_t item) const { return items_[item].rounds; }
  // What the probe said, of each visit; zeros without one.
  const std::vector<Watched>& watched(std::size_t item) const { return items_[item].watched; }
  // By the visits of one state alone; none there: not known.
  Figure figure_in(const MachineState& state, std::size_t item, std::size_t series) const;
  // Of all visits; none without a probe.
  const std::vector<MachineState>& states() const { return states_; }
  // Of this rank, in order of time: all visits of items of equal work.
  const std::vector<EqualWork>& work() const { return work_; }
  bool has(std::size_t item) const { return !items_[item].samples.front().empty(); }
  // Of one more visit with as few repetitions as there may be; 0 before the first.
  double least_seconds(std::size_t item) const { return items_[item].least; }
  // Of one more round of all that have been visited.
  double least_seconds() const;
  // Over the ranks, on each of them. Collective.
  double greatest(double value) const;
  // Of all items.
  std::size_t num_samples() const;
  int num_outliers() const;

 private:
  struct State {
    Item item;
    std::vector<Samples> samples;
    double least = 0;                   // seconds of a visit
    std::vector<double> fresh{};        // of this round, as this rank saw them: rows of num_series
    std::vector<std::size_t> rounds{};  // of each visit, as watched
    std::vector<Watched> watched{};
    std::size_t combined = 0;  // of watched
  };

  std::vector<std::size_t> visited_within(double seconds,
                                          const std::vector<std::size_t>& items) const;
  void take_turns(double seconds, const std::vector<std::size_t>& items, double longest);
  std::vector<State*> in_turn(const std::vector<std::size_t>& items);
  void visit(State& state, double seconds);
  bool enough(const State& state) const;
  bool fits(const State& state, double left, double owed) const;
  // What must not wait: seconds of the visits without an expectation.
  double owed(const State& state) const;
  // The fresh values of all ranks become samples.
  void combine();
  void combine(std::vector<double>& values, Over over) const;
  void combine_watched();
  void count_usual();
  static std::vector<bool> visits_in(const MachineState& of, const State& state);
  void greatest(std::span<double> values) const;
  void over_ranks(std::span<double> values, MPI_Op op) const;

  const Context& context_;
  double narrow_;
  std::function<double()> probe_{};
  std::vector<State> items_;
  std::vector<MachineState> states_;
  std::vector<EqualWork> work_;
  Turns turns_{};
  std::size_t round_ = 0;
};

}  // namespace lockstep
