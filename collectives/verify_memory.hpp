// SPDX-License-Identifier: Apache-2.0
// The memory of all ranks, as symbols: every element is {index in the full vector, how it was added
// up from whose}. Also who touched it, where ranks share memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collectives/record.hpp"
#include "collectives/verify_order.hpp"
#include "collectives/verify_sums.hpp"

namespace lockstep {

// What is against the rules is thrown as Refuted.
class SymbolMemory {
 public:
  struct Element {
    std::uint32_t index = 0;  // in the full vector
    Sums::Number sum = 0;     // 0: nothing was written
  };

  // Every rank's input holds what it brings.
  explicit SymbolMemory(const Schedule& schedule);

  bool shared() const { return shared_; }  // ranks touch each other's
  const Sums& sums() const { return sums_; }
  std::span<Element> elements(const Region& region);

  void expect_inside(const Region& region) const;
  // Of shared memory: the access of `rank` is ordered behind all others to the region.
  void expect_ordered(const Region& region, int rank, Access access, const Order& order);

  // Of regions that are as long as each other.
  void copy(const Region& out, const Region& in);
  void combine(std::span<const Region> outs, std::span<const Region> ins, Sums::Way way);

 private:
  void set_up(int rank);
  Element added(const Element& sum, const Region& region, std::size_t i, Sums::Way way);
  void expect_something(const Element& value, const Region& region, std::size_t i) const;

  const Schedule& schedule_;
  std::size_t unit_;  // bytes of an element
  bool shared_;
  Sums sums_;
  std::vector<std::vector<std::vector<Element>>> elements_;  // by rank and area
  std::vector<std::vector<std::vector<Touches>>> touches_;   // by rank and area, of shared memory
};

}  // namespace lockstep
