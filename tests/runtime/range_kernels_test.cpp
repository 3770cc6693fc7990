// SPDX-License-Identifier: Apache-2.0
// Kernels that hold a part of a matrix or of the vocabulary, against the whole.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <omp.h>

#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/embedding.hpp"
#include "runtime/kernels/update.hpp"
#include "runtime/tensor/transfer.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"

using namespace lockstep;
using kernels::VocabularyRange;
using test::random_tensor;

namespace {

Tensor zeros(Device& device, const Shape& shape) {
  Tensor t = Tensor::empty(device, shape);
  kernels::fill(t, 0.0f, device.compute());
  return t;
}

// Each range's logits, in `columns` columns of which the last are padding that must not be read.
std::vector<Tensor> split(const Tensor& logits, const std::vector<VocabularyRange>& ranges,
                          std::int64_t columns) {
  std::vector<Tensor> parts;
  for (const VocabularyRange& range : ranges) {
    Tensor part = Tensor::empty(logits.device(), {logits.dim(0), columns});
    kernels::fill(part, 1e30f, logits.device().compute());
    for (std::int64_t r = 0; r < logits.dim(0); ++r) {
      const float* from = logits.data() + r * logits.dim(1) + range.first;
      std::copy(from, from + range.valid, part.data() + r * columns);
    }
    parts.push_back(part);
  }
  return parts;
}

// The two passes, with the reductions over ranks by hand. The parts become the gradients.
std::vector<Tensor> cross_entropy_in_parts(std::vector<Tensor>& parts, const Tensor& targets,
                                           const std::vector<VocabularyRange>& ranges,
                                           float scale) {
  Device& device = targets.device();
  Stream& stream = device.compute();
  const std::int64_t M = targets.count();
  std::vector<Tensor> stats, losses;
  Tensor global_max = Tensor::empty(device, {M}), sums = zeros(device, {2, M});
  kernels::fill(global_max, -1e38f, stream);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    stats.push_back(Tensor::empty(device, {3, M}));
    kernels::cross_entropy_statistics(stats[p], parts[p], targets, ranges[p], stream);
    for (std::int64_t r = 0; r < M; ++r)
      global_max.data()[r] = std::max(global_max.data()[r], stats[p].data()[r]);
  }
  for (const Tensor& s : stats) {
    Tensor mine = Tensor::empty(device, {2, M});
    kernels::cross_entropy_rescale(mine, s, global_max, stream);
    kernels::add(sums, mine, stream);
  }
  for (std::size_t p = 0; p < parts.size(); ++p) {
    losses.push_back(Tensor::empty(device, {M}));
    kernels::cross_entropy_gradient(losses[p], parts[p], targets, global_max, sums, ranges[p],
                                    scale, stream);
  }
  return losses;
}

// Whether the first choice of each row is its target, and if not, 1: what std::max_element says.
std::vector<float> wanted_misses(const Tensor& logits, const Tensor& targets) {
  std::vector<float> misses;
  for (std::int64_t r = 0; r < targets.count(); ++r) {
    const float* row = logits.data() + r * logits.dim(1);
    const auto first = std::max_element(row, row + logits.dim(1)) - row;
    misses.push_back(first == targets.data<int>()[r] ? 0 : 1);
  }
  return misses;
}

// Of all ranges together: the largest.
std::vector<float> misses_in_parts(const std::vector<Tensor>& parts, const Tensor& targets,
                                   const Tensor& target_logits,
                                   const std::vector<VocabularyRange>& ranges) {
  const std::int64_t M = targets.count();
  std::vector<float> misses(static_cast<std::size_t>(M));
  for (std::size_t p = 0; p < parts.size(); ++p) {
    Tensor mine = Tensor::empty(targets.device(), {M});
    kernels::cross_entropy_misses(mine, parts[p], targets, target_logits, ranges[p],
                                  targets.device().compute());
    for (std::size_t r = 0; r < misses.size(); ++r)
      misses[r] = std::max(misses[r], mine.data()[r]);
  }
  return misses;
}

}  // namespace

