// SPDX-License-Identifier: Apache-2.0
#include "collectives/communicator.hpp"

#include <utility>
#include <vector>

#include "collectives/backend.hpp"
#include "collectives/backends/dry.hpp"
#include "collectives/backends/native.hpp"
#include "collectives/backends/table.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

struct Communicator::Group {
  std::string name;
  Device* device;
  std::unique_ptr<Backend> backend;
};

// What is recorded of an operation. `full` is the tensor that its size is named after.
struct Communicator::Call {
  Collective what;
  Tensor full;
  std::size_t bytes_read = 0, bytes_written = 0;
};

namespace {

Elements elements_of(const Tensor& t) {
  return {t.raw(), static_cast<std::size_t>(t.count()), t.dtype()};
}

// "all_reduce of 1000 x float32 in group data of 4 ranks (native/ring)"
std::string text_of(const Operation& op, DType dtype, const std::string& group) {
  return std::string(op.name) + " of " + std::to_string(op.shape[0]) + " x " + name_of(dtype) +
         " in group " + group + " of " + std::to_string(op.ranks) + " ranks (" + op.detail + ")";
}

}  // namespace

Communicator::Communicator(std::string name, Device& device, std::unique_ptr<Backend> backend)
    : group_(std::make_shared<Group>(Group{std::move(name), &device, std::move(backend)})) {}

Communicator Communicator::world(const Context& context, Device& device,
                                 const CommunicatorOptions& options) {
  return over(context.world(), device, options);
}

Communicator Communicator::over(MPI_Comm comm, Device& device, const CommunicatorOptions& options) {
  if (device.executes()) {
    return {"world", device, find_backend(options.backend).make(comm, options)};
  }
  int size = 1, rank = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  check_mpi(MPI_Comm_rank(comm, &rank));
  return dry(device, size, rank, options);
}

Communicator Communicator::over(std::unique_ptr<Transport> net, Device& device,
                                const CommunicatorOptions& options) {
  return {"world", device, native::make(std::move(net), options)};
}

Communicator Communicator::dry(Device& device, int size, int rank,
                               const CommunicatorOptions& options) {
  expect(!device.executes(), "a dry communicator on a device that computes");
  expect(0 <= rank && rank < size, "no such rank");
  return {"world", device, dry::make(size, rank, options)};
}

int Communicator::rank() const {
  return group_->backend->rank();
}
int Communicator::size() const {
  return group_->backend->size();
}
const std::string& Communicator::name() const {
  return group_->name;
}

Communicator Communicator::split(const std::string& name,
                                 const std::function<int(int rank)>& color_of) const {
  std::vector<int> colors;
  colors.reserve(static_cast<std::size_t>(size()));
  for (int r = 0; r < size(); ++r)
    colors.push_back(color_of(r));
  group_->device->communication().synchronize();  // the backend serves one thread at a time
  return {name, *group_->device, group_->backend->split(colors)};
}

std::shared_ptr<void> Communicator::allocate(std::size_t bytes) const {
  return group_->backend->allocate(*group_->device, bytes);
}

Work Communicator::all_reduce(Tensor& data, ReduceOp op) const {
  return submit({Collective::all_reduce, data, data.bytes(), data.bytes()},
                [data, op](Backend& backend) {
                  backend.all_reduce(elements_of(data), op);
                  finish(elements_of(data), op, backend.size());
                });
}

Work Communicator::reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op) const {
  expect_shard(shard, full);
  return submit({Collective::reduce_scatter, full, full.bytes(), shard.bytes()},
                [shard, full, op](Backend& backend) {
                  backend.reduce_scatter(elements_of(shard), elements_of(full), op);
                  finish(elements_of(shard), op, backend.size());
                });
}

Work Communicator::all_gather(Tensor& full, const Tensor& shard) const {
  expect_shard(shard, full);
  return submit({Collective::all_gather, full, shard.bytes(), full.bytes()},
                [full, shard](Backend& backend) {
                  backend.all_gather(elements_of(full), elements_of(shard));
                });
}

Work Communicator::broadcast(Tensor& data, int root) const {
  expect(0 <= root && root < size(), "broadcast from a rank that is not in the group");
  const std::size_t bytes = data.bytes();
  return submit(
      {Collective::broadcast, data, root == rank() ? bytes : 0, root == rank() ? 0 : bytes},
      [data, root](Backend& backend) { backend.broadcast(elements_of(data), root); });
}

Work Communicator::send(const Tensor& data, int to) const {
  expect(0 <= to && to < size() && to != rank(), "send to no other rank of the group");
  return submit({Collective::send, data, data.bytes(), 0},
                [data, to](Backend& backend) { backend.send(elements_of(data), to); });
}

Work Communicator::receive(Tensor& data, int from) const {
  expect(0 <= from && from < size() && from != rank(), "receive from no other rank of the group");
  return submit({Collective::receive, data, 0, data.bytes()},
                [data, from](Backend& backend) { backend.receive(elements_of(data), from); });
}

Work Communicator::barrier() const {
  return submit({Collective::barrier, {}, 0, 0}, [](Backend& backend) { backend.barrier(); });
}

Work Communicator::submit(const Call& call, std::function<void(Backend&)> body) const {
  Device& device = *group_->device;
  const Operation operation{.name = name_of(call.what),
                            .kind = OperationKind::collective,
                            .shape = {call.full.count()},
                            .bytes_read = static_cast<double>(call.bytes_read),
                            .bytes_written = static_cast<double>(call.bytes_written),
                            .ranks = size(),
                            .detail = group_->backend->label(call.what, call.full.bytes())};
  device.communication().wait(device.compute().record());
  device.communication().run(
      operation, [group = group_, operation, body = std::move(body), dtype = call.full.dtype()] {
        try {
          body(*group->backend);
        } catch (const SystemError& error) {
          throw SystemError(text_of(operation, dtype, group->name) + ": " + error.what());
        }
      });
  return {device.compute(), device.communication().record()};
}

void Communicator::expect_shard(const Tensor& shard, const Tensor& full) const {
  const Block block = block_bounds(static_cast<std::size_t>(full.count()), size(), rank());
  expect(static_cast<std::size_t>(shard.count()) == block.count,
         "a shard has the size of the rank's block");
  expect(shard.dtype() == full.dtype(), "shard and full tensor of one type");
}

}  // namespace lockstep
