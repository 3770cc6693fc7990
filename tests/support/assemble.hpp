// SPDX-License-Identifier: Apache-2.0
// The weights of the whole model, from what each rank of a layout updates.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/registry.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep::test {

using Weights = std::map<std::string, std::vector<float>>;

// Where element `i` of what a rank holds lies in the full parameter of so many columns; -1:
// padding.
inline std::int64_t full_index(std::int64_t i, const Part& part, std::int64_t held_columns) {
  if (part.whole()) return i;
  const bool rows = part.dim == 0;
  const std::int64_t row = i / held_columns, column = i % held_columns;
  std::int64_t at = rows ? row : column;
  for (const Range& range : part.kept) {
    if (at < range.count()) {
      const std::int64_t full = range.begin + at;
      const std::int64_t columns = part.full.rank() > 1 ? part.full[1] : 1;
      return rows ? full * columns + column : row * columns + full;
    }
    at -= range.count();
  }
  return -1;
}

// Zeros, of the size of the model of the job.
inline Weights blank(const JobConfig& job) {
  const auto device = make_cpu_device();
  const auto model = make_model(job.model, *device, 1);
  Weights all;
  for (const Parameter* p : parameters_of(*model))
    all[p->name].resize(static_cast<std::size_t>(p->value.count()));
  return all;
}

// Each element is given by one rank; the sum over ranks has them all. Collective.
inline Weights assemble(const TrainingStep& step, const Mesh& mesh, const JobConfig& job,
                        MPI_Comm world) {
  Weights all = blank(job);
  const bool speaks = step.data().shards() || mesh.data().rank() == 0;
  for (const Piece& piece : step.data().pieces()) {
    const Parameter& p = *piece.parameter;
    if (!speaks || !step.stage().speaks_for(p)) continue;
    const bool vector = p.part.whole() || p.part.full.rank() < 2;
    const std::int64_t columns = vector            ? 1
                                 : p.part.dim == 0 ? p.part.full[1]
                                                   : p.part.kept.front().count();
    std::vector<float>& full = all.at(p.name);
    for (std::int64_t i = 0; i < piece.value.count(); ++i) {
      const std::int64_t at = full_index(piece.begin + i, p.part, columns);
      if (at >= 0) full.at(static_cast<std::size_t>(at)) = piece.value.data()[i];
    }
  }
  for (auto& [name, values] : all) {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_FLOAT,
                            MPI_SUM, world));
  }
  return all;
}

}  // namespace lockstep::test