TEST_CASE("a part of a normal matrix has the bits of the whole") {
  const auto device = make_cpu_device();
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{7, 5}, {130, 131}}) {
    Tensor whole = Tensor::empty(*device, {rows, columns});
    kernels::fill_normal(whole, 0.3f, 21, device->compute());
    for (const std::array<std::int64_t, 4> part : {std::array<std::int64_t, 4>{0, rows, 0, columns},
                                                   {1, 4, 0, columns},
                                                   {0, rows, 3, 5},
                                                   {2, 7, 1, 2},
                                                   {rows - 1, rows, 0, 4}}) {
      const auto [top, bottom, left, right] = part;
      INFO(rows << " x " << columns << " from " << top << ", " << left);
      Tensor y = Tensor::empty(*device, {bottom - top, right - left});
      kernels::fill_normal_part(y, 0.3f, 21, columns, top, left, device->compute());
      for (std::int64_t r = top; r < bottom; ++r) {
        for (std::int64_t c = left; c < right; ++c)
          REQUIRE(y.data()[(r - top) * (right - left) + c - left] == whole.data()[r * columns + c]);
      }
    }
  }
}

TEST_CASE("cross entropy of ranges of the vocabulary equals that of all of it") {
  const auto device = make_cpu_device();
  const std::int64_t M = 33, V = 517;
  Tensor logits = random_tensor(*device, {M, V}, 1);
  for (float& v : logits.values())
    v *= 30;
  const Tensor targets = test::random_tokens(*device, {M}, V, 2);
  Tensor losses = Tensor::empty(*device, {M}), gradient = test::copy_of(logits);
  kernels::cross_entropy(losses, gradient, targets, 0.5f, device->compute());

  using Ranges = std::vector<VocabularyRange>;
  for (const Ranges& ranges : {Ranges{{0, V}}, Ranges{{0, 259}, {259, 258}},
                               Ranges{{0, 1}, {1, 500}, {501, 16}, {V, 0}}}) {
    for (const std::int64_t columns : {V, std::int64_t{520}}) {
      INFO(ranges.size() << " ranges in " << columns << " columns");
      std::vector<Tensor> parts = split(logits, ranges, columns);
      for (const Tensor& l : cross_entropy_in_parts(parts, targets, ranges, 0.5f))
        CHECK(test::largest_difference(l, losses) < 1e-5);
      double worst = 0, padding = 0;
      for (std::size_t p = 0; p < parts.size(); ++p) {
        for (std::int64_t r = 0; r < M; ++r) {
          const float* row = parts[p].data() + r * columns;
          const float* wanted = gradient.data() + r * V + ranges[p].first;
          for (std::int64_t c = 0; c < ranges[p].valid; ++c)
            worst = std::max(worst, std::abs(double{row[c]} - wanted[c]));
          for (std::int64_t c = ranges[p].valid; c < columns; ++c)
            padding = std::max(padding, std::abs(double{row[c]}));
        }
      }
      CHECK(worst < 1e-6);
      CHECK(padding == 0);
    }
  }
}

TEST_CASE("the first choice of a row is found in ranges of the vocabulary, of equals the first") {
  const auto device = make_cpu_device();
  const std::int64_t M = 400, V = 37;
  Tensor logits = random_tensor(*device, {M, V}, 1);
  for (float& v : logits.values())
    v = std::round(2 * v);  // few values: mostly several are the largest
  const Tensor targets = test::random_tokens(*device, {M}, V, 2);
  Tensor target_logits = Tensor::empty(*device, {M});
  for (std::int64_t r = 0; r < M; ++r) {
    float* row = logits.data() + r * V;
    const int target = targets.data<int>()[r];
    if (r % 2 == 0) row[target] = *std::max_element(row, row + V);
    target_logits.data()[r] = row[target];
  }
  const std::vector<float> wanted = wanted_misses(logits, targets);
  const auto missed = std::count(wanted.begin(), wanted.end(), 1.0f);
  REQUIRE((missed > M / 2 && missed < M - 10));

  using Ranges = std::vector<VocabularyRange>;
  for (const Ranges& ranges :
       {Ranges{{0, V}}, Ranges{{0, 19}, {19, 18}}, Ranges{{0, 1}, {1, 20}, {21, 16}, {V, 0}}}) {
    INFO(ranges.size() << " ranges");
    CHECK(misses_in_parts(split(logits, ranges, V), targets, target_logits, ranges) == wanted);
  }
  logits.data()[0] = target_logits.data()[1] = std::nanf("");
  const auto odd = misses_in_parts(split(logits, {{0, V}}, V), targets, target_logits, {{0, V}});
  CHECK(odd[0] == (targets.data<int>()[0] == 0 ? wanted[0] : 1));
  CHECK(odd[1] == 1);
}

