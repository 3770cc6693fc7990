// SPDX-License-Identifier: Apache-2.0
#include "collectives/communicator.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "collectives/backend.hpp"
#include "collectives/backends/dry.hpp"
#include "collectives/backends/gpu.hpp"
#include "collectives/backends/native.hpp"
#include "collectives/backends/table.hpp"
#include "collectives/flight_recorder.hpp"
#include "collectives/transports/threads.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

// Shared by the copies of a communicator, which are const; what changes belongs to the one
// operation that is being carried out.
struct Communicator::Group {
  std::string name;
  Device* device;
  std::shared_ptr<Backend> backend;
  CommunicatorOptions options;
  std::shared_ptr<FlightRecorder> recorder{};  // may be null
  mutable FlightRecorder::Group calls{};
  mutable std::uint64_t splits = 0;
  OperationGroup recorded{};  // for recordings
  mutable std::unique_ptr<FlightRecorder::Flight> flight{};

  Stream& queue() const { return device->communication(lane_of(name)); }
  FlightRecorder* watch() const { return backend->size() > 1 ? recorder.get() : nullptr; }

  [[noreturn]] void fail(FlightRecorder::Flight& under_way, const Call& call, const char* label,
                         const SystemError& error, double seconds) const;
};

namespace {

Elements elements_of(const Tensor& t) {
  return {t.raw(), static_cast<std::size_t>(t.count()), t.dtype()};
}

std::size_t count_of(const Tensor& t) {
  return static_cast<std::size_t>(t.count());
}

// "all_reduce of 1000 x float32 in group data of 4 ranks (native/ring)"
std::string text_of(const Call& call, const char* label, const std::string& group, int ranks) {
  return std::string(name_of(call.what)) + " of " + std::to_string(call.count()) + " x " +
         name_of(call.dtype) + " in group " + group + " of " + std::to_string(ranks) + " ranks (" +
         label + ")";
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

}  // namespace

void Communicator::Group::fail(FlightRecorder::Flight& under_way, const Call& call,
                               const char* label, const SystemError& error, double seconds) const {
  const std::string text = text_of(call, label, name, backend->size());
  if (!watch()) throw SystemError(text + ": " + error.what());
  recorder->keep(backend);
  recorder->fail(under_way, text, error, seconds);
}

// The rest of an operation, behind its body.
template <class... Tensors>
class Communicator::Launched : public UnderWay {
 public:
  Launched(std::shared_ptr<const Group> group, std::unique_ptr<UnderWay> work, const Call& call,
           const char* label, double begin, const Tensors&... tensors)
      : group_(std::move(group)),
        flight_(std::exchange(group_->flight, nullptr)),
        work_(std::move(work)),
        call_(call),
        label_(label),
        begin_(begin),
        tensors_(tensors...) {}

  bool done() override {
    FlightRecorder* const watch = group_->watch();
    try {
      if (!work_->done()) return false;
    } catch (const SystemError& error) {
      if (watch) watch->keep(std::make_shared<std::tuple<Tensors...>>(tensors_));
      group_->fail(*flight_, call_, label_, error, now() - begin_);
    }
    if (watch) watch->leave(*flight_, CallState::complete, now());
    return true;
  }
  void give_up() noexcept override { work_->give_up(); }

