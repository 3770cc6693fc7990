// SPDX-License-Identifier: Apache-2.0
#include "collectives/call.hpp"

#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr const char* kNames[kNumCollectives] = {
    "all_reduce", "reduce_scatter", "all_gather", "broadcast", "reduce", "all_to_all",
    "gather",     "scatter",        "send",       "receive",   "barrier"};

// A step of splitmix64.
constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  std::uint64_t z = (hash ^ word) + 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

}  // namespace

const char* name_of(MemoryKind memory) {
  return memory == MemoryKind::shared ? "shared" : "plain";
}

const char* name_of(Collective what) {
  return kNames[static_cast<int>(what)];
}

Collective collective_named(const char* name) {
  std::string known;
  for (int i = 0; i < kNumCollectives; ++i) {
    if (std::string(name) == kNames[i]) return static_cast<Collective>(i);
    known += std::string(i ? ", " : "") + kNames[i];
  }
  throw ConfigError("no collective is called '" + std::string(name) + "'; there are: " + known);
}

// Two steps: every call pays for them twice.
std::uint64_t Call::fingerprint() const {
  // Both ends of a message have one fingerprint.
  const bool message = is_message(what);
  const auto collective = static_cast<std::uint64_t>(message ? Collective::send : what);
  const auto where = message ? 0
                             : static_cast<std::uint64_t>(static_cast<std::uint32_t>(root)) << 1 |
                                   (memory == MemoryKind::shared);
  const auto type = static_cast<std::uint64_t>(dtype) << 8 | static_cast<std::uint64_t>(op);
  const std::uint64_t kind = where << 24 | collective << 16 | type;
  return mix(mix(kind, blocks.layout()), count());
}

Call all_reduce_call(const Elements& out, const Elements& in, ReduceOp op, int ranks) {
  return {.what = Collective::all_reduce,
          .out = out,
          .in = in,
          .dtype = in.dtype,
          .blocks = Blocks(in.count, ranks),
          .op = op};
}

Call reduce_scatter_call(const Elements& out, const Elements& in, ReduceOp op, const Blocks& b) {
  return {.what = Collective::reduce_scatter,
          .out = out,
          .in = in,
          .dtype = in.dtype,
          .blocks = b,
          .op = op};
}

Call all_gather_call(const Elements& out, const Elements& in, const Blocks& blocks) {
  return {
      .what = Collective::all_gather, .out = out, .in = in, .dtype = in.dtype, .blocks = blocks};
}

Call broadcast_call(const Elements& data, int root, int ranks) {
  return {.what = Collective::broadcast,
          .out = data,
          .in = data,
          .dtype = data.dtype,
          .blocks = Blocks(data.count, ranks),
          .root = root};
}

Call reduce_call(const Elements& out, const Elements& in, ReduceOp op, int root, int ranks) {
  return {.what = Collective::reduce,
          .out = out,
          .in = in,
          .dtype = in.dtype,
          .blocks = Blocks(in.count, ranks),
          .op = op,
          .root = root};
}

Call all_to_all_call(const Elements& out, const Elements& in, int ranks) {
  return {.what = Collective::all_to_all,
          .out = out,
          .in = in,
          .dtype = in.dtype,
          .blocks = Blocks(in.count, ranks)};
}

Call gather_call(const Elements& out, const Elements& in, int root, const Blocks& blocks) {
  return {.what = Collective::gather,
          .out = out,
          .in = in,
          .dtype = in.dtype,
          .blocks = blocks,
          .root = root};
}

Call scatter_call(const Elements& out, const Elements& in, int root, const Blocks& blocks) {
  return {.what = Collective::scatter,
          .out = out,
          .in = in,
          .dtype = in.dtype,
          .blocks = blocks,
          .root = root};
}

Call send_call(const Elements& data, int to) {
  return {.what = Collective::send,
          .in = data,
          .dtype = data.dtype,
          .blocks = Blocks(data.count, 1),
          .root = to};
}

Call receive_call(const Elements& data, int from) {
  return {.what = Collective::receive,
          .out = data,
          .dtype = data.dtype,
          .blocks = Blocks(data.count, 1),
          .root = from};
}

Call barrier_call() {
  return {};
}

}  // namespace lockstep
