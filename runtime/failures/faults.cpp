// SPDX-License-Identifier: Apache-2.0
#include "runtime/failures/faults.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <limits>
#include <sstream>
#include <thread>

#include <sys/resource.h>
#include <unistd.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/context/signals.hpp"

namespace lockstep {

namespace {

constexpr const char* kKindNames[] = {"kill", "stop",  "terminate", "delay",     "slow",
                                      "nan",  "spike", "corrupt",   "fail_write"};
constexpr double kTakenSeconds = 60;       // for a thread to take a signal: it comes at once
constexpr std::size_t kLeastDamaged = 16;  // elements: not the few numbers that steer the job

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw ConfigError("faults.inject: \"" + text + "\": " + why);
}

FaultKind kind_of(const std::string& name, const std::string& text) {
  const auto found = std::find(std::begin(kKindNames), std::end(kKindNames), name);
  if (found != std::end(kKindNames)) {
    return static_cast<FaultKind>(found - std::begin(kKindNames));
  }
  std::string known;
  for (const char* kind : kKindNames)
    known += (known.empty() ? "" : ", ") + std::string(kind);
  refuse(text, "begins with '" + name + "'; allowed: " + known);
}

template <class Number>
Number number(const std::string& word, Number least, const std::string& name,
              const std::string& text) {
  Number value{};
  const char* end = word.data() + word.size();
  const auto [at, error] = std::from_chars(word.data(), end, value);
  if (error == std::errc() && at == end && value >= least) return value;
  std::ostringstream why;
  why << name << " '" << word << "' is no number from " << least << " on";
  refuse(text, why.str());
}

void read_word(Fault& fault, const std::string& name, const std::string& value,
               const std::string& text) {
  if (name == "rank") {
    fault.rank = number(value, 0, name, text);
  } else if (name == "step") {
    fault.step = number<std::int64_t>(value, 1, name, text);
  } else if (name == "steps") {
    fault.steps = number<std::int64_t>(value, 1, name, text);
  } else if (name == "seconds") {
    fault.seconds = number(value, 0.0, name, text);
  } else if (name == "factor") {
    fault.factor = number(value, 1.0, name, text);
  } else if (name == "in") {
    fault.in = value;
  } else if (name == "life") {
    fault.life = number(value, 0, name, text);
  } else {
    refuse(text, "'" + name + "' is none of rank, step, steps, seconds, factor, in, life");
  }
}

void send_to_self(int signal) {
  if (::kill(getpid(), signal) != 0) throw_errno("kill");
}

// Sleeps for so long, or until the job is asked to stop.
void await_stop(double seconds) {
  constexpr double kLook = 0.01;
  const double end = now() + seconds;
  for (double left = seconds; left > 0 && !stop_requested(); left = end - now())
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, kLook)));
}

// Whether this process may write to files at all. A limit, and not a full disk: nobody else is
// hurt.
void allow_writing(bool allowed) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0) throw_errno("getrlimit");
  limit.rlim_cur = allowed ? limit.rlim_max : 0;
  std::signal(SIGXFSZ, SIG_IGN);  // else a write would kill
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) throw_errno("setrlimit");
}

}  // namespace

Fault parse_fault(const std::string& text) {
  std::istringstream words(text);
  std::string name, value;
  words >> name;
  Fault fault;
  fault.kind = kind_of(name, text);
  bool has_rank = false, has_step = false;
  while (words >> name) {
    if (!(words >> value)) refuse(text, "nothing stands behind '" + name + "'");
    read_word(fault, name, value, text);
    has_rank |= name == "rank";
    has_step |= name == "step";
  }
  if (!has_rank || !has_step) refuse(text, "must name a rank and a step");
  return fault;
}

Faults::Faults(const std::vector<std::string>& texts, int rank, int ranks, int life) {
  for (const std::string& text : texts) {
    const Fault fault = parse_fault(text);
    if (fault.rank >= ranks)
      refuse(text, ranks == 1 ? "there is only 1 rank, 0"
                              : "there are only " + std::to_string(ranks) + " ranks");
    if (fault.rank == rank && fault.life == life) faults_.push_back(fault);
  }
}

bool Faults::has(FaultKind kind) const {
  return std::any_of(faults_.begin(), faults_.end(),
                     [kind](const Fault& f) { return f.kind == kind; });
}

bool Faults::due(const Fault& fault) const {
  const std::int64_t usual = fault.kind == FaultKind::slow ? INT64_MAX - fault.step : 1;
  const std::int64_t steps = fault.steps > 0 ? fault.steps : usual;
  return fault.step <= step_ && step_ - fault.step < steps;
}

void Faults::begin_step(std::int64_t step) {
  const auto fails_writes = [this] {
    return std::any_of(faults_.begin(), faults_.end(), [this](const Fault& f) {
      return f.kind == FaultKind::fail_write && due(f);
    });
  };
  const bool failed = fails_writes();
  step_ = step;
  slept_ = 0;
  poison_.clear();
  planned_.clear();
  damage_ = false;
  if (fails_writes() != failed) allow_writing(failed);
  for (const Fault& fault : faults_)
    if (due(fault)) strike(fault);
}

void Faults::strike(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kill:
      return send_to_self(SIGKILL);
    case FaultKind::stop:
      return send_to_self(SIGSTOP);
    case FaultKind::terminate:
      send_to_self(SIGTERM);
      return await_stop(kTakenSeconds);
    case FaultKind::delay:
      return sleep(fault.seconds);
    case FaultKind::slow:
      return sleep((fault.factor - 1) * own_seconds_);
    case FaultKind::nan:
    case FaultKind::spike:
      poison_value_ = fault.kind == FaultKind::nan ? std::numeric_limits<float>::quiet_NaN() : 1e6f;
      poison_ = planned_ = fault.in;
      return;
    case FaultKind::corrupt:
      damage_ = true;
      return;
    case FaultKind::fail_write:
      return;
  }
}

void Faults::sleep(double seconds) {
  const double begin = now();
  await_stop(seconds);
  slept_ += now() - begin;
}

void Faults::end_step(double own_seconds) {
  own_seconds_ = std::max(0.0, own_seconds - slept_);
}

void Faults::repeat_step() {
  poison_ = planned_;
}

bool Faults::poisons_loss() {
  if (poison_ != "loss") return false;
  poison_.clear();
  return true;
}

bool Faults::poisons(const std::string& parameter) {
  if (poison_ != "gradients" && poison_ != parameter) return false;
  poison_.clear();
  return true;
}

bool Faults::damages(std::size_t num_elements) {
  return num_elements >= kLeastDamaged && damage_.exchange(false);
}

// Elements are little-endian numbers of any type. The first from the middle on that is not zero: in
// the others the bit would make a two.
void flip_bit(std::byte* elements, std::size_t num_elements, std::size_t element_bytes) {
  for (std::size_t i = 0; i < num_elements; ++i) {
    std::byte* element = elements + (num_elements / 2 + i) % num_elements * element_bytes;
    const auto is_set = [](std::byte b) { return b != std::byte{0}; };
    if (std::none_of(element, element + element_bytes, is_set)) continue;
    element[element_bytes - 1] ^= std::byte{0x40};
    return;
  }
}

}  // namespace lockstep
