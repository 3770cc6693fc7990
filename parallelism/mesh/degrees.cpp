// SPDX-License-Identifier: Apache-2.0
#include "parallelism/mesh/degrees.hpp"

#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

std::string text_of(const MeshDegrees& d) {
  return "parallel.data x tensor x pipeline = " + std::to_string(d.data) + " x " +
         std::to_string(d.tensor) + " x " + std::to_string(d.pipeline);
}

std::string job_of(int ranks) {
  return "the job has " + std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks") +
         "; change the degrees or the number of ranks";
}

}  // namespace

MeshDegrees resolve(const MeshDegrees& wanted, int ranks) {
  MeshDegrees degrees = wanted;
  int* open = nullptr;
  int product = 1;
  for (int* degree : {&degrees.data, &degrees.tensor, &degrees.pipeline}) {
    if (*degree < 0) throw ConfigError(text_of(wanted) + ": a degree is 1 or more, or 0");
    if (*degree == 0 && open) {
      throw ConfigError(text_of(wanted) + ": one degree at most may be 0 (what is left)");
    }
    if (*degree == 0) {
      open = degree;
    } else if (__builtin_mul_overflow(product, *degree, &product)) {
      throw ConfigError(text_of(wanted) + " is far too many; " + job_of(ranks));
    }
  }
  if (open && ranks % product == 0) *open = ranks / product;
  if (open && ranks % product != 0) {
    throw ConfigError(text_of(wanted) + " leaves groups of " + std::to_string(product) + ", but " +
                      job_of(ranks));
  }
  if (degrees.product() != ranks) {
    throw ConfigError(text_of(wanted) + " = " + std::to_string(product) + ", but " + job_of(ranks));
  }
  return degrees;
}

MeshPlace place_of(int rank, const MeshDegrees& degrees) {
  return {.data = rank / degrees.tensor % degrees.data,
          .tensor = rank % degrees.tensor,
          .pipeline = rank / (degrees.tensor * degrees.data)};
}

int rank_at(const MeshPlace& place, const MeshDegrees& degrees) {
  return (place.pipeline * degrees.data + place.data) * degrees.tensor + place.tensor;
}

}  // namespace lockstep
