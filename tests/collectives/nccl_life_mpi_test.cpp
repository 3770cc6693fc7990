// SPDX-License-Identifier: Apache-2.0
// NCCL itself, by a group of one rank, which our backend would serve without it: connecting,
// registered memory, a group of several operations, parts, the end. All of it that one GPU can
// show; also run on the NCCL of tests/testbed/nccl.
#include <cstdio>
#include <vector>

#include "collectives/backends/nccl/comm.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/cuda_check.hpp"
#include "runtime/device/cuda_device.hpp"
#include "runtime/device/cuda_info.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;
using nccl::Comm;

namespace {

constexpr std::size_t kCount = 1000;

Deadline soon() {
  return {now() + 60};
}

std::shared_ptr<const nccl::Library> library() {
  const CudaInfo info = cuda_info();
  if (info.devices == 0) std::printf("skipped: no GPU: %s\n", info.note.c_str());
  if (info.devices == 0) return nullptr;
  try {
    return nccl::Library::open();
  } catch (const SystemError& missing) {
    std::printf("skipped: no NCCL: %s\n", missing.what());
    return nullptr;
  }
}

// A sum over one rank, and a message to itself behind it.
std::vector<float> through(const std::shared_ptr<Comm>& comm, cudaStream_t stream,
                           const std::vector<float>& numbers) {
  const std::size_t bytes = kCount * sizeof(float);
  const auto memory = Comm::allocate(comm, 3 * bytes);
  std::byte *const in = memory.get(), *const sum = in + bytes, *const copy = sum + bytes;
  const nccl::Library& nccl = comm->library();
  check(cudaMemcpyAsync(in, numbers.data(), bytes, cudaMemcpyHostToDevice, stream));
  comm->group(soon(), [&] {
    comm->check(nccl.all_reduce(in, sum, kCount, ncclFloat32, ncclSum, comm->get(), stream));
  });
  comm->group(soon(), [&] {
    comm->check(nccl.send(sum, kCount, ncclFloat32, 0, comm->get(), stream));
    comm->check(nccl.receive(copy, kCount, ncclFloat32, 0, comm->get(), stream));
  });
  std::vector<float> back(kCount);
  check(cudaMemcpyAsync(back.data(), copy, bytes, cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  return back;
}

}  // namespace

TEST_CASE("a communicator of one rank lives and ends", "[mpi]") {
  const auto nccl = library();
  if (!nccl) return;
  const auto device = make_cuda_device(0);
  const auto stream = static_cast<cudaStream_t>(device->communication().native());
  std::vector<float> numbers(kCount);
  for (std::size_t i = 0; i < kCount; ++i)
    numbers[i] = static_cast<float>(i);

  const auto comm = Comm::make(nccl, MPI_COMM_SELF, soon());
  CHECK(through(comm, stream, numbers) == numbers);
  const auto part = comm->split(0, 0, soon());
  CHECK(through(part, stream, numbers) == numbers);
  CHECK(comm->split(Comm::kAlone, 0, soon()) == nullptr);
  CHECK(through(comm, stream, numbers) == numbers);
}
