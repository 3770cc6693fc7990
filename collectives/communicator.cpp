// SPDX-License-Identifier: Apache-2.0
#include "collectives/communicator.hpp"

#include <utility>

#include "collectives/backends/dry.hpp"
#include "collectives/backends/gpu.hpp"
#include "collectives/backends/native.hpp"
#include "collectives/backends/table.hpp"
#include "collectives/process_group.hpp"
#include "collectives/transports/threads.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

namespace {

Elements elements_of(const Tensor& t) {
  return {t.raw(), static_cast<std::size_t>(t.count()), t.dtype()};
}

std::size_t count_of(const Tensor& t) {
  return static_cast<std::size_t>(t.count());
}

// What is recorded: a rank that gives nothing reads nothing.
Operation operation_of(const Call& call, const char* label, int rank, const OperationGroup& group) {
  const bool to_root = call.what == Collective::reduce || call.what == Collective::gather;
  const bool from_root = call.what == Collective::broadcast || call.what == Collective::scatter;
  const bool reads = !from_root || rank == call.root;
  const bool writes =
      (!to_root || rank == call.root) && (call.what != Collective::broadcast || rank != call.root);
  return {.name = name_of(call.what),
          .kind = OperationKind::collective,
          .shape = {static_cast<std::int64_t>(call.count())},
          .bytes_read = reads ? static_cast<double>(call.in.bytes()) : 0,
          .bytes_written = writes ? static_cast<double>(call.out.bytes()) : 0,
          .dtype = call.dtype,
          .ranks = group.ranks,
          .peer = call.root,
          .detail = label,
          .memory = name_of(call.memory),
          .group = &group};
}

// The same answer on every rank: a rank may be without elements of a call, but where there is a
// root, what others have is not known here.
MemoryKind memory_of(const Call& call, const Backend& backend) {
  const bool rooted = call.what == Collective::reduce || call.what == Collective::gather ||
                      call.what == Collective::scatter;
  if (rooted) return MemoryKind::plain;
  const auto shared = [&](const Elements& e) { return e.count == 0 || backend.owns(e); };
  const bool one = call.in.data == call.out.data && call.in.count == call.out.count;
  return shared(call.out) && (one || shared(call.in)) ? MemoryKind::shared : MemoryKind::plain;
}

Blocks even_blocks(const Tensor& full, const Communicator& group) {
  return {count_of(full), group.size()};
}

void expect_root(int rank, const Communicator& group) {
  expect(0 <= rank && rank < group.size(), "a root that is not in the group");
}

void expect_peer(int rank, const Communicator& group) {
  expect(0 <= rank && rank < group.size() && rank != group.rank(),
         "a message to no other rank of the group");
}

void expect_shard(const Tensor& shard, const Blocks& blocks, const Communicator& group) {
  expect(blocks.size() == group.size(), "one block for each rank of the group");
  expect(count_of(shard) == blocks[group.rank()].count, "a shard has the size of the rank's block");
}

std::shared_ptr<ProcessGroup> world_of(Device& device, std::unique_ptr<Backend> backend,
                                       const CommunicatorOptions& options,
                                       std::shared_ptr<FlightRecorder> recorder = nullptr,
                                       const FlightRecorder::Group& watched = {}) {
  return std::make_shared<ProcessGroup>("world", device, std::move(backend), options,
                                        std::move(recorder), watched);
}

}  // namespace

Communicator::Communicator(std::shared_ptr<ProcessGroup> group) : group_(std::move(group)) {}

Communicator Communicator::world(const Context& context, Device& device,
                                 const CommunicatorOptions& options) {
  if (!device.executes()) return dry(device, context.size(), context.rank(), options);
  const BackendEntry& entry = find_backend(options.backend, device.kind());
  auto recorder = FlightRecorder::of_job(context);
  auto backend = entry.make(context.world(), device, options);
  const FlightRecorder::Group all = recorder->world();
  return Communicator(world_of(device, std::move(backend), options, std::move(recorder), all));
}

Communicator Communicator::over(MPI_Comm comm, Device& device, const CommunicatorOptions& options) {
  if (device.executes()) {
    const BackendEntry& entry = find_backend(options.backend, device.kind());
    return Communicator(world_of(device, entry.make(comm, device, options), options));
  }
  int size = 1, rank = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  check_mpi(MPI_Comm_rank(comm, &rank));
  return dry(device, size, rank, options);
}

