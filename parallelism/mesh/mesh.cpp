// SPDX-License-Identifier: Apache-2.0
#include "parallelism/mesh/mesh.hpp"

namespace lockstep {

namespace {

// Ranks that differ along `axis` only have one colour: the lowest of them.
Communicator along(int MeshPlace::*axis, const char* name, const Communicator& world,
                   const MeshDegrees& degrees) {
  return world.split(name, [&](int rank) {
    MeshPlace place = place_of(rank, degrees);
    place.*axis = 0;
    return rank_at(place, degrees);
  });
}

}  // namespace

Mesh::Mesh(const Communicator& world, const MeshDegrees& wanted)
    : degrees_(resolve(wanted, world.size())),
      world_(world),
      data_(along(&MeshPlace::data, "data", world, degrees_)),
      tensor_(along(&MeshPlace::tensor, "tensor", world, degrees_)),
      pipeline_(along(&MeshPlace::pipeline, "pipeline", world, degrees_)) {}

}  // namespace lockstep
