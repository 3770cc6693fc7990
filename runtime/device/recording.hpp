// SPDX-License-Identifier: Apache-2.0
// What was launched: every kernel and collective with its shape, cost and, where it really ran, its
// times. The dry device fills a recording without running anything; the cpu device fills one while
// tracing. The same names on both sides, so predictions and measurements join row by row.
//
// A recording of the dry device also holds what orders the streams: within a stream each record
// begins when the one before it has ended, and not before the records of other streams that it is
// `after` have. Where all communication is one queue, one of them says it all.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/dtype.hpp"

namespace lockstep {

// The classes of cost: each has its own efficiency curve in a machine profile.
enum class OperationKind : std::uint8_t { gemm, attention, streaming, collective, phase };

// The ranks that a collective is among.
struct OperationGroup {
  std::string name{};  // of the axis: "world", "data"
  int ranks = 1, nodes = 1;
  bool even = true;  // as many ranks on each node
  bool operator==(const OperationGroup& other) const = default;
};

// FLOPs are those that the mathematics asks for (causal attention counted dense, nothing counted
// twice for being recomputed), bytes those that must cross memory once: the conventions of MFU and
// of the roofline.
struct Operation {
  const char* name = "";  // static storage
  OperationKind kind = OperationKind::streaming;
  std::array<std::int64_t, 4> shape{};  // gemm: m n k; attention: B T H D; streaming, collective:
                                        // count; phase: how many records before it belong to it,
                                        // micro-batch, chunk
  double flops = 0, bytes_read = 0, bytes_written = 0;
  DType dtype = DType::float32;
  // Of collectives (`detail` also of attention by the "library", and of products in "tf32"):
  int ranks = 1;                          // size of the group
  int peer = 0;                           // the root, or who the message is to or from
  const char* detail = "";                // backend and algorithm; static storage
  const char* memory = "";                // "plain", "shared"; static storage
  const OperationGroup* group = nullptr;  // lives as long as the call; a Recording keeps its own
};

enum class StreamKind : std::uint8_t { compute, communication };

// Where a GPU communicates: one stream for each axis of the mesh, and one for all other groups.
enum class Lane : std::uint8_t { world, data, tensor, pipeline };
inline constexpr std::size_t kNumLanes = 4;
Lane lane_of(std::string_view group);

// For each stream (compute, then the lanes) one of its records; -1: none.
using RecordByStream = std::array<int, 1 + kNumLanes>;
constexpr std::size_t place_of(StreamKind stream, Lane lane) {
  return stream == StreamKind::compute ? 0 : 1 + static_cast<std::size_t>(lane);
}

struct Record {
  Operation operation;
  StreamKind stream;
  double begin = 0, end = 0;   // seconds of now(); zero where nothing ran
  int after = -1;              // record of the other kind of stream that has ended before; -1: none
  std::vector<int> besides{};  // and earlier ones, or of the same kind, in other lanes
  Lane lane = Lane::world;     // of communication
};

class Recording {
 public:
  // Returns the record's number.
  int add(const Operation& operation, StreamKind stream, double begin = 0, double end = 0,
          Lane lane = Lane::world);
  void set_times(int record, double begin, double end);  // where they are known later
  const std::vector<Record>& records() const { return records_; }
  void clear();

  // The last record of a stream so far, -1 if there is none; with all that its next record is to
  // wait for; and what more that is. One record of a stream is enough: those before it have ended
  // when it has.
  int last(StreamKind stream, Lane lane = Lane::world) const {
    return last_[place_of(stream, lane)];
  }
  RecordByStream reached(StreamKind stream, Lane lane) const;
  void wait(StreamKind stream, const RecordByStream& records, Lane lane = Lane::world);
  void wait(StreamKind stream, int record, Lane lane = Lane::world);
  int size();  // records so far

 private:
  const OperationGroup* keep(const OperationGroup& group);
  void set_edges(Record& record, RecordByStream& waited_for) const;

  std::mutex mutex_;  // compute and communication add at the same time
  std::vector<Record> records_;
  std::deque<OperationGroup> groups_;
  static constexpr RecordByStream kNone{-1, -1, -1, -1, -1};
  RecordByStream last_ = kNone;
  std::array<RecordByStream, 1 + kNumLanes> wait_for_{kNone, kNone, kNone, kNone, kNone};
};

// FLOPs of matrix products and attention, without what the phases "recompute" repeat: the numerator
// of MFU.
double model_flops(const Recording& recording);

}  // namespace lockstep
