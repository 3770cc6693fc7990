// SPDX-License-Identifier: Apache-2.0
#include "launch/collective_options.hpp"

#include "collectives/sizes.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr const char* kMemoryNames[] = {"plain", "shared", "both"};
constexpr int kNumDTypes = static_cast<int>(DType::uint8) + 1;

// The place of `name` among `count` names.
template <class NameOf>
int find_name(const char* what, const std::string& name, int count, NameOf name_at) {
  std::string allowed;
  for (int i = 0; i < count; ++i) {
    const std::string known = name_at(i);
    if (known.empty()) continue;
    if (name == known) return i;
    allowed += (allowed.empty() ? "" : ", ") + known;
  }
  throw ConfigError(std::string(what) + " '" + name + "' is unknown; allowed: " + allowed);
}

}  // namespace

Collective parse_collective(const std::string& name) {
  return static_cast<Collective>(find_name("collective", name, kNumCollectives, [](int i) {
    const auto what = static_cast<Collective>(i);
    return std::string(is_message(what) ? "" : name_of(what));
  }));
}

DType parse_dtype(const std::string& name) {
  return static_cast<DType>(find_name("--dtype", name, kNumDTypes, [](int i) {
    return std::string(name_of(static_cast<DType>(i)));
  }));
}

ReduceOp parse_op(const std::string& name) {
  return static_cast<ReduceOp>(find_name("--op", name, kNumReduceOps, [](int i) {
    return std::string(name_of(static_cast<ReduceOp>(i)));
  }));
}

std::vector<MemoryKind> parse_memory(const std::string& name) {
  const int kind = find_name("--memory", name, static_cast<int>(std::size(kMemoryNames)),
                             [](int i) { return std::string(kMemoryNames[i]); });
  if (kind == 2) return {MemoryKind::plain, MemoryKind::shared};
  return {static_cast<MemoryKind>(kind)};
}

std::size_t parse_bytes(const char* option, const std::string& text) {
  const auto bytes = bytes_from(text);
  if (bytes) return *bytes;
  throw ConfigError(std::string(option) + " '" + text +
                    "' is no size; allowed: bytes, with K, M or G behind them for 1024s");
}

std::string backend_of(const std::string& label) {
  return label.substr(0, label.find('/'));
}

std::string algorithm_of(const std::string& label) {
  const std::size_t slash = label.find('/');
  return slash == std::string::npos ? "" : label.substr(slash + 1);
}

}  // namespace lockstep
