// SPDX-License-Identifier: Apache-2.0
// The keys of every table of a profile, once: reading, checking and writing walk them. A visitor V
// has key(name, member), for numbers with what they may be; table(name, member) and
// tables(name, members).
#pragma once

#include <initializer_list>
#include <limits>

#include "perfmodels/machine/machine.hpp"

namespace lockstep::profile {

// What a number may be.
struct Bounds {
  double low = 0, high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  const char* text = "at least 0";
};
using Words = std::initializer_list<const char*>;
inline constexpr Bounds kAny{};
inline constexpr Bounds kPositive{0, std::numeric_limits<double>::infinity(), true, "above 0"};
inline constexpr Bounds kShare{0, 1, true, "above 0 and at most 1"};
inline constexpr Bounds kSlowdown{1, std::numeric_limits<double>::infinity(), false, "at least 1"};

template <class V>
void describe(V& v, LogGP& t) {
  v.key("L", t.L);
  v.key("o_send", t.o_send);
  v.key("o_recv", t.o_recv);
  v.key("g", t.g);
  v.key("G", t.G);
}
template <class V>
void describe(V& v, Segment& t) {
  v.key("from_bytes", t.from_bytes);
  v.key("alpha", t.alpha);
  v.key("beta", t.beta);
}
template <class V>
void describe(V& v, LinkProfile& t) {
  v.key("level", t.level);
  v.key("source", t.source);
  v.key("rendezvous_bytes", t.rendezvous_bytes);
  v.key("ports", t.ports, kPositive);
  v.key("sharing", t.sharing, {"queue", "share"});
  v.key("contention", t.contention);
  v.table("loggp", t.loggp);
  v.tables("segment", t.segments);
  v.key("messages", t.messages);
  v.key("gaps", t.gaps);
}
template <class V>
void describe(V& v, GemmPoint& t) {
  v.key("kernel", t.kernel);
  v.key("by", t.by);
  v.key("m", t.m, kPositive);
  v.key("n", t.n, kPositive);
  v.key("k", t.k, kPositive);
  v.key("seconds", t.seconds, kPositive);
}
template <class V>
void describe(V& v, AttentionPoint& t) {
  v.key("pass", t.pass);
  v.key("by", t.by);
  v.key("B", t.B, kPositive);
  v.key("T", t.T, kPositive);
  v.key("H", t.H, kPositive);
  v.key("D", t.D, kPositive);
  v.key("seconds", t.seconds, kPositive);
}
template <class V>
void describe(V& v, KernelCurve& t) {
  v.key("kernel", t.kernel);
  v.key("seconds", t.seconds);
}
template <class V>
void describe(V& v, GemmTile& t) {
  v.key("m", t.m, kPositive);
  v.key("n", t.n, kPositive);
}
template <class V>
void describe(V& v, ComputeProfile& t) {
  v.key("dtype", t.dtype);
  v.key("source", t.source);
  v.key("peak_flops", t.peak_flops, kPositive);
  v.key("memory_bandwidth", t.memory_bandwidth, kPositive);
  v.key("launch", t.launch);
  v.key("gemm_efficiency", t.gemm_efficiency, kShare);
  v.key("attention_efficiency", t.attention_efficiency, kShare);
  v.key("streaming_efficiency", t.streaming_efficiency, kShare);
  v.key("processors", t.processors);
  v.key("cache_bandwidth", t.cache_bandwidth, kPositive);
  v.key("tile_latency", t.tile_latency);
  v.tables("tile", t.tiles);
  v.tables("gemm", t.gemm);
  v.tables("attention", t.attention);
  v.tables("streaming", t.streaming);
}
template <class V>
void describe(V& v, SharedProfile& t) {
  v.key("source", t.source);
  v.key("gamma", t.gamma);
  v.key("sync", t.sync);
  v.key("crowded_sync", t.crowded_sync);
  v.key("copy", t.copy);
  v.key("reduce", t.reduce);
  v.key("stage", t.stage);
  v.key("reach", t.reach);
  v.key("fetch", t.fetch);
}
template <class V>
void describe(V& v, CollectiveCurve& t) {
  v.key("operation", t.operation);
  v.key("label", t.label);
  v.key("ranks", t.ranks, kPositive);
  v.key("nodes", t.nodes, kPositive);
  v.key("memory", t.memory);
  v.key("source", t.source);
  v.key("seconds", t.seconds);
}
template <class V>
void describe(V& v, OverlapProfile& t) {
  v.key("source", t.source);
  v.key("compute_slowdown", t.compute_slowdown, kSlowdown);
  v.key("communication_slowdown", t.communication_slowdown, kSlowdown);
  v.key("delay", t.delay);
}
template <class V>
void describe(V& v, SkewProfile& t) {
  v.key("source", t.source);
  v.key("ranks", t.ranks);
  v.key("waiting", t.waiting);
}
template <class V>
void describe(V& v, DriftProfile& t) {
  v.key("source", t.source);
  v.key("compute", t.compute);
  v.key("memory", t.memory);
  v.key("collectives", t.collectives);
}
template <class V>
void describe(V& v, PublishedRuns& t) {
  v.key("source", t.source);
  v.key("least", t.least, kPositive);
  v.key("most", t.most, kPositive);
}
struct Head {
  Machine& machine;
};
template <class V>
void describe(V& v, Head& head) {
  Machine& t = head.machine;
  v.key("name", t.name);
  v.key("source", t.source);
  v.key("calibrated", t.calibrated);
  v.key("nodes", t.nodes, kPositive);
  v.key("devices_per_node", t.devices_per_node, kPositive);
  v.key("cores_per_node", t.cores_per_node, kPositive);
  v.key("device", t.device);
  v.key("threads_per_device", t.threads_per_device, kPositive);
  v.key("memory_bytes", t.memory_bytes, kPositive);
}
template <class V>
void describe(V& v, Machine& t) {
  Head head{t};
  v.table("machine", head);
  v.tables("compute", t.compute);
  v.tables("link", t.links);
  v.table("shared", t.shared);
  v.table("overlap", t.overlap);
  v.table("skew", t.skew);
  v.table("drift", t.drift);
  v.table("published", t.published);
  v.tables("collective", t.collectives);
}

}  // namespace lockstep::profile
