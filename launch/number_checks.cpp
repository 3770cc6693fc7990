// SPDX-License-Identifier: Apache-2.0
#include "launch/number_checks.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

namespace lockstep {

namespace {

constexpr int kMost = 1 << 24;

template <class T>
std::optional<T> number_of(const std::string& text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

// `holds` is false for NaN, as comparisons with it are.
template <class T, class Holds>
CLI::Validator check(const std::string& what, const std::string& allowed, Holds holds) {
  const auto mistake = [=](const std::string& text) {
    const std::optional<T> value = number_of<T>(text);
    return value && holds(*value) ? std::string() : "'" + text + "' must be " + allowed;
  };
  return CLI::Validator(mistake, what);
}

}  // namespace

CLI::Validator count_from(int low) {
  return check<int>(low > 0 ? "POSITIVE" : "NONNEGATIVE",
                    "a whole number from " + std::to_string(low) + " to " + std::to_string(kMost),
                    [low](int n) { return n >= low && n <= kMost; });
}

CLI::Validator positive() {
  return check<double>("POSITIVE", "a number above 0",
                       [](double x) { return x > 0 && std::isfinite(x); });
}

CLI::Validator share() {
  return check<double>("[0 - 1]", "a number from 0 to 1",
                       [](double x) { return x >= 0 && x <= 1; });
}

}  // namespace lockstep
