// SPDX-License-Identifier: Apache-2.0
// The 16-bit floats, all 65536 patterns of each, against arithmetic that knows no bit tricks.
#include "runtime/base/half.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The bits of mantissa and exponent of an IEEE-like format with one sign bit.
struct Format {
  int mantissa, exponent;
  int bias() const { return (1 << (exponent - 1)) - 1; }
  std::uint16_t infinite() const {
    return static_cast<std::uint16_t>(((1 << exponent) - 1) << mantissa);
  }
};
constexpr Format kBFloat16{7, 8}, kFloat16{10, 5};

// What a pattern stands for.
double decoded(const Format& f, std::uint16_t bits) {
  const int magnitude = bits & 0x7fff, sign = bits >> 15 ? -1 : 1;
  const int exponent = magnitude >> f.mantissa, fraction = magnitude & ((1 << f.mantissa) - 1);
  if (exponent == (1 << f.exponent) - 1) return fraction ? std::nan("") : sign * kInfinity;
  const int whole = exponent == 0 ? fraction : fraction + (1 << f.mantissa);
  return sign * std::ldexp(whole, std::max(exponent, 1) - f.bias() - f.mantissa);
}

// The pattern nearest to x, that with an even last bit where two are: found among all that are not
// negative, which lie in the order of their values. Beyond the largest by half a step: infinite.
std::uint16_t encoded(const Format& f, double x) {
  const double magnitude = std::abs(x);
  std::uint16_t low = 0, high = f.infinite();
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (decoded(f, middle) <= magnitude ? low : high) = middle;
  }
  const double below = decoded(f, low);
  // What would follow the largest stands for the infinite in the comparison.
  const double above = high == f.infinite() ? std::ldexp(1, f.bias() + 1) : decoded(f, high);
  const bool up = magnitude - below > above - magnitude ||
                  (magnitude - below == above - magnitude && low % 2 == 1);
  return static_cast<std::uint16_t>((up ? high : low) | (std::signbit(x) ? 0x8000 : 0));
}

template <class Half>
Half from_bits(std::uint16_t bits) {
  Half h;
  h.bits = bits;
  return h;
}

// Counts mistakes instead of asserting 65536 times; names the first.
struct Tally {
  int mistakes = 0;
  std::string first;
  void expect(bool holds, double at) {
    if (!holds && mistakes++ == 0) first = "at " + std::to_string(at);
  }
};

template <class Half>
void check_every_pattern(const Format& format) {
  Tally value, back;
  for (int bits = 0; bits < 0x10000; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    const auto half = from_bits<Half>(pattern);
    const double wanted = decoded(format, pattern);
    const float got = static_cast<float>(half);
    if (std::isnan(wanted)) {
      value.expect(std::isnan(got), bits);
      back.expect(std::isnan(static_cast<float>(Half(got))), bits);
      continue;
    }
    value.expect(got == wanted && std::signbit(got) == std::signbit(wanted), bits);
    back.expect(Half(got).bits == pattern, bits);
  }
  INFO(value.first << back.first);
  CHECK(value.mistakes == 0);
  CHECK(back.mistakes == 0);
}

template <class Half>
void expect_rounded(Tally& tally, const Format& format, double x) {
  const auto f = static_cast<float>(x);
  tally.expect(Half(f).bits == encoded(format, double{f}), x);
}

// Around every pattern: the middle of it and its successor, and the floats beside that.
template <class Half>
void check_rounding(const Format& format) {
  Tally tally;
  for (std::uint16_t bits = 0; bits < format.infinite(); ++bits) {
    const double here = decoded(format, bits);
    const bool last = bits + 1 == format.infinite();
    const double next = last ? std::ldexp(1, format.bias() + 1)
                             : decoded(format, static_cast<std::uint16_t>(bits + 1));
    const auto middle = static_cast<float>(here + (next - here) / 2);
    for (const float sign : {1.0f, -1.0f}) {
      expect_rounded<Half>(tally, format, sign * middle);
      expect_rounded<Half>(tally, format, sign * std::nextafter(middle, 0.0f));
      const float above = std::nextafter(middle, std::numeric_limits<float>::infinity());
      if (!std::isinf(above)) expect_rounded<Half>(tally, format, sign * above);
    }
  }
  INFO(tally.first);
  CHECK(tally.mistakes == 0);
}

template <class Half>
void check_random_floats(const Format& format) {
  Tally tally;
  std::mt19937 random(16);
  for (int i = 0; i < 200'000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(x)) expect_rounded<Half>(tally, format, x);
  }
  INFO(tally.first);
  CHECK(tally.mistakes == 0);
}

template <class Half>
void check_extremes(const Format& format) {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(Half(infinity).bits == format.infinite());
  CHECK(Half(-infinity).bits == (format.infinite() | 0x8000));
  CHECK(Half(std::numeric_limits<float>::max()).bits == format.infinite());
  CHECK(Half(-0.0f).bits == 0x8000);
  // Every NaN stays one, also where all its bits are among those dropped.
  for (const std::uint32_t word :
       {0x7f800001u, 0xff800001u, 0x7fc00000u, 0x7fffffffu, 0xffffffffu}) {
    CHECK(std::isnan(static_cast<float>(Half(std::bit_cast<float>(word)))));
  }
}

}  // namespace

TEST_CASE("every pattern of the 16-bit floats stands for its number, and comes back", "[unit]") {
  check_every_pattern<BFloat16>(kBFloat16);
  check_every_pattern<Float16>(kFloat16);
}

TEST_CASE("floats round to the nearest 16-bit float, ties to the even one", "[unit]") {
  check_rounding<BFloat16>(kBFloat16);
  check_rounding<Float16>(kFloat16);
  check_random_floats<BFloat16>(kBFloat16);
  check_random_floats<Float16>(kFloat16);
}

TEST_CASE("infinities, zeros and what is not a number", "[unit]") {
  check_extremes<BFloat16>(kBFloat16);
  check_extremes<Float16>(kFloat16);
}
