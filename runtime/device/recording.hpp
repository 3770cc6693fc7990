// SPDX-License-Identifier: Apache-2.0
// What was launched: every kernel and collective with its shape, cost and, where it really ran, its
// times. The dry device fills a recording without running anything; the cpu device fills one while
// tracing. The same names on both sides, so predictions and measurements join row by row.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

namespace lockstep {

// The classes of cost: each has its own efficiency curve in a machine profile.
enum class OperationKind : std::uint8_t { gemm, attention, streaming, collective, phase };

// FLOPs are those that the mathematics asks for (causal attention counted dense, nothing counted
// twice for being recomputed), bytes those that must cross memory once: the conventions of MFU and
// of the roofline.
struct Operation {
  const char* name = "";  // static storage
  OperationKind kind = OperationKind::streaming;
  std::array<std::int64_t, 4>
      shape{};  // gemm: m n k; attention: B T H D; streaming, collective: count
  double flops = 0, bytes_read = 0, bytes_written = 0;
  int ranks = 1;            // size of the group (collectives)
  const char* detail = "";  // backend and algorithm (collectives); static storage
};

enum class StreamKind : std::uint8_t { compute, communication };

struct Record {
  Operation operation;
  StreamKind stream;
  double begin = 0, end = 0;  // seconds of now(); zero where nothing ran
};

class Recording {
 public:
  void add(const Operation& operation, StreamKind stream, double begin = 0, double end = 0);
  const std::vector<Record>& records() const { return records_; }
  void clear() { records_.clear(); }

 private:
  std::mutex mutex_;  // compute and communication add at the same time
  std::vector<Record> records_;
};

// FLOPs of matrix products and attention: the numerator of MFU.
double model_flops(const Recording& recording);

}  // namespace lockstep
