// SPDX-License-Identifier: Apache-2.0
// Every layout of the ranks at hand: the group of an axis holds the ranks that differ in it only.
#include "parallelism/mesh/mesh.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;

namespace {

// Sum over the group of 1 << rank: which ranks of the world are in it.
std::int64_t members(const Communicator& group, Device& device) {
  Tensor mask = Tensor::empty(device, {1}, DType::int64);
  *mask.data<std::int64_t>() = std::int64_t{1} << test::context().rank();
  group.all_reduce(mask, ReduceOp::sum).wait();
  return *mask.data<std::int64_t>();
}

std::int64_t expected_members(const MeshDegrees& degrees, int MeshPlace::*axis, int degree) {
  MeshPlace place = place_of(test::context().rank(), degrees);
  std::int64_t mask = 0;
  for (place.*axis = 0; place.*axis < degree; ++(place.*axis)) {
    mask |= std::int64_t{1} << rank_at(place, degrees);
  }
  return mask;
}

}  // namespace

TEST_CASE("axes hold the ranks that differ in them only", "[mpi]") {
  auto device = make_cpu_device();
  const auto world = Communicator::world(test::context(), *device);
  for (int tensor = 1; tensor <= world.size(); ++tensor) {
    for (int pipeline = 1; tensor * pipeline <= world.size(); ++pipeline) {
      if (world.size() % (tensor * pipeline) != 0) continue;
      const Mesh mesh(world, {.data = 0, .tensor = tensor, .pipeline = pipeline});
      const MeshDegrees d = mesh.degrees();
      INFO("data " << d.data << " tensor " << tensor << " pipeline " << pipeline);
      CHECK(members(mesh.data(), *device) == expected_members(d, &MeshPlace::data, d.data));
      CHECK(members(mesh.tensor(), *device) == expected_members(d, &MeshPlace::tensor, tensor));
      CHECK(members(mesh.pipeline(), *device) ==
            expected_members(d, &MeshPlace::pipeline, pipeline));
      CHECK(mesh.data().rank() == mesh.place().data);
      CHECK(mesh.tensor().rank() == mesh.place().tensor);
      CHECK(mesh.pipeline().rank() == mesh.place().pipeline);
    }
  }
}

TEST_CASE("degrees that do not fit the job are an error on every rank", "[mpi]") {
  auto device = make_cpu_device();
  const auto world = Communicator::world(test::context(), *device);
  CHECK_THROWS_AS(Mesh(world, {.data = 5, .tensor = 1, .pipeline = 1}), ConfigError);
}
