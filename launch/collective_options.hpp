// SPDX-License-Identifier: Apache-2.0
// What the command line of `bench` and `explain` says about collectives. Each function is a
// ConfigError that lists what is allowed.
#pragma once

#include <string>
#include <vector>

#include "collectives/call.hpp"

namespace lockstep {

// Messages are none: they have no algorithms.
Collective parse_collective(const std::string& name);
DType parse_dtype(const std::string& name);
ReduceOp parse_op(const std::string& name);
// "plain", "shared", "both"
std::vector<MemoryKind> parse_memory(const std::string& name);
// "--bytes 4M"
std::size_t parse_bytes(const char* option, const std::string& text);

// What stands before and behind the slash of "native/ring"; "mpi" has nothing behind.
std::string backend_of(const std::string& label);
std::string algorithm_of(const std::string& label);

}  // namespace lockstep
