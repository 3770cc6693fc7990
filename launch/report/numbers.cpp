// SPDX-License-Identifier: Apache-2.0
#include "launch/report/numbers.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/format.hpp"

namespace lockstep {

std::string number_text(double value) {
  constexpr int kDigits = 4;
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  const int before = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  if (before > kDigits) {
    const double unit = std::pow(10.0, before - kDigits);
    value = std::round(value / unit) * unit;
  }
  std::string text = format("%.*f", std::max(0, kDigits - before), value);
  const std::size_t end = std::min(text.find('.'), text.size());
  for (std::size_t at = end; at > 3 + (text[0] == '-'); at -= 3)
    text.insert(at - 3, ",");
  return text;
}

std::string interval_text(const Figure& figure, double scale) {
  std::string text = number_text(figure.value * scale);
  if (figure.high <= figure.low) return text;
  return text + " (" + number_text(figure.low * scale) + " to " + number_text(figure.high * scale) +
         ")";
}

ShownUnit time_unit(double largest_seconds) {
  if (largest_seconds >= 10) return {1, "s"};
  if (largest_seconds >= 1e-3) return {1e3, "ms"};
  return {1e6, "us"};
}

ShownUnit speed_unit(double largest) {
  if (largest >= 1e7) return {1e-6, "million tokens per second"};
  if (largest >= 1e4) return {1e-3, "thousand tokens per second"};
  return {1, "tokens per second"};
}

}  // namespace lockstep
