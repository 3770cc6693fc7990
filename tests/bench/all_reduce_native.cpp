// SPDX-License-Identifier: Apache-2.0
// all_reduce_native FILE BYTES...: ours through Communicator, on memory from allocate() and on
// plain memory, beside the MPI library that we are built with, in one process. And a copy of as
// many bytes on every rank at once: what the memory can do.
#include <cstring>

#include "collectives/backend.hpp"
#include "collectives/communicator.hpp"
#include "runtime/context/context.hpp"
#include "tests/bench/all_reduce_loop.hpp"

using namespace lockstep;

namespace {

// A candidate per (backend, memory). The communicator and the buffer live in it.
bench::Candidate candidate(const std::string& name, const Communicator& world, Device& device,
                           std::shared_ptr<void> memory) {
  auto* data = static_cast<float*>(memory.get());
  return {name, data, [&device, world, memory, t = Tensor()](std::size_t count) mutable {
            const auto n = static_cast<std::int64_t>(count);
            if (t.count() != n) t = Tensor::over(device, memory, {n});
            world.all_reduce(t, ReduceOp::sum).wait();
          }};
}

}  // namespace

int main(int argc, char** argv) {
  const Context context;
  const auto device = make_cpu_device(CommunicationDriver::caller);
  const auto native = Communicator::world(context, *device, {.backend = "native"});
  bench::Meeting meeting(argv[1], context.rank(), context.size());
  const auto sizes = bench::sizes_from(argc, argv, 2);
  const std::size_t most = *std::max_element(sizes.begin(), sizes.end());
  std::vector<float> data(most / sizeof(float)), twin(data.size());
  std::vector<bench::Candidate> candidates{
      candidate("allocate", native, *device, native.allocate(most)),
      candidate("plain", native, *device, device->allocate(most)),
      {"openmpi", data.data(),
       [&](std::size_t count) {
         check_mpi(MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(count), MPI_FLOAT,
                                 MPI_SUM, context.world()));
       }},
      {"copy", data.data(),
       [&](std::size_t count) { std::memcpy(twin.data(), data.data(), count * sizeof(float)); },
       false}};
  bench::measure(meeting, context.rank(), context.size(), candidates, sizes);
}
