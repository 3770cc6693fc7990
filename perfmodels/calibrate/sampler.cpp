// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/sampler.hpp"

#include <algorithm>
#include <numeric>
#include <random>

#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {

constexpr int kLeastRepetitions = 3, kMostRepetitions = 400;
constexpr double kLongSeconds = 5e-3;  // of these, one repetition less will do

}  // namespace

std::size_t Sampler::add(Item item) {
  const std::size_t series = item.num_series;
  items_.push_back({std::move(item), std::vector<Samples>(series)});
  return items_.size() - 1;
}

void Sampler::run(double seconds, int rounds, std::size_t first) {
  const double begin = now();
  std::vector<std::size_t> order(items_.size() - first);
  std::iota(order.begin(), order.end(), first);
  std::mt19937 random(static_cast<unsigned>(items_.size()));  // the same on every rank
  for (int round = 0; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    const double until = seconds * (round + 1) / rounds;
    for (std::size_t k = 0; k < order.size(); ++k) {
      State& state = items_[order[k]];
      if (enough(state)) continue;
      const double left = until - greatest(now() - begin);
      if (left <= 0 && !state.samples.front().empty()) continue;
      visit(state, std::max(left, 0.0) / static_cast<double>(order.size() - k));
    }
  }
}

void Sampler::visit(State& state, double seconds) {
  const std::size_t n = state.item.num_series;
  context_.barrier();  // all at once
  const double begin = now();
  const std::unique_ptr<Trial> trial = state.item.prepare();
  std::vector<double> row(n);
  trial->run(row);  // touches memory, makes connections
  const double warm = now();
  trial->run(row);
  const double each = greatest(now() - warm);
  const double left = seconds - greatest(now() - begin);
  const int least = each > kLongSeconds ? kLeastRepetitions - 1 : kLeastRepetitions;
  const int repetitions =
      static_cast<int>(std::clamp<double>(left / each, least, kMostRepetitions));

  std::vector<double> values(n * static_cast<std::size_t>(repetitions));
  for (std::size_t i = 0; i < values.size(); i += n)
    trial->run(std::span(values).subspan(i, n));
  combine(values, state.item.over);
  for (std::size_t s = 0; s < n; ++s) {
    state.samples[s].begin_visit();
    for (std::size_t i = s; i < values.size(); i += n)
      state.samples[s].add(values[i]);
  }
}

bool Sampler::enough(const State& state) const {
  return std::all_of(state.samples.begin(), state.samples.end(),
                     [this](const Samples& s) { return s.settled(narrow_); });
}

double Sampler::greatest(double value) const {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, context_.world()));
  return value;
}

void Sampler::combine(std::vector<double>& values, Over over) const {
  const auto reduce = [&](std::vector<double>& v, MPI_Op op) {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, v.data(), static_cast<int>(v.size()), MPI_DOUBLE, op,
                            context_.world()));
  };
  if (over == Over::slowest) return reduce(values, MPI_MAX);
  std::vector<double> sums(2 * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool took_part = values[i] >= 0;
    sums[i] = took_part ? values[i] : 0;
    sums[values.size() + i] = took_part ? 1 : 0;
  }
  reduce(sums, MPI_SUM);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = sums[i] / std::max(sums[values.size() + i], 1.0);
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
