// SPDX-License-Identifier: Apache-2.0
// Faults on purpose, as [faults] of a job file asks for them: to see what a job does then.
//
//   KIND rank R step S [seconds X] [factor X] [steps N] [in WHAT] [life L]
//
//   kill        the rank is killed as it begins the step, as by kill -9
//   stop        it is stopped, as by a debugger (SIGSTOP)
//   terminate   it gets SIGTERM, as from a batch system, and has taken it when the step begins
//   delay       it comes `seconds` late, once, or when the job is asked to stop
//   slow        for `steps` steps (all that follow, unless said) it takes `factor` times as long
//   nan         in gradients (the first of the step), in loss, or in the gradient of that parameter
//   spike       a million in the same places
//   corrupt     one bit of a message that it sends is wrong
//   fail_write  every write to a file fails (EFBIG, by the limit of the process) during the step
//
// Only in the first life of a run, or in its life L: a run that was restarted L times.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

enum class FaultKind : std::uint8_t {
  kill,
  stop,
  terminate,
  delay,
  slow,
  nan,
  spike,
  corrupt,
  fail_write
};

struct Fault {
  FaultKind kind{};
  int rank = 0;
  std::int64_t step = 1, steps = 0;  // 0: as long as the kind says
  double seconds = 1, factor = 2;
  std::string in = "gradients";
  int life = 0;
};

Fault parse_fault(const std::string& text);  // ConfigError says what is allowed

// What happens to one rank in one life of the run.
class Faults {
 public:
  Faults(const std::vector<std::string>& texts, int rank, int ranks, int life);

  bool has(FaultKind kind) const;
  void begin_step(std::int64_t step);
  void repeat_step();                 // what is in the values comes again, once
  void end_step(double own_seconds);  // that the rank worked in the step, delays included
  // Whether NaN, or a million, is to be written there; once.
  bool poisons_loss();
  bool poisons(const std::string& parameter);
  float poison() const { return poison_value_; }
  // Whether this message is to be damaged; from any thread.
  bool damages(std::size_t num_elements);

 private:
  bool due(const Fault& fault) const;
  void strike(const Fault& fault);
  void sleep(double seconds);

  std::vector<Fault> faults_;
  std::int64_t step_ = 0;
  double slept_ = 0, own_seconds_ = 0;  // in this step; without faults, in the last one
  std::string poison_, planned_;        // what is poisoned in this step: until it is; at all
  float poison_value_ = 0;
  std::atomic<bool> damage_{false};
};

// The other value of the highest bit of an exponent: a damage that does not hide.
void flip_bit(std::byte* elements, std::size_t num_elements, std::size_t element_bytes);

}  // namespace lockstep