TEST_CASE("embeddings of ranges of the vocabulary add up to that of all of it") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  const std::int64_t B = 3, T = 67, V = 11, C = 5;
  const Tensor tokens = test::random_tokens(*device, {B, T}, V, 1);
  const Tensor table = random_tensor(*device, {V, C}, 2),
               places = random_tensor(*device, {T, C}, 3);
  const Tensor dy = random_tensor(*device, {B * T, C}, 4);
  for (const Tensor& positions : {places, Tensor()}) {
    Tensor y = zeros(*device, {B * T, C}), dtable = zeros(*device, {V, C}), part = test::copy_of(y);
    Tensor dplaces = zeros(*device, {T, C});
    for (const auto& [begin, end] : {std::pair<std::int64_t, std::int64_t>{0, 4}, {4, 5}, {5, V}}) {
      Tensor none, rows = dtable.slice(begin, end);
      const bool first = begin == 0;  // one of the ranks has the positions
      kernels::embedding_forward(part, tokens, table.slice(begin, end),
                                 first ? positions : Tensor(), begin, stream);
      kernels::add(y, part, stream);
      kernels::embedding_backward(rows, first && positions ? dplaces : none, dy, tokens, begin,
                                  stream);
    }
    std::vector<double> wanted_rows(V * C), wanted_places(T * C);
    for (std::int64_t i = 0; i < B * T * C; ++i) {
      const std::int64_t row = tokens.data<int>()[i / C] * C + i % C, place = i % (T * C);
      const float wanted = table.data()[row] + (positions ? places.data()[place] : 0.0f);
      CHECK(y.data()[i] == wanted);
      wanted_rows[row] += dy.data()[i];
      if (positions) wanted_places[place] += dy.data()[i];
    }
    for (std::int64_t i = 0; i < V * C; ++i)
      CHECK(dtable.data()[i] == Approx(wanted_rows[i]).margin(1e-5));
    for (std::int64_t i = 0; i < T * C; ++i)
      CHECK(dplaces.data()[i] == Approx(wanted_places[i]).margin(1e-5));
  }
}

TEST_CASE("sums of squares do not depend on the threads, and their root is the norm") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  const std::vector<Tensor> gradients = {random_tensor(*device, {200003}, 1),
                                         random_tensor(*device, {3}, 2), zeros(*device, {17})};
  const int threads = omp_get_max_threads();
  std::vector<Tensor> runs;
  for (const int n : {1, 3}) {
    omp_set_num_threads(n);
    Tensor sums = Tensor::empty(*device, {3}, DType::float64);
    kernels::squared_sums(sums, gradients, stream);
    runs.push_back(sums);
  }
  omp_set_num_threads(threads);
  double all = 0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    double square = 0;
    for (const float v : gradients[i].values())
      square += double{v} * v;
    all += square;
    CHECK(runs[0].data<double>()[i] == runs[1].data<double>()[i]);
    CHECK(runs[0].data<double>()[i] == Approx(square).epsilon(1e-6));
  }
  Tensor norm = Tensor::empty(*device, {1});
  kernels::norm_of(norm, runs[0], stream);
  CHECK(read_scalar(norm) == Approx(std::sqrt(all)).epsilon(1e-6));
}
