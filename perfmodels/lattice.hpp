// SPDX-License-Identifier: Apache-2.0
// A cost over three sizes (m, n, k of a matrix product), known at points of a lattice of which some
// are missing: interpolated in logarithms, linearly in each size.
//
// A missing corner of a cell is what its neighbours say if the sizes do not interact: f(a,b) =
// f(a,b') f(a',b) / f(a',b'). Beyond the ends the cost stays as it is at the end.
#pragma once

#include <array>
#include <vector>

#include "perfmodels/machine/figure.hpp"

namespace lockstep {

class Lattice {
 public:
  static constexpr int kSizes = 3;
  using Sizes = std::array<double, kSizes>;
  struct Sample {
    Sizes at{};
    Figure cost{};  // above 0
  };
  struct Value {
    Figure cost{};
    double error = 0;     // of interpolation: half of a 90 % interval, as a share
    bool inside = false;  // between points that were measured
  };

  Lattice() = default;
  explicit Lattice(const std::vector<Sample>& samples);

  bool empty() const { return nodes_.empty(); }
  Value at(const Sizes& x) const;        // not of an empty lattice
  Figure nearest(const Sizes& x) const;  // the measured point next to it, likewise

 private:
  using Index = std::array<std::size_t, kSizes>;
  struct Node {
    double log_cost = 0, spread = 0;
    enum class Known : unsigned char { no, estimated, measured } known = Known::no;
  };
  struct Place {  // between lines `low` and `low + 1` of one size
    std::size_t low = 0;
    double share = 0;  // of the way
    bool within = false;
  };

  std::size_t offset(const Index& i) const;
  Index index(std::size_t offset) const;
  Place place(int size, double x) const;
  void estimate_missing();
  bool estimate(const Index& at, Node& node) const;
  void measure_error();

  std::array<std::vector<double>, kSizes> lines_;  // log of the sizes that occur
  std::vector<Node> nodes_;
  std::vector<Sample> samples_;
  double error_ = 0;  // in the middle of a cell
};

}  // namespace lockstep