 private:
  std::shared_ptr<const Group> group_;
  std::unique_ptr<FlightRecorder::Flight> flight_;
  std::unique_ptr<UnderWay> work_;
  Call call_;
  const char* label_;
  double begin_;
  std::tuple<Tensors...> tensors_;
};

// Runs `body` with a deadline as these calls (the messages of one transfer, or one other call). An
// error says which call it was, and who is to blame; what MPI may then still be at work on, the
// backend and copies of `tensors`, is kept.
template <class Body, class... Tensors>
Communicator::Times Communicator::carry_out(const std::shared_ptr<const Group>& group,
                                            std::span<const Call> now_called, const char* label,
                                            Body body, const Tensors&... tensors) {
  const double begin = now();
  FlightRecorder* const watch = group->watch();
  if (!group->flight) group->flight = std::make_unique<FlightRecorder::Flight>();
  FlightRecorder::Flight& flight = *group->flight;
  if (watch) watch->enter(flight, group->calls, now_called, begin);
  if (group->options.tamper && group->backend->size() > 1)
    std::for_each(now_called.begin(), now_called.end(), group->options.tamper);
  try {
    body({begin + group->options.timeout_seconds, watch ? &flight : nullptr});
  } catch (const SystemError& error) {
    if (watch) watch->keep(std::make_shared<std::tuple<Tensors...>>(tensors...));
    group->fail(flight, now_called.front(), label, error, now() - begin);
  }
  const double end = now();
  if (auto work = group->backend->launched()) {
    group->queue().attend(std::make_unique<Launched<Tensors...>>(
        group, std::move(work), now_called.front(), label, begin, tensors...));
  } else if (watch) {
    watch->leave(flight, CallState::complete, end);
  }
  return {begin, end};
}

Communicator::Times Communicator::serve(const std::shared_ptr<const Group>& group, const Call& call,
                                        const Choice& choice, const Tensor& out, const Tensor& in) {
  Backend& backend = *group->backend;
  const auto body = [&](const Deadline& deadline) {
    backend.run(call, choice, deadline);
    const bool holds_result = call.what != Collective::reduce || backend.rank() == call.root;
    const bool on_host = group->device->kind() == DeviceKind::cpu;
    if (holds_result && on_host) finish(call.out, call.op, backend.size());
  };
  return carry_out(group, {&call, 1}, choice.label, body, out, in);
}

Communicator::Communicator(Group group) {
  const GroupShape shape = group.backend->shape();
  group.recorded = {group.name, shape.ranks, shape.nodes, shape.even};
  group.backend->launch_into(group.queue());
  group_ = std::make_shared<Group>(std::move(group));
}

Communicator Communicator::world(const Context& context, Device& device,
                                 const CommunicatorOptions& options) {
  if (!device.executes()) return dry(device, context.size(), context.rank(), options);
  const BackendEntry& backend = find_backend(options.backend, device.kind());
  auto recorder = FlightRecorder::of_job(context);
  const FlightRecorder::Group all = recorder->world();
  return Communicator(Group{"world", &device, backend.make(context.world(), device, options),
                            options, std::move(recorder), all});
}

Communicator Communicator::over(MPI_Comm comm, Device& device, const CommunicatorOptions& options) {
  if (device.executes()) {
    const BackendEntry& backend = find_backend(options.backend, device.kind());
    return Communicator(Group{"world", &device, backend.make(comm, device, options), options});
  }
  int size = 1, rank = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  check_mpi(MPI_Comm_rank(comm, &rank));
  return dry(device, size, rank, options);
}

Communicator Communicator::over(std::unique_ptr<Transport> net, Device& device,
                                const CommunicatorOptions& options,
                                std::shared_ptr<FlightRecorder> recorder) {
  Group group{"world", &device, native::make(std::move(net), options), options};
  if (recorder) group.calls = recorder->world();
  group.recorder = std::move(recorder);
  return Communicator(std::move(group));
}

Communicator Communicator::dry(Device& device, int size, int rank,
                               const CommunicatorOptions& options, int ranks_per_node) {
  expect(!device.executes(), "a dry communicator on a device that computes");
  expect(0 <= rank && rank < size, "no such rank");
  return Communicator(
      Group{"world", &device, dry::make(size, rank, options, ranks_per_node), options});
}

Communicator Communicator::alone(Device& device) {
  if (!device.executes()) return dry(device, 1, 0);
  if (device.kind() == DeviceKind::cuda)
    return Communicator(Group{"world", &device, gpu::make_alone(device), {}});
  return over(std::move(make_thread_transports(1).front()), device);
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
const Backend& Communicator::backend() const {
  return *group_->backend;
}

Communicator Communicator::split(const std::string& name,
                                 const std::function<int(int rank)>& color_of) const {
  std::vector<int> colors;
  colors.reserve(static_cast<std::size_t>(size()));
  for (int r = 0; r < size(); ++r)
    colors.push_back(color_of(r));
  group_->device->synchronize_communication();  // the backend serves one thread at a time
  expect_all();
  Group part{name, group_->device, group_->backend->split(colors), group_->options,
             group_->recorder};
  if (part.recorder) {
    const int color = colors[static_cast<std::size_t>(rank())];
    std::vector<int> members;
    for (int r = 0; r < size(); ++r) {
      if (colors[static_cast<std::size_t>(r)] == color) members.push_back(r);
    }
    part.calls =
        part.recorder->part(group_->calls, group_->splits++, name, members, part.backend->rank());
  }
  return Communicator(std::move(part));
}

std::shared_ptr<void> Communicator::allocate(std::size_t bytes) const {
  group_->device->synchronize_communication();
  expect_all();
  return group_->backend->allocate(*group_->device, bytes);
}

Work Communicator::all_reduce(Tensor& data, ReduceOp op) const {
  return all_reduce(data, data, op);
}

Work Communicator::all_reduce(Tensor& result, const Tensor& data, ReduceOp op) const {
  expect(result.count() == data.count() && result.dtype() == data.dtype(), "unequal tensors");
  return submit(all_reduce_call(elements_of(result), elements_of(data), op, size()), result, data);
}

Work Communicator::reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op) const {
  return reduce_scatter(shard, full, op, even(full));
}

Work Communicator::reduce_scatter(Tensor& shard, const Tensor& full, ReduceOp op,
                                  const Blocks& blocks) const {
  expect_shard(shard, blocks);
  expect(count_of(full) == blocks.total() && shard.dtype() == full.dtype(), "unequal tensors");
  return submit(reduce_scatter_call(elements_of(shard), elements_of(full), op, blocks), shard,
                full);
}

Work Communicator::all_gather(Tensor& full, const Tensor& shard) const {
  return all_gather(full, shard, even(full));
}

Work Communicator::all_gather(Tensor& full, const Tensor& shard, const Blocks& blocks) const {
  expect_shard(shard, blocks);
  expect(count_of(full) == blocks.total() && shard.dtype() == full.dtype(), "unequal tensors");
  return submit(all_gather_call(elements_of(full), elements_of(shard), blocks), full, shard);
}

Work Communicator::broadcast(Tensor& data, int root) const {
  expect_root(root);
  return submit(broadcast_call(elements_of(data), root, size()), data, data);
}

Work Communicator::reduce(Tensor& result, const Tensor& data, ReduceOp op, int root) const {
  expect_root(root);
  expect(rank() != root || (result.count() == data.count() && result.dtype() == data.dtype()),
         "unequal tensors");
  return submit(reduce_call(elements_of(result), elements_of(data), op, root, size()), result,
                data);
}

Work Communicator::gather(Tensor& full, const Tensor& shard, int root, const Blocks& blocks) const {
  expect_root(root);
  expect_shard(shard, blocks);
  expect(rank() != root || (count_of(full) == blocks.total() && full.dtype() == shard.dtype()),
         "unequal tensors");
  return submit(gather_call(elements_of(full), elements_of(shard), root, blocks), full, shard);
}

Work Communicator::scatter(Tensor& shard, const Tensor& full, int root,
                           const Blocks& blocks) const {
  expect_root(root);
  expect_shard(shard, blocks);
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

Work Communicator::transfer(std::vector<Transfer> transfers) const {
  expect(!transfers.empty(), "a transfer of no message");
  std::vector<Call> calls;
  for (const Transfer& t : transfers) {
    expect_peer(t.peer);
    const bool sends = t.direction == Transfer::Direction::send;
    calls.push_back(sends ? send_call(elements_of(t.data), t.peer)
                          : receive_call(elements_of(t.data), t.peer));
  }
  Device& device = *group_->device;
  Operation operation = operation_of(calls.front(), group_->backend->choose(calls.front()).label,
                                     rank(), group_->recorded);
  for (std::size_t i = 1; i < calls.size(); ++i) {
    operation.bytes_read += static_cast<double>(calls[i].in.bytes());
    operation.bytes_written += static_cast<double>(calls[i].out.bytes());
  }
  if (calls.size() > 1) operation.name = "transfer";
  Stream& queue = group_->queue();
  queue.wait(device.compute().record());
  queue.run(operation, [group = group_, calls, keep = std::move(transfers)] {
    Backend& backend = *group->backend;
    carry_out(
        group, calls, backend.choose(calls.front()).label,
        [&](const Deadline& deadline) { backend.transfer(calls, deadline); }, keep);
  });
  return {device.compute(), queue.record()};
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
  Stream &queue = group_->queue(), &compute = group_->device->compute();
  queue.wait(compute.record());
  submit(queue);
  return {compute, queue.record()};
}

Work Communicator::submit(Call call, const Tensor& out, const Tensor& in) const {
  call.memory = memory_of(call);
  const Choice choice = group_->backend->choose(call);
  const Operation operation = operation_of(call, choice.label, rank(), group_->recorded);

  Device& device = *group_->device;
  Stream& queue = group_->queue();
  // A GPU's compute stream has no reason to wait until the worker has looked at it: some 50 us of
  // the thread that launches kernels, for each collective of an axis of one rank.
  const bool done = size() == 1 && call.in.data == call.out.data;
  if (done && device.kind() == DeviceKind::cuda && !queue.recording())
    return {device.compute(), Event()};
  queue.wait(device.compute().record());
  if (queue.immediate()) {  // nothing needs to be kept: half of what a short call costs
    const auto [begin, end] = serve(group_, call, choice, out, in);
    queue.note(operation, begin, end);
  } else {
    queue.run(operation,
              [group = group_, call, choice, out, in] { serve(group, call, choice, out, in); });
  }
  return {device.compute(), queue.record()};
}

// What follows waits for the other ranks inside a library, without a deadline: so a rank that does
// not come, or that calls something else, is found before.
void Communicator::expect_all() const {
  if (!group_->recorder) return;
  const Call call = barrier_call();
  const Choice choice = group_->backend->choose(call);
  serve(group_, call, choice, {}, {});
  group_->queue().synchronize();
}

// The same answer on every rank: a rank may be without elements of a call, but where there is a
// root, what others have is not known here.
MemoryKind Communicator::memory_of(const Call& call) const {
  const bool rooted = call.what == Collective::reduce || call.what == Collective::gather ||
                      call.what == Collective::scatter;
  if (rooted) return MemoryKind::plain;
  const auto shared = [&](const Elements& e) { return e.count == 0 || group_->backend->owns(e); };
  const bool one = call.in.data == call.out.data && call.in.count == call.out.count;
  return shared(call.out) && (one || shared(call.in)) ? MemoryKind::shared : MemoryKind::plain;
}

Blocks Communicator::even(const Tensor& full) const {
  return {count_of(full), size()};
}

void Communicator::expect_root(int rank) const {
  expect(0 <= rank && rank < size(), "a root that is not in the group");
}

void Communicator::expect_peer(int peer) const {
  expect(0 <= peer && peer < size() && peer != rank(), "a message to no other rank of the group");
}

void Communicator::expect_shard(const Tensor& shard, const Blocks& blocks) const {
  expect(blocks.size() == size(), "one block for each rank of the group");
  expect(count_of(shard) == blocks[rank()].count, "a shard has the size of the rank's block");
}

}  // namespace lockstep
