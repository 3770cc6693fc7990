// SPDX-License-Identifier: Apache-2.0
// Times every candidate for one collective of one size.
//
// Every rank rewrites its whole input (untimed: the lines are then in its own cache, as they are
// after a backward pass), over several buffers in turn; all ranks meet at a barrier (on several
// nodes: agree on a time to start, common_start.hpp); the operation is timed. One repetition takes
// as long as its slowest rank. Candidates take turns, so that what disturbs the machine disturbs
// all of them. Operations below 2 us are timed 16 at a time, each on a buffer of its own. The calls
// go to the backend: what Communicator adds per call is not in them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectives/backend.hpp"
#include "collectives/sample_call.hpp"
#include "launch/common_start.hpp"
#include "runtime/context/context.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

enum class BenchPlace : std::uint8_t { in_place, apart };

struct BenchOptions {
  Collective what = Collective::all_reduce;
  std::vector<std::size_t> sizes;
  std::vector<std::string> backends;    // of auto, native, mpi
  std::vector<std::string> algorithms;  // of native; empty: all that can serve
  DType dtype = DType::float32;
  ReduceOp op = ReduceOp::sum;
  std::vector<MemoryKind> memory;
  BenchPlace place = BenchPlace::in_place;
  int repetitions = 0;       // 0: as many as fit the time
  double point_seconds = 0;  // for each candidate at each point
  int groups = 1;
  // Of a label, 0: not known. Empty: what the backend says.
  std::function<double(const Call& call, const std::string& label)> predict{};
};

// One line of the result. Times are per operation, over repetitions.
struct BenchRow {
  std::string backend, algorithm;  // "auto" has what it chose
  std::string label;               // "native/ring"
  MemoryKind memory = MemoryKind::plain;
  std::size_t bytes = 0;
  double median = 0, p99 = 0, spread = 0;  // spread: between the quartiles
  double predicted = 0;                    // 0: not known
  double bound = 0;                        // by memory traffic; 0: not stated
  int repetitions = 0;
};

class Bench {
 public:
  // `world` serves all ranks, `group` those that work together (the same one, or a part of it).
  Bench(const Context& context, Device& device, Backend& world, Backend& group,
        const BenchOptions& options);
  // Rows of one size, candidates in the order of their prices; complete on rank 0. A wrong result
  // is a SystemError that names the candidate. Collective.
  std::vector<BenchRow> point(std::size_t bytes, MemoryKind memory);
  // Whether this backend gives out memory that all ranks of a group see. Collective.
  bool has_shared_memory();

 private:
  struct Candidate {
    std::string backend;
    Choice choice;
  };
  struct Buffer {
    std::shared_ptr<void> in, out;
    Call call;
  };
  struct Timing {
    std::vector<double> seconds, rewriting;  // one for each repetition
  };

  std::vector<Candidate> candidates_of(const Call& call);
  std::vector<std::string> labels_of(const Call& call) const;
  void make_buffers(const Sample& sample);
  std::shared_ptr<void> memory_of(const Sample& sample);
  void check(const Candidate& candidate, const Sample& sample);
  void repeat(const Candidate& candidate, int batch, Timing& timing);
  double greatest(double value) const;
  double meet();
  BenchRow row_of(const Candidate& candidate, const Sample& sample, Timing& timing) const;

  const Context& context_;
  Device& device_;
  Backend &world_, &group_;
  const BenchOptions& options_;
  Choice barrier_;
  std::optional<CommonStart> common_start_;  // on several nodes
  std::vector<Buffer> buffers_;
  std::vector<std::byte> input_;
  std::size_t next_ = 0;  // of the buffers
};

}  // namespace lockstep
