// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the mesh: how many ranks each axis has, and which rank sits where. Tensor
// varies fastest, so its groups are neighbours inside a node; then data; pipeline slowest.
//
//   rank = (pipeline * D + data) * T + tensor
#pragma once

namespace lockstep {

struct MeshDegrees {
  int data = 0, tensor = 1, pipeline = 1;  // 0: what the others leave of the ranks

  int product() const { return data * tensor * pipeline; }
  bool operator==(const MeshDegrees&) const = default;
};

struct MeshPlace {
  int data = 0, tensor = 0, pipeline = 0;
  bool operator==(const MeshPlace&) const = default;
};

// The degrees with their 0 filled in. ConfigError, with the product, unless that is `ranks`.
MeshDegrees resolve(const MeshDegrees& wanted, int ranks);

MeshPlace place_of(int rank, const MeshDegrees& degrees);
int rank_at(const MeshPlace& place, const MeshDegrees& degrees);

}  // namespace lockstep
