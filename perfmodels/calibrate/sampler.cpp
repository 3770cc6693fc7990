// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/sampler.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "collectives/mpi_requests.hpp"
#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {

constexpr int kLeastRepetitions = 3, kMostRepetitions = 400;
constexpr int kTurns = 4;            // in a round, of those whose visits are brief
constexpr double kBrief = 1.0 / 16;  // of an item's share of a round: what these take at most
constexpr std::size_t kLeastCounted = 2;
constexpr double kLongSeconds = 5e-3;  // of these, one repetition less will do

}  // namespace

std::size_t Sampler::add(Item item) {
  const std::size_t series = item.num_series;
  items_.push_back({std::move(item), std::vector<Samples>(series)});
  return items_.size() - 1;
}

void Sampler::run(double seconds, int rounds, std::size_t first, double longest) {
  std::vector<std::size_t> items(items_.size() - first);
  std::iota(items.begin(), items.end(), first);
  run(seconds, rounds, items, longest);
}

void Sampler::run(double seconds, int rounds, const std::vector<std::size_t>& items,
                  double longest) {
  const double begin = now();
  for (int round = 0; round < rounds; ++round) {
    const double left = seconds * (round + 1) / rounds - greatest(now() - begin);
    const double each = std::min(kBrief * left / static_cast<double>(items.size()), longest);
    ++round_;
    const std::vector<std::size_t> brief = visited_within(each, items);
    for (int turn = 1; turn < kTurns && !brief.empty(); ++turn)
      take_turns(each * static_cast<double>(brief.size()), brief, each);
    take_turns(seconds * (round + 1) / rounds - greatest(now() - begin), items, longest);
  }
}

std::vector<std::size_t> Sampler::visited_within(double seconds,
                                                 const std::vector<std::size_t>& items) const {
  std::vector<std::size_t> brief;
  for (const std::size_t i : items) {
    if (has(i) && items_[i].least <= seconds) brief.push_back(i);
  }
  return brief;
}

void Sampler::take_turns(double seconds, const std::vector<std::size_t>& items, double longest) {
  const double begin = now();
  const std::vector<State*> order = in_turn(items);
  double owing = 0;  // to those whose turn is still to come
  for (const State* state : order)
    owing += owed(*state);
  for (std::size_t k = 0; k < order.size(); ++k) {
    State& state = *order[k];
    owing -= owed(state);
    if (enough(state)) continue;
    const double left = seconds - greatest(now() - begin);  // and all begin at once
    if (!fits(state, left, owing)) continue;
    visit(state, std::min(left / static_cast<double>(order.size() - k), longest));
  }
  combine();
}

void Sampler::make_up(double seconds, double longest) {
  const double begin = now();
  for (std::size_t before = 0, after = num_samples(); before < after;) {
    std::vector<std::size_t> items;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (has(i) && samples(i).num_counted() < kLeastCounted) items.push_back(i);
    }
    const double left = seconds - greatest(now() - begin);
    if (items.empty() || left <= 0) return;
    run(left, 1, items, longest);
    before = std::exchange(after, num_samples());
  }
}

std::vector<Sampler::State*> Sampler::in_turn(const std::vector<std::size_t>& items) {
  std::vector<Waiting> waiting;
  for (const std::size_t i : items)
    waiting.push_back({samples(i).num_counted(), items_[i].item.line});
  std::vector<State*> order;
  for (const std::size_t k : turns_.next(waiting))
    order.push_back(&items_[items[k]]);
  return order;
}

double Sampler::owed(const State& state) const {
  return state.item.expected || enough(state) ? 0 : state.least;
}

bool Sampler::fits(const State& state, double left, double owing) const {
  const bool first = state.least == 0;
  if (!state.item.expected) return first || state.least <= left;
  return (first ? *state.item.expected : state.least) <= left - owing;
}

// The first repetition touches memory and makes connections; it says how long one takes.
void Sampler::visit(State& state, double seconds) {
  const std::size_t n = state.item.num_series;
  const double begin = now();
  const std::unique_ptr<Trial> trial = state.item.prepare();
  std::vector<double> row(n);
  const double warm = now();
  trial->run(row);
  double times[] = {now() - warm, now() - begin};
  greatest(times);
  const auto [each, prepared] = times;
  const int few = each > kLongSeconds ? kLeastRepetitions - 1 : kLeastRepetitions;
  const int repetitions =
      static_cast<int>(std::clamp<double>((seconds - prepared) / each, few, kMostRepetitions));
  // Ranks of several nodes leave `greatest` up to milliseconds apart: the first repetition behind
  // it would be of one that waits for its partner. It is not looked at.
  const bool apart = context_.nodes() > 1;
  state.least = prepared + (few + (apart ? 1 : 0)) * each;
  if (apart) trial->run(row);

  state.fresh.resize(n * static_cast<std::size_t>(repetitions));
  state.rounds.push_back(round_);
  state.watched.push_back({probe_ ? probe_() : 0, 0});
  const double start = now();
  for (std::size_t i = 0; i < state.fresh.size(); i += n)
    trial->run(std::span(state.fresh).subspan(i, n));
  const double end = now();
  if (probe_) state.watched.back().after = probe_();
  if (!state.item.equal_work) return;
  const double samples = std::accumulate(state.fresh.begin(), state.fresh.end(), 0.0);
  work_.push_back({samples, end - start});
}

