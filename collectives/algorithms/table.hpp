// SPDX-License-Identifier: Apache-2.0
// Every algorithm of every collective. The selector, the tests, the verifier, the benchmark and the
// performance models walk this table. An algorithm is one file of this folder that defines one
// Algorithm (a function against Transport, what it costs, what it cannot serve), and a line in
// table.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "collectives/links.hpp"
#include "collectives/transport.hpp"

namespace lockstep {

// Carries out a call of its collective on `net`, which all ranks do at once.
using Run = void(Transport& net, const Call& call);
// What it costs: n bytes of the full vector. Infinite if it cannot serve such a call.
using Seconds = double(const GroupShape& group, double n, const Links& links);
// Why it cannot serve such a group, whatever the call: nullptr if it can.
using Refusal = const char*(const GroupShape& group);

const char* serves_all(const GroupShape& group);
const char* needs_shared_memory(const GroupShape& group);  // "its ranks do not share one memory"
const char* needs_nodes(const GroupShape& group);          // several, of several ranks each
const char* needs_even_nodes(const GroupShape& group);     // and the same number on each

struct Algorithm {
  Collective what;
  const char* label;  // "native/NAME", as recordings show it
  Run* run;
  Seconds* seconds;
  Refusal* refusal = serves_all;
  std::size_t largest = static_cast<std::size_t>(-1);  // bytes of a full vector that it serves

  constexpr std::string_view name() const {
    const std::string_view text = label;
    return text.substr(text.find('/') + 1);
  }
};

std::span<const Algorithm* const> algorithms();
// The one called `name` ("ring") of a collective; nullptr if there is none.
const Algorithm* find_algorithm(Collective what, std::string_view name);

}  // namespace lockstep