Communicator Communicator::over(std::unique_ptr<Transport> net, Device& device,
                                const CommunicatorOptions& options,
                                std::shared_ptr<FlightRecorder> recorder) {
  const FlightRecorder::Group all = recorder ? recorder->world() : FlightRecorder::Group{};
  return Communicator(
      world_of(device, native::make(std::move(net), options), options, std::move(recorder), all));
}

Communicator Communicator::dry(Device& device, int size, int rank,
                               const CommunicatorOptions& options, int ranks_per_node) {
  expect(!device.executes(), "a dry communicator on a device that computes");
  expect(0 <= rank && rank < size, "no such rank");
  return Communicator(world_of(device, dry::make(size, rank, options, ranks_per_node), options));
}

Communicator Communicator::alone(Device& device) {
  if (!device.executes()) return dry(device, 1, 0);
  if (device.kind() == DeviceKind::cuda)
    return Communicator(world_of(device, gpu::make_alone(device), {}));
  return over(std::move(make_thread_transports(1).front()), device);
}

int Communicator::rank() const {
  return group_->backend().rank();
}
int Communicator::size() const {
  return group_->backend().size();
}
const std::string& Communicator::name() const {
  return group_->name();
}
const Backend& Communicator::backend() const {
  return group_->backend();
}

Communicator Communicator::split(const std::string& name,
                                 const std::function<int(int rank)>& color_of) const {
  std::vector<int> colors;
  colors.reserve(static_cast<std::size_t>(size()));
  for (int r = 0; r < size(); ++r)
    colors.push_back(color_of(r));
  group_->device().synchronize_communication();  // the backend serves one thread at a time
  group_->expect_all();
  return Communicator(group_->split(name, colors));
}

std::shared_ptr<void> Communicator::allocate(std::size_t bytes) const {
  group_->device().synchronize_communication();
  group_->expect_all();
  return group_->backend().allocate(group_->device(), bytes);
}

Work Communicator::all_reduce(Tensor& data, ReduceOp op) const {
  return all_reduce(data, data, op);
}

Work Communicator::all_reduce(Tensor& result, const Tensor& data, ReduceOp op) const {
  expect(result.count() == data.count() && result.dtype() == data.dtype(), "unequal tensors");
  return submit(all_reduce_call(elements_of(result), elements_of(data), op, size()), result, data);
}

Work Communicator::reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op) const {
  return reduce_scatter(shard, full, op, even_blocks(full, *this));
}

Work Communicator::reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op,
                                  const Blocks& blocks) const {
  expect_shard(shard, blocks, *this);
  expect(count_of(full) == blocks.total() && shard.dtype() == full.dtype(), "unequal tensors");
  return submit(reduce_scatter_call(elements_of(shard), elements_of(full), op, blocks), shard,
                full);
}

Work Communicator::all_gather(Tensor& full, const Tensor& shard) const {
  return all_gather(full, shard, even_blocks(full, *this));
}

Work Communicator::all_gather(Tensor& full, const Tensor& shard, const Blocks& blocks) const {
  expect_shard(shard, blocks, *this);
  expect(count_of(full) == blocks.total() && shard.dtype() == full.dtype(), "unequal tensors");
  return submit(all_gather_call(elements_of(full), elements_of(shard), blocks), full, shard);
}

Work Communicator::broadcast(Tensor& data, int root) const {
  expect_root(root, *this);
  return submit(broadcast_call(elements_of(data), root, size()), data, data);
}

Work Communicator::reduce(Tensor& result, const Tensor& data, ReduceOp op, int root) const {
  expect_root(root, *this);
  expect(rank() != root || (result.count() == data.count() && result.dtype() == data.dtype()),
         "unequal tensors");
  return submit(reduce_call(elements_of(result), elements_of(data), op, root, size()), result,
                data);
}

Work Communicator::gather(Tensor& full, const Tensor& shard, int root, const Blocks& blocks) const {
  expect_root(root, *this);
  expect_shard(shard, blocks, *this);
  expect(rank() != root || (count_of(full) == blocks.total() && full.dtype() == shard.dtype()),
         "unequal tensors");
  return submit(gather_call(elements_of(full), elements_of(shard), root, blocks), full, shard);
}

