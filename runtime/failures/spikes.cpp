// SPDX-License-Identifier: Apache-2.0
#include "runtime/failures/spikes.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kLeastShare = 1e-3;  // of the mean: values that hardly vary are no measure

std::string text_of(const char* what, double value, double deviations) {
  return format("%s %.4g is %.1f standard deviations above the mean of the last steps", what, value,
                deviations);
}

}  // namespace

void Recent::add(double value) {
  values_.push_back(value);
  if (values_.size() > most_) values_.pop_front();
}

std::optional<double> Recent::deviations(double value) const {
  if (values_.size() < most_ / 2) return std::nullopt;
  const auto n = static_cast<double>(values_.size());
  double mean = 0, squares = 0;
  for (const double v : values_)
    mean += v / n;
  for (const double v : values_)
    squares += (v - mean) * (v - mean) / n;
  return (value - mean) / std::max(std::sqrt(squares), kLeastShare * std::abs(mean));
}

Spikes::Spikes(double limit, std::int64_t window)
    : limit_(limit),
      losses_(static_cast<std::size_t>(window)),
      norms_(static_cast<std::size_t>(window)) {}

std::string Spikes::judge(double loss, double grad_norm) const {
  const auto of_loss = losses_.deviations(loss), of_norm = norms_.deviations(grad_norm);
  if (of_loss && *of_loss > limit_) return text_of("the loss", loss, *of_loss);
  if (of_norm && *of_norm > limit_) return text_of("the gradient norm", grad_norm, *of_norm);
  return "";
}

void Spikes::add(double loss, double grad_norm) {
  losses_.add(loss);
  norms_.add(grad_norm);
}

void Spikes::go_on_from(const std::vector<double>& losses, const std::vector<double>& grad_norms) {
  losses_.clear();
  norms_.clear();
  for (const double loss : losses)
    losses_.add(loss);
  for (const double norm : grad_norms)
    norms_.add(norm);
}

}  // namespace lockstep
