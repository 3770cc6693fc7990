// SPDX-License-Identifier: Apache-2.0
#include "launch/step_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "runtime/base/format.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

constexpr const char* kHeader =
    "    step      loss  grad norm       rate   tokens/s     MFU        ms  exposed  waiting";
constexpr const char* kClearLine = "\r\x1b[K";
constexpr int kRows = 100, kBarWidth = 40;

}  // namespace

bool StepTable::prints(std::int64_t step) const {
  const std::int64_t every = std::max<std::int64_t>(1, steps_ / kRows);
  return step == 1 || step == steps_ || step % every == 0;
}

void StepTable::step(const StepMetrics& m) {
  mean_seconds_ = mean_seconds_ == 0 ? m.step_seconds : 0.9 * mean_seconds_ + 0.1 * m.step_seconds;
  if (prints(m.step)) {
    if (!header_printed_) row(kHeader);
    header_printed_ = true;
    row(format("%8lld  %8.4f  %9.3f  %9.2e  %9.0f  %5.1f%%  %8.1f  %6.1f%%  %6.1f%%",
               static_cast<long long>(m.step), m.loss, m.grad_norm, m.learning_rate,
               m.tokens_per_second, 100 * m.mfu.value_or(0), 1e3 * m.step_seconds,
               100 * m.exposed_comm_seconds / m.step_seconds,
               100 * m.waiting_seconds.value_or(0) / m.step_seconds));
  }
  if (bar_) draw_bar(m.step, mean_seconds_);
}

void StepTable::evaluation(std::int64_t step, double loss, double accuracy) {
  row(format("%8lld  validation loss %.4f, accuracy %.2f %%", static_cast<long long>(step), loss,
             100 * accuracy));
}

void StepTable::finish() {
  if (bar_) std::fputs(kClearLine, stdout);
  std::fflush(stdout);
}

void StepTable::row(const std::string& text) {
  if (bar_) std::fputs(kClearLine, stdout);
  print_row(text);
}

void StepTable::draw_bar(std::int64_t step, double step_seconds) {
  const double done = static_cast<double>(step) / static_cast<double>(steps_);
  const int filled = static_cast<int>(done * kBarWidth);
  const std::string bar = std::string(filled, '#') + std::string(kBarWidth - filled, '.');
  const double left = static_cast<double>(steps_ - step) * step_seconds;
  std::printf("%s[%s] %3.0f%%  %s left", kClearLine, bar.c_str(), 100 * done,
              duration_text(left).c_str());
  std::fflush(stdout);
}

std::string duration_text(double seconds) {
  const auto s = std::llround(seconds);
  if (s >= 3600) return format("%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  return format("%lld:%02lld", s / 60, s % 60);
}

}  // namespace lockstep
