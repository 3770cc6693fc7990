// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/guesses.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lockstep {

namespace {

constexpr double kCovered = 0.95;  // of the time of a step that is in range

}  // namespace

void GuessList::add(const Recording& recording, OperationTimes& prices, int times) {
  for (const Record& r : recording.records()) {
    const OperationTime& t = prices.of(r.operation);
    all_ += times * t.seconds.value;
    if (t.in_range) continue;
    outside_ += times * t.seconds.value;
    const auto [place, fresh] = seen_.emplace(&t, guesses_.size());
    if (fresh) guesses_.push_back({text_of(r.operation), t.by, 0, 0});
    Guess& guess = guesses_[place->second];
    guess.launches += times;
    guess.seconds += times * t.seconds.value;
  }
}

bool GuessList::mostly_in_range() const {
  return outside_ <= (1 - kCovered) * all_;
}

std::vector<Guess> GuessList::sorted() && {
  std::stable_sort(guesses_.begin(), guesses_.end(),
                   [](const Guess& a, const Guess& b) { return a.seconds > b.seconds; });
  return std::move(guesses_);
}

double interpolation_error(const Recording& recording, OperationTimes& prices) {
  std::map<OperationKind, double> of_kind;
  for (const Record& r : recording.records()) {
    const OperationTime& t = prices.of(r.operation);
    of_kind[r.operation.kind] += t.seconds.value * t.error;
  }
  double squares = 0;
  for (const auto& [kind, error] : of_kind)
    squares += error * error;
  return std::sqrt(squares);
}

std::string text_of(const Operation& operation) {
  std::string text = operation.name;
  const int sizes = operation.kind == OperationKind::gemm        ? 3
                    : operation.kind == OperationKind::attention ? 4
                                                                 : 1;
  for (int i = 0; i < sizes; ++i)
    text += (i ? "x" : " ") + std::to_string(operation.shape[static_cast<std::size_t>(i)]);
  if (operation.kind == OperationKind::collective)
    text += std::string(" (") + operation.detail + ")";
  return text;
}

}  // namespace lockstep
