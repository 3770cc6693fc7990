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
  const double unit = std::pow(10.0, std::max(0, before - kDigits));
  std::string text = format("%.*f", std::max(0, kDigits - before), std::round(value / unit) * unit);
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

}  // namespace lockstep
