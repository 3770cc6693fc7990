// SPDX-License-Identifier: Apache-2.0
// The ranks of a job as a grid with named axes. The communicator of an axis holds the ranks that
// differ in that axis only; an axis of degree 1 is a real communicator of one rank.
#pragma once

#include "collectives/communicator.hpp"
#include "parallelism/mesh/degrees.hpp"

namespace lockstep {

class Mesh {
 public:
  // Collective. ConfigError unless the degrees multiply to the number of ranks.
  Mesh(const Communicator& world, const MeshDegrees& wanted);

  const Communicator& world() const { return world_; }
  const Communicator& data() const { return data_; }
  const Communicator& tensor() const { return tensor_; }
  const Communicator& pipeline() const { return pipeline_; }

  const MeshDegrees& degrees() const { return degrees_; }
  MeshPlace place() const { return place_of(world_.rank(), degrees_); }

 private:
  MeshDegrees degrees_;
  Communicator world_, data_, tensor_, pipeline_;
};

}  // namespace lockstep