bool Sampler::enough(const State& state) const {
  return std::all_of(state.samples.begin(), state.samples.end(),
                     [this](const Samples& s) { return s.settled(narrow_); });
}

double Sampler::greatest(double value) const {
  greatest({&value, 1});
  return value;
}

void Sampler::greatest(std::span<double> values) const {
  over_ranks(values, MPI_MAX);
}

// Ranks that take no part in a trial are here meanwhile: they sleep, since the library's own wait
// polls, which costs those that share their cores up to a tenth of a millisecond for each message.
void Sampler::over_ranks(std::span<double> values, MPI_Op op) const {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_DOUBLE,
                           op, context_.world(), &request));
  std::vector<MPI_Status> statuses;
  wait_all({&request, 1}, statuses, {}, Crowding::patient);
}

void Sampler::combine() {
  for (const Over over : {Over::mean, Over::slowest}) {
    std::vector<double> all;
    const auto fresh = [over](const State& s) { return s.item.over == over && !s.fresh.empty(); };
    for (const State& state : items_) {
      if (fresh(state)) all.insert(all.end(), state.fresh.begin(), state.fresh.end());
    }
    combine(all, over);
    auto next = all.begin();
    for (State& state : items_) {
      if (!fresh(state)) continue;
      for (Samples& samples : state.samples)
        samples.begin_visit();
      for (std::size_t i = 0; i < state.fresh.size(); ++i)
        state.samples[i % state.samples.size()].add(*next++);
      state.fresh.clear();
    }
  }
  if (!probe_) return;
  combine_watched();
  count_usual();
}

void Sampler::combine_watched() {
  std::vector<double> all;
  for (const State& state : items_) {
    for (std::size_t v = state.combined; v < state.watched.size(); ++v)
      all.insert(all.end(), {state.watched[v].before, state.watched[v].after});
  }
  greatest(all);
  auto next = all.begin();
  for (State& state : items_) {
    for (; state.combined < state.watched.size(); ++state.combined) {
      state.watched[state.combined] = {next[0], next[1]};
      next += 2;
    }
  }
}

void Sampler::count_usual() {
  std::vector<Watched> all;
  for (const State& state : items_)
    all.insert(all.end(), state.watched.begin(), state.watched.end());
  states_ = states_of(std::move(all));
  if (states_.empty()) return;
  for (State& state : items_) {
    const std::vector<bool> usual = visits_in(states_.front(), state);
    for (Samples& samples : state.samples)
      samples.count_only(usual);
  }
}

std::vector<bool> Sampler::visits_in(const MachineState& of, const State& state) {
  std::vector<bool> in;
  for (const Watched& visit : state.watched)
    in.push_back(of.holds(visit));
  return in;
}

Figure Sampler::figure_in(const MachineState& state, std::size_t item, std::size_t series) const {
  Samples samples = items_[item].samples[series];
  samples.count_only(visits_in(state, items_[item]));
  return samples.num_counted() > 0 ? samples.figure() : Figure{};
}

// As one over the ranks.
void Sampler::combine(std::vector<double>& values, Over over) const {
  if (over == Over::slowest) return greatest(values);
  std::vector<double> sums(2 * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool took_part = values[i] >= 0;
    sums[i] = took_part ? values[i] : 0;
    sums[values.size() + i] = took_part ? 1 : 0;
  }
  over_ranks(sums, MPI_SUM);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = sums[i] / std::max(sums[values.size() + i], 1.0);
}

double Sampler::least_seconds() const {
  double seconds = 0;
  for (const State& state : items_)
    seconds += state.least;
  return seconds;
}

std::size_t Sampler::num_samples() const {
  std::size_t n = 0;
  for (const State& state : items_) {
    for (const Samples& s : state.samples)
      n += s.count();
  }
  return n;
}

int Sampler::num_outliers() const {
  int n = 0;
  for (const State& state : items_) {
    for (const Samples& s : state.samples)
      n += s.outliers();
  }
  return n;
}

}  // namespace lockstep
