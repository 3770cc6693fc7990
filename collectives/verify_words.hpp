// SPDX-License-Identifier: Apache-2.0
// What is wrong with a schedule, in words.
#pragma once

#include <string>
#include <type_traits>

#include "collectives/record.hpp"
#include "collectives/verify_order.hpp"

namespace lockstep {

struct Refuted {
  std::string why;
};

template <class... Parts>
std::string text(const Parts&... parts) {
  std::string all;
  const auto add = [&all](const auto& part) {
    if constexpr (std::is_convertible_v<decltype(part), std::string>)
      all += part;
    else
      all += std::to_string(part);
  };
  (add(parts), ...);
  return all;
}

template <class... Parts>
Refuted refuted(const Parts&... parts) {
  return {text(parts...)};
}

// A barrier moves no elements: its bytes are counted.
inline std::size_t bytes_of_element(const GroupCall& call) {
  return call.what == Collective::barrier ? 1 : size_of(call.dtype);
}

// "out[3] of rank 1".
inline std::string name_of(const Schedule& schedule, const Region& region, std::size_t i) {
  const auto& areas = schedule.ranks[static_cast<std::size_t>(region.rank)].areas;
  const auto area = static_cast<std::size_t>(region.area);
  return text(area < areas.size() ? name_of(areas[area].kind) : "memory", "[",
              region.begin / bytes_of_element(schedule.call) + i, "] of rank ", region.rank);
}

inline const char* verb(Access access) {
  return access == Access::read ? "reads " : "changes ";
}

}  // namespace lockstep
