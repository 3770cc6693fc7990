// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the mesh, and the mesh of one rank of a large job on the dry device.
#include "parallelism/mesh/degrees.hpp"

#include <string>

#include "parallelism/mesh/mesh.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

std::string message_of(const MeshDegrees& wanted, int ranks) {
  try {
    resolve(wanted, ranks);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("one degree of 0 is what the others leave", "[unit]") {
  CHECK(resolve({}, 6) == MeshDegrees{6, 1, 1});
  CHECK(resolve({0, 2, 3}, 12) == MeshDegrees{2, 2, 3});
  CHECK(resolve({2, 0, 1}, 6) == MeshDegrees{2, 3, 1});
  CHECK(resolve({1, 1, 0}, 5) == MeshDegrees{1, 1, 5});
  CHECK(resolve({3, 2, 2}, 12) == MeshDegrees{3, 2, 2});
}

TEST_CASE("degrees that do not fit say their product", "[unit]") {
  CHECK(message_of({2, 1, 2}, 3) ==
        "parallel.data x tensor x pipeline = 2 x 1 x 2 = 4, but the job has 3 ranks; change the "
        "degrees or the number of ranks");
  CHECK(message_of({0, 2, 2}, 6) ==
        "parallel.data x tensor x pipeline = 0 x 2 x 2 leaves groups of 4, but the job has 6 "
        "ranks; change the degrees or the number of ranks");
  CHECK(message_of({0, 0, 1}, 4).find("one degree at most may be 0") != std::string::npos);
  CHECK(message_of({-1, 1, 1}, 1).find("-1 x 1 x 1") != std::string::npos);
  CHECK(message_of({1 << 20, 1 << 20, 1}, 4).find("far too many") != std::string::npos);
}

TEST_CASE("tensor varies fastest, then data, then pipeline", "[unit]") {
  const MeshDegrees degrees{.data = 3, .tensor = 2, .pipeline = 4};
  CHECK(place_of(0, degrees) == MeshPlace{0, 0, 0});
  CHECK(place_of(1, degrees) == MeshPlace{.data = 0, .tensor = 1, .pipeline = 0});
  CHECK(place_of(2, degrees) == MeshPlace{.data = 1, .tensor = 0, .pipeline = 0});
  CHECK(place_of(6, degrees) == MeshPlace{.data = 0, .tensor = 0, .pipeline = 1});
  CHECK(place_of(23, degrees) == MeshPlace{.data = 2, .tensor = 1, .pipeline = 3});
  for (int r = 0; r < degrees.product(); ++r)
    CHECK(rank_at(place_of(r, degrees), degrees) == r);
}

TEST_CASE("a rank of a large dry job knows its groups", "[unit]") {
  auto device = make_dry_device();
  const MeshDegrees degrees{.data = 48, .tensor = 8, .pipeline = 8};
  const Mesh mesh(Communicator::dry(*device, 3072, 1000), degrees);
  CHECK(mesh.place() == place_of(1000, degrees));
  CHECK(mesh.data().size() == 48);
  CHECK(mesh.tensor().size() == 8);
  CHECK(mesh.pipeline().size() == 8);
  CHECK(mesh.data().rank() == mesh.place().data);
  CHECK(mesh.tensor().rank() == mesh.place().tensor);
  CHECK(mesh.pipeline().rank() == mesh.place().pipeline);
}