Work Communicator::scatter(Tensor& shard, const Tensor& full, int root,
                           const Blocks& blocks) const {
  expect_root(root, *this);
  expect_shard(shard, blocks, *this);
  expect(rank() != root || (count_of(full) == blocks.total() && full.dtype() == shard.dtype()),
         "unequal tensors");
  Call call = scatter_call(elements_of(shard), elements_of(full), root, blocks);
  call.dtype = shard.dtype();  // `full` may be empty here
  return submit(call, shard, full);
}

Work Communicator::all_to_all(Tensor& out, const Tensor& in) const {
  expect(out.count() == in.count() && out.dtype() == in.dtype(), "unequal tensors");
  const bool apart = in.count() == 0 || in.raw() == nullptr ||
                     out.raw() + out.bytes() <= in.raw() || in.raw() + in.bytes() <= out.raw();
  expect(apart, "all_to_all in place");
  expect(in.count() % size() == 0, "all_to_all of a count that the ranks do not divide");
  return submit(all_to_all_call(elements_of(out), elements_of(in), size()), out, in);
}

Work Communicator::send(const Tensor& data, int to) const {
  return transfer({{Transfer::Direction::send, data, to}});
}

Work Communicator::receive(Tensor& data, int from) const {
  return transfer({{Transfer::Direction::receive, data, from}});
}

Work Communicator::barrier() const {
  return submit(barrier_call(), {}, {});
}

Work Communicator::transfer(const std::vector<Transfer>& transfers) const {
  expect(!transfers.empty(), "a transfer of no message");
  std::vector<Call> calls;
  std::vector<Tensor> tensors;
  for (const Transfer& t : transfers) {
    expect_peer(t.peer, *this);
    const bool sends = t.direction == Transfer::Direction::send;
    calls.push_back(sends ? send_call(elements_of(t.data), t.peer)
                          : receive_call(elements_of(t.data), t.peer));
    tensors.push_back(t.data);
  }
  Operation operation = operation_of(calls.front(), backend().choose(calls.front()).label, rank(),
                                     group_->recorded());
  for (std::size_t i = 1; i < calls.size(); ++i) {
    operation.bytes_read += static_cast<double>(calls[i].in.bytes());
    operation.bytes_written += static_cast<double>(calls[i].out.bytes());
  }
  if (calls.size() > 1) operation.name = "transfer";
  return local_step([&](Stream& queue) {
    queue.run(operation, [group = group_, calls, tensors] { group->transfer(calls, tensors); });
  });
}

Work Communicator::run(const char* name, std::int64_t count, double bytes_read,
                       double bytes_written, std::function<void()> body) const {
  return local_step([&](Stream& queue) {
    queue.run({.name = name,
               .kind = OperationKind::streaming,
               .shape = {count},
               .bytes_read = bytes_read,
               .bytes_written = bytes_written},
              std::move(body));
  });
}

Work Communicator::local_step(const std::function<void(Stream& queue)>& submit) const {
  Stream &queue = group_->queue(), &compute = group_->device().compute();
  queue.wait(compute.record());
  submit(queue);
  return {compute, queue.record()};
}

Work Communicator::submit(Call call, const Tensor& out, const Tensor& in) const {
  call.memory = memory_of(call, group_->backend());
  const Choice choice = group_->backend().choose(call);
  const Operation operation = operation_of(call, choice.label, rank(), group_->recorded());

  Device& device = group_->device();
  Stream& queue = group_->queue();
  // A GPU's compute stream has no reason to wait until the worker has looked at it: some 50 us of
  // the thread that launches kernels, for each collective of an axis of one rank.
  const bool done = size() == 1 && call.in.data == call.out.data;
  if (done && device.kind() == DeviceKind::cuda && !queue.recording())
    return {device.compute(), Event()};
  queue.wait(device.compute().record());
  if (queue.immediate()) {  // nothing needs to be kept: half of what a short call costs
    const auto [begin, end] = group_->serve(call, choice, out, in);
    queue.note(operation, begin, end);
  } else {
    queue.run(operation,
              [group = group_, call, choice, out, in] { group->serve(call, choice, out, in); });
  }
  return {device.compute(), queue.record()};
}

}  // namespace lockstep
